import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted, Schedule, Scope } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Signer, SignerError } from "../../src/index.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"
import { build, message, tagOf } from "./support/cloudBackend.ts"

const { Fault } = VaultEmulator

type Vault = VaultEmulator.VaultEmulator["Service"]

const secretId = Redacted.make("canary-secret-id-0123456789")
const jwt = Redacted.make("canary.jwt.0123456789")

const withKey = Effect.gen(function* () {
  const vault = yield* VaultEmulator.make()
  yield* vault.createKey("release", "ed25519")
  const optionsOf = (token: VaultSigner.TokenSource) => ({ url: vault.url, token, key: "release" })
  return { vault, optionsOf }
})

const withAppRole = (given: VaultEmulator.TokenOptions = {}) =>
  Effect.gen(function* () {
    const { optionsOf, vault } = yield* withKey
    yield* vault.addAppRole({ roleId: "signer", secretId, ...given })
    return { vault, options: optionsOf({ appRole: { roleId: "signer", secretId } }) }
  })

const temporary = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "effect-signer-vault-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true }))
)

const write = (path: string, text: string) => Effect.promise(() => writeFile(path, text, { mode: 0o600 }))

const operations = (vault: Vault) =>
  Effect.map(vault.recorder.events, (events) =>
    events.flatMap(({ _tag, operation }) => (_tag === "Received" ? [operation] : []))
  )

/** Lets half seconds pass on the test clock, and what each of them gives rise to on the network. */
const pass = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () =>
    Effect.andThen(TestClock.adjust("500 millis"), TestClock.withLive(Effect.sleep("30 millis")))
  )

const search = Canary.search([
  { name: "secret id", secret: Redacted.value(secretId) },
  { name: "jwt", secret: Redacted.value(jwt) }
])

// ---------------------------------------------------------------------------
// a token that is stated
// ---------------------------------------------------------------------------

describe("a token", () => {
  it.effect("that is refused is not tried again", () =>
    Effect.gen(function* () {
      const { optionsOf, vault } = yield* withKey
      const token = yield* vault.createToken()
      const signer = yield* build(VaultSigner.layer(optionsOf(token)))
      yield* vault.revokeToken(token)
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "AuthenticationFailed")
      assert.strictEqual(yield* vault.recorder.count("sign"), 1)
    })
  )

  it.effect("that expires is AuthenticationFailed", () =>
    Effect.gen(function* () {
      const { optionsOf, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layer(optionsOf(yield* vault.createToken({ timeToLive: 60 }))))
      yield* signer.sign(message)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "AuthenticationFailed")
    })
  )
})

// ---------------------------------------------------------------------------
// a file
// ---------------------------------------------------------------------------

describe("a token file", () => {
  it.effect("is read again when its token is refused, once for all callers", () =>
    Effect.gen(function* () {
      const { optionsOf, vault } = yield* withKey
      const file = join(yield* temporary, "sink")
      const first = yield* vault.createToken()
      yield* write(file, `${Redacted.value(first)}\n`)
      const signer = yield* build(VaultSigner.layer(optionsOf({ file })))
      yield* signer.sign(message)
      yield* write(file, Redacted.value(yield* vault.createToken()))
      yield* vault.revokeToken(first)
      yield* Effect.forEach(Array.from({ length: 20 }), () => signer.sign(message), { concurrency: "unbounded" })
      // 1 before, 20 with the old token, 20 with the new
      assert.strictEqual(yield* vault.recorder.count("sign"), 41)
      yield* signer.sign(message)
      assert.strictEqual(yield* vault.recorder.count("sign"), 42)
    })
  )

  it.effect("with the same token again is AuthenticationFailed, without another request", () =>
    Effect.gen(function* () {
      const { optionsOf, vault } = yield* withKey
      const file = join(yield* temporary, "sink")
      const token = yield* vault.createToken()
      yield* write(file, Redacted.value(token))
      const signer = yield* build(VaultSigner.layer(optionsOf({ file })))
      yield* vault.revokeToken(token)
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "AuthenticationFailed")
      assert.strictEqual(yield* vault.recorder.count("sign"), 1)
    })
  )

  it.effect("that is gone, empty or no token is InvalidConfiguration, and shows nothing", () =>
    Effect.gen(function* () {
      const { optionsOf, vault } = yield* withKey
      const folder = yield* temporary
      const contents: ReadonlyArray<readonly [text: string | undefined, problem: string]> = [
        [undefined, "ENOENT"],
        ["\n", "is empty"],
        [`{"token":"${Redacted.value(secretId)}"}`, "response wrapping"],
        [`${Redacted.value(secretId)}\nx-other: ${Redacted.value(jwt)}`, "other than one token"]
      ]
      for (const [index, [text, problem]] of contents.entries()) {
        const file = join(folder, String(index))
        if (text !== undefined) yield* write(file, text)
        const error = yield* Effect.flip(build(VaultSigner.layer(optionsOf({ file }))))
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "token.file", error.message)
        assert.include(error.message, problem)
        assert.isUndefined(search(Canary.show(error)))
      }
      assert.strictEqual(yield* vault.recorder.count(), 0)
    })
  )
})

