/**
 * The `createJwt` of `@octokit/auth-app`: a GitHub App authenticates with a key
 * that is never downloaded to where the App runs.
 *
 * **Details**
 *
 * GitHub takes `RS256` and nothing else. A token is valid from 60 seconds ago,
 * against clocks that differ, and expires ten minutes later; `timeDifference` is
 * what octokit learned of GitHub's clock.
 *
 * **Gotchas**
 *
 * GitHub makes the key of an App and shows it once: import that one into the KMS.
 * AWS KMS, Google Cloud KMS, Azure Key Vault and Vault can import an RSA key.
 *
 * **Example** (Authenticating a GitHub App)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as OctokitAppJwt from "effect-signer/OctokitAppJwt"
 *
 * const program = Effect.gen(function*() {
 *   const createJwt = yield* OctokitAppJwt.make()
 *   // const auth = createAppAuth({ appId: 123, createJwt })
 *   return yield* Effect.promise(() => createJwt(123))
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("RS256")))
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SignerError } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import { misconfigured, payloadBytes, run, signerFor } from "./Adapter.ts"
import * as Jws from "../Jws.ts"

/**
 * What `createAppAuth({ createJwt })` of `@octokit/auth-app` takes. The difference
 * is GitHub's clock less ours, in seconds.
 *
 * @category models
 * @since 0.1.0
 */
export type CreateJwt = (
  clientIdOrAppId: string | number,
  timeDifference?: number | undefined
) => Promise<{ readonly jwt: string; readonly expiresAt: string }>

/** Seconds. GitHub: "Generating a JSON Web Token (JWT) for a GitHub App". */
const sinceIssued = 60
const lifetime = 600
/** No clock is wrong by more: a century. */
const maxDifference = 3_155_760_000

const isAppId = (id: unknown) => (typeof id === "string" ? id !== "" : Number.isSafeInteger(id) && (id as number) > 0)

/**
 * Makes the `createJwt` of `@octokit/auth-app` with the Signer of the context.
 * What fails rejects with a `SignerError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: {
    /** What the key must be for: a Signer of another purpose is refused. */
    readonly purpose?: string | undefined
  } = {}
): Effect.fn.Return<CreateJwt, SignerError, Signer.Signer> {
  const signer = yield* signerFor({ library: "GitHub", algorithms: ["RS256"], purpose: options.purpose })
  const toPromise = yield* run

  const create = Effect.fnUntraced(function* (id: string | number, timeDifference: number) {
    if (!isAppId(id)) return yield* misconfigured("appId", "expected the client id or the id of a GitHub App")
    if (typeof timeDifference !== "number" || !(Math.abs(timeDifference) < maxDifference))
      return yield* misconfigured("timeDifference", "expected seconds")
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000 + timeDifference)
    const [iat, exp] = [now - sinceIssued, now - sinceIssued + lifetime]
    const claims = yield* payloadBytes({ iat, exp, iss: String(id) })
    // GitHub knows the key by the App: a kid would say nothing to it
    const jwt = yield* Effect.provideService(Jws.sign(claims, { typ: "JWT", kid: false }), Signer.Signer, signer)
    return { jwt, expiresAt: new Date(exp * 1000).toISOString() }
  })

  return (clientIdOrAppId, timeDifference = 0) => toPromise(create(clientIdOrAppId, timeDifference))
})
