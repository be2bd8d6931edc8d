/**
 * How long a server says that its answer may be used: `Cache-Control` and `Age`
 * (RFC 9111 section 5).
 *
 * @category internal
 */

/** A whole number of seconds (RFC 9111 section 1.2.2). */
const seconds = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : undefined

/**
 * The seconds left; 0 where the answer must not be kept or was said in a way that
 * nobody can read. `undefined` where the server says nothing.
 */
export const secondsLeft = (cacheControl: string | undefined, age: string | undefined): number | undefined => {
  const directives = (cacheControl ?? "").split(",").map((directive) => {
    const [name, value] = directive.split("=", 2)
    // Section 5.2: a quoted value is to be understood, too
    return { name: name!.trim().toLowerCase(), value: value?.trim().replace(/^"(.*)"$/, "$1") }
  })
  if (directives.some(({ name }) => name === "no-store" || name === "no-cache")) return 0
  const limits = directives.filter(({ name }) => name === "max-age").map(({ value }) => seconds(value))
  if (limits.length === 0) return undefined
  // Section 4.2.1: where directives contradict each other, the shortest counts
  const limit = Math.min(...limits.map((value) => value ?? 0))
  return Math.max(0, limit - (seconds(age?.trim()) ?? 0))
}
