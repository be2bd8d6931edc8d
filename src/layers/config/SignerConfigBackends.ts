/**
 * The one list of all backends: one entry each, of the same kind that
 * `SignerConfig` takes for backends of others. An entry says what its
 * configuration holds, and imports its backend only when that is asked for.
 *
 * @category internal
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { KeyId } from "../../schemas/KeyId.ts"
import type { Format } from "../../schemas/PrivateKeyForm.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { KeyType, SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidResponse } from "../../schemas/SignerError.ts"
import { Signer } from "../../services/Signer.ts"
import type { TokenCredential } from "../azure/AzureCredential.ts"
import type { LayerOptions as AzureOptions } from "../AzureKeyVaultSigner.ts"
import type { LayerOptions as GcpOptions, TokenSource } from "../GcpKmsSigner.ts"
import { Bytes, Count, CountOrNone, Key, Secret, Text, Time, variants } from "./SignerConfigField.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What the module of a backend gives to whoever configures it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Loaded<in Options, out Known = unknown> {
  /** The backend's own layer, resilient where it is remote. */
  readonly layer: (options: Options) => Layer.Layer<Signer, SignerError>
  /** The first thing that is wrong, as far as the options tell by themselves: a field, and what to do about it. */
  readonly mistake?: ((options: Options) => readonly [field: string, problem: string] | undefined) | undefined
  /** The options in the environment. Absent: the backend cannot be configured by it. */
  readonly environment?: Config.Config<Known> | undefined
  /** Variables that can stand in the place of one that is missing. */
  readonly alternatives?: { readonly [variable: string]: ReadonlyArray<string> } | undefined
}

/**
 * A backend in a configuration: the fields it knows, and its module.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<out Fields extends Schema.Struct.Fields = Schema.Struct.Fields> {
  /** Each without services to decode; secrets are `SignerConfig.Secret`. */
  readonly fields: Fields
  /** A configuration without a mistake: shown to people, and put in place of fields that are wrong to find all others. */
  readonly example: { readonly [field: string]: Schema.Json }
  /** Imports the backend. Nothing is imported before it is asked for. */
  readonly load: () => Promise<Loaded<never>>
}

/**
 * An entry whose module takes what its fields give.
 *
 * @category constructors
 * @since 0.1.0
 */
export const entry = <const Fields extends Schema.Struct.Fields>(options: {
  readonly fields: Fields
  readonly example: Schema.Struct.Encoded<Fields> & { readonly [field: string]: Schema.Json }
  readonly load: () => Promise<Loaded<Schema.Struct.Type<Fields>>>
}): Entry<Fields> => options

// ---------------------------------------------------------------------------
// fields that several have
// ---------------------------------------------------------------------------

const { optionalKey } = Schema

/** A name of a key, which any text that is not empty can be. */
const Id = Text as unknown as Schema.Codec<KeyId, string>

/** Which key, whoever holds it. */
const keyFields = {
  algorithm: optionalKey(SignatureAlgorithm),
  purpose: optionalKey(Text),
  expectedPublicKey: optionalKey(Key)
}

/**
 * What every remote backend takes, for entries of your own: `purpose`,
 * `expectedPublicKey`, `algorithm`, `lazy`, `resilience` and `observe`.
 *
 * @category fields
 * @since 0.1.0
 */
export const remoteFields = {
  ...keyFields,
  lazy: optionalKey(Schema.Boolean),
  resilience: optionalKey(
    Schema.Struct({ timeout: optionalKey(Time), times: optionalKey(CountOrNone), budget: optionalKey(Time) })
  ),
  observe: optionalKey(Schema.Struct({ attributes: optionalKey(Schema.Record(Schema.String, Schema.String)) }))
}

const cacheFields = {
  publicKeyTimeToLive: optionalKey(Time),
  publicKeyStaleFor: optionalKey(Time),
  publicKeyTimeout: optionalKey(Time)
}

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

/** A tripwire for backends that have none: they read a key that is there at once. */
const expecting = (
  expected: PublicKey.PublicKey | undefined,
  make: Effect.Effect<Signer["Service"], SignerError>
): Layer.Layer<Signer, SignerError> =>
  Layer.effect(
    Signer,
    Effect.tap(make, (signer) =>
      expected === undefined
        ? Effect.void
        : Effect.flatMap(signer.publicKey(), (key) =>
            PublicKey.sameKey(key, expected)
              ? Effect.void
              : Effect.fail(
                  new InvalidResponse({
                    backend: signer.backend,
                    keyId: signer.keyId,
                    operation: "make",
                    problem: `the public key is ${PublicKey.thumbprint(key)}, expected ${PublicKey.thumbprint(expected)}`
                  })
                )
          )
    )
  )

