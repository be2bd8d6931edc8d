/**
 * `Jwt` with a local key against `jose`, which `npm run test:oracles` installs
 * beside its tests. Both sides sign and check the same claims; `jose` is awaited
 * in the same fiber.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { LocalSigner, PrivateKey, PublicKey, Signer } from "effect-signer"
import * as Jwt from "../src/protocols/Jwt.ts"
import * as KeyResolver from "../src/services/KeyResolver.ts"
import { NotAvailable } from "../scripts/live/Software.ts"
import type { Row } from "./Row.ts"
import { ratio, sequential } from "./Row.ts"

/** What is used of it. */
interface Jose {
  readonly SignJWT: new (claims: object) => JoseBuilder
  readonly jwtVerify: (token: string, key: unknown, options: object) => Promise<{ readonly payload: object }>
  readonly importPKCS8: (pem: string, algorithm: string) => Promise<unknown>
  /** The keys by their `kid`, as our KeyResolver finds them. */
  readonly createLocalJWKSet: (jwks: object) => unknown
  readonly importSPKI: (pem: string, algorithm: string) => Promise<unknown>
}

interface JoseBuilder {
  readonly setProtectedHeader: (header: object) => JoseBuilder
  readonly setIssuer: (issuer: string) => JoseBuilder
  readonly setAudience: (audience: string) => JoseBuilder
  readonly setSubject: (subject: string) => JoseBuilder
  readonly setIssuedAt: () => JoseBuilder
  readonly setExpirationTime: (after: string) => JoseBuilder
  readonly sign: (key: unknown) => Promise<string>
}

const folder = new URL("../test/oracles/node_modules/jose/dist/webapi/index.js", import.meta.url)

const loadJose = Effect.tryPromise({
  try: () => import(folder.href) as Promise<Jose>,
  catch: () => new NotAvailable("jose is not installed; install it with: npm ci --prefix test/oracles")
})

const issuer = "https://id.example"
const audience = "https://api.example"
const subject = "7f3c2a"
const claims = { scope: "read write", role: "admin" }

const setup = Effect.fnUntraced(function* (algorithm: "Ed25519" | "ES256") {
  const jose = yield* loadJose
  const privateKey = yield* PrivateKey.generate(algorithm)
  const signer = yield* LocalSigner.make({ privateKey })
  const alg = algorithm === "Ed25519" ? "EdDSA" : algorithm
  const kid = PublicKey.thumbprint(privateKey.publicKey)
  const secretKey = yield* Effect.promise(() => jose.importPKCS8(Redacted.value(PrivateKey.toPem(privateKey)), alg))
  const publicKey = yield* Effect.promise(() => jose.importSPKI(PublicKey.toPem(privateKey.publicKey), alg))
  const resolver = yield* KeyResolver.fromKeys([{ publicKey: privateKey.publicKey }])
  const ours = Jwt.sign(claims, { issuer, audience, subject, expiresIn: "5 minutes" }).pipe(
    Effect.provideService(Signer.Signer, signer)
  )
  const theirs = Effect.promise(() =>
    new jose.SignJWT(claims)
      .setProtectedHeader({ alg, typ: "JWT", kid })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime("5m")
      .sign(secretKey)
  )
  const jwks = { keys: [PublicKey.toJwk(privateKey.publicKey, { kid, ed25519: "EdDSA" })] }
  return { jose, ours, theirs, alg, resolver, publicKey, jwks }
})

const against = "jose 6.2.17"

const signRow = (algorithm: "Ed25519" | "ES256"): Row =>
  ratio(
    `jwt/sign/jose/${algorithm.toLowerCase()}`,
    against,
    Effect.map(setup(algorithm), ({ ours, theirs }) => ({
      ours: sequential(() => ours),
      reference: sequential(() => theirs)
    }))
  )

/** Ours finds the key by its `kid` always; jose is handed the key, or finds it in a JWK Set, too. */
const verifyRow = (algorithm: "Ed25519" | "ES256", keys: "key" | "jwks"): Row =>
  ratio(
    `jwt/verify/jose/${algorithm.toLowerCase()}${keys === "key" ? "" : `/${keys}`}`,
    against,
    Effect.gen(function* () {
      const { alg, jose, ours, ...theirs } = yield* setup(algorithm)
      const publicKey = keys === "key" ? theirs.publicKey : jose.createLocalJWKSet(theirs.jwks)
      const token = yield* ours
      const verified = Jwt.verify(token, { issuer, audience }).pipe(
        Effect.provideService(KeyResolver.KeyResolver, theirs.resolver)
      )
      const options = { issuer, audience, typ: "JWT", algorithms: [alg], requiredClaims: ["exp"], clockTolerance: 60 }
      return {
        ours: sequential(() => verified),
        reference: sequential(() => Effect.promise(() => jose.jwtVerify(token, publicKey, options)))
      }
    })
  )

export const rows: ReadonlyArray<Row> = [
  signRow("Ed25519"),
  signRow("ES256"),
  verifyRow("Ed25519", "key"),
  verifyRow("ES256", "key"),
  verifyRow("Ed25519", "jwks"),
  verifyRow("ES256", "jwks")
]
