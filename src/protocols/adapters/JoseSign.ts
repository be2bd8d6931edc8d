/**
 * JWS for callers who know `jose`: payload and header in, a Promise of the token
 * out, and the key stays where it is.
 *
 * **Details**
 *
 * `jose` signs with a `CryptoKey` and has no hook for a key elsewhere; what it
 * verifies is what this writes. `sign` has the shape `(payload, header) =>
 * Promise<string>` that libraries ask for, and `signInput` that of libraries which
 * assemble the signing input and want its signature (`(data) => Promise<string>`).
 *
 * A header may state `alg`, as `jose` demands: any other one than that of the key
 * is refused. Where it states no `kid`, the RFC 7638 thumbprint of the key is
 * written. `crit` and `b64: false` (RFC 7797) are as in `jose`.
 *
 * **Gotchas**
 *
 * The claims of a token are written as they are given: nothing sets `iat` or
 * `exp`. `Jwt.sign` does.
 *
 * **Example** (A token, as a function of payload and header)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as JoseSign from "effect-signer/JoseSign"
 *
 * const program = Effect.gen(function*() {
 *   const { alg, sign } = yield* JoseSign.make()
 *   return yield* Effect.promise(() => sign({ sub: "7" }, { alg, typ: "JWT" }))
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
 *
 * const token = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Base64Url from "../../schemas/Base64Url.ts"
import { isBytes } from "../../schemas/Bytes.ts"
import { fromJose, toJose } from "../../schemas/JoseAlgorithm.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import * as SignatureAlgorithm from "../../schemas/SignatureAlgorithm.ts"
import type { InvalidConfiguration, SignerError } from "../../schemas/SignerError.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import * as Signer from "../../services/Signer.ts"
import { misconfigured, payloadBytes, run, signerFor, toJson } from "./Adapter.ts"
import * as Jws from "../Jws.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** `kid` of headers that state none. Default: the RFC 7638 thumbprint of the key that signs. */
  readonly kid?: string | undefined
  /** What the key must be for: a Signer of another purpose is refused. */
  readonly purpose?: string | undefined
}

/**
 * A protected header, as `jose` takes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Header {
  /** The algorithm of the key, if any: for Ed25519 `EdDSA` or `Ed25519`. */
  readonly alg?: string | undefined
  readonly kid?: string | undefined
  readonly typ?: string | undefined
  readonly crit?: ReadonlyArray<string> | undefined
  readonly b64?: boolean | undefined
  readonly [name: string]: unknown
}

/**
 * Signs for callers of Promises. What fails rejects with a `SignerError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface JoseSign {
  /** The JOSE name of the algorithm of the key; `EdDSA` for Ed25519. */
  readonly alg: string
  /** A compact JWS of bytes, or of an object of claims. */
  readonly sign: (payload: Uint8Array | object, header?: Header) => Promise<string>
  /** The flattened form, with parameters that the signature does not cover, if any. */
  readonly signFlattened: (
    payload: Uint8Array | object,
    header?: Header,
    unprotected?: Schema.JsonObject
  ) => Promise<Jws.FlattenedJws>
  /**
   * The base64url signature of a signing input that the caller assembled, header
   * and payload with a period between. Its header must state the algorithm of the
   * key: nothing else than a JWS is signed.
   */
  readonly signInput: (input: Uint8Array | string) => Promise<string>
}

// ---------------------------------------------------------------------------
// headers
// ---------------------------------------------------------------------------

const isTexts = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((item) => typeof item === "string")