// ---------------------------------------------------------------------------
// backends
// ---------------------------------------------------------------------------

const awsKms = entry({
  fields: {
    ...remoteFields,
    keyId: Text,
    region: optionalKey(Text),
    profile: optionalKey(Text),
    endpoint: optionalKey(Text),
    credentials: optionalKey(
      Schema.Struct({ accessKeyId: Text, secretAccessKey: Secret, sessionToken: optionalKey(Secret) })
    ),
    concurrency: optionalKey(Count),
    connectionTimeout: optionalKey(Time),
    requestTimeout: optionalKey(Time)
  },
  example: { keyId: "alias/release" },
  load: () => import("../AwsKmsSigner.ts")
})

const azureFields = {
  ...remoteFields,
  vaultUrl: Text,
  key: optionalKey(Text),
  version: optionalKey(Text),
  credential: optionalKey(
    variants({ token: Secret }, Schema.Struct({ tenantId: Text, clientId: Text, clientSecret: Secret }))
  ),
  scope: optionalKey(Text),
  apiVersion: optionalKey(Text)
}

/** A token that somebody obtained, as `az account get-access-token` does: it is sent until it is refused. */
const bearer = (token: Redacted.Redacted<string>): TokenCredential => ({
  getToken: async () => ({ token: Redacted.value(token), expiresOnTimestamp: Date.now() + 3_600_000 })
})

const azureKeyVault = entry({
  fields: azureFields,
  example: { vaultUrl: "https://release.vault.azure.net", key: "signing" },
  load: async () => {
    const [azure, http] = await Promise.all([import("../AzureKeyVaultSigner.ts"), import("./AmbientHttpClient.ts")])
    const withCredential = ({ credential, ...options }: Schema.Struct.Type<typeof azureFields>): AzureOptions =>
      credential === undefined
        ? options
        : { ...options, credential: "token" in credential ? bearer(credential.token) : credential }
    return {
      ...azure,
      environment: Config.map(
        Config.all({
          options: azure.environment,
          token: optional(Config.Redacted("AZURE_ACCESS_TOKEN")),
          scope: optional(Config.NonEmptyString("A1_AZURE_SCOPE"))
        }),
        ({ options, scope, token }) => ({
          ...options,
          scope,
          ...(token === undefined ? {} : { credential: { token } })
        })
      ),
      layer: (options) => Layer.provide(azure.layer(withCredential(options)), http.layer),
      mistake: (options) => azure.mistake(withCredential(options))
    }
  }
})

const vault = entry({
  fields: {
    ...remoteFields,
    ...cacheFields,
    url: Text,
    token: variants(
      {
        appRole: Schema.Struct({ roleId: Text, secretId: optionalKey(Secret), mount: optionalKey(Text) }),
        kubernetes: Schema.Struct({ role: Text, jwtFile: optionalKey(Text), mount: optionalKey(Text) }),
        // Not read here: Vault Agent renews it, and the backend reads it again when Vault refuses it
        file: Text
      },
      Secret
    ),
    key: Text,
    mount: optionalKey(Text),
    namespace: optionalKey(Text),
    redirectOrigins: optionalKey(Schema.Array(Text)),
    context: optionalKey(Bytes),
    maxMessageLength: optionalKey(Count),
    batch: optionalKey(Schema.Struct({ window: optionalKey(Time), max: optionalKey(Count) }))
  },
  example: { url: "https://vault.example.com:8200", token: { file: "/run/vault/token" }, key: "release" },
  load: async () => {
    const [vault, http] = await Promise.all([import("../VaultSigner.ts"), import("./AmbientHttpClient.ts")])
    return { ...vault, layer: (options) => Layer.provide(vault.layer(options), http.layer) }
  }
})

/** A token that somebody obtained, as `gcloud auth print-access-token` does. */
const accessToken = (token: Redacted.Redacted<string>): TokenSource => ({
  getAccessToken: async () => Redacted.value(token)
})

