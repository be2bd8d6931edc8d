/**
 * New fields on the request of a client.
 *
 * @category internal
 */
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { FieldLine } from "../HttpMessage.ts"

/** The request with new fields. A signature beside another is one more member of the field. */
export const withFields = (
  request: HttpClientRequest.HttpClientRequest,
  fields: ReadonlyArray<FieldLine>
): HttpClientRequest.HttpClientRequest =>
  fields.reduce((signed, [name, value]) => {
    const before = signed.headers[name.toLowerCase()]
    return HttpClientRequest.setHeader(signed, name, before === undefined ? value : `${before}, ${value}`)
  }, request)
