import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { LocalSigner, PrivateKey, PublicKey, Signer, SignerError } from "../../src/index.ts"
import * as EnvSigner from "../../src/layers/EnvSigner.ts"
import * as FileSigner from "../../src/layers/FileSigner.ts"
import * as KeyringSigner from "../../src/layers/KeyringSigner.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { cheap } from "../conformance/file.ts"

const context = { backend: "test", keyId: "k", operation: "make" } as const

const errors = {
  KeyNotFound: new SignerError.KeyNotFound(context),
  BackendUnavailable: new SignerError.Retryable({ ...context, reason: new SignerError.BackendUnavailable({}) }),
  TimedOut: new SignerError.Retryable({
    ...context,
    reason: new SignerError.TimedOut({ duration: Duration.seconds(1) })
  }),
  absent: new SignerError.InvalidConfiguration({ ...context, problem: "no bus", absent: true }),
  RateLimited: new SignerError.Retryable({ ...context, reason: new SignerError.RateLimited({}) }),
  InvalidConfiguration: new SignerError.InvalidConfiguration({ ...context, field: "passphrase", problem: "wrong" }),
  InvalidResponse: new SignerError.InvalidResponse({ ...context, problem: "another key" }),
  AuthenticationFailed: new SignerError.AuthenticationFailed(context),
  PermissionDenied: new SignerError.PermissionDenied(context),
  KeyUnavailable: new SignerError.KeyUnavailable({ ...context, state: "locked" }),
  KeyNotSigner: new SignerError.KeyNotSigner(context),
  UnknownBackendError: new SignerError.UnknownBackendError(context)
} as const

/** A layer that tells when it is opened and closed. */
const traced = (
  events: Array<string>,
  name: string,
  signer: Effect.Effect<Signer.Service, SignerError.SignerError>
) => ({
  name,
  layer: Layer.effect(
    Signer.Signer,
    Effect.andThen(
      Effect.acquireRelease(
        Effect.sync(() => events.push(`open ${name}`)),
        () => Effect.sync(() => events.push(`close ${name}`))
      ),
      signer
    )
  )
})

const local = LocalSigner.make({ privateKey: TestKey.make("Ed25519") })
const generated = { name: "generated", layer: LocalSigner.layerGenerated("Ed25519") }

const build = <E>(layer: Layer.Layer<Signer.Signer, E>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, Signer.Signer))

const failing = (error: SignerError.SignerError) => ({
  name: "failing",
  layer: Layer.effect(Signer.Signer, Effect.fail(error))
})

