/**
 * How long a server asks us to wait: the `Retry-After` header (RFC 9110 section
 * 10.2.3).
 *
 * @category internal
 */
import * as Duration from "effect/Duration"

/** IMF-fixdate, the one form that senders may write (RFC 9110 section 5.6.7). */
const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * Reads the value of the header: a number of seconds, or a date, which is
 * compared with `now` in milliseconds. `undefined` for anything else.
 */
export const parse = (value: unknown, now: number): Duration.Duration | undefined => {
  if (typeof value !== "string") return undefined
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return Duration.seconds(Number(text))
  if (!date.test(text)) return undefined
  const until = Date.parse(text)
  return Number.isNaN(until) ? undefined : Duration.millis(Math.max(0, until - now))
}
