/**
 * Digests of HTTP content and representations (RFC 9530): the fields
 * `Content-Digest` and `Repr-Digest`, and the wishes `Want-Content-Digest` and
 * `Want-Repr-Digest`. Both pairs have one syntax, so the functions take and return
 * field values.
 *
 * **Details**
 *
 * `sha-256` and `sha-512` only. What else a field names is weak (RFC 9530 section
 * 5) and never counts: a field without one of the two is refused.
 *
 * **Gotchas**
 *
 * A digest proves nothing about who sent the content: anybody can write another
 * one. `HttpSignature` checks the digest wherever a signature covers it.
 *
 * **Example** (A digest, and its check)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as ContentDigest from "effect-signer/ContentDigest"
 *
 * const program = Effect.gen(function*() {
 *   const body = new TextEncoder().encode(`{"hello": "world"}`)
 *   const value = yield* ContentDigest.make(body) // sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:
 *   yield* ContentDigest.verify(body, value)
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { isBytes } from "../schemas/Bytes.ts"
import * as StructuredFields from "../schemas/StructuredFields.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The algorithms, by their registered names.
 *
 * @category schemas
 * @since 0.1.0
 */
export const DigestAlgorithm = Schema.Literals(["sha-256", "sha-512"])

/**
 * The type of {@link DigestAlgorithm}.
 *
 * @category models
 * @since 0.1.0
 */
export type DigestAlgorithm = typeof DigestAlgorithm.Type

/**
 * One digest of a field.
 *
 * @category models
 * @since 0.1.0
 */
export interface Digest {
  readonly algorithm: DigestAlgorithm
  readonly digest: Uint8Array
}

/**
 * Options of the readers.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadOptions {
  /** Default `"base64"`, the standard's; the others are for older profiles. */
  readonly alphabet?: StructuredFields.Alphabet | "either" | undefined
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * Why a digest is refused.
 *
 * @category errors
 * @since 0.1.0
 */
export const DigestReason = Schema.Literals(["Malformed", "Unsupported", "Mismatch"])

/**
 * The type of {@link DigestReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type DigestReason = typeof DigestReason.Type

/**
 * A digest field that is malformed, names neither `sha-256` nor `sha-512`, or is
 * not that of the content. It holds nothing of either.
 *
 * @category errors
 * @since 0.1.0
 */
export class DigestInvalid extends Schema.TaggedError<DigestInvalid>("effect-signer/DigestInvalid")("DigestInvalid", {
  reason: DigestReason,
  problem: Schema.String
}) {
  override get message() {
    return `DigestInvalid: ${this.reason}: ${this.problem}`
  }
}

const failure = (reason: DigestReason, problem: string) => Result.fail(new DigestInvalid({ reason, problem }))

// ---------------------------------------------------------------------------
// digests
// ---------------------------------------------------------------------------

const hashes = { "sha-256": ["SHA-256", 32], "sha-512": ["SHA-512", 64] } as const

const isSupported = Schema.is(DigestAlgorithm)

const notBytes = failure(
  "Malformed",
  "the content must be a Uint8Array; encode text with new TextEncoder().encode(text)"
)

/** @internal */
export const makeResult = (
  content: Uint8Array,
  algorithms: ReadonlyArray<DigestAlgorithm> = ["sha-256"],
  options: StructuredFields.SerializeOptions = {}
): Result.Result<string, DigestInvalid> => {
  if (!isBytes(content)) return notBytes
  if (algorithms.length === 0 || !algorithms.every(isSupported)) {
    return failure("Unsupported", "the algorithms are sha-256 and sha-512, at least one of them")
  }
  const members = [...new Set(algorithms)].map((algorithm) => {
    const digest = primitives.digest(hashes[algorithm][0], content)
    return [algorithm, StructuredFields.item(StructuredFields.byteSequence(digest))] as const
  })
  return Result.mapError(
    StructuredFields.serializeDictionary(members, options),
    ({ problem }) => new DigestInvalid({ reason: "Malformed", problem })
  )
}

/** @internal */
export const parseResult = (
  lines: string | ReadonlyArray<string>,
  options: ReadOptions = {}
): Result.Result<ReadonlyArray<Digest>, DigestInvalid> => {
  const parsed = StructuredFields.parseDictionary(lines, { alphabet: options.alphabet, duplicates: "refuse" })
  if (Result.isFailure(parsed)) return failure("Malformed", parsed.failure.message)
  const digests: Array<Digest> = []
  for (const [algorithm, member] of parsed.success) {
    if (member._tag !== "Item" || member.value._tag !== "ByteSequence") {
      return failure("Malformed", "a digest must be a byte sequence")
    }
    if (isSupported(algorithm)) {
      const digest = member.value.value
      if (digest.length !== hashes[algorithm][1]) {
        return failure("Malformed", `a digest by ${algorithm} has ${hashes[algorithm][1]} bytes`)
      }
      digests.push({ algorithm, digest })
    }
  }
  return digests.length === 0
    ? failure("Unsupported", "the field has no digest by sha-256 or sha-512")
    : Result.succeed(digests)
}