/** The same header in the words of {@link Jws}, or what is wrong with it. */
const toOptions = (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  header: Header,
  options: Options
): Jws.SignOptions | InvalidConfiguration => {
  if (!StrictJson.isRecord(header) || toJson(header) === undefined) {
    return misconfigured("header", "expected an object that can be written as JSON")
  }
  const { alg, b64, crit, kid, typ, ...rest } = header
  if (alg !== undefined && (typeof alg !== "string" || fromJose(alg) !== algorithm)) {
    return misconfigured("header", `"alg" is not that of the key: ${toJose(algorithm, "EdDSA")}`)
  }
  for (const [name, value] of [["kid", kid] as const, ["typ", typ] as const]) {
    if (value !== undefined && typeof value !== "string") return misconfigured("header", `"${name}" must be text`)
  }
  if (b64 !== undefined && typeof b64 !== "boolean") return misconfigured("header", `"b64" must be true or false`)
  if (crit !== undefined && !isTexts(crit)) return misconfigured("header", `"crit" must be a list of names`)
  // RFC 7797 section 6: who does not know b64 must refuse the message
  if (b64 !== undefined && crit?.includes("b64") !== true) {
    return misconfigured("header", `"b64" must be listed in "crit"`)
  }
  return {
    kid: kid ?? options.kid,
    typ,
    ed25519: alg === "Ed25519" ? "Ed25519" : "EdDSA",
    header: rest as Schema.JsonObject,
    critical: crit?.filter((name) => name !== "b64"),
    unencoded: b64 === false
  }
}

/** Characters of an encoded header, at most: as many as are read here. */
const maxHeaderLength = 16_384

const utf8 = new TextEncoder()
const ascii = new TextDecoder("latin1")

/** Whether bytes are the signing input of a JWS by this algorithm (RFC 7515 section 5.1). */
const isSigningInput = (input: Uint8Array, algorithm: SignatureAlgorithm.SignatureAlgorithm): boolean => {
  const end = input.indexOf(0x2e) // "."
  const encoded = end < 0 || end > maxHeaderLength ? undefined : Base64Url.decode(ascii.decode(input.subarray(0, end)))
  if (encoded === undefined) return false
  try {
    const header = StrictJson.parseBytes(encoded, "header")
    return StrictJson.isRecord(header) && typeof header["alg"] === "string" && fromJose(header["alg"]) === algorithm
  } catch (error) {
    if (error instanceof Malformed) return false
    throw error
  }
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const algorithms = SignatureAlgorithm.all.filter((algorithm) => toJose(algorithm, "EdDSA") !== undefined)

/**
 * Makes functions of Promises that sign with the Signer of the context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<JoseSign, SignerError, Signer.Signer> {
  const signer = yield* signerFor({ library: "JOSE", algorithms, purpose: options.purpose })
  const toPromise = yield* run

  const write = <A>(
    payload: Uint8Array | object,
    header: Header,
    by: (payload: Uint8Array, options: Jws.SignOptions) => Effect.Effect<A, SignerError, Signer.Signer>
  ) =>
    toPromise(
      Effect.suspend(() => {
        const written = toOptions(signer.algorithm, header, options)
        return "_tag" in written
          ? Effect.fail(written)
          : Effect.flatMap(payloadBytes(payload), (bytes) => by(bytes, written)).pipe(
              Effect.provideService(Signer.Signer, signer)
            )
      })
    )

  return {
    alg: toJose(signer.algorithm, "EdDSA")!,
    sign: (payload, header = {}) => write(payload, header, Jws.sign),
    signFlattened: (payload, header = {}, unprotected) =>
      write(payload, header, (bytes, written) =>
        unprotected !== undefined && toJson(unprotected) === undefined
          ? Effect.fail(misconfigured("unprotected", "cannot be written as JSON"))
          : Jws.signFlattened(bytes, { ...written, unprotected })
      ),
    signInput: (input) =>
      toPromise(
        Effect.suspend(() => {
          const bytes =
            typeof input === "string" ? utf8.encode(input) : isBytes(input) ? new Uint8Array(input) : undefined
          return bytes === undefined || !isSigningInput(bytes, signer.algorithm)
            ? Effect.fail(
                misconfigured("input", `expected the signing input of a JWS whose header states the "alg" of the key`)
              )
            : Effect.map(signer.sign(bytes), (signature) => Base64Url.encode(signature.bytes))
        })
      )
  }
})
