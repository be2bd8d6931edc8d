/**
 * Whether a body has one meaning: two readers must not get two out of one that is
 * signed (step 14 of the checklist).
 *
 * @category internal
 */
import { Malformed } from "../../schemas/Malformed.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import type { HttpMessage } from "../HttpMessage.ts"
import type { Refusals } from "./AdcpError.ts"
import { isJson, textOf } from "./BodyText.ts"
import * as DuplicateMembers from "./DuplicateMembers.ts"

/** Whether a message says that its content is JSON. */
const isOfJson = ({ fields }: HttpMessage): boolean =>
  fields.some(([name, value]) => name.toLowerCase() === "content-type" && /^[^;]*[/+]json[ \t]*(?:;|$)/i.test(value))

/** What is wrong with text as JSON, or nothing. */
const problemOf = (text: string): string | undefined => {
  try {
    StrictJson.parse(text, "body")
    return undefined
  } catch (error) {
    if (error instanceof Malformed) return error.problem
    throw error
  }
}

/** Refuses what is JSON with two meanings, and what only says that it is JSON. Other content is not ours to judge. */
export const checkBody = (message: HttpMessage, { body: refusal }: Refusals): void => {
  const { body } = message
  if (body === undefined || body.length === 0) return
  const text = textOf(body)
  const problem = text === undefined ? "it is not UTF-8 text" : problemOf(text)
  if (problem === undefined) return
  const isAmbiguous = text !== undefined && isJson(text)
  if (isAmbiguous || isOfJson(message)) {
    throw refusal(problem, body.length, isAmbiguous ? DuplicateMembers.find(text) : [])
  }
}