// ---------------------------------------------------------------------------
// logins
// ---------------------------------------------------------------------------

describe("AppRole", () => {
  it.effect("logs in once for all first callers", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole({ timeToLive: 3600 })
      const signer = yield* build(VaultSigner.layerBare({ ...options, algorithm: "Ed25519", lazy: true }))
      assert.strictEqual(yield* vault.recorder.count(), 0)
      yield* Effect.forEach(Array.from({ length: 100 }), () => signer.sign(message), { concurrency: "unbounded" })
      assert.strictEqual(yield* vault.recorder.count("login"), 1)
    })
  )

  it.effect("is renewed after two thirds of its time, without a caller waiting", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole({ timeToLive: 60 })
      const signer = yield* build(VaultSigner.layer(options))
      const renewed = (count: number) =>
        vault.recorder.waitFor(
          (event) => event._tag === "Answered" && event.operation === "renewSelf" && event.request >= count
        )
      yield* TestClock.adjust("39 seconds")
      assert.strictEqual(yield* vault.recorder.count("renewSelf"), 0)
      yield* TestClock.adjust("2 seconds")
      yield* renewed(0)
      assert.strictEqual(yield* vault.recorder.count("renewSelf"), 1)
      // past the first expiry
      yield* TestClock.adjust("30 seconds")
      yield* signer.sign(message)
      assert.strictEqual(yield* vault.recorder.count("login"), 1)
    })
  )

  it.effect("logs in anew where it cannot be renewed, and near the end of what Vault allows", () =>
    Effect.gen(function* () {
      for (const given of [
        { timeToLive: 3, isRenewable: false },
        { timeToLive: 3, maxTimeToLive: 4 },
        { timeToLive: 2, maxTimeToLive: 2 }
      ]) {
        const { options, vault } = yield* withAppRole(given)
        const signer = yield* build(VaultSigner.layerBare(options))
        yield* pass(9)
        const logins = yield* vault.recorder.count("login")
        assert.isAtLeast(logins, 2)
        assert.isAtMost(logins, 5)
        yield* signer.sign(message)
        assert.strictEqual(yield* vault.recorder.count("login"), logins)
      }
    })
  )

  it.effect("signs with the old token while a renewal fails, and logs in anew after its end", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole({ timeToLive: 3 })
      const signer = yield* build(VaultSigner.layerBare(options))
      yield* vault.login.always(Fault.vendorError("internal error", 500))
      yield* pass(5)
      assert.isAtLeast(yield* vault.recorder.count("renewSelf"), 1)
      yield* signer.sign(message)
      yield* vault.login.clear
      yield* pass(2)
      yield* signer.sign(message)
      assert.isAtLeast(yield* vault.recorder.count("login"), 2)
    })
  )

  it.effect("a token that was revoked is replaced, and the request repeated, once for all callers", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole({ timeToLive: 3600 })
      const signer = yield* build(VaultSigner.layer(options))
      for (const logins of [2, 3]) {
        yield* vault.revokeTokens
        yield* Effect.forEach(Array.from({ length: 20 }), () => signer.sign(message), { concurrency: "unbounded" })
        assert.strictEqual(yield* vault.recorder.count("login"), logins)
      }
    })
  )

  it.effect("a token that was revoked is replaced also where Vault says no more than permission denied", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole({ timeToLive: 3600 })
      const signer = yield* build(VaultSigner.layer(options))
      yield* vault.sign.push(Fault.vendorError("permission denied", 403))
      yield* signer.sign(message)
      assert.strictEqual(yield* vault.recorder.count("login"), 2)
    })
  )

  it.effect("a policy that forbids is PermissionDenied, with one login in a minute", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole({ timeToLive: 3600 })
      const signer = yield* build(VaultSigner.layer(options))
      yield* vault.deny("sign")
      for (let i = 0; i < 10; i++) {
        assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "PermissionDenied")
      }
      assert.strictEqual(yield* vault.recorder.count("login"), 2)
      yield* TestClock.adjust("1 minute")
      yield* Effect.flip(signer.sign(message))
      assert.strictEqual(yield* vault.recorder.count("login"), 3)
    })
  )

  it.effect("ids that are refused are AuthenticationFailed, and show nothing", () =>
    Effect.gen(function* () {
      const { optionsOf, vault } = yield* withKey
      yield* vault.addAppRole({ roleId: "signer", secretId: Redacted.make("another") })
      const error = yield* Effect.flip(build(VaultSigner.layer(optionsOf({ appRole: { roleId: "signer", secretId } }))))
      assert.strictEqual(error._tag, "AuthenticationFailed")
      assert.isUndefined(search(Canary.show(error)))
      const echo = `invalid role or secret ID: ${Redacted.value(secretId)}`
      yield* vault.login.push(Fault.vendorError(echo, 400))
      const echoed = yield* Effect.flip(
        build(VaultSigner.layer(optionsOf({ appRole: { roleId: "signer", secretId } })))
      )
      assert.strictEqual(echoed._tag, "AuthenticationFailed")
      assert.isUndefined(search(Canary.show(echoed)))
    })
  )

  it.effect.each([
    { fault: Fault.throttle({ retryAfterSeconds: 1 }), tag: "Retryable/RateLimited" },
    { fault: Fault.htmlPage(502), tag: "Retryable/BackendUnavailable" },
    { fault: Fault.reset, tag: "Retryable/BackendUnavailable" },
    { fault: Fault.garbled, tag: "InvalidResponse" },
    { fault: Fault.htmlPage(200), tag: "InvalidResponse" },
    { fault: Fault.htmlPage(403), tag: "AuthenticationFailed" },
    { fault: Fault.vendorError("no handler for route", 404), tag: "InvalidConfiguration" }
  ])("a login with $fault._tag is $tag, and the next one works", ({ fault, tag }) =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole()
      yield* vault.login.push(fault)
      const signer = yield* build(VaultSigner.layerBare({ ...options, algorithm: "Ed25519", lazy: true }))
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      assert.strictEqual(error.operation, "sign")
      yield* signer.sign(message)
    })
  )

  it.live("a login that fails for a moment is tried again by the layer", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole()
      yield* vault.login.push(Fault.htmlPage(503), Fault.reset)
      yield* build(VaultSigner.layer({ ...options, resilience: { schedule: Schedule.spaced("1 millis") } }))
      assert.strictEqual(yield* vault.recorder.count("login"), 3)
    })
  )

  it.effect("renews nothing after the layer is gone", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withAppRole({ timeToLive: 60 })
      const scope = yield* Scope.make()
      yield* Scope.provide(build(VaultSigner.layer(options)), scope)
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* operations(vault), ["login", "readKey"])
    })
  )
})

