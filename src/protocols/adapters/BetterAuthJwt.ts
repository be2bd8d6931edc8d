/**
 * The `jwt.sign` of better-auth's `jwt` plugin: sessions and OIDC tokens signed
 * with a key that is not in its database.
 *
 * **Details**
 *
 * better-auth builds the claims; this writes `alg`, `kid` and the `typ` or `cty`
 * that it asks for. It demands `jwks.remoteUrl` with a `sign` of your own: publish
 * there what `jwks` gives. A call that is pinned to another key or algorithm
 * (`signingConfig`) is refused, not ignored.
 *
 * **Example** (Options of the jwt plugin)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as BetterAuthJwt from "effect-signer/BetterAuthJwt"
 *
 * const program = Effect.gen(function*() {
 *   const { jwks, keyPairConfig, sign } = yield* BetterAuthJwt.make()
 *   const remoteUrl = "https://id.example/jwks.json" // serves what jwks() gives
 *   // betterAuth({ plugins: [jwt({ jwks: { remoteUrl, keyPairConfig }, jwt: { sign } })] })
 *   return { remoteUrl, keyPairConfig, sign, served: yield* Effect.promise(jwks) }
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { fromJose } from "../../schemas/JoseAlgorithm.ts"
import type { PublicJwk } from "../../schemas/Jwk.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import { misconfigured, payloadBytes, run, signerFor } from "./Adapter.ts"
import * as Jws from "../Jws.ts"

/** The algorithms of better-auth's `JWKOptions`. */
const names = { Ed25519: "EdDSA", ES256: "ES256", ES512: "ES512", PS256: "PS256", RS256: "RS256" } as const

/**
 * How better-auth calls the algorithms that it knows.
 *
 * @category models
 * @since 0.1.0
 */
export type Algorithm = (typeof names)[keyof typeof names]

/**
 * What the `jwt` plugin of better-auth takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface BetterAuthJwt {
  /** `jwks.keyPairConfig`: what the tokens are signed with. */
  readonly keyPairConfig: { readonly alg: Algorithm }
  /** The public keys to serve at `jwks.remoteUrl`: that of now. */
  readonly jwks: () => Promise<{ readonly keys: Array<PublicJwk> }>
  /** `jwt.sign`. What fails rejects with a `SignerError`. */
  readonly sign: (
    payload: object,
    header?: { readonly typ?: string; readonly cty?: string } | undefined,
    signingConfig?:
      | { readonly signingKeyId?: string | undefined; readonly signingAlgorithm?: string | undefined }
      | undefined
  ) => Promise<string>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: the RFC 7638 thumbprint of the key that signs. */
  readonly kid?: string | undefined
  /** What the key must be for: a Signer of another purpose is refused. */
  readonly purpose?: string | undefined
}

/**
 * Makes the `sign` of better-auth's `jwt` plugin with the Signer of the context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<BetterAuthJwt, SignerError, Signer.Signer> {
  const algorithms = Object.keys(names) as Array<SignatureAlgorithm & keyof typeof names>
  const signer = yield* signerFor({ library: "better-auth", algorithms, purpose: options.purpose })
  const toPromise = yield* run
  const kidOf = (key: PublicKey.PublicKey) => options.kid ?? PublicKey.thumbprint(key)

  const sign = Effect.fnUntraced(function* (...[payload, header, signingConfig]: Parameters<BetterAuthJwt["sign"]>) {
    const { signingAlgorithm, signingKeyId } = signingConfig ?? {}
    if (signingAlgorithm !== undefined && fromJose(signingAlgorithm) !== signer.algorithm) {
      return yield* misconfigured("signingAlgorithm", `is not that of the key: ${signer.algorithm}`)
    }
    if (signingKeyId !== undefined && signingKeyId !== kidOf(yield* signer.publicKey())) {
      return yield* misconfigured("signingKeyId", "is not that of the key")
    }
    const claims = yield* payloadBytes(payload)
    return yield* Jws.sign(claims, {
      typ: header?.typ ?? "JWT",
      kid: options.kid,
      header: header?.cty === undefined ? undefined : { cty: header.cty }
    }).pipe(Effect.provideService(Signer.Signer, signer))
  })

  return {
    keyPairConfig: { alg: names[signer.algorithm as keyof typeof names] },
    jwks: () =>
      toPromise(
        Effect.map(signer.publicKey(), (key) => ({
          keys: [PublicKey.toJwk(key, { kid: kidOf(key), ed25519: "EdDSA" })]
        }))
      ),
    sign: (payload, header, signingConfig) => toPromise(sign(payload, header, signingConfig))
  }
})
