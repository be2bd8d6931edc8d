import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Scope } from "effect"
import { FetchHttpClient } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as net from "node:net"
import type { Signer, SignerError } from "../../src/index.ts"
import * as AwsKmsSigner from "../../src/layers/AwsKmsSigner.ts"
import * as AzureKeyVaultSigner from "../../src/layers/AzureKeyVaultSigner.ts"
import * as GcpKmsSigner from "../../src/layers/GcpKmsSigner.ts"
import * as SshAgentSigner from "../../src/layers/SshAgentSigner.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import * as AwsKmsEmulator from "../../src/testing/AwsKmsEmulator.ts"
import * as AzureKeyVaultEmulator from "../../src/testing/AzureKeyVaultEmulator.ts"
import * as GcpKmsEmulator from "../../src/testing/GcpKmsEmulator.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"

const secret = "canary-token-0123456789"
const token = Redacted.make(secret)
const key = "projects/acme/locations/global/keyRings/release/cryptoKeys/signing"

type Built = Layer.Layer<Signer.Signer, SignerError.SignerError>

/** Each backend that is reached over a network, at an address, over each client that there is for it. */
const remote: { readonly [name: string]: (url: string) => Built } = {
  "aws-kms": (endpoint) =>
    AwsKmsSigner.layerBare({
      keyId: "alias/release",
      region: "eu-central-1",
      endpoint,
      credentials: { accessKeyId: "AKIA", secretAccessKey: token }
    }),
  "azure-key-vault": (vaultUrl) =>
    AzureKeyVaultSigner.layerBare({
      vaultUrl,
      key: "signing",
      scope: "https://vault.azure.net/.default",
      credential: { getToken: async () => ({ token: secret, expiresOnTimestamp: Date.now() + 3_600_000 }) }
    }).pipe(Layer.provide(FetchHttpClient.layer)),
  "gcp-kms": (endpoint) =>
    GcpKmsSigner.layerBare({ key, version: "1", endpoint, tokens: { getAccessToken: async () => secret } }),
  "gcp-kms over gRPC": (endpoint) => GcpKmsSigner.layerBare({ key, version: "1", endpoint, transport: "grpc" }),
  "vault over fetch": (url) =>
    VaultSigner.layerBare({ url, token, key: "release" }).pipe(Layer.provide(FetchHttpClient.layer)),
  "vault over undici": (url) =>
    VaultSigner.layerBare({ url, token, key: "release" }).pipe(Layer.provide(NodeHttpClient.layerUndici)),
  "vault over node:http": (url) =>
    VaultSigner.layerBare({ url, token, key: "release" }).pipe(Layer.provide(NodeHttpClient.layerNodeHttp))
}

const failureOf = (layer: Built) => Effect.flip(Effect.scoped(Layer.build(layer)))

/** A port on which nobody listens. */
const closedPort = Effect.callback<number>((resume) => {
  const server = net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A server that speaks http and nothing else. */
const plainServer = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer((_, response) => response.end("{}"))
    server.listen(0, "127.0.0.1", () =>
      resume(Effect.succeed({ port: (server.address() as AddressInfo).port, close: () => server.close() }))
    )
  }),
  ({ close }) => Effect.sync(close)
)

describe("a server that is not there", () => {
  it.live.each(Object.keys(remote))("%s names the code, and the host and port that were tried", (name) =>
    Effect.gen(function* () {
      const port = yield* closedPort
      const error = yield* failureOf(remote[name]!(`http://127.0.0.1:${port}`))
      assert.strictEqual(error._tag, "Retryable")
      assert.include(error.message, `BackendUnavailable: no answer from 127.0.0.1:${port} (ECONNREFUSED)`)
      assert.notInclude(JSON.stringify(error) + error.message, secret)
    })
  )

  it.live("a host that has no address says so, and nothing of the URL but the host", () =>
    Effect.gen(function* () {
      const error = yield* failureOf(remote["vault over fetch"]!("https://vault.invalid/private/path"))
      assert.match(error.message, /no answer from vault\.invalid:443 \(E(?:NOTFOUND|AI_AGAIN)\)/)
      assert.notInclude(error.message, "private")
    })
  )

  it.live("the socket of an agent that is not there", () =>
    Effect.gen(function* () {
      const socket = "/nonexistent/agent.sock"
      const error = yield* failureOf(SshAgentSigner.layerBare({ socket, key: { comment: "release" } }))
      assert.include(error.message, "BackendUnavailable: no answer from /nonexistent/agent.sock (ENOENT)")
    })
  )
})

