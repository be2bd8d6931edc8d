/**
 * What an adapter lets a library sign: signature bases of RFC 9421 that state our
 * key, and nothing else. A function that signs any bytes is a key for every other
 * protocol, too.
 *
 * @category internal
 */
import * as Result from "effect/Result"
import * as StructuredFields from "../../schemas/StructuredFields.ts"

/** What the last line of a signature base states. */
export interface Stated {
  readonly keyId: string | undefined
  readonly alg: string | undefined
  readonly tag: string | undefined
}

/** Bytes of a signature base, at most. */
const maxLength = 65_536

const prefix = `"@signature-params": `

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

const stringOf = (parameters: StructuredFields.Parameters, name: string): string | undefined => {
  const value = StructuredFields.get(parameters, name)
  return value?._tag === "String" ? value.value : undefined
}

/**
 * What a signature base states of itself (RFC 9421 section 2.5); `undefined` for
 * what is none: each line has its identifier, the last one the parameters, which
 * list as many components as there are lines before it.
 */
export const read = (base: Uint8Array): Stated | undefined => {
  const text = base.length > maxLength ? undefined : textOf(base)
  if (text === undefined) return undefined
  const lines = text.split("\n")
  const last = lines.pop()!
  if (!last.startsWith(prefix)) return undefined
  const parsed = Result.getOrUndefined(StructuredFields.parseList(last.slice(prefix.length)))
  const [input] = parsed ?? []
  if (parsed?.length !== 1 || input?._tag !== "InnerList" || input.items.length !== lines.length) return undefined
  const isBase = input.items.every(({ value }, index) => {
    const identifier = value._tag === "String" ? `"${value.value}"` : undefined
    const line = lines[index]!
    return identifier !== undefined && (line.startsWith(`${identifier}: `) || line.startsWith(`${identifier};`))
  })
  return isBase
    ? {
        keyId: stringOf(input.parameters, "keyid"),
        alg: stringOf(input.parameters, "alg"),
        tag: stringOf(input.parameters, "tag")
      }
    : undefined
}
