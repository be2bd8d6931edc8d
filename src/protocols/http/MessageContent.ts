/**
 * Whether a message has content, also where nobody has read it.
 *
 * @category internal
 */
import type { HttpMessage } from "../HttpMessage.ts"

/** Methods whose requests have no content that means anything (RFC 9110 section 9.3). */
const withoutContent = /^(?:GET|HEAD)$/i

/** Content that is not known may be there: what covers none of it must not pass for what has none. */
export const mayHaveContent = (message: HttpMessage): boolean =>
  message.body === undefined
    ? message._tag === "Response" || !withoutContent.test(message.method)
    : message.body.length > 0
