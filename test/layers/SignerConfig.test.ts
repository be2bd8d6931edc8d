import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Logger, Redacted, References, Schema } from "effect"
import { HttpClient } from "effect/http"
import { execFile } from "node:child_process"
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as SignerConfig from "../../src/layers/SignerConfig.ts"
import { builtIn } from "../../src/layers/config/SignerConfigBackends.ts"
import * as SshAgentServer from "../../src/layers/SshAgentServer.ts"
import * as KeyId from "../../src/schemas/KeyId.ts"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as Verifier from "../../src/services/Verifier.ts"
import * as Signer from "../../src/Signer.ts"
import * as AwsKmsEmulator from "../../src/testing/AwsKmsEmulator.ts"
import * as AzureKeyVaultEmulator from "../../src/testing/AzureKeyVaultEmulator.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as GcpKmsEmulator from "../../src/testing/GcpKmsEmulator.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"

/** The type is that of the JSON. */
const typed: SignerConfig.SignerConfig = {
  backend: "vault",
  url: "https://vault",
  token: { env: "TOKEN" },
  key: "release",
  resilience: { timeout: "2 seconds" }
}

const message = new TextEncoder().encode("message")

const withEnv =
  (env: Readonly<Record<string, string>>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.provideService(
      self,
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromEnvRecord(env, { preserveEmptyStrings: true })
    )

const mistakesOf = (config: unknown, options?: SignerConfig.Options) =>
  Effect.map(Effect.flip(SignerConfig.fromConfig(config, options)), ({ mistakes }) =>
    Object.fromEntries(mistakes.map(({ path, problem }) => [path, problem]))
  )

/** Signs and verifies with whatever layer it is given. */
const works = Effect.gen(function* () {
  const signer = yield* Signer.Signer
  const signature = yield* signer.sign(message)
  const verifier = yield* Verifier.make(yield* signer.publicKey(signature.keyVersion), { algorithm: signer.algorithm })
  assert.isTrue(yield* verifier.verify(message, signature))
  return signer
})

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "effect-signer-test-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

const write = Effect.fnUntraced(function* (name: string, text: string) {
  const path = join(yield* folder, name)
  yield* Effect.promise(() => writeFile(path, text, { mode: 0o600 }))
  return path
})

const ed25519 = Effect.map(PrivateKey.generate("Ed25519"), (key) => ({
  key,
  pem: Redacted.value(PrivateKey.toPem(key)),
  publicPem: PublicKey.toPem(key.publicKey)
}))

/** A configuration of each backend that can be run here, and the variables it wants. */
const good = {
  "aws-kms": Effect.gen(function* () {
    const kms = yield* AwsKmsEmulator.make()
    yield* kms.createKey("ECC_NIST_P256", { alias: "alias/release" })
    const { credentials, endpoint, region } = kms.connection
    return {
      json: {
        keyId: "alias/release",
        region,
        endpoint,
        concurrency: 4,
        connectionTimeout: "2 seconds",
        credentials: { accessKeyId: credentials.accessKeyId, secretAccessKey: { env: "AWS_SECRET" } }
      },
      env: { AWS_SECRET: Redacted.value(credentials.secretAccessKey) }
    }
  }),
  "azure-key-vault": Effect.gen(function* () {
    const vault = yield* AzureKeyVaultEmulator.make()
    yield* vault.createKey("release", "P-384")
    const { scope, vaultUrl } = vault.connection
    const { token } = yield* Effect.promise(() => vault.credential.getToken(scope))
    return {
      json: { vaultUrl: `${vaultUrl}/keys/release`, scope, credential: { token: { env: "TOKEN" } } },
      env: { TOKEN: token }
    }
  }),
  "gcp-kms": Effect.gen(function* () {
    const kms = yield* GcpKmsEmulator.make({ transports: ["rest"] })
    const key = yield* kms.createKey("release", "EC_SIGN_P256_SHA256")
    const token = yield* Effect.promise(() => kms.tokens.getAccessToken())
    return {
      json: { key: key.name, endpoint: kms.rest.endpoint, token: { env: "TOKEN" }, publicKeyTimeToLive: "1 hour" },
      env: { TOKEN: token }
    }
  }),
  vault: Effect.gen(function* () {
    const vault = yield* VaultEmulator.make()
    const key = yield* vault.createKey("release", "ed25519")
    const secretId = Redacted.make("the-secret-id-of-the-role")
    yield* vault.addAppRole({ roleId: "deploy", secretId })
    return {
      json: {
        url: vault.url,
        key: "release",
        token: { appRole: { roleId: "deploy", secretId: { env: "SECRET_ID" } } },
        expectedPublicKey: PublicKey.toPem(yield* key.publicKey()),
        batch: { window: "1 millis", max: 10 },
        resilience: { timeout: "2 seconds", times: 0, budget: "5 seconds" },
        observe: { attributes: { team: "release" } }
      },
      env: { SECRET_ID: Redacted.value(secretId) }
    }
  }),
  "ssh-agent": Effect.gen(function* () {
    const { key } = yield* ed25519
    const socket = join(yield* folder, "agent")
    const signer = yield* LocalSigner.make({ privateKey: key })
    yield* SshAgentServer.make({ socket, keys: [{ signer, comment: "release" }] })
    return { json: { key: { publicKey: PublicKey.toOpenSsh(key.publicKey) }, socket, timeout: "5 seconds" }, env: {} }
  }),
  local: Effect.gen(function* () {
    const { pem, publicPem } = yield* ed25519
    return {
      json: {
        pem: { file: yield* write("k.pem", pem) },
        expectedPublicKey: { file: yield* write("k.pub", publicPem) }
      },
      env: {}
    }
  }),
  file: Effect.gen(function* () {
    return { json: { path: yield* write("k.pem", (yield* ed25519).pem), format: "pem" }, env: {} }
  }),
  env: Effect.gen(function* () {
    return { json: { variable: "KEY" }, env: { KEY: (yield* ed25519).pem } }
  })
} as const

describe("fromConfig", () => {
  it.live.each(Object.entries(good))("%s signs, and the signature verifies", ([backend, make]) =>
    Effect.gen(function* () {
      const { env, json } = yield* make
      const config = { backend, purpose: "release", ...json }
      // what a file holds, and no object of this program
      const text = JSON.stringify(config)
      const signer = yield* works.pipe(Effect.provide(SignerConfig.layerText(text)), withEnv(env))
      assert.deepStrictEqual([signer.backend, signer.purpose], [backend, "release"])
    }).pipe(Effect.scoped)
  )

  it.effect("watch-only names a key and does not sign", () =>
    Effect.gen(function* () {
      const { key } = yield* ed25519
      const config = { backend: "watch-only", publicKey: PublicKey.toJwk(key.publicKey) }
      const error = yield* Effect.flip(Effect.provide(Signer.sign(message), SignerConfig.layer(config)))
      assert.strictEqual(error._tag, "KeyNotSigner")
    })
  )

  it.live("pkcs11 says in its own words that there is no module, and keeps the PIN to itself", () =>
    Effect.gen(function* () {
      const pin = "the-pin-of-the-token"
      const config = { backend: "pkcs11", module: "/absent.so", uri: "pkcs11:token=t;object=k", pin: { env: "PIN" } }
      const error = yield* Effect.flip(Effect.scoped(Layer.build(SignerConfig.layer(config)))).pipe(
        withEnv({ PIN: pin })
      )
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.isUndefined(Canary.search([{ name: "PIN", secret: pin }])(Canary.show(error)))
    })
  )

  it.live("pkcs11 reads the PIN from a file as key files are read, and relaxes that where it is told to", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "effect-signer-config-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true }))
      )
      const [file, link] = [join(folder, "pin"), join(folder, "link")]
      yield* Effect.promise(() => writeFile(file, "the-pin", { mode: 0o640 }))
      yield* Effect.promise(() => chmod(file, 0o640))
      yield* Effect.promise(() => symlink(file, link))
      const problemOf = Effect.fnUntraced(function* (relaxed: object) {
        const config = { backend: "pkcs11", module: "/absent.so", uri: "pkcs11:token=t;object=k", pin: { file: link } }
        const layer = SignerConfig.layer({ ...config, ...relaxed })
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.strictEqual(error._tag, "InvalidConfiguration")
        return error.message
      })
      assert.include(yield* problemOf({}), "pin: the file with it: it is a symbolic link")
      assert.match(yield* problemOf({ followSymlinks: true }), /pin: .*chmod 600/)
      assert.notInclude(yield* problemOf({ followSymlinks: true, allowGroupRead: true }), "pin: ")
    }).pipe(Effect.scoped)
  )

  it.effect.each(["local", "watch-only"])("%s is not built with another key than the expected one", (backend) =>
    Effect.gen(function* () {
      const [one, other] = [yield* ed25519, yield* ed25519]
      const key = backend === "local" ? { pem: one.pem } : { publicKey: one.publicPem }
      const layer = SignerConfig.layer({ backend, ...key, expectedPublicKey: other.publicPem })
      assert.strictEqual((yield* Effect.flip(Effect.scoped(Layer.build(layer))))._tag, "InvalidResponse")
    })
  )

  it.effect("says of each backend whether its example is right, wherever it points to nothing", () =>
    Effect.gen(function* () {
      for (const [backend, { example }] of Object.entries(builtIn)) {
        const exit = yield* Effect.exit(SignerConfig.fromConfig({ backend, ...example }))
        const pointsToFile = JSON.stringify(example).includes(`{"file":"release.`)
        assert.strictEqual(Exit.isSuccess(exit), !pointsToFile, backend)
      }
    })
  )

  it.live("uses the HttpClient of whoever builds the layer", () =>
    Effect.gen(function* () {
      const { env, json } = yield* good.vault
      const asked: Array<string> = []
      const refusing = HttpClient.make((request) => {
        asked.push(new URL(request.url).pathname)
        return Effect.die("asked")
      })
      const exit = yield* Effect.exit(
        Effect.scoped(Layer.build(SignerConfig.layer({ backend: "vault", ...json }))).pipe(
          Effect.provideService(HttpClient.HttpClient, refusing),
          withEnv(env)
        )
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(asked, ["/v1/auth/approle/login"])
    }).pipe(Effect.scoped)
  )
})