/** @internal */
export const verifyResult = (
  content: Uint8Array,
  lines: string | ReadonlyArray<string>,
  options: ReadOptions = {}
): Result.Result<ReadonlyArray<Digest>, DigestInvalid> => {
  if (!isBytes(content)) return notBytes
  const parsed = parseResult(lines, options)
  if (Result.isFailure(parsed)) return parsed
  const isContent = parsed.success.every(({ algorithm, digest }) => {
    const actual = primitives.digest(hashes[algorithm][0], content)
    return actual.every((byte, index) => byte === digest[index])
  })
  return isContent ? parsed : failure("Mismatch", "the digest is not that of the content")
}

/**
 * The field value with the digests of some content, by default `sha-256`.
 *
 * **Details**
 *
 * For `Content-Digest` the content is the bytes that are sent, after content
 * coding; for `Repr-Digest` it is the whole selected representation (RFC 9530
 * section 3), also where a part of it is sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  content: Uint8Array,
  algorithms: ReadonlyArray<DigestAlgorithm> = ["sha-256"]
): Effect.Effect<string, DigestInvalid> => Effect.suspend(() => Effect.fromResult(makeResult(content, algorithms)))

/**
 * Reads a field value, or the values of its lines: the digests by `sha-256` and
 * `sha-512`, of which there is at least one.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (
  lines: string | ReadonlyArray<string>,
  options: ReadOptions = {}
): Effect.Effect<ReadonlyArray<Digest>, DigestInvalid> =>
  Effect.suspend(() => Effect.fromResult(parseResult(lines, options)))

/**
 * Checks that every digest of the field by `sha-256` and `sha-512` is that of the
 * content, and answers with them.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = (
  content: Uint8Array,
  lines: string | ReadonlyArray<string>,
  options: ReadOptions = {}
): Effect.Effect<ReadonlyArray<Digest>, DigestInvalid> =>
  Effect.suspend(() => Effect.fromResult(verifyResult(content, lines, options)))

// ---------------------------------------------------------------------------
// wishes (RFC 9530 section 4)
// ---------------------------------------------------------------------------

/** From 0, not wanted, to 10, wanted most. */
const isWeight = (value: number) => Number.isInteger(value) && value >= 0 && value <= 10

/**
 * The value of `Want-Content-Digest` or `Want-Repr-Digest`: a weight for each
 * algorithm, from 10 for the one that is wanted most to 0 for one that is not.
 *
 * @category constructors
 * @since 0.1.0
 */
export const want = (
  weights: Partial<Readonly<Record<DigestAlgorithm, number>>>
): Effect.Effect<string, DigestInvalid> =>
  Effect.suspend(() => {
    const entries = Object.entries(weights)
    if (entries.length === 0 || !entries.every(([algorithm, weight]) => isSupported(algorithm) && isWeight(weight))) {
      return Effect.fail(
        new DigestInvalid({ reason: "Malformed", problem: "state sha-256 or sha-512, each with a weight from 0 to 10" })
      )
    }
    return Effect.succeed(entries.map(([algorithm, weight]) => `${algorithm}=${weight}`).join(", "))
  })

/**
 * Reads a wish: the algorithms of ours that are wanted, the most wanted first.
 * Empty where the field wants others only.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parseWant = (
  lines: string | ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<DigestAlgorithm>, DigestInvalid> =>
  Effect.suspend(() => {
    const parsed = StructuredFields.parseDictionary(lines)
    if (Result.isFailure(parsed)) return Effect.fromResult(failure("Malformed", parsed.failure.message))
    const wanted: Array<readonly [algorithm: DigestAlgorithm, weight: number]> = []
    for (const [algorithm, member] of parsed.success) {
      if (member._tag !== "Item" || member.value._tag !== "Integer" || !isWeight(member.value.value)) {
        return Effect.fromResult(failure("Malformed", "a weight must be an integer from 0 to 10"))
      }
      if (isSupported(algorithm) && member.value.value > 0) wanted.push([algorithm, member.value.value])
    }
    return Effect.succeed(wanted.sort(([, a], [, b]) => b - a).map(([algorithm]) => algorithm))
  })