describe("Kubernetes", () => {
  it.effect("logs in with the token of the service account, as it is at each login", () =>
    Effect.gen(function* () {
      const { optionsOf, vault } = yield* withKey
      const jwtFile = join(yield* temporary, "jwt")
      yield* write(jwtFile, `${Redacted.value(jwt)}\n`)
      yield* vault.addKubernetesRole({ role: "signer", jwt, mount: "clusters/a", timeToLive: 3600 })
      const signer = yield* build(
        VaultSigner.layer(optionsOf({ kubernetes: { role: "signer", jwtFile, mount: "clusters/a" } }))
      )
      yield* signer.sign(message)
      const rotated = Redacted.make("other.jwt.9876543210")
      yield* write(jwtFile, Redacted.value(rotated))
      yield* vault.addKubernetesRole({ role: "signer", jwt: rotated, mount: "clusters/a" })
      yield* vault.revokeTokens
      yield* signer.sign(message)
      assert.strictEqual(yield* vault.recorder.count("login"), 2)
    })
  )

  it.effect(
    "a service account that Vault does not accept is AuthenticationFailed, one without a file InvalidConfiguration",
    () =>
      Effect.gen(function* () {
        const { optionsOf, vault } = yield* withKey
        const jwtFile = join(yield* temporary, "jwt")
        yield* vault.addKubernetesRole({ role: "signer", jwt: Redacted.make("another") })
        const options = optionsOf({ kubernetes: { role: "signer", jwtFile } })
        const missing = yield* Effect.flip(build(VaultSigner.layer(options)))
        assert.isTrue(
          missing._tag === "InvalidConfiguration" && missing.field === "token.kubernetes.jwtFile",
          missing.message
        )
        yield* write(jwtFile, Redacted.value(jwt))
        const error = yield* Effect.flip(build(VaultSigner.layer(options)))
        assert.strictEqual(error._tag, "AuthenticationFailed")
        assert.isUndefined(search(Canary.show(error)))
      })
  )
})