describe("SignerConfig", () => {
  it.effect("is the type of the JSON", () =>
    Effect.gen(function* () {
      const chosen = yield* withEnv({ TOKEN: "12345678" })(SignerConfig.fromConfig(typed))
      assert.strictEqual(chosen.backend, "vault")
      // @ts-expect-error -- the field of another backend
      const wrong: SignerConfig.SignerConfig = { backend: "vault", vaultUrl: "https://vault" }
      assert.isDefined(wrong)
    })
  )
})

describe("mistakes", () => {
  const known = Object.keys(builtIn).toSorted().join(", ")

  it.effect.each([
    { config: undefined, mistakes: { "": `the configuration is no object: { "backend": "vault", ... }` } },
    { config: [], mistakes: { "": `the configuration is no object: { "backend": "vault", ... }` } },
    { config: {}, mistakes: { backend: `is missing; known are ${known}` } },
    {
      config: { backend: "vualt" },
      mistakes: { backend: `is no backend that is known here; known are ${known}; did you mean vault?` }
    },
    {
      config: { backend: "aws" },
      mistakes: { backend: `is no backend that is known here; known are ${known}; did you mean aws-kms?` }
    },
    {
      config: { backend: "constructor" },
      mistakes: { backend: `is no backend that is known here; known are ${known}` }
    },
    { config: { backend: "vault" }, mistakes: { url: "is missing", token: "is missing", key: "is missing" } },
    {
      config: {
        backend: "vault",
        url: "ftp://vault",
        token: { appRole: { roleId: 3, role: "x" } },
        key: "a/b",
        namespace: "a b",
        algorithm: "ES255",
        redirectOrigins: ["https://a", 3],
        resilience: { timeout: "2 parsecs", times: -1, retries: 2 },
        lazy: "yes",
        keyy: "release"
      },
      mistakes: {
        url: "must be an http or https URL",
        "token.appRole.roleId": 'expected text, in quotes: "7"',
        "token.appRole.role": "is not known here",
        key: "must be the name of a key: not empty, without slashes, . and ..",
        namespace: "must be printable ASCII without spaces",
        algorithm:
          "expected one of Ed25519, ES256, ES384, ES512, ES256K, BIP340, BIP341, PS256, PS384, PS512, RS256, RS384, RS512, " +
          "ML-DSA-44, ML-DSA-65, ML-DSA-87",
        "redirectOrigins.1": 'expected text, in quotes: "7"',
        "resilience.timeout": 'expected a time above zero: "2 seconds", "100 millis", "1 hour"',
        "resilience.times": "expected a whole number, or 0",
        "resilience.retries": "is not known here",
        lazy: "expected boolean",
        keyy: "no backend knows this field; did you mean key?"
      }
    },
    {
      config: { backend: "aws-kms", keyId: "arn:aws:kms", concurrency: 1.5, endpoint: "x", credentials: {} },
      mistakes: {
        keyId: "it is no ARN of a key or an alias: arn:aws:kms:<region>:<account>:key/<id>",
        concurrency: "expected a whole number above zero",
        endpoint: "must be an http or https URL",
        "credentials.accessKeyId": "is missing",
        "credentials.secretAccessKey": "is missing"
      }
    },
    {
      config: { backend: "azure-key-vault", vaultUrl: "http://vault.example", apiVersion: "a b", version: "-" },
      mistakes: {
        vaultUrl: "must be an https URL; http carries the token for anyone to read",
        apiVersion: "must be a version of the API, as 2025-07-01",
        version: "must be the version of a key, 32 hex digits; leave it out for the current one"
      }
    },
    {
      config: { backend: "gcp-kms", key: "x", token: "12345678", transport: "grpc" },
      mistakes: {
        token: "is for the transport rest; with grpc state credentials or credentialsFile",
        key: "must be the name of a key, or of a version of one: projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>[/cryptoKeyVersions/<number>]"
      }
    },
    {
      config: { backend: "vault", url: "https://vault", token: "12345678", key: "\ud800", mount: "\udfff" },
      mistakes: {
        key: "has half of a surrogate pair, which is no character",
        mount: "has half of a surrogate pair, which is no character"
      }
    },
    {
      config: { backend: "Vault" },
      mistakes: {
        backend:
          "is no backend that is known here; known are aws-kms, azure-key-vault, env, file, gcp-kms, key-store, " +
          "keyring, local, pkcs11, remote, ssh-agent, vault, watch-only; did you mean vault?"
      }
    },
    {
      config: { backend: "file", file: "/etc/acme/release.key" },
      mistakes: { path: "is missing", file: "no backend knows this field; did you mean path?" }
    },
    {
      config: { backend: "pkcs11", module: "/usr/lib/softhsm/libsofthsm2.so", uri: "https://token" },
      mistakes: { uri: "must begin with pkcs11:" }
    },
    {
      config: { backend: "pkcs11", module: "/usr/lib/softhsm/libsofthsm2.so", token: 7, object: "x", pin: 1234 },
      mistakes: { token: 'expected text, in quotes: "7"', pin: 'expected text, in quotes: "7"' }
    },
    {
      config: { backend: "ssh-agent", key: { id52: "x", comment: "y" } },
      mistakes: { key: "expected an object with one of publicKey, fingerprint, id52, comment" }
    },
    {
      config: { backend: "local", pem: { env: "ABSENT" }, passphrase: { file: "/absent/file" } },
      mistakes: { "pem.env": "the variable is not set", "passphrase.file": "the file cannot be read: ENOENT" }
    },
    {
      config: { backend: "local", pem: { env: "EMPTY" }, passphrase: { file: "/dev/zero" } },
      mistakes: { "pem.env": "the variable is empty", "passphrase.file": "the file is longer than 65536 bytes" }
    },
    {
      config: { backend: "local", pem: { env: "A B" }, passphrase: { env: "A", file: "B" } },
      mistakes: {
        "pem.env": "must be the name of a variable: letters, digits and _",
        passphrase: 'expected text, or { "env": "NAME" }, or { "file": "/path" }'
      }
    }
  ])("all at once, by path: $config.backend $#", ({ config, mistakes }) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* withEnv({ EMPTY: "" })(mistakesOf(config)), mistakes as Record<string, string>)
    })
  )

  it.effect("of text that is no JSON quote none of it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SignerConfig.fromText(`{ "backend": "vault", "token": hunter2-hunter2 }`))
      assert.notInclude(Canary.show(error), "hunter2")
      assert.include(error.message, "the configuration: it is not JSON")
      const placed = yield* Effect.flip(SignerConfig.fromText(`{\n"backend": "vault",\n}`))
      assert.strictEqual(placed.message, "the configuration: it is not JSON, see line 3 column 1")
    })
  )

  it.effect("of text with a member twice, whose meaning nobody knows", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SignerConfig.fromText(`{ "backend": "vault", "key": "a", "key": "b" }`))
      assert.strictEqual(error.message, "the configuration: a member appears twice in one JSON object")
    })
  )

  const secret = "hunter2-correct-horse"

  it.effect.each([
    { backend: "vault", url: secret, token: { appRole: { roleId: 3, secretId: secret } }, key: `${secret}/` },
    { backend: "vault", url: `https://user:${secret}@vault`, token: { file: secret, env: secret }, key: "k" },
    { backend: secret },
    { backend: "vault", [`${secret}${secret}`]: secret, regionn: secret, pin: secret, token: [secret], lazy: secret },
    { backend: "aws-kms", keyId: `arn:${secret}`, credentials: { accessKeyId: "a", secretAccessKey: { [secret]: 1 } } },
    { backend: "aws-kms", keyId: "arn:aws:kms:eu-west-1:111122223333:key/a", region: secret, endpoint: secret },
    { backend: "azure-key-vault", vaultUrl: secret, credential: { tenantId: 1, clientSecret: secret } },
    { backend: "gcp-kms", key: secret, credentials: secret, token: secret },
    { backend: "pkcs11", pin: { file: secret, env: secret }, uri: 3 },
    { backend: "local", pem: { env: `${secret}!` }, passphrase: secret, algorithm: secret, expectedPublicKey: secret },
    { backend: "local", pem: { file: `/${secret}` }, passphrase: secret },
    { backend: "vault", url: "https://v", token: secret, key: "k", context: secret, resilience: { timeout: secret } }
  ])("show no value: $backend $#", (config) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SignerConfig.fromConfig(config))
      assert.isUndefined(Canary.search([{ name: "secret", secret }])(Canary.show(error)))
    })
  )

  it.effect.prop(
    "of any JSON are typed, and never a defect",
    {
      name: Schema.Literals([...Object.keys(builtIn), "other"]),
      json: Schema.Record(
        Schema.Literals([
          ...new Set(Object.values(builtIn).flatMap(({ fields }) => Object.keys(fields))),
          "__proto__",
          "toString"
        ]),
        Schema.Json
      )
    },
    ({ json, name }) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(SignerConfig.fromConfig({ ...json, backend: name }))
        if (Exit.isFailure(exit)) assert.isTrue(Exit.hasFails(exit) && !Exit.hasDies(exit))
      }),
    { arbitrary: { runs: 200 } }
  )
})