const gcpFields = {
  ...remoteFields,
  ...cacheFields,
  key: Text,
  version: optionalKey(Text),
  endpoint: optionalKey(Text),
  transport: optionalKey(Schema.Literals(["rest", "grpc"])),
  credentials: optionalKey(Secret),
  credentialsFile: optionalKey(Text),
  /** Of HTTP only. */
  token: optionalKey(Secret)
}

const gcpKms = entry({
  fields: gcpFields,
  example: { key: "projects/acme/locations/global/keyRings/release/cryptoKeys/signing" },
  load: async () => {
    const { alternatives, environment, layer, mistake } = await import("../GcpKmsSigner.ts")
    const withTokens = ({ token, ...options }: Schema.Struct.Type<typeof gcpFields>) =>
      (token === undefined ? options : { ...options, tokens: accessToken(token) }) as GcpOptions
    return {
      alternatives,
      environment: Config.map(
        Config.all({
          options: environment,
          endpoint: optional(Config.NonEmptyString("GCP_KMS_ENDPOINT")),
          token: optional(Config.Redacted("GCP_ACCESS_TOKEN"))
        }),
        ({ options, ...more }) => ({ ...options, ...more })
      ),
      layer: (options) => layer(withTokens(options)),
      mistake: (options) =>
        options.token !== undefined && options.transport === "grpc"
          ? ["token", "is for the transport rest; with grpc state credentials or credentialsFile"]
          : mistake(withTokens(options))
    }
  }
})

const { expectedPublicKey: _, ...agentFields } = remoteFields

const sshAgent = entry({
  fields: {
    ...agentFields,
    key: variants({ publicKey: Key, fingerprint: Text, id52: Text, comment: Text }),
    socket: optionalKey(Text),
    keyId: optionalKey(Id),
    timeout: optionalKey(Time),
    allowUserAuthentication: optionalKey(Schema.Boolean)
  },
  example: { key: { comment: "release" } },
  load: () => import("../SshAgentSigner.ts")
})

/** What may be relaxed about a file with a secret in it. */
const fileFields = {
  followSymlinks: optionalKey(Schema.Boolean),
  allowGroupRead: optionalKey(Schema.Boolean)
}

const pkcs11Fields = {
  ...remoteFields,
  ...fileFields,
  uri: optionalKey(Text),
  module: optionalKey(Text),
  token: optionalKey(Text),
  serial: optionalKey(Text),
  object: optionalKey(Text),
  pin: optionalKey(variants({ file: Text }, Secret)),
  sessions: optionalKey(Count)
}

const pkcs11 = entry({
  fields: pkcs11Fields,
  example: { module: "/usr/lib/softhsm/libsofthsm2.so", uri: "pkcs11:token=release;object=signing" },
  load: async () => {
    const { environment, layer, mistake } = await import("../Pkcs11Signer.ts")
    const withPin = ({ allowGroupRead, followSymlinks, ...options }: Schema.Struct.Type<typeof pkcs11Fields>) =>
      options.pin !== undefined && "file" in options.pin
        ? { ...options, pin: { ...options.pin, allowGroupRead, followSymlinks } }
        : options
    return { environment, layer: (options) => layer(withPin(options)), mistake: (options) => mistake(withPin(options)) }
  }
})

const keyring = entry({
  fields: {
    ...keyFields,
    service: Text,
    account: Text,
    keyId: optionalKey(Id),
    prompt: optionalKey(Schema.Boolean),
    timeLimit: optionalKey(Time)
  },
  example: { service: "acme", account: "release" },
  load: async () => ({
    layer: (await import("../KeyringSigner.ts")).layer,
    environment: Config.all({
      service: Config.NonEmptyString("KEYRING_SERVICE"),
      account: Config.NonEmptyString("KEYRING_ACCOUNT")
    })
  })
})

/** What a key that is read from somewhere may be. */
const heldFields = {
  ...keyFields,
  keyId: optionalKey(Id),
  keyType: optionalKey(KeyType),
  passphrase: optionalKey(Secret)
}

const file = entry({
  fields: {
    ...heldFields,
    path: Text,
    format: optionalKey(
      Schema.Literals([
        "encrypted-key",
        "ev-node",
        "pem",
        "jwk",
        "pkcs8",
        "hex",
        "base64",
        "raw"
      ] satisfies ReadonlyArray<Format>)
    ),
    passphraseFile: optionalKey(Text),
    ...fileFields
  },
  example: { path: "/etc/acme/release.key", passphraseFile: "/run/secrets/release" },
  load: async () => ({
    layer: (await import("../FileSigner.ts")).layer,
    environment: Config.all({
      path: Config.NonEmptyString("SIGNING_KEY_FILE"),
      passphraseFile: optional(Config.NonEmptyString("SIGNING_KEY_PASSPHRASE_FILE")),
      passphrase: optional(Config.Redacted("SIGNING_KEY_PASSPHRASE"))
    })
  })
})

