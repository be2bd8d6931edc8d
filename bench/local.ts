/**
 * `LocalSigner` without decorators, in a running fiber, against the fastest raw
 * form of `node:crypto`: a bare KeyObject, synchronous where the signer is, the
 * callback form where the signer uses the pool.
 */
import * as crypto from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { LocalSigner, PrivateKey, Verifier } from "effect-signer"
import type { SignatureAlgorithm } from "effect-signer"
import type { Row } from "./Row.ts"
import { ratio, sequential } from "./Row.ts"

interface Raw {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly sign: (key: crypto.KeyObject) => (message: Uint8Array) => Effect.Effect<unknown>
}

const synchronous =
  (hash: string | null): Raw["sign"] =>
  (key) =>
  (message) =>
    Effect.sync(() => crypto.sign(hash, message, key))

const pooled =
  (hash: string, options: object): Raw["sign"] =>
  (key) =>
  (message) =>
    Effect.callback<Buffer>((resume) => {
      crypto.sign(hash, message, { key, ...options }, (error, signature) =>
        resume(error === null ? Effect.succeed(signature) : Effect.die(error))
      )
    })

const pss = {
  padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
  saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST
}

const raws: ReadonlyArray<Raw> = [
  { algorithm: "Ed25519", sign: synchronous(null) },
  { algorithm: "ES256", sign: synchronous("sha256") },
  { algorithm: "PS256", sign: pooled("sha256", pss) },
  { algorithm: "ES384", sign: pooled("sha384", {}) },
  { algorithm: "ES256K", sign: pooled("sha256", {}) }
]

const signRow = ({ algorithm, sign }: Raw, size: number): Row =>
  ratio(
    `local/${algorithm.toLowerCase()}/sign/${size}`,
    "node:crypto",
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate(algorithm, algorithm === "PS256" ? { modulusLength: 2048 } : {})
      const signer = yield* LocalSigner.make({ privateKey, algorithm })
      const raw = sign(crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(privateKey))))
      const message = crypto.randomBytes(size)
      return { ours: sequential(() => signer.sign(message)), reference: sequential(() => raw(message)) }
    })
  )

const verifyRow = (algorithm: "Ed25519" | "ES256", size: number): Row =>
  ratio(
    `local/${algorithm.toLowerCase()}/verify/${size}`,
    "node:crypto",
    Effect.gen(function* () {
      const hash = algorithm === "Ed25519" ? null : "sha256"
      const privateKey = yield* PrivateKey.generate(algorithm)
      const key = crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(privateKey)))
      const publicKey = crypto.createPublicKey(key)
      const message = crypto.randomBytes(size)
      const der = crypto.sign(hash, message, key)
      const signer = yield* LocalSigner.make({ privateKey })
      const { bytes } = yield* signer.sign(message)
      const verifier = yield* Verifier.make(privateKey.publicKey)
      return {
        ours: sequential(() => verifier.verify(message, bytes)),
        reference: sequential(() => Effect.sync(() => crypto.verify(hash, message, publicKey, der)))
      }
    })
  )

export const rows: ReadonlyArray<Row> = [
  ...raws.flatMap((raw) => [signRow(raw, 32), signRow(raw, 4096)]),
  verifyRow("Ed25519", 32),
  verifyRow("ES256", 32)
]
