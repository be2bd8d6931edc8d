/**
 * `google.rpc.Status` with its details, in the two forms that Google answers with: JSON
 * over HTTP, and protocol buffers in a trailer of gRPC.
 *
 * @category internal
 */

/** https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto */
export type Detail =
  | { readonly _tag: "RetryInfo"; readonly seconds: number }
  | { readonly _tag: "ErrorInfo"; readonly reason: string; readonly domain: string }
  | { readonly _tag: "PreconditionFailure"; readonly type: string; readonly subject: string }

export interface Status {
  /** Of `google.rpc.Code`. */
  readonly code: number
  readonly message: string
  readonly details: ReadonlyArray<Detail>
}

const typeUrl = ({ _tag }: Detail) => `type.googleapis.com/google.rpc.${_tag}`

/** The members of a detail in JSON. */
const jsonOf = (detail: Detail): object => {
  switch (detail._tag) {
    case "RetryInfo":
      return { retryDelay: `${detail.seconds}s` }
    case "ErrorInfo":
      return { reason: detail.reason, domain: detail.domain }
    case "PreconditionFailure":
      return { violations: [{ type: detail.type, subject: detail.subject }] }
  }
}

/** https://cloud.google.com/apis/design/errors#http_mapping */
export const toJson = ({ details, message }: Status, name: string, http: number): object => ({
  error: {
    code: http,
    message,
    status: name,
    ...(details.length === 0
      ? {}
      : { details: details.map((detail) => ({ "@type": typeUrl(detail), ...jsonOf(detail) })) })
  }
})

// Wire format: https://protobuf.dev/programming-guides/encoding

const varint = (value: number): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let left = value
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) | 128)
  return [...bytes, left]
}

const integer = (field: number, value: number) => [...varint(field * 8), ...varint(value)]

const message = (field: number, bytes: ReadonlyArray<number> | Uint8Array) => [
  ...varint(field * 8 + 2),
  ...varint(bytes.length),
  ...bytes
]

const text = (field: number, value: string) => message(field, new TextEncoder().encode(value))

const bytesOf = (detail: Detail): ReadonlyArray<number> => {
  switch (detail._tag) {
    case "RetryInfo":
      return message(1, integer(1, detail.seconds))
    case "ErrorInfo":
      return [...text(1, detail.reason), ...text(2, detail.domain)]
    case "PreconditionFailure":
      return message(1, [...text(1, detail.type), ...text(2, detail.subject)])
  }
}

export const toBytes = (status: Status): Uint8Array =>
  Uint8Array.from([
    ...integer(1, status.code),
    ...text(2, status.message),
    ...status.details.flatMap((detail) => message(3, [...text(1, typeUrl(detail)), ...message(2, bytesOf(detail))]))
  ])