const env = entry({
  fields: {
    ...heldFields,
    variable: Text,
    format: optionalKey(
      Schema.Literals(["encrypted-key", "ev-node", "pem", "jwk", "hex", "base64"] satisfies ReadonlyArray<Format>)
    )
  },
  example: { variable: "SIGNING_KEY" },
  load: () => import("../EnvSigner.ts")
})

const local = entry({
  fields: { ...keyFields, pem: Secret, passphrase: optionalKey(Secret), keyId: optionalKey(Id) },
  example: { pem: { file: "release.pem" } },
  load: async () => {
    const [{ make }, { fromPem }] = await Promise.all([
      import("../LocalSigner.ts"),
      import("../../schemas/PrivateKey.ts")
    ])
    return {
      layer: ({ expectedPublicKey, passphrase, pem, ...options }) =>
        expecting(
          expectedPublicKey,
          Effect.suspend(() =>
            make({ ...options, privateKey: fromPem(pem, { passphrase, algorithm: options.algorithm }) })
          )
        ),
      environment: Config.all({
        pem: Config.Redacted("SIGNING_KEY"),
        passphrase: optional(Config.Redacted("SIGNING_KEY_PASSPHRASE")),
        algorithm: optional(Config.schema(SignatureAlgorithm, "SIGNING_KEY_ALGORITHM"))
      })
    }
  }
})

const watchOnly = entry({
  fields: { ...keyFields, publicKey: Key, keyId: optionalKey(Id) },
  example: { publicKey: { file: "release.pub.pem" } },
  load: async () => {
    const { make } = await import("../WatchOnlySigner.ts")
    return {
      layer: ({ expectedPublicKey, ...options }) => expecting(expectedPublicKey, make(options))
    }
  }
})

const keyStore = entry({
  fields: {
    purpose: optionalKey(Text),
    expectedPublicKey: optionalKey(Key),
    path: Text,
    id: optionalKey(Text),
    rotation: optionalKey(Text),
    passphrase: optionalKey(Secret),
    passphraseFile: optionalKey(Text),
    followSymlinks: optionalKey(Schema.Boolean)
  },
  example: { path: "/etc/acme/keys.json", id: "release", passphraseFile: "/run/secrets/keys" },
  load: async () => ({
    layer: (await import("../KeyStoreSigner.ts")).layer,
    environment: Config.all({
      path: Config.NonEmptyString("EFFECT_SIGNER_STORE"),
      id: optional(Config.NonEmptyString("EFFECT_SIGNER_STORE_KEY")),
      rotation: optional(Config.NonEmptyString("EFFECT_SIGNER_ROTATION")),
      passphraseFile: optional(Config.NonEmptyString("EFFECT_SIGNER_PASSPHRASE_FILE")),
      passphrase: optional(Config.Redacted("EFFECT_SIGNER_PASSPHRASE"))
    })
  })
})

const remote = entry({
  fields: {
    algorithm: remoteFields.algorithm,
    purpose: remoteFields.purpose,
    resilience: remoteFields.resilience,
    observe: remoteFields.observe,
    url: Text,
    keyId: Text,
    publicKey: Key,
    token: optionalKey(Secret),
    maxMessageLength: optionalKey(Count)
  },
  example: { url: "https://signer.example.com/sign", keyId: "release", publicKey: { file: "release.pub.pem" } },
  load: async () => {
    const [remote, http] = await Promise.all([import("../RemoteSigner.ts"), import("./AmbientHttpClient.ts")])
    return { layer: (options) => Layer.provide(remote.layer(options), http.layer) }
  }
})

/** All backends here, by the name that a configuration gives. */
export const builtIn = {
  "aws-kms": awsKms,
  "azure-key-vault": azureKeyVault,
  env,
  file,
  "gcp-kms": gcpKms,
  "key-store": keyStore,
  keyring,
  local,
  pkcs11,
  remote,
  "ssh-agent": sshAgent,
  vault,
  "watch-only": watchOnly
} as const satisfies { readonly [name: string]: Entry }