describe("fields of other backends", () => {
  const vault = { backend: "vault", url: "https://vault", token: "12345678", key: "release" }

  it.effect("are named in the log", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ message }) => void lines.push(message))
      const config = { ...vault, algorithm: "Ed25519", lazy: true, region: "eu-central-1", prompt: true }
      assert.deepStrictEqual((yield* SignerConfig.fromConfig(config)).ignored, ["region", "prompt"])
      yield* Effect.scoped(Layer.build(SignerConfig.layer(config))).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Warn")
      )
      assert.deepStrictEqual(lines.flat(), ["effect-signer: region, prompt in the configuration: no effect with vault"])
    })
  )

  it.effect("are mistakes where somebody relies on them", () =>
    Effect.gen(function* () {
      const relied = ["passphrase", "pin", "pem", "credentials", "version", "keyId", "allowGroupRead"]
      const config = { ...vault, ...Object.fromEntries(relied.map((field) => [field, "x"])), region: "x" }
      const mistakes = yield* mistakesOf(config)
      assert.deepStrictEqual(Object.keys(mistakes), relied)
      assert.strictEqual(mistakes["pin"], "has no effect with this backend, and is for pkcs11; leave it out")
      assert.deepStrictEqual(Object.keys(yield* mistakesOf(config, { ignored: "error" })), [...relied, "region"])
      assert.deepStrictEqual((yield* SignerConfig.fromConfig(config, { ignored: "warn" })).ignored, [
        ...relied,
        "region"
      ])
    })
  )
})

