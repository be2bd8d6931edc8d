/**
 * The conformance cases, and everything else that `KeyringSigner` does, on GNOME
 * Keyring. `EFFECT_SIGNER_LIVE=gnome-keyring`: fails where it cannot be started.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import * as Keyring from "../../scripts/live/keyring.ts"
import * as Software from "../../scripts/live/Software.ts"
import { PrivateKey, PublicKey, Signer, Verifier } from "../../src/index.ts"
import * as KeyringSigner from "../../src/layers/KeyringSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { keyringSubjects } from "../conformance/keyring.ts"

// fastn: test-keys/key-1.txt of KEY_ENCODING_SPEC.md
const seed = "100d7e23f222267ba0be43855a262461b8a7718572edf58c56db912156d2bc25"
const id52 = "i66fo538lfl5ombdf6tcdbrabp4hmp9asv7nrffuc2im13ct4q60"
const otherId52 = "e87aeds2fajaeu10tjdio5ppcdha410n6tu4665u7el9as9b7v80"
const message = new TextEncoder().encode("message")

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const started = await Effect.runPromise(Effect.result(Scope.provide(Keyring.start, scope)))
if (started._tag === "Failure") {
  const { message } = started.failure
  if (Software.isDemanded(Keyring.name)) it(`${Keyring.name} is there`, () => assert.fail(message))
  // oxlint-disable-next-line no-restricted-properties -- what is missing here is the name
  else it.skip(`${message}`, () => {})
} else {
  const session = started.success
  Object.assign(process.env, session.env)
  const key = await Effect.runPromise(PrivateKey.fromHex("Ed25519", seed))
  const entry = (account: string, service = "effect-signer-test") => ({ service, account })

  let built = 0
  for (const { algorithm, layer, ...options } of await Effect.runPromise(keyringSubjects)) {
    const counted = Layer.unwrap(Effect.sync(() => (++built, layer)))
    Conformance.suite(it, `kit/keyring/gnome-keyring/${algorithm}`, counted, { ...options, timeout: 120_000 })
  }

  describe("KeyringSigner", () => {
    it("ran the cases on the keyring", () => assert.isAbove(built, 100))

    it.live("stores a key that libsecret shows as PEM, and signs with it", () =>
      Effect.gen(function* () {
        yield* KeyringSigner.store(key, entry("pem"))
        const shown = yield* session.exec(
          "",
          "secret-tool",
          "lookup",
          "service",
          "effect-signer-test",
          "username",
          "pem"
        )
        assert.strictEqual(shown, Redacted.value(PrivateKey.toPem(key)))
        const signature = yield* Signer.sign(message).pipe(Effect.provide(KeyringSigner.layer(entry("pem"))))
        assert.isTrue(yield* Verifier.verify(key.publicKey, message, signature.bytes))
      })
    )

    it.live("replaces an entry only where that is asked for", () =>
      Effect.gen(function* () {
        const other = yield* PrivateKey.generate("ES256")
        yield* KeyringSigner.store(key, entry("once"))
        const error = yield* Effect.flip(KeyringSigner.store(other, entry("once")))
        assert.strictEqual(error._tag, "InvalidConfiguration")
        assert.include(error.message, "replace: true")
        assert.isTrue(PublicKey.sameKey((yield* KeyringSigner.load(entry("once"))).publicKey, key.publicKey))
        yield* KeyringSigner.store(other, { ...entry("once"), replace: true })
        assert.isTrue(PublicKey.sameKey((yield* KeyringSigner.load(entry("once"))).publicKey, other.publicKey))
      })
    )

    it.live("lists, finds and deletes entries", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* KeyringSigner.list({ service: "listed" }), [])
        for (const account of ["b", "a"]) yield* KeyringSigner.store(key, entry(account, "listed"))
        assert.deepStrictEqual(yield* KeyringSigner.list({ service: "listed" }), ["a", "b"])
        assert.isTrue(yield* KeyringSigner.has(entry("a", "listed")))
        yield* KeyringSigner.delete(entry("a", "listed"))
        assert.isFalse(yield* KeyringSigner.has(entry("a", "listed")))
        assert.deepStrictEqual(yield* KeyringSigner.list({ service: "listed" }), ["b"])
        for (const action of [KeyringSigner.delete, KeyringSigner.load]) {
          const error = yield* Effect.flip<unknown, { readonly _tag: string; readonly message: string }, never>(
            action(entry("a", "listed"))
          )
          assert.strictEqual(error._tag, "KeyNotFound")
          assert.include(error.message, "would not show") // no answer is no proof of absence
        }
      })
    )

    it.live.each(["bytes", "hex"])("reads what fastn stores under the id of the key, as %s", (form) =>
      Effect.gen(function* () {
        if (form === "bytes") {
          yield* KeyringSigner.store(key, { ...entry(id52, form), format: "seed" })
          const shown = yield* session.exec("", "secret-tool", "lookup", "service", form, "username", id52)
          assert.notInclude(shown, "BEGIN")
        } else {
          yield* session.exec(seed, "secret-tool", "store", "--label=x", "service", form, "username", id52)
        }
        const found = yield* KeyringSigner.load(entry(id52, form))
        assert.isTrue(PublicKey.sameKey(found.publicKey, key.publicKey))
      })
    )

    it.live("takes no bare secret for a key where nothing says which key it is", () =>
      Effect.gen(function* () {
        for (const secret of [seed, "a password of 32 characters 12345", "x".repeat(32)]) {
          yield* session.exec(secret, "secret-tool", "store", "--label=x", "service", "bare", "username", "label")
          const error = yield* Effect.flip(KeyringSigner.load(entry("label", "bare")))
          assert.strictEqual(error._tag, "InvalidConfiguration")
          assert.notInclude(Canary.show(error), secret)
        }
        const pinned = { ...entry("label", "bare"), expectedPublicKey: key.publicKey }
        yield* session.exec(seed, "secret-tool", "store", "--label=x", "service", "bare", "username", "label")
        assert.isTrue(PublicKey.sameKey((yield* KeyringSigner.load(pinned)).publicKey, key.publicKey))
      })
    )

    it.live("refuses a key that is not the one its account names", () =>
      Effect.gen(function* () {
        yield* session.exec(seed, "secret-tool", "store", "--label=x", "service", "wrong", "username", otherId52)
        const urn = PublicKey.keyId((yield* PrivateKey.generate("Ed25519")).publicKey)
        const pem = Redacted.value(PrivateKey.toPem(key))
        yield* session.exec(pem, "secret-tool", "store", "--label=x", "service", "wrong", "username", urn)
        for (const account of [otherId52, urn]) {
          const error = yield* Effect.flip(KeyringSigner.load(entry(account, "wrong")))
          assert.strictEqual(error._tag, "InvalidResponse")
          assert.strictEqual((yield* Effect.flip(KeyringSigner.store(key, entry(account))))._tag, "InvalidResponse")
        }
        const shouting = yield* Effect.flip(KeyringSigner.store(key, entry(id52.toUpperCase())))
        assert.strictEqual(shouting._tag, "InvalidConfiguration")
      })
    )

    it.live("wipes its own copy of the key and no other", () =>
      Effect.gen(function* () {
        yield* KeyringSigner.store(key, entry("wipe"))
        assert.isFalse(PrivateKey.isWiped(key))
        const signer = yield* KeyringSigner.make(entry("wipe"))
        yield* KeyringSigner.delete(entry("wipe"))
        assert.lengthOf((yield* signer.sign(message)).bytes, 64)
      })
    )

    it.live("reads the account from Config", () =>
      Effect.gen(function* () {
        yield* KeyringSigner.store(key, entry("configured"))
        const layer = KeyringSigner.layerConfig({
          service: Config.String("SERVICE"),
          account: Config.String("ACCOUNT")
        }).pipe(
          Layer.provide(
            ConfigProvider.layer(ConfigProvider.fromEnvRecord({ SERVICE: "effect-signer-test", ACCOUNT: "configured" }))
          )
        )
        const signer = Context.get(yield* Layer.build(layer), Signer.Signer)
        assert.strictEqual(signer.keyId, PublicKey.keyId(key.publicKey))
      }).pipe(Effect.scoped)
    )

    it.live("the command line keeps keys in it", () =>
      Effect.gen(function* () {
        const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))
        const cli = (input: string, ...args: ReadonlyArray<string>) =>
          session.exec(input, process.execPath, "--conditions=effect-signer-source", bin, ...args)
        const pem = Redacted.value(PrivateKey.toPem(key))
        yield* cli(pem, "key", "import", "-", "--keyring", "cli", "--out", "release")
        assert.include(yield* cli("", "key", "list", "--keyring", "cli"), "release")
        assert.strictEqual(yield* cli("", "key", "export", "release", "--keyring", "cli", "--yes"), pem)
        yield* cli("", "key", "delete", "release", "--keyring", "cli", "--yes")
        assert.notInclude(yield* cli("", "key", "list", "--keyring", "cli"), "release")
      })
    )

    // nothing after this can be read
    it.live("answers at once, and asks nobody, where the keyring is locked", () =>
      Effect.gen(function* () {
        yield* KeyringSigner.store(key, entry("locked"))
        yield* session.lock
        const tagOf = <A>(effect: Effect.Effect<A, { readonly _tag: string; readonly message: string }>) =>
          Effect.map(Effect.flip(effect), (error) => {
            assert.notInclude(Canary.show(error), seed)
            return error._tag
          })
        assert.strictEqual(yield* tagOf(KeyringSigner.load(entry("locked"))), "KeyUnavailable")
        assert.strictEqual(yield* tagOf(KeyringSigner.has(entry("locked"))), "KeyUnavailable")
        assert.strictEqual(yield* tagOf(KeyringSigner.delete(entry("locked"))), "KeyUnavailable")
        assert.strictEqual(yield* tagOf(KeyringSigner.store(key, entry("new"))), "KeyUnavailable")
        assert.strictEqual(yield* tagOf(KeyringSigner.list({ service: "effect-signer-test" })), "KeyUnavailable")
        // this session has no screen: the question cannot be shown
        assert.strictEqual(yield* tagOf(KeyringSigner.load({ ...entry("locked"), prompt: true })), "KeyUnavailable")
      })
    )

    it.live("answers where there is no session bus, and where one never answers", () =>
      Effect.gen(function* () {
        const path = `${session.env["HOME"]}/silent`
        yield* Effect.acquireRelease(
          Effect.promise(
            () =>
              new Promise<ReturnType<typeof createServer>>((resolve) => {
                const server = createServer((socket) => socket.on("error", () => {}))
                server.listen(path, () => resolve(server))
              })
          ),
          (server) => Effect.sync(() => server.close())
        )
        const failureAt = (address: string) =>
          Effect.suspend(() => {
            process.env["DBUS_SESSION_BUS_ADDRESS"] = address
            return Effect.flip(KeyringSigner.load({ ...entry("none"), timeLimit: "300 millis" }))
          }).pipe(Effect.ensuring(Effect.sync(() => Object.assign(process.env, session.env))))

        for (const address of ["unix:path=/nonexistent", "tcp:host=localhost,port=1", "nonsense"]) {
          const error = yield* failureAt(address)
          assert.strictEqual(error._tag, "InvalidConfiguration", address)
          assert.include(error.message, "session bus")
        }
        const silent = yield* failureAt(`unix:path=${path}`)
        assert.strictEqual(silent._tag === "Retryable" && silent.reason._tag, "TimedOut")
      }).pipe(Effect.scoped)
    )
  })
}