describe("Signer.firstAvailable", () => {
  it.effect.each(["KeyNotFound", "BackendUnavailable", "TimedOut", "absent"] as const)("%s moves on", (name) =>
    Effect.scoped(
      Effect.map(build(Signer.firstAvailable([failing(errors[name]), generated])), ({ backend }) =>
        assert.strictEqual(backend, "local")
      )
    )
  )

  it.effect.each([
    "RateLimited",
    "InvalidConfiguration",
    "InvalidResponse",
    "AuthenticationFailed",
    "PermissionDenied",
    "KeyUnavailable",
    "KeyNotSigner",
    "UnknownBackendError"
  ] as const)("%s stops the chain, and is its error", (name) =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const chain = Signer.firstAvailable([failing(errors[name]), traced(events, "next", local)])
      assert.strictEqual(yield* Effect.flip(Effect.scoped(build(chain))), errors[name])
      assert.deepStrictEqual(events, [])
    })
  )

  it.effect("movesOn replaces the table, and is told the link", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const signer = yield* build(
        Signer.firstAvailable([failing(errors.KeyUnavailable), generated], {
          movesOn: (error, link) => asked.push(`${link} ${error._tag}`) > 0
        })
      )
      assert.strictEqual(signer.backend, "local")
      assert.deepStrictEqual(asked, ["failing KeyUnavailable"])
      const stopped = Signer.firstAvailable([failing(errors.KeyNotFound), generated], { movesOn: () => false })
      assert.strictEqual((yield* Effect.flip(build(stopped)))._tag, "KeyNotFound")
    }).pipe(Effect.scoped)
  )

  it.effect("tries in order, releases a failed link before the next, and keeps the one that succeeded", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const chain = Signer.firstAvailable([
        traced(events, "a", Effect.fail(errors.KeyNotFound)),
        traced(events, "b", Effect.fail(errors.absent)),
        traced(events, "c", local),
        traced(events, "d", local)
      ])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const signer = yield* build(chain)
          assert.deepStrictEqual(events, ["open a", "close a", "open b", "close b", "open c"])
          assert.lengthOf((yield* signer.sign(new Uint8Array(3))).bytes, 64)
        })
      )
      assert.deepStrictEqual(events.slice(5), ["close c"])
    })
  )

  it.effect("an interrupted attempt releases what it opened, and tries nothing else", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const reached = yield* Deferred.make<void>()
      const hanging = Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
      const chain = Signer.firstAvailable([traced(events, "a", hanging), traced(events, "b", local)])
      const fiber = yield* Effect.forkChild(Effect.scoped(build(chain)))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(events, ["open a", "close a"])
    })
  )

  it.effect("a defect is a defect, and releases", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const chain = Signer.firstAvailable([traced(events, "a", Effect.die("bug")), traced(events, "b", local)])
      const exit = yield* Effect.exit(Effect.scoped(build(chain)))
      assert.isTrue(Exit.hasDies(exit))
      assert.deepStrictEqual(events, ["open a", "close a"])
    })
  )

  it.effect("one error has the reason of each link, and no secret", () =>
    Effect.gen(function* () {
      const secret = "hunter2-hunter2"
      const chain = Signer.firstAvailable([
        failing(errors.absent),
        { name: "file", layer: FileSigner.layer({ path: "/nonexistent/key.pem", passphrase: Redacted.make(secret) }) },
        { name: "variable", layer: EnvSigner.layer({ variable: "NOT_SET" }) },
        { name: "config", layer: LocalSigner.layerConfig({ pem: Config.Redacted("SIGNING_KEY") }) }
      ])
      const error = yield* Effect.flip(build(chain))
      assert.isTrue(SignerError.isSignerError(error))
      if (error._tag !== "InvalidConfiguration") return assert.fail(error._tag)
      assert.deepStrictEqual(
        error.causes?.map(({ link, tag }) => `${link} ${tag}`),
        ["failing InvalidConfiguration", "file KeyNotFound", "variable KeyNotFound", "config ConfigError"]
      )
      assert.include(error.message, "failing: test.make: InvalidConfiguration: no bus; file: ")
      assert.include(error.message, "config: SIGNING_KEY is not set")
      assert.strictEqual(error.absent, true)
      assert.notInclude(Canary.show(error), secret)
    }).pipe(Effect.scoped, Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))))
  )

  it.effect("a chain in a chain moves on when it has nothing", () =>
    Effect.scoped(
      Effect.map(
        build(
          Signer.firstAvailable([
            { name: "inner", layer: Signer.firstAvailable([failing(errors.KeyNotFound)]) },
            generated
          ])
        ),
        ({ backend }) => assert.strictEqual(backend, "local")
      )
    )
  )

  it.effect("an empty list is an error", () =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(Effect.scoped(build(Signer.firstAvailable([]))))).message, "there are none")
    })
  )

  it.effect("a variable with a wrong value stops, and the value does not show", () =>
    Effect.gen(function* () {
      const chain = Signer.firstAvailable([
        { name: "number", layer: Layer.effect(Signer.Signer, Effect.andThen(Config.Int("NUMBER"), local)) },
        generated
      ])
      const error = yield* Effect.flip(Effect.scoped(build(chain)))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, "number: ")
      assert.notInclude(Canary.show(error), "swordfish")
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ NUMBER: "swordfish-swordfish" }))))
  )

  it.effect("a wrong passphrase stops the chain", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-signer-chain-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const path = join(folder, "key")
      const passphrase = Redacted.make("the right one")
      yield* FileSigner.create({ path, key: yield* PrivateKey.generate("Ed25519"), passphrase, cost: cheap })
      const chain = (passphrase: Redacted.Redacted<string>) =>
        build(Signer.firstAvailable([{ name: "file", layer: FileSigner.layer({ path, passphrase }) }, generated]))
      const error = yield* Effect.flip(chain(Redacted.make("a wrong one")))
      assert.deepStrictEqual([error._tag, "field" in error && error.field], ["InvalidConfiguration", "passphrase"])
      assert.strictEqual((yield* chain(passphrase)).backend, "file")
    })
  )

  it.effect("keyring, then file, then environment: with no bus and no file it is the environment", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.generate("Ed25519")
      const account = PublicKey.toId52(key.publicKey)!
      const address = "DBUS_SESSION_BUS_ADDRESS"
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const before = process.env[address]
          process.env[address] = "unix:path=/nonexistent/bus"
          return before
        }),
        (before) =>
          Effect.sync(() => {
            if (before === undefined) delete process.env[address]
            else process.env[address] = before
          })
      )
      const chain = Signer.firstAvailable([
        { name: "keyring", layer: KeyringSigner.layer({ service: "effect-signer-none", account }) },
        { name: "file", layer: FileSigner.layer({ path: "/nonexistent/key.pem" }) },
        { name: "environment", layer: EnvSigner.layer({ variable: "SIGNING_KEY", expectedPublicKey: key.publicKey }) }
      ])
      const signer = yield* build(chain).pipe(
        Effect.provide(
          ConfigProvider.layer(ConfigProvider.fromEnvRecord({ SIGNING_KEY: Redacted.value(PrivateKey.toPem(key)) }))
        )
      )
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), key.publicKey))
      const none = yield* Effect.flip(
        build(chain).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))))
      )
      assert.deepStrictEqual(none._tag === "InvalidConfiguration" && none.causes?.map(({ link }) => link), [
        "keyring",
        "file",
        "environment"
      ])
      const another = yield* Effect.flip(
        build(chain).pipe(
          Effect.provide(
            ConfigProvider.layer(
              ConfigProvider.fromEnvRecord({
                SIGNING_KEY: Redacted.value(PrivateKey.toPem(yield* PrivateKey.generate("Ed25519")))
              })
            )
          )
        )
      )
      assert.strictEqual(another._tag, "InvalidResponse")
    }).pipe(Effect.scoped)
  )
})