// ---------------------------------------------------------------------------
// redirects
// ---------------------------------------------------------------------------

/** A server that notes the headers it is sent, and answers as it is told. */
const recording = (
  answer: (path: string) => { readonly status: number; readonly location?: string; readonly body?: string }
) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly seen: Array<IncomingHttpHeaders>; readonly close: () => void }>(
      (resume) => {
        const seen: Array<IncomingHttpHeaders> = []
        const server = createServer((request, response) => {
          seen.push(request.headers)
          request.resume()
          request.on("end", () => {
            const { body = "", location, status } = answer(request.url ?? "")
            response.writeHead(status, location === undefined ? {} : { location })
            response.end(body)
          })
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resume(
            Effect.succeed({
              url: `http://127.0.0.1:${port}`,
              seen,
              close: () => {
                server.close()
                server.closeAllConnections()
              }
            })
          )
        })
      }
    ),
    ({ close }) => Effect.sync(close)
  )

const token = Redacted.make("hvs.canary-token-0123456789abcdefghij")

const clients = [
  { name: "undici", client: NodeHttpClient.layerUndici },
  { name: "node:http", client: NodeHttpClient.layerNodeHttp },
  { name: "fetch", client: FetchHttpClient.layer }
]

describe("redirects", () => {
  const signerOf = (
    client: Layer.Layer<HttpClient.HttpClient>,
    options: Partial<VaultSigner.Options> & { readonly url: string }
  ) =>
    Effect.map(
      Layer.build(
        Layer.provide(
          VaultSigner.layerBare({ token, key: "release", algorithm: "Ed25519", lazy: true, ...options }),
          client
        )
      ),
      (context) => Context.get(context, Signer.Signer)
    )

  for (const { client, name } of clients) {
    it.effect.each([301, 302, 303, 307, 308])(
      `${name}: a redirect with %i to another host is refused, and nothing is sent there`,
      (status) =>
        Effect.gen(function* () {
          const other = yield* recording(() => ({ status: 200, body: "{}" }))
          const vault = yield* recording((path) => ({ status, location: `${other.url}${path}` }))
          const signer = yield* signerOf(client, { url: vault.url })
          for (const call of [signer.sign(message), signer.publicKey()]) {
            const error = yield* Effect.flip(call as Effect.Effect<unknown, SignerError.SignerError>)
            assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "redirectOrigins", error.message)
          }
          assert.strictEqual(vault.seen.length, 2)
          assert.strictEqual(vault.seen[0]!["x-vault-token"], Redacted.value(token))
          assert.strictEqual(other.seen.length, 0)
        })
    )

    it.effect(`${name}: a redirect to an origin that is named is followed once, to the same path`, () =>
      Effect.gen(function* () {
        const vault = yield* VaultEmulator.make({ rootToken: token })
        yield* vault.createKey("release", "ed25519")
        const standby = yield* recording((path) => ({ status: 307, location: `${vault.url}${path}` }))
        const signer = yield* signerOf(client, { url: standby.url, redirectOrigins: [vault.url] })
        yield* signer.sign(message)
        yield* signer.publicKey()
        assert.strictEqual(standby.seen.length, 2)

        const astray = yield* recording(() => ({ status: 307, location: `${vault.url}/v1/sys/health` }))
        const strayed = yield* signerOf(client, { url: astray.url, redirectOrigins: [vault.url] })
        assert.strictEqual((yield* Effect.flip(strayed.sign(message)))._tag, "InvalidConfiguration")
        assert.strictEqual(yield* vault.recorder.count("health"), 0)

        const circle: { url: string } = { url: "" }
        const endless = yield* recording((path) => ({ status: 307, location: `${circle.url}${path}` }))
        circle.url = endless.url
        const circling = yield* signerOf(client, { url: endless.url, redirectOrigins: [endless.url] })
        assert.strictEqual((yield* Effect.flip(circling.sign(message)))._tag, "InvalidConfiguration")
        assert.strictEqual(endless.seen.length, 2)
      })
    )
  }

  it.effect("a client that follows redirects by itself is found out", () =>
    Effect.gen(function* () {
      const other = yield* recording(() => ({ status: 200, body: "{}" }))
      const vault = yield* recording((path) => ({ status: 307, location: `${other.url}${path}` }))
      const following = Layer.effect(
        HttpClient.HttpClient,
        Effect.map(HttpClient.HttpClient, HttpClient.followRedirects())
      ).pipe(Layer.provide(NodeHttpClient.layerUndici))
      const signer = yield* signerOf(following, { url: vault.url })
      const error = yield* Effect.flip(signer.sign(message))
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "HttpClient", error.message)
      assert.include(error.message, "revoke")
    })
  )

  it.effect("a login follows no redirect either", () =>
    Effect.gen(function* () {
      const other = yield* recording(() => ({ status: 200, body: "{}" }))
      const vault = yield* recording((path) => ({ status: 307, location: `${other.url}${path}` }))
      const signer = yield* signerOf(FetchHttpClient.layer, {
        url: vault.url,
        token: { appRole: { roleId: "a", secretId } }
      })
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "InvalidConfiguration")
      assert.strictEqual(other.seen.length, 0)
    })
  )

  it.effect("a RequestInit that is provided to the layer is kept", () =>
    Effect.gen(function* () {
      const other = yield* recording(() => ({ status: 200, body: "{}" }))
      const vault = yield* recording((path) => ({ status: 307, location: `${other.url}${path}` }))
      const client = FetchHttpClient.layer
      const signer = yield* signerOf(client, { url: vault.url }).pipe(
        Effect.provideService(FetchHttpClient.RequestInit, { redirect: "follow", headers: { "x-of-the-user": "1" } })
      )
      yield* Effect.flip(signer.sign(message))
      assert.strictEqual(vault.seen[0]!["x-of-the-user"], "1")
      assert.strictEqual(other.seen.length, 0)
    })
  )
})