describe("https where there is none", () => {
  // With gRPC a token is asked for before anything is sent
  const others = Object.keys(remote).filter((name) => !name.endsWith("gRPC"))
  it.live.each(others)("%s says that the server does not speak TLS", (name) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* plainServer
        const error = yield* failureOf(remote[name]!(`https://127.0.0.1:${port}`))
        assert.include(error.message, "the server does not speak TLS there")
      })
    )
  )
})

describe("who we are", () => {
  const emulated: { readonly [name: string]: Effect.Effect<Built, unknown, Scope.Scope> } = {
    "vault: the token was refused": Effect.map(VaultEmulator.make(), ({ connection }) =>
      VaultSigner.layerBare({ ...connection, token, key: "release" }).pipe(Layer.provide(FetchHttpClient.layer))
    ),
    "vault: the login was refused": Effect.map(
      Effect.tap(VaultEmulator.make(), (vault) =>
        vault.addAppRole({ roleId: "somebody", secretId: Redacted.make("other") })
      ),
      ({ connection }) =>
        VaultSigner.layerBare({
          ...connection,
          token: { appRole: { roleId: "nobody", secretId: token } },
          key: "release"
        }).pipe(Layer.provide(FetchHttpClient.layer))
    ),
    "azure-key-vault: the token was refused": Effect.map(AzureKeyVaultEmulator.make(), ({ connection }) =>
      remote["azure-key-vault"]!(connection.vaultUrl)
    ),
    "azure-key-vault: no credentials were found": Effect.map(AzureKeyVaultEmulator.make(), ({ connection }) =>
      AzureKeyVaultSigner.layerBare({ ...connection, key: "signing", credential: { getToken: async () => null } }).pipe(
        Layer.provide(FetchHttpClient.layer)
      )
    ),
    "gcp-kms: the token was refused": Effect.map(GcpKmsEmulator.make({ transports: ["rest"] }), ({ rest }) =>
      remote["gcp-kms"]!(rest.endpoint)
    ),
    "gcp-kms: no credentials were found": Effect.map(GcpKmsEmulator.make({ transports: ["rest"] }), ({ rest }) =>
      GcpKmsSigner.layerBare({
        key,
        version: "1",
        endpoint: rest.endpoint,
        tokens: {
          getAccessToken: () => Promise.reject(new Error("Could not load the default credentials. Browse to https://"))
        }
      })
    ),
    "aws-kms: the credentials were refused": Effect.succeed(
      AwsKmsSigner.layerBare({
        keyId: "alias/release",
        client: {
          send: () => Promise.reject(Object.assign(new Error(secret), { name: "UnrecognizedClientException" }))
        }
      })
    )
  }
  it.live.each(Object.keys(emulated))("%s", (name) =>
    Effect.scoped(
      Effect.gen(function* () {
        const error = yield* failureOf(yield* Effect.orDie(emulated[name]!))
        assert.strictEqual(error._tag, "AuthenticationFailed")
        assert.include(error.message, name.slice(name.indexOf(": ") + 2))
        assert.notInclude(JSON.stringify(error) + error.message, secret)
      })
    )
  )

  it.live("aws-kms: a provider that has found none", () =>
    Effect.gen(function* () {
      const client = {
        send: () => Promise.reject(Object.assign(new Error(secret), { name: "CredentialsProviderError" }))
      }
      const error = yield* failureOf(AwsKmsSigner.layerBare({ keyId: "alias/release", client }))
      assert.strictEqual(error._tag, "AuthenticationFailed")
      assert.include(error.message, "no credentials were found: set AWS_ACCESS_KEY_ID")
      assert.notInclude(error.message, secret)
    })
  )
})

describe("a key that is not there", () => {
  it.live("is named as it was asked for", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const aws = yield* AwsKmsEmulator.make()
        const alias = yield* failureOf(AwsKmsSigner.layerBare({ ...aws.connection, keyId: "alias/release" }))
        assert.include(alias.message, "KeyNotFound: there is no such key, or no such version of it: alias/release")
        const bare = yield* failureOf(AwsKmsSigner.layerBare({ ...aws.connection, keyId: "release" }))
        assert.include(bare.message, "KeyNotFound: there is no key release; an alias begins with alias/")
        const vault = yield* VaultEmulator.make()
        const named = yield* failureOf(
          VaultSigner.layerBare({ ...vault.connection, key: "signing" }).pipe(Layer.provide(FetchHttpClient.layer))
        )
        assert.match(named.message, /KeyNotFound: there is no such key, or no such version of it: .*signing/)
      })
    )
  )
})
