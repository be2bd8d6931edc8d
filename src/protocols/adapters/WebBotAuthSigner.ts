/**
 * A signer for `web-bot-auth`: a crawler or an agent says whose it is, with a key
 * elsewhere.
 *
 * **Details**
 *
 * `signatureHeaders` and `directoryResponseHeaders` of `web-bot-auth` take it. The
 * algorithms are those that its verifier reads: `Ed25519` and `PS512`. Most
 * verifiers on the web take `Ed25519` only. `keyid` is the RFC 7638 thumbprint of
 * the key (draft-meunier-web-bot-auth-architecture).
 *
 * It signs signature bases of RFC 9421 that name its key and have one of the two
 * tags, and rejects everything else.
 *
 * **Gotchas**
 *
 * `keyid` is that of the key as it was when this was made. A signature by another
 * version, after the key was rotated, rejects.
 *
 * Without that library: `HttpSignatureProfile.sign(HttpSignatureProfile.webBotAuth, request)`.
 *
 * **Example** (A signer for `signatureHeaders`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as WebBotAuthSigner from "effect-signer/WebBotAuthSigner"
 *
 * const program = Effect.gen(function*() {
 *   // signatureHeaders(request, signer, { created, expires })
 *   const signer = yield* WebBotAuthSigner.make()
 *   // what /.well-known/http-message-signatures-directory answers with
 *   return { signer, body: WebBotAuthSigner.directory([signer.publicKey]) }
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519")))
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { PublicJwk } from "../../schemas/Jwk.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { facts } from "../../schemas/SignatureAlgorithm.ts"
import type { InvalidConfiguration, SignerError } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import { misconfigured, run, signAs, signerFor } from "./Adapter.ts"
import * as SignatureBaseGuard from "./SignatureBaseGuard.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What `web-bot-auth` takes as a signer. What fails rejects with a `SignerError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebBotAuthSigner {
  readonly alg: "ed25519" | "rsa-pss-sha512"
  /** The RFC 7638 thumbprint of the key. */
  readonly keyid: string
  /** Signs a signature base of RFC 9421. */
  readonly sign: (data: string) => Promise<Uint8Array>
  /** The key to publish. */
  readonly publicKey: PublicKey.PublicKey
}

// ---------------------------------------------------------------------------
// directory
// ---------------------------------------------------------------------------

/**
 * Where a directory of keys is served (draft-meunier-http-message-signatures-directory).
 *
 * @category constants
 * @since 0.1.0
 */
export const directoryPath = "/.well-known/http-message-signatures-directory"

/**
 * The content type of a directory of keys.
 *
 * @category constants
 * @since 0.1.0
 */
export const directoryMediaType = "application/http-message-signatures-directory+json"

/**
 * The tag of the signatures of a directory: one by each of its keys, which covers
 * `"@authority";req`.
 *
 * @category constants
 * @since 0.1.0
 */
export const directoryTag = "http-message-signatures-directory"

/**
 * A directory of keys: a JWK Set, whose keys are named by their thumbprints.
 *
 * @category models
 * @since 0.1.0
 */
export interface Directory {
  readonly keys: ReadonlyArray<PublicJwk & { readonly kid: string; readonly use: "sig" }>
}

/**
 * The directory that publishes some keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const directory = (keys: ReadonlyArray<PublicKey.PublicKey>): Directory => ({
  keys: keys.map((key) => ({ ...PublicKey.toJwk(key), kid: PublicKey.thumbprint(key), use: "sig" }))
})

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const tags = ["web-bot-auth", directoryTag]

const payloadProblem = (data: Uint8Array, keyId: string, alg: string): InvalidConfiguration | undefined => {
  const stated = SignatureBaseGuard.read(data)
  if (stated === undefined) {
    return misconfigured("data", "expected a signature base of RFC 9421: nothing else is signed")
  }
  if (stated.keyId !== keyId) return misconfigured("data", "it states another keyid than that of this signer")
  if (stated.alg !== undefined && stated.alg !== alg) {
    return misconfigured("data", "it states another alg than that of the key")
  }
  return stated.tag !== undefined && tags.includes(stated.tag)
    ? undefined
    : misconfigured("data", `its tag is neither ${tags.join(" nor ")}`)
}

const utf8 = new TextEncoder()

/**
 * Makes a signer for `web-bot-auth` with the Signer of the context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: {
    /** What the key must be for: a Signer of another purpose is refused. */
    readonly purpose?: string | undefined
  } = {}
): Effect.fn.Return<WebBotAuthSigner, SignerError, Signer.Signer> {
  const signer = yield* signerFor({
    library: "web-bot-auth",
    algorithms: ["Ed25519", "PS512"],
    purpose: options.purpose
  })
  const publicKey = yield* signer.publicKey()
  const toPromise = yield* run
  const sign = signAs(signer, publicKey)
  const keyid = PublicKey.thumbprint(publicKey)
  const alg = facts[signer.algorithm].httpSignature as "ed25519" | "rsa-pss-sha512"

  return {
    alg,
    keyid,
    publicKey,
    sign: (data) =>
      toPromise(
        Effect.suspend(() => {
          if (typeof data !== "string") return Effect.fail(misconfigured("data", "expected text"))
          const bytes = utf8.encode(data)
          const problem = payloadProblem(bytes, keyid, alg)
          return problem === undefined
            ? Effect.map(sign(bytes), (signature) => new Uint8Array(signature.bytes))
            : Effect.fail(problem)
        })
      )
  }
})
