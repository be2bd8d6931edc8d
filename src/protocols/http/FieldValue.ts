/**
 * Values of HTTP field lines (RFC 9110 section 5.5).
 *
 * @category internal
 */

/** By hand: a pattern for blanks at the end takes time with the square of the blanks within. */
const trimBlanks = (text: string): string => {
  const isBlank = (at: number) => text[at] === " " || text[at] === "\t"
  let start = 0
  let end = text.length
  while (start < end && isBlank(start)) start++
  while (end > start && isBlank(end - 1)) end--
  return text.slice(start, end)
}

/** Without blanks around it, and a line that was folded in one. */
export const trimmed = (value: string): string => {
  if (!value.includes("\r\n")) return trimBlanks(value)
  const [first, ...folded] = value.split("\r\n") as [string, ...Array<string>]
  return folded.every((line) => line.startsWith(" ") || line.startsWith("\t"))
    ? trimBlanks([first, ...folded].map(trimBlanks).join(" "))
    : value
}
