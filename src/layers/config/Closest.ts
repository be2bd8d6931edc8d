/**
 * The word that somebody may have meant.
 *
 * @category internal
 */

/** Insertions, deletions, replacements and swaps of neighbours between two words. */
const distance = (a: string, b: string): number => {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, replaced, isSwap ? rows[i - 2]![j - 2]! + 1 : Infinity))
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}

const normalized = (word: string) => word.toLowerCase().replace(/[^a-z0-9]/g, "")

/** The nearest of the candidates, if one is near: a few letters off, or a part of it. */
export const closest = (word: string, candidates: ReadonlyArray<string>): string | undefined => {
  const wanted = normalized(word)
  if (wanted === "" || wanted.length > 40) return undefined
  const near = candidates
    .map((candidate) => {
      const name = normalized(candidate)
      const isPart = wanted.length >= 3 && (name.includes(wanted) || wanted.includes(name))
      return { candidate, distance: name === wanted ? 0 : isPart ? 0.5 : distance(wanted, name) }
    })
    .filter(({ distance }) => distance <= Math.max(1, Math.floor(wanted.length / 4)))
    .toSorted((a, b) => a.distance - b.distance)
  return near[0]?.candidate
}
