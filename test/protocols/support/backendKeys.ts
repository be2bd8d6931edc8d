/**
 * Keys in the emulator of every cloud, in that of Vault and in this process: of each
 * algorithm one that signs requests, two that are published for something else, and
 * one that is revoked.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Context, Effect, Layer } from "effect"
import type { HttpClient } from "effect/http"
import * as AwsKmsSigner from "../../../src/layers/AwsKmsSigner.ts"
import * as AzureKeyVaultSigner from "../../../src/layers/AzureKeyVaultSigner.ts"
import * as GcpKmsSigner from "../../../src/layers/GcpKmsSigner.ts"
import * as LocalSigner from "../../../src/layers/LocalSigner.ts"
import * as VaultSigner from "../../../src/layers/VaultSigner.ts"
import type { AdcpUse } from "../../../src/protocols/Adcp.ts"
import type * as PublicKey from "../../../src/schemas/PublicKey.ts"
import type { SignerError } from "../../../src/schemas/SignerError.ts"
import * as Signer from "../../../src/services/Signer.ts"
import * as AwsKmsEmulator from "../../../src/testing/AwsKmsEmulator.ts"
import * as AzureKeyVaultEmulator from "../../../src/testing/AzureKeyVaultEmulator.ts"
import * as GcpKmsEmulator from "../../../src/testing/GcpKmsEmulator.ts"
import * as VaultEmulator from "../../../src/testing/VaultEmulator.ts"

export type Algorithm = "Ed25519" | "ES256"

/** A key of a backend, and what the world is told of it. */
export interface PublishedKey {
  readonly keyId: string
  readonly owner: string
  readonly purpose: AdcpUse
  readonly publicKey: PublicKey.PublicKey
  readonly signer: Signer.Service
}

/** Who signs: a backend with an algorithm. */
export interface Party {
  /** As the Signer calls itself. */
  readonly backend: string
  readonly algorithm: Algorithm
  readonly main: PublishedKey
  /** Published for webhooks. */
  readonly webhooks: PublishedKey
  /** Published for responses. */
  readonly responses: PublishedKey
  readonly revoked: PublishedKey
}

type SignerLayer = Layer.Layer<Signer.Signer, SignerError, HttpClient.HttpClient>

/** Makes a key, and says how to sign with it. */
type CreateKey = (name: string, algorithm: Algorithm, purpose: string) => Effect.Effect<SignerLayer, SignerError>

const aws = Effect.map(
  AwsKmsEmulator.make(),
  (kms): CreateKey =>
    (_name, algorithm, purpose) =>
      Effect.map(kms.createKey(algorithm === "Ed25519" ? "ECC_NIST_EDWARDS25519" : "ECC_NIST_P256"), ({ arn }) =>
        AwsKmsSigner.layer({ ...kms.connection, keyId: arn, purpose })
      )
)

const gcp = Effect.map(
  GcpKmsEmulator.make({ transports: ["rest"] }),
  (kms): CreateKey =>
    (name, algorithm, purpose) =>
      Effect.map(
        kms.createKey(name, algorithm === "Ed25519" ? "EC_SIGN_ED25519" : "EC_SIGN_P256_SHA256"),
        ({ name: key }) => GcpKmsSigner.layer({ ...kms.rest, key, purpose })
      )
)

const azure = Effect.map(
  AzureKeyVaultEmulator.make(),
  (vault): CreateKey =>
    (name, _algorithm, purpose) =>
      Effect.as(vault.createKey(name, "P-256"), AzureKeyVaultSigner.layer({ ...vault.connection, key: name, purpose }))
)

const vault = Effect.map(
  VaultEmulator.make(),
  (vault): CreateKey =>
    (name, algorithm, purpose) =>
      Effect.as(
        vault.createKey(name, algorithm === "Ed25519" ? "ed25519" : "ecdsa-p256"),
        VaultSigner.layer({ ...vault.connection, key: name, purpose })
      )
)

const local = Effect.succeed<CreateKey>((_name, algorithm, purpose) =>
  Effect.succeed(LocalSigner.layerGenerated(algorithm, { purpose }))
)

/** Azure has no Ed25519. */
const backends = [
  { backend: "aws-kms", open: aws, algorithms: ["Ed25519", "ES256"] },
  { backend: "gcp-kms", open: gcp, algorithms: ["Ed25519", "ES256"] },
  { backend: "azure-key-vault", open: azure, algorithms: ["ES256"] },
  { backend: "vault", open: vault, algorithms: ["Ed25519", "ES256"] },
  { backend: "local", open: local, algorithms: ["Ed25519", "ES256"] }
] as const

/** Opens every backend, for as long as the scope is open. */
export const open = Effect.gen(function* () {
  const parties: Array<Party> = []
  for (const { algorithms, backend, open } of backends) {
    const createKey: CreateKey = yield* open
    for (const algorithm of algorithms) {
      const keyOf = Effect.fnUntraced(function* (role: string, purpose: AdcpUse) {
        const keyId = `${backend}-${algorithm}-${role}`
        const layer = yield* createKey(keyId, algorithm, purpose)
        const signer = Context.get(yield* Layer.build(Layer.provide(layer, NodeHttpClient.layerUndici)), Signer.Signer)
        const publicKey = yield* signer.publicKey()
        const owner = `https://${backend}.example`
        return { keyId, owner, purpose, publicKey, signer } satisfies PublishedKey
      })
      const main = yield* keyOf("main", "request-signing")
      parties.push({
        backend: main.signer.backend,
        algorithm,
        main,
        webhooks: yield* keyOf("webhooks", "webhook-signing"),
        responses: yield* keyOf("responses", "response-signing"),
        revoked: yield* keyOf("revoked", "request-signing")
      })
    }
  }
  return parties
})