describe("fromEnvironment", () => {
  it.live("two signers in one environment, and none takes what is the other's", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      yield* vault.createKey("release", "ed25519")
      yield* vault.createKey("root", "ecdsa-p384")
      const variables = (prefix: string, key: string) => ({
        [`${prefix}_SIGNER_BACKEND`]: "vault",
        [`${prefix}_VAULT_ADDR`]: vault.url,
        [`${prefix}_VAULT_TOKEN`]: Redacted.value(vault.connection.token),
        [`${prefix}_A1_VAULT_KEY`]: key,
        [`${prefix}_SIGNER_PURPOSE`]: key,
        [`${prefix}_SIGNER_TIMEOUT`]: "2 seconds",
        [`${prefix}_SIGNER_RETRIES`]: "0"
      })
      const environment = { ...variables("RELEASE", "release"), ...variables("ROOT", "root") }
      for (const [prefix, algorithm] of [
        ["RELEASE", "Ed25519"],
        ["ROOT", "ES384"]
      ] as const) {
        const signer = yield* works.pipe(Effect.provide(SignerConfig.layerConfig({ prefix })), withEnv(environment))
        assert.deepStrictEqual([signer.algorithm, signer.purpose], [algorithm, prefix.toLowerCase()])
      }
      const { RELEASE_VAULT_ADDR: _, ...without } = environment
      const error = yield* Effect.flip(
        withEnv({ ...without, VAULT_ADDR: vault.url })(SignerConfig.fromEnvironment({ prefix: "RELEASE" }))
      )
      assert.deepStrictEqual(error.mistakes, [{ path: "RELEASE_VAULT_ADDR", problem: "is missing" }])
    }).pipe(Effect.scoped)
  )

  it.live("a PEM key", () =>
    Effect.gen(function* () {
      const { pem } = yield* ed25519
      yield* works.pipe(
        Effect.provide(SignerConfig.layerConfig()),
        withEnv({ SIGNER_BACKEND: "local", SIGNING_KEY: pem })
      )
    })
  )

  it.effect.each([
    { env: {}, paths: ["SIGNER_BACKEND"] },
    { env: { SIGNER_BACKEND: "vault" }, paths: ["VAULT_ADDR", "VAULT_ROLE_ID", "A1_VAULT_KEY"] },
    {
      env: {
        SIGNER_BACKEND: "vault",
        VAULT_ADDR: "",
        VAULT_TOKEN: "hunter2-hunter2",
        A1_VAULT_ALGORITHM: "hunter2-hunter2",
        SIGNER_RETRIES: "hunter2-hunter2",
        SIGNER_LAZY: "hunter2-hunter2"
      },
      paths: ["VAULT_ADDR", "A1_VAULT_ALGORITHM", "A1_VAULT_KEY", "SIGNER_LAZY", "SIGNER_RETRIES"]
    },
    {
      env: {
        SIGNER_BACKEND: "vault",
        VAULT_ADDR: "hunter2-hunter2",
        VAULT_TOKEN: "hunter2-hunter2",
        A1_VAULT_KEY: "a/b",
        SIGNER_BUDGET: "hunter2-hunter2",
        SIGNER_RETRIES: "-1",
        SIGNER_EXPECTED_PUBLIC_KEY: "hunter2-hunter2"
      },
      paths: ["SIGNER_EXPECTED_PUBLIC_KEY", "SIGNER_RETRIES", "SIGNER_BUDGET", "url", "key"]
    },
    { env: { SIGNER_BACKEND: "watch-only" }, paths: ["SIGNER_BACKEND"] },
    { env: { SIGNER_BACKEND: "gcp-kms" }, paths: ["A1_GCP_PROJECT", "A1_GCP_KEY_RING", "A1_GCP_KEY"] }
  ])("names every variable that is wrong, and no value: $env.SIGNER_BACKEND $#", ({ env, paths }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(withEnv(env)(SignerConfig.fromEnvironment()))
      assert.sameMembers(
        error.mistakes.map(({ path }) => path),
        paths
      )
      assert.notInclude(Canary.show(error), "hunter2")
    })
  )
})

