/**
 * The emulators that the command line starts: which keys they can have, and what
 * tells a client how to reach them. An emulator is imported when it is started.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { SignerError } from "../schemas/SignerError.ts"
import type * as Aws from "../testing/AwsKmsEmulator.ts"
import type * as Azure from "../testing/AzureKeyVaultEmulator.ts"
import type { FaultScript } from "../testing/emulator/FaultScript.ts"
import type * as Gcp from "../testing/GcpKmsEmulator.ts"
import type * as Vault from "../testing/VaultEmulator.ts"

/** A key that was made. */
export interface Key {
  /** How clients name it. */
  readonly id: string
  /** A configuration of a signer with it, for `--config`. */
  readonly config: { readonly backend: string } & { readonly [field: string]: unknown }
  /** The variables that name it. */
  readonly env: { readonly [name: string]: string }
  /** Adds a version. Absent where the vendor's keys have none. */
  readonly rotate?: Effect.Effect<unknown, SignerError> | undefined
}

/** A running emulator. */
export interface Running {
  readonly url: string
  /** The variables that all its keys share. */
  readonly env: { readonly [name: string]: string }
  readonly createKey: (name: string, type: string) => Effect.Effect<Key, SignerError>
  /** Faults of signing. */
  readonly faults: FaultScript
}

/** An emulator that can be started. */
export interface Emulator {
  /** The vendor's names of key types; the first is that of a key without one. */
  readonly keyTypes: ReadonlyArray<string>
  /** What is to be known about it. */
  readonly notes: ReadonlyArray<string>
  readonly start: (port: number) => Effect.Effect<Running, SignerError, Scope.Scope>
}

const aws: Emulator = {
  keyTypes: [
    "ECC_NIST_EDWARDS25519",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87"
  ] satisfies ReadonlyArray<Aws.KeySpec>,
  notes: ["Request signatures are not checked: any credentials are good."],
  start: Effect.fnUntraced(function* (port) {
    const { make } = yield* Effect.promise(() => import("../testing/AwsKmsEmulator.ts"))
    const kms = yield* make({ port })
    const { credentials, endpoint, region } = kms.connection
    const secretAccessKey = Redacted.value(credentials.secretAccessKey)
    return {
      url: kms.url,
      env: {
        AWS_ENDPOINT_URL_KMS: endpoint,
        AWS_REGION: region,
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        SIGNER_BACKEND: "aws-kms"
      },
      createKey: Effect.fnUntraced(function* (name, type) {
        const alias = `alias/${name}`
        const { arn } = yield* kms.createKey(type as never, { alias })
        return {
          id: arn,
          env: { A1_KMS_KEY_ID: alias },
          config: {
            backend: "aws-kms",
            keyId: alias,
            region,
            endpoint,
            credentials: { accessKeyId: credentials.accessKeyId, secretAccessKey }
          }
        }
      }),
      faults: kms.sign
    }
  })
}

/** As good as for ever: who starts an emulator by hand has no credential that would renew it. */
const tenYears = 10 * 365 * 24 * 3600

const azure: Emulator = {
  keyTypes: [
    "P-256",
    "P-384",
    "P-521",
    "P-256K",
    "RSA-2048",
    "RSA-3072",
    "RSA-4096"
  ] satisfies ReadonlyArray<Azure.KeyType>,
  notes: [
    "There is no TLS, and no Microsoft Entra ID: a client must accept http on the loopback interface and send",
    "AZURE_ACCESS_TOKEN as its bearer token. effect-signer does, with these variables and with the configuration below."
  ],
  start: Effect.fnUntraced(function* (port) {
    const { make } = yield* Effect.promise(() => import("../testing/AzureKeyVaultEmulator.ts"))
    const vault = yield* make({ port, tokenTimeToLive: tenYears })
    const { scope, vaultUrl } = vault.connection
    const { token } = yield* Effect.promise(() => vault.credential.getToken(scope))
    return {
      url: vault.url,
      env: {
        AZURE_KEYVAULT_URL: vaultUrl,
        AZURE_ACCESS_TOKEN: token,
        A1_AZURE_SCOPE: scope,
        SIGNER_BACKEND: "azure-key-vault"
      },
      createKey: Effect.fnUntraced(function* (name, type) {
        const key = yield* vault.createKey(name, type as never)
        return {
          id: yield* key.id,
          env: { A1_AZURE_KEY: name },
          config: { backend: "azure-key-vault", vaultUrl, key: name, scope, credential: { token } },
          rotate: vault.addVersion(key)
        }
      }),
      faults: vault.sign
    }
  })
}

const gcp: Emulator = {
  keyTypes: [
    "EC_SIGN_ED25519",
    "EC_SIGN_P256_SHA256",
    "EC_SIGN_P384_SHA384",
    "EC_SIGN_SECP256K1_SHA256",
    "RSA_SIGN_PSS_2048_SHA256",
    "RSA_SIGN_PSS_3072_SHA256",
    "RSA_SIGN_PSS_4096_SHA256",
    "RSA_SIGN_PKCS1_2048_SHA256",
    "RSA_SIGN_PKCS1_3072_SHA256",
    "RSA_SIGN_PKCS1_4096_SHA256"
  ] satisfies ReadonlyArray<Gcp.Algorithm>,
  notes: [
    "HTTP only, without TLS: a client must be given this endpoint, accept http on the loopback interface, and send",
    "GCP_ACCESS_TOKEN as its bearer token."
  ],
  start: Effect.fnUntraced(function* (port) {
    const { make } = yield* Effect.promise(() => import("../testing/GcpKmsEmulator.ts"))
    const kms = yield* make({ port, transports: ["rest"], tokenTimeToLive: tenYears })
    const { endpoint } = kms.rest
    const token = yield* Effect.promise(() => kms.tokens.getAccessToken())
    return {
      url: endpoint,
      env: { GCP_KMS_ENDPOINT: endpoint, GCP_ACCESS_TOKEN: token, SIGNER_BACKEND: "gcp-kms" },
      createKey: Effect.fnUntraced(function* (name, type) {
        const key = yield* kms.createKey(name, type as never)
        return {
          id: yield* key.version,
          env: { GCP_KMS_KEY_VERSION: key.name },
          config: { backend: "gcp-kms", key: key.name, endpoint, token },
          rotate: kms.addVersion(key)
        }
      }),
      faults: kms.sign
    }
  })
}

const vault: Emulator = {
  keyTypes: [
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096"
  ] satisfies ReadonlyArray<Vault.KeyType>,
  notes: ["There are no policies: the token may do everything."],
  start: Effect.fnUntraced(function* (port) {
    const { make } = yield* Effect.promise(() => import("../testing/VaultEmulator.ts"))
    const server = yield* make({ port })
    const token = Redacted.value(server.connection.token)
    return {
      url: server.url,
      env: { VAULT_ADDR: server.url, VAULT_TOKEN: token, SIGNER_BACKEND: "vault" },
      createKey: Effect.fnUntraced(function* (name, type) {
        const key = yield* server.createKey(name, type as never)
        return {
          id: name,
          env: { A1_VAULT_KEY: name },
          config: { backend: "vault", url: server.url, token, key: name },
          rotate: server.rotate(key)
        }
      }),
      faults: server.sign
    }
  })
}

/** All emulators, by what they are called on the command line. */
export const emulators: { readonly [name: string]: Emulator } = { aws, azure, gcp, vault }
