/**
 * Cloud backends over their emulators at the wire, through the real clients: a
 * layer for each algorithm that the vendor has.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { PrivateKey } from "../../src/index.ts"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as AwsKmsSigner from "../../src/layers/AwsKmsSigner.ts"
import * as AzureKeyVaultSigner from "../../src/layers/AzureKeyVaultSigner.ts"
import * as GcpKmsSigner from "../../src/layers/GcpKmsSigner.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import * as AwsKmsEmulator from "../../src/testing/AwsKmsEmulator.ts"
import * as AzureKeyVaultEmulator from "../../src/testing/AzureKeyVaultEmulator.ts"
import * as GcpKmsEmulator from "../../src/testing/GcpKmsEmulator.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"

type Algorithm = SignatureAlgorithm.SignatureAlgorithm
type Specs<Spec> = ReadonlyArray<readonly [Algorithm, Spec]>

const rsa = ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"] as const

/** RSA keys take long to make: the emulators get the test key. */
const privateKeyOf = (algorithm: Algorithm) =>
  (rsa as ReadonlyArray<Algorithm>).includes(algorithm) ? TestKey.make(algorithm) : Effect.undefined

const awsSpecs: Specs<AwsKmsEmulator.KeySpec> = [
  ["Ed25519", "ECC_NIST_EDWARDS25519"],
  ["ES256", "ECC_NIST_P256"],
  ["ES384", "ECC_NIST_P384"],
  ["ES512", "ECC_NIST_P521"],
  ["ES256K", "ECC_SECG_P256K1"],
  ...rsa.map((algorithm) => [algorithm, "RSA_2048"] as const),
  ["ML-DSA-44", "ML_DSA_44"],
  ["ML-DSA-65", "ML_DSA_65"],
  ["ML-DSA-87", "ML_DSA_87"]
]

const vaultTypes: Specs<VaultEmulator.KeyType> = [
  ["Ed25519", "ed25519"],
  ["ES256", "ecdsa-p256"],
  ["ES384", "ecdsa-p384"],
  ["ES512", "ecdsa-p521"],
  ...rsa.map((algorithm) => [algorithm, "rsa-2048"] as const)
]

const gcpAlgorithms: Specs<GcpKmsEmulator.Algorithm> = [
  ["Ed25519", "EC_SIGN_ED25519"],
  ["ES256", "EC_SIGN_P256_SHA256"],
  ["ES384", "EC_SIGN_P384_SHA384"],
  ["ES256K", "EC_SIGN_SECP256K1_SHA256"],
  ["PS256", "RSA_SIGN_PSS_2048_SHA256"],
  ["PS512", "RSA_SIGN_PSS_4096_SHA512"],
  ["RS256", "RSA_SIGN_PKCS1_2048_SHA256"],
  ["RS512", "RSA_SIGN_PKCS1_4096_SHA512"],
  ["ML-DSA-44", "PQ_SIGN_ML_DSA_44"],
  ["ML-DSA-65", "PQ_SIGN_ML_DSA_65"],
  ["ML-DSA-87", "PQ_SIGN_ML_DSA_87"]
]

/** SHA-512 is for keys of 4096 bits only; one is enough. */
const rsa4096 = Effect.runSync(Effect.cached(PrivateKey.generate("RSA", { modulusLength: 4096 })))

const azureTypes: Specs<AzureKeyVaultEmulator.KeyType> = [
  ["ES256", "P-256"],
  ["ES384", "P-384"],
  ["ES512", "P-521"],
  ["ES256K", "P-256K"],
  ...rsa.map((algorithm) => [algorithm, "RSA-2048"] as const)
]

export const aws = awsSpecs.map(([algorithm, spec]) => ({
  algorithm,
  layer: Layer.unwrap(
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const key = yield* kms.createKey(spec, { privateKey: yield* privateKeyOf(algorithm) })
      return AwsKmsSigner.layer({ ...kms.connection, keyId: key.keyId, algorithm })
    })
  ),
  ...(algorithm === "Ed25519" ? { maxMessageLength: 4096 } : {})
}))

export const vault = vaultTypes.map(([algorithm, type]) => ({
  algorithm,
  layer: Layer.unwrap(
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      yield* vault.createKey("kit", type, { privateKey: yield* privateKeyOf(algorithm) })
      return VaultSigner.layer({ ...vault.connection, key: "kit", algorithm })
    })
  ).pipe(Layer.provide(NodeHttpClient.layerUndici)),
  ...(algorithm === "Ed25519" ? { maxMessageLength: 786_432 } : {})
}))

export const azure = azureTypes.map(([algorithm, type]) => ({
  algorithm,
  layer: Layer.unwrap(
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      yield* vault.createKey("kit", type, { privateKey: yield* privateKeyOf(algorithm) })
      return AzureKeyVaultSigner.layer({ ...vault.connection, key: "kit", algorithm })
    })
  ).pipe(Layer.provide(NodeHttpClient.layerUndici))
}))

const gcpOver = (transport: "rest" | "grpc") =>
  gcpAlgorithms.map(([algorithm, vendor]) => ({
    algorithm,
    layer: Layer.unwrap(
      Effect.gen(function* () {
        const kms = yield* GcpKmsEmulator.make({ transports: [transport] })
        const privateKey = yield* vendor.includes("4096") ? rsa4096 : privateKeyOf(algorithm)
        const key = yield* kms.createKey("kit", vendor, { privateKey })
        return GcpKmsSigner.layer({ ...kms[transport], key: key.name, algorithm })
      })
    ),
    ...(algorithm === "Ed25519" || algorithm.startsWith("ML-DSA") ? { maxMessageLength: 65_536 } : {})
  }))

export const gcp = gcpOver("grpc")
export const gcpRest = gcpOver("rest")