describe("fromEnvironment with tokens", () => {
  it.effect("names everything that can stand for a token that is missing", () =>
    Effect.gen(function* () {
      const env = {
        RELEASE_SIGNER_BACKEND: "vault",
        RELEASE_VAULT_ADDR: "http://127.0.0.1:1",
        RELEASE_A1_VAULT_KEY: "x"
      }
      const error = yield* Effect.flip(withEnv(env)(SignerConfig.fromEnvironment({ prefix: "RELEASE" })))
      assert.strictEqual(
        error.message,
        "RELEASE_VAULT_ROLE_ID: is missing; it, or one of RELEASE_VAULT_TOKEN, RELEASE_VAULT_TOKEN_FILE, " +
          "RELEASE_VAULT_KUBERNETES_ROLE"
      )
    })
  )

  it.live.each(["gcp-kms", "azure-key-vault"] as const)("%s: an emulator, by the environment alone", (backend) =>
    Effect.scoped(
      Effect.gen(function* () {
        const variables = {
          "gcp-kms": Effect.gen(function* () {
            const kms = yield* GcpKmsEmulator.make({ transports: ["rest"] })
            const key = yield* kms.createKey("release", "EC_SIGN_P256_SHA256")
            return {
              GCP_KMS_ENDPOINT: kms.rest.endpoint,
              GCP_ACCESS_TOKEN: yield* Effect.promise(() => kms.tokens.getAccessToken()),
              GCP_KMS_KEY_VERSION: key.name
            }
          }),
          "azure-key-vault": Effect.gen(function* () {
            const vault = yield* AzureKeyVaultEmulator.make()
            yield* vault.createKey("release", "P-256")
            const { scope, vaultUrl } = vault.connection
            return {
              AZURE_KEYVAULT_URL: vaultUrl,
              AZURE_ACCESS_TOKEN: (yield* Effect.promise(() => vault.credential.getToken(scope))).token,
              A1_AZURE_SCOPE: scope,
              A1_AZURE_KEY: "release"
            }
          })
        }
        const env = { SIGNER_BACKEND: backend, ...(yield* variables[backend]) }
        const signed = yield* Signer.sign(new Uint8Array(3)).pipe(
          Effect.provide(SignerConfig.layerConfig()),
          withEnv(env)
        )
        assert.strictEqual(signed.algorithm, "ES256")
      })
    )
  )
})

