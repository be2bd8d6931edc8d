/**
 * Names that an object of a JSON text has twice, in a form that is safe to log.
 *
 * @category internal
 */

/** Names of one text that are reported, at most. */
const maxNames = 4

/** Bytes of a name that are reported, at most. */
const maxBytes = 32

const utf8 = new TextEncoder()

/** Cut at the first character that is not printable, and to 32 bytes of UTF-8: the name is an attacker's text. */
export const shownName = (name: string): string => {
  let shown = ""
  let bytes = 0
  for (const character of name) {
    if (/[\p{C}\p{Zl}\p{Zp}]/u.test(character)) return `${shown}<sanitized:${[...name].length - [...shown].length}>`
    bytes += utf8.encode(character).length
    if (bytes > maxBytes) return shown
    shown += character
  }
  return shown
}

/** Reads text that is JSON: `JSON.parse` accepted it. */
export const find = (text: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  /** The names of each object that is open; `undefined` for an array. */
  const open: Array<Set<string> | undefined> = []
  let last: string | undefined
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === `"`) {
      const start = at
      for (at++; text[at] !== `"`; at++) if (text[at] === "\\") at++
      last = text.slice(start, at + 1)
    } else if (character === ":") {
      const names = open.at(-1)
      const name = JSON.parse(last!) as string
      if (names?.has(name) === true) found.add(shownName(name))
      names?.add(name)
    } else if (character === "{") open.push(new Set())
    else if (character === "[") open.push(undefined)
    else if (character === "}" || character === "]") open.pop()
    if (found.size >= maxNames) break
  }
  return [...found]
}