describe("backends of others", () => {
  const backends = {
    "my-hsm": SignerConfig.entry({
      fields: { slot: SignerConfig.Count, pin: SignerConfig.Secret, purpose: Schema.optionalKey(SignerConfig.Text) },
      example: { slot: 1, pin: { env: "PIN" } },
      load: async () => ({
        layer: ({ pin, slot }: { readonly pin: Redacted.Redacted<string>; readonly slot: number }) =>
          LocalSigner.layer({ privateKey: PrivateKey.fromPem(pin), keyId: KeyId.make(`slot-${slot}`) }),
        mistake: ({ slot }: { readonly slot: number }) => (slot > 7 ? ["slot", "there are 7 slots"] : undefined)
      })
    })
  }

  it.live("are configured as those that are here", () =>
    Effect.gen(function* () {
      const { pem } = yield* ed25519
      const layer = SignerConfig.layer({ backend: "my-hsm", slot: 3, pin: { env: "PIN" } }, { backends })
      const signer = yield* works.pipe(Effect.provide(layer), withEnv({ PIN: pem }))
      assert.strictEqual(signer.keyId, "slot-3")
    })
  )

  it.effect("and their mistakes are told as theirs", () =>
    Effect.gen(function* () {
      const config = { backend: "my-hsm", slot: 8, url: "x", token: "x" }
      assert.deepStrictEqual(yield* mistakesOf(config, { backends }), {
        pin: "is missing",
        token: "has no effect with this backend, and is for gcp-kms, pkcs11, remote, vault; leave it out",
        slot: "there are 7 slots"
      })
    })
  )

  it.effect("that cannot be loaded are a mistake, too", () =>
    Effect.gen(function* () {
      const broken = {
        ...backends["my-hsm"],
        load: () => Promise.reject(Object.assign(new Error("at /home/me"), { code: "ERR_MODULE_NOT_FOUND" }))
      }
      const mistakes = yield* mistakesOf(
        { backend: "my-hsm", slot: 1, pin: "12345678" },
        { backends: { "my-hsm": broken } }
      )
      assert.deepStrictEqual(mistakes, {
        backend: "the module of this backend cannot be loaded (ERR_MODULE_NOT_FOUND)"
      })
    })
  )
})

describe("schema", () => {
  it.effect("decodes a configuration inside another one, with mistakes at their paths", () =>
    Effect.gen(function* () {
      const App = Schema.Struct({ signer: SignerConfig.schema() })
      const decode = Schema.decodeUnknownEffect(App)
      const { signer } = yield* decode({
        signer: { backend: "vault", url: "https://vault", token: "12345678", key: "release" }
      })
      assert.strictEqual(signer.backend, "vault")
      const error = yield* Effect.flip(decode({ signer: { backend: "vault", url: "https://vault", token: 3 } }))
      assert.include(error.message, `at ["signer"]["token"]`)
      assert.include(error.message, `at ["signer"]["key"]`)
    })
  )
})

describe("modules", () => {
  const root = fileURLToPath(new URL("../../", import.meta.url))
  const names = Object.keys(builtIn) as ReadonlyArray<keyof typeof builtIn>
  const moduleOf: { readonly [N in keyof typeof builtIn]: string } = {
    "aws-kms": "AwsKmsSigner",
    "azure-key-vault": "AzureKeyVaultSigner",
    env: "EnvSigner",
    file: "FileSigner",
    "gcp-kms": "GcpKmsSigner",
    "key-store": "KeyStoreSigner",
    keyring: "KeyringSigner",
    local: "LocalSigner",
    pkcs11: "Pkcs11Signer",
    remote: "RemoteSigner",
    "ssh-agent": "SshAgentSigner",
    vault: "VaultSigner",
    "watch-only": "WatchOnlySigner"
  }

  /** What a fresh process has loaded after it read a configuration. */
  const loadedBy = (config: unknown) =>
    Effect.promise(async () => {
      const script = `
        import { registerHooks } from "node:module"
        const urls = []
        registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
        const { Effect } = await import("effect")
        const before = urls.length
        const SignerConfig = await import("./src/layers/SignerConfig.ts")
        await Effect.runPromise(Effect.exit(SignerConfig.fromConfig(${JSON.stringify(config)})))
        console.log(JSON.stringify(urls.slice(before)))`
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["--conditions=effect-signer-source", "--input-type=module", "--eval", script],
        { cwd: root, timeout: 30_000 }
      )
      const urls = JSON.parse(stdout) as ReadonlyArray<string>
      return {
        signers: urls.flatMap((url) => /\/src\/layers\/(\w+Signer)\.ts$/.exec(url)?.[1] ?? []),
        packages: urls.filter((url) => /node_modules\/(?!effect\/|@noble\/|@scure\/)/.test(url)),
        http: urls.some((url) => url.includes("/effect/") && url.includes("/http/"))
      }
    })

  it.live(
    "of the chosen backend and of no other are loaded, and no vendor's package",
    () =>
      Effect.gen(function* () {
        const outcomes = yield* Effect.forEach(
          [...names, undefined],
          (backend) =>
            Effect.map(
              loadedBy(
                backend === undefined
                  ? {}
                  : { backend, ...builtIn[backend].example, ...(backend === "local" ? { pem: "x" } : {}) }
              ),
              (loaded) => ({ backend, ...loaded })
            ),
          { concurrency: 2 }
        )
        for (const { backend, http, packages, signers } of outcomes) {
          assert.deepStrictEqual(signers, backend === undefined ? [] : [moduleOf[backend]])
          assert.deepStrictEqual(packages, [])
          if (backend === undefined || backend === "local" || backend === "aws-kms") assert.isFalse(http)
        }
      }),
    120_000
  )
})
