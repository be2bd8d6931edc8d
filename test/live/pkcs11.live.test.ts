/**
 * The conformance cases, and everything else that `Pkcs11Signer` does, on SoftHSM
 * through `pkcs11js`. `EFFECT_SIGNER_LIVE=softhsm2`: fails where they are not there.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { generateKeyPairSync } from "node:crypto"
import type { Library } from "../../scripts/live/pkcs11.ts"
import { softhsm, softHsm } from "../../scripts/live/pkcs11.ts"
import * as Software from "../../scripts/live/Software.ts"
import { PrivateKey, PublicKey, Signer, Verifier } from "../../src/index.ts"
import type { SignerError } from "../../src/schemas/SignerError.ts"
import type { Cryptoki, LayerOptions, Options, Pkcs11Js } from "../../src/layers/Pkcs11Signer.ts"
import * as Pkcs11Signer from "../../src/layers/Pkcs11Signer.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { kitSubjects, kitToken } from "../conformance/pkcs11.ts"

const timeout = 120_000
const message = new TextEncoder().encode("message")
const messageOf = (n: number) => new TextEncoder().encode(`message ${n}`)

const pemOf = (key: PrivateKey.PrivateKey) => Redacted.value(PrivateKey.toPem(key))
const rsa4096 = generateKeyPairSync("rsa", { modulusLength: 4096 })
  .privateKey.export({ format: "pem", type: "pkcs8" })
  .toString()

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const prepared = await Effect.runPromise(
  Effect.result(
    Scope.provide(
      Effect.gen(function* () {
        const p256 = yield* PrivateKey.generate("P-256")
        const [first, second] = [yield* PrivateKey.generate("P-256"), yield* PrivateKey.generate("P-256")]
        const hsm = yield* softHsm([
          yield* kitToken,
          {
            label: "main token",
            keys: [
              { label: "p256", id: "01", pem: pemOf(p256) },
              { label: "rsa4096", id: "02", pem: rsa4096 },
              { label: "double", id: "31", pem: pemOf(first) },
              { label: "double", id: "32", pem: pemOf(second) },
              { label: "public", id: "41", pem: pemOf(first) },
              { label: "private", id: "51", pem: pemOf(second) },
              { label: "private-rsa", id: "52", pem: rsa4096 }
            ]
          },
          { label: "twins" },
          { label: "twins" },
          { label: "counter", keys: [{ label: "p256", id: "01", pem: pemOf(p256) }] }
        ])
        const login = ["--token-label", "main token", "--login", "--pin", hsm.pin]
        yield* Effect.promise(async () => {
          await hsm.tool(...login, "--delete-object", "--type", "privkey", "--id", "41")
          await hsm.tool(...login, "--delete-object", "--type", "pubkey", "--id", "51")
          await hsm.tool(...login, "--delete-object", "--type", "pubkey", "--id", "52")
          await hsm.tool(...login, "--keypairgen", "--key-type", "EC:edwards25519", "--label", "made-ed", "--id", "61")
          const always = ["--always-auth", "--label", "always", "--id", "62"]
          await hsm.tool(...login, "--keypairgen", "--key-type", "EC:prime256v1", ...always)
          await hsm.tool(...login, "--keypairgen", "--key-type", "EC:secp256k1", "--label", "made-k1", "--id", "63")
        })
        return { hsm, p256, first, second }
      }),
      scope
    )
  )
)

if (prepared._tag === "Failure") {
  const { message } = prepared.failure
  if (Software.isDemanded(softhsm.name)) it(`${softhsm.name} is there`, () => assert.fail(message))
  // oxlint-disable-next-line no-restricted-properties -- what is missing here is the name
  else it.skip(`${message}`, () => {})
} else {
  const { first, hsm, p256, second } = prepared.success
  const pin = Redacted.make(hsm.pin)

  // -------------------------------------------------------------------------
  // what happens in between
  // -------------------------------------------------------------------------

  /** Calls of the real module, and what tests do before them. */
  const calls = { logins: 0, opened: 0, initialized: 0, finalized: 0 }
  const open = new Set<string>()
  let beforeSignInit: ((library: Library, session: Uint8Array) => void) | undefined
  const watched: Pkcs11Js = {
    PKCS11: function () {
      const real = new hsm.pkcs11js.PKCS11() as Library
      const counting: { readonly [name: string]: (...args: Array<never>) => unknown } = {
        C_Login: () => calls.logins++,
        C_CloseSession: (session) => open.delete(String(session)),
        C_Initialize: () => calls.initialized++,
        C_Finalize: () => calls.finalized++,
        C_SignInit: (session) => beforeSignInit?.(real, session)
      }
      return new Proxy(real, {
        get: (target, name: string & keyof Library) => {
          const method = target[name] as (...args: Array<never>) => unknown
          return (...args: Array<never>) => {
            counting[name]?.(...args)
            const result = method.apply(target, args)
            if (name === "C_OpenSession") {
              calls.opened++
              open.add(String(result))
            }
            return result
          }
        }
      })
    } as unknown as new () => Cryptoki
  }

  let built = 0
  for (const { algorithm, layer, ...options } of await Effect.runPromise(kitSubjects({ ...hsm, pkcs11js: watched }))) {
    const counted = Layer.unwrap(Effect.sync(() => (++built, layer)))
    Conformance.suite(it, `kit/pkcs11/softhsm2/${algorithm}`, counted, { ...options, timeout })
  }

  const options = {
    module: hsm.module,
    pkcs11js: watched,
    token: "main token",
    object: "p256",
    pin
  } satisfies Options
  const build = (changes: Partial<LayerOptions> = {}) =>
    Effect.map(Layer.build(Pkcs11Signer.layer({ ...options, ...changes })), Context.get(Signer.Signer))
  const make = (changes: Partial<Options> = {}) => Pkcs11Signer.make({ ...options, ...changes })

  const verifies = (signer: Signer.Service, signed: Uint8Array, signature: { readonly bytes: Uint8Array }) =>
    Effect.gen(function* () {
      return yield* Verifier.verify(yield* signer.publicKey(), signed, signature.bytes, { algorithm: signer.algorithm })
    })

  /** The slot of a token, on the library that is initialised. */
  const slotOf = (library: Library, label: string, number = 0) =>
    library.C_GetSlotList(true).filter((slot) => library.C_GetTokenInfo(slot).label.trimEnd() === label)[number]!

  /** Until the calls that earlier tests interrupted have returned. */
  const released = Effect.promise(async () => {
    while (open.size > 0) await new Promise(setImmediate)
  })

  const tagOf = (effect: Effect.Effect<unknown, SignerError, Scope.Scope>) =>
    Effect.map(Effect.flip(Effect.scoped(effect)), (error) => [error._tag, "field" in error ? error.field : undefined])

  describe("Pkcs11Signer on SoftHSM", () => {
    it("ran the cases on the token", () => assert.isAbove(built, 150))

    // -----------------------------------------------------------------------
    // token and key
    // -----------------------------------------------------------------------

    it.effect("finds the token and the key by URI, label, id and serial number", () =>
      Effect.gen(function* () {
        const signer = yield* make()
        assert.strictEqual(signer.keyId, "pkcs11:token=main%20token;object=p256")
        const library = hsm.library()
        const info = library.C_GetTokenInfo(slotOf(library, "main token"))
        const uri = [
          `pkcs11:model=${encodeURIComponent(info.model.trimEnd())}`,
          `manufacturer=${encodeURIComponent(info.manufacturerID.trimEnd())}`,
          `serial=${info.serialNumber.trimEnd()};id=%01;type=private?module-path=${hsm.module}`
        ].join(";")
        const byUri = yield* Pkcs11Signer.make({ uri, pin, pkcs11js: watched })
        const expected = yield* signer.publicKey()
        assert.isTrue(PublicKey.sameKey(expected, yield* byUri.publicKey()))
        assert.isTrue(PublicKey.sameKey(expected, p256.publicKey))
        const byId = yield* make({ object: "double", id: Uint8Array.of(0x32) })
        assert.isTrue(PublicKey.sameKey(second.publicKey, yield* byId.publicKey()))
      })
    )

    it.effect("fails with what is missing, or is there twice", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* tagOf(make({ token: "none" })), ["InvalidConfiguration", "token"])
        assert.deepStrictEqual(yield* tagOf(make({ token: "twins" })), ["InvalidConfiguration", "token"])
        assert.deepStrictEqual(yield* tagOf(make({ object: "none" })), ["KeyNotFound", undefined])
        assert.deepStrictEqual(yield* tagOf(make({ object: "double" })), ["InvalidConfiguration", "id"])
        assert.deepStrictEqual(yield* tagOf(make({ object: "public" })), ["KeyNotSigner", undefined])
        assert.deepStrictEqual(yield* tagOf(make({ algorithm: "Ed25519" })), ["InvalidConfiguration", "algorithm"])
        assert.deepStrictEqual(yield* tagOf(make({ object: "rsa4096" })), ["InvalidConfiguration", "algorithm"])
        assert.deepStrictEqual(yield* tagOf(make({ algorithm: "ML-DSA-44" })), ["UnsupportedAlgorithm", undefined])
        assert.deepStrictEqual(yield* tagOf(make({ object: "private" })), ["InvalidConfiguration", "expectedPublicKey"])
        assert.deepStrictEqual(yield* tagOf(make({ expectedPublicKey: first.publicKey })), [
          "InvalidResponse",
          undefined
        ])
        assert.deepStrictEqual(yield* tagOf(make({ module: "/etc/hostname" })), ["InvalidConfiguration", "module"])
        const kept = yield* make()
        const library = hsm.library()
        const { serialNumber } = library.C_GetTokenInfo(slotOf(library, "twins", 1))
        assert.deepStrictEqual(yield* tagOf(make({ token: "twins", serial: serialNumber.trimEnd() })), [
          "KeyNotFound",
          undefined
        ])
        yield* kept.sign(message)
        // while that one is logged in, no PIN is needed
        assert.lengthOf((yield* (yield* make({ pin: undefined })).sign(message)).bytes, 64)
      })
    )

    it.effect("names the PIN where a key is not visible without it", () =>
      Effect.gen(function* () {
        yield* released
        assert.deepStrictEqual(yield* tagOf(make({ pin: undefined })), ["InvalidConfiguration", "pin"])
      })
    )

    it.effect("signs where the public half is only in the private key, or only known here", () =>
      Effect.gen(function* () {
        const rsa = yield* build({ object: "private-rsa", algorithm: "RS256" })
        assert.isTrue(yield* verifies(rsa, message, yield* rsa.sign(message)))
        const known = yield* build({ object: "private", expectedPublicKey: second.publicKey })
        assert.isTrue(yield* verifies(known, message, yield* known.sign(message)))
        const wrong = yield* build({ object: "private", expectedPublicKey: first.publicKey })
        assert.strictEqual((yield* Effect.flip(wrong.sign(message)))._tag, "InvalidResponse")
      })
    )

    it.effect.each(["made-ed", "made-k1"])("signs with the key %s that the token made", (object) =>
      Effect.gen(function* () {
        const signer = yield* build({ object, ...(object === "made-k1" ? { algorithm: "ES256K" as const } : {}) })
        assert.isTrue(yield* verifies(signer, message, yield* signer.sign(message)))
      })
    )

    it.effect("gives the PIN again for each signature by a key that wants that", () =>
      Effect.gen(function* () {
        const signer = yield* build({ object: "always" })
        const before = calls.logins
        for (let n = 0; n < 3; n++)
          assert.isTrue(yield* verifies(signer, messageOf(n), yield* signer.sign(messageOf(n))))
        assert.strictEqual(calls.logins - before, 3)
      })
    )

    // -----------------------------------------------------------------------
    // PIN
    // -----------------------------------------------------------------------

    it.live("sends a wrong PIN once, whoever asks and however often", () =>
      Effect.gen(function* () {
        const wrong = "wrong-pin-canary-1"
        const countLow = 0x10000
        const flags = () => {
          const library = hsm.library()
          return library.C_GetTokenInfo(slotOf(library, "counter")).flags
        }
        yield* released
        // keeps the module initialised, without a session on the token
        const other = yield* make()
        assert.strictEqual(flags() & countLow, 0)
        const logins = calls.logins
        const sessions = open.size
        const signer = yield* build({ token: "counter", algorithm: "ES256", pin: Redacted.make(wrong), lazy: true })
        const exits = yield* Effect.forEach(
          Array.from({ length: 200 }),
          () => Effect.exit(Effect.ensuring(signer.sign(message), Effect.yieldNow)),
          { concurrency: "unbounded" }
        )
        for (let n = 0; n < 10; n++) exits.push(yield* Effect.exit(signer.sign(message)))
        for (const exit of exits) {
          const error = Exit.findErrorOption(exit)
          assert.isTrue(error._tag === "Some" && error.value._tag === "AuthenticationFailed")
          const shown = Exit.isFailure(exit) ? Cause.pretty(exit.cause) + Canary.show(exit.cause) : ""
          assert.isUndefined(Canary.search([{ name: "the PIN", secret: wrong }])(shown))
        }
        assert.strictEqual(calls.logins - logins, 1)
        assert.strictEqual(flags() & countLow, countLow)
        const cause = Exit.findErrorOption(exits[0]!)
        assert.include(cause._tag === "Some" ? JSON.stringify(cause.value) : "", "CKR_PIN_INCORRECT")
        assert.strictEqual(open.size, sessions)
        assert.lengthOf((yield* other.sign(message)).bytes, 64)
        // the right one is still accepted, and sets the counter back
        yield* build({ token: "counter" })
        assert.strictEqual(flags() & countLow, 0)
      })
    )

    it.effect("asks for the PIN once, and also where it is lazy before anything else", () =>
      Effect.gen(function* () {
        let asked = 0
        const prompt = Effect.sync(() => (asked++, pin))
        const signer = yield* build({ pin: prompt, algorithm: "ES256", lazy: true })
        assert.strictEqual(asked, 1)
        yield* Effect.forEach(Array.from({ length: 20 }), () => signer.sign(message), { concurrency: "unbounded" })
        assert.strictEqual(asked, 1)
      })
    )

    it.effect("shows the PIN nowhere", () =>
      Effect.gen(function* () {
        const signer = yield* build()
        assert.isUndefined(Canary.search([{ name: "the PIN", secret: hsm.pin }])(Canary.show(signer)))
        assert.isUndefined(
          Canary.search([{ name: "the PIN", secret: hsm.pin }])(Canary.show(yield* signer.sign(message)))
        )
      })
    )

    // -----------------------------------------------------------------------
    // sessions
    // -----------------------------------------------------------------------

    it.live("logs in again after somebody logged out", () =>
      Effect.gen(function* () {
        const signer = yield* make()
        yield* signer.sign(message)
        const before = calls.logins
        const library = hsm.library()
        const session = library.C_OpenSession(slotOf(library, "main token"), 4)
        library.C_Logout(session)
        library.C_CloseSession(session)
        assert.isTrue(yield* verifies(signer, message, yield* signer.sign(message)))
        assert.strictEqual(calls.logins - before, 1)
      })
    )

    it.live("initialises the module again after somebody finalised it", () =>
      Effect.gen(function* () {
        const signer = yield* make()
        hsm.library().C_Finalize()
        assert.isTrue(yield* verifies(signer, message, yield* signer.sign(message)))
      })
    )

    it.live(
      "loses no call when sessions are closed under 1,000 concurrent signatures",
      () =>
        Effect.gen(function* () {
          yield* released
          const signer = yield* make({ sessions: 4 })
          const opened = calls.opened
          let begun = 0
          let killed = 0
          // A session that is not in a call is closed right before it is used.
          beforeSignInit = (library, session) => {
            if (++begun % 50 === 0) {
              killed++
              library.C_CloseSession(session)
            }
          }
          const exits = yield* Effect.forEach(
            Array.from({ length: 1000 }, (_, n) => n),
            (n) => Effect.map(Effect.exit(signer.sign(messageOf(n))), (exit) => ({ exit, n })),
            { concurrency: "unbounded" }
          ).pipe(Effect.ensuring(Effect.sync(() => (beforeSignInit = undefined))))
          for (const { exit, n } of exits) {
            if (Exit.isFailure(exit)) {
              const error = Exit.findErrorOption(exit)
              assert.strictEqual(error._tag === "Some" ? error.value._tag : "defect", "Retryable")
            } else {
              assert.isTrue(yield* verifies(signer, messageOf(n), exit.value))
            }
          }
          assert.isAbove(killed, 15)
          assert.isAbove(calls.opened - opened, 15)
          assert.isAtMost(open.size, 4)
          assert.isTrue(
            exits.every(({ exit }) => Exit.isSuccess(exit)),
            "each was repeated on a new session"
          )
        }),
      timeout
    )

    it.live(
      "recovers when all sessions of the token are closed at once",
      () =>
        Effect.gen(function* () {
          yield* released
          const signer = yield* make({ sessions: 4 })
          const logins = calls.logins
          for (let round = 0; round < 20; round++) {
            yield* Effect.forEach(Array.from({ length: 8 }), () => signer.sign(message), { concurrency: "unbounded" })
            const library = hsm.library()
            library.C_CloseAllSessions(slotOf(library, "main token"))
            const signatures = yield* Effect.forEach(
              Array.from({ length: 8 }, (_, n) => n),
              (n) => Effect.map(signer.sign(messageOf(n)), (signature) => ({ n, signature })),
              { concurrency: "unbounded" }
            )
            for (const { n, signature } of signatures) {
              assert.isTrue(yield* verifies(signer, messageOf(n), signature))
            }
          }
          assert.strictEqual(calls.logins - logins, 20)
          assert.isAtMost(open.size, 4)
        }),
      timeout
    )

    it.live("leaves no session behind", () =>
      Effect.gen(function* () {
        const other = yield* make({ token: "counter" }) // keeps the module initialised
        const before = open.size
        yield* Effect.scoped(
          Effect.gen(function* () {
            const signer = yield* build({ sessions: 3 })
            yield* Effect.forEach(Array.from({ length: 50 }), () => signer.sign(message), { concurrency: "unbounded" })
            assert.strictEqual(open.size, before + 3)
          })
        )
        assert.strictEqual(open.size, before)
        yield* tagOf(make({ object: "none" }))
        yield* tagOf(make({ object: "private" }))
        assert.strictEqual(open.size, before)
        assert.lengthOf((yield* other.sign(message)).bytes, 64)
      })
    )

    it.live("runs timers while an RSA key of 4096 bits signs", () =>
      Effect.gen(function* () {
        const signer = yield* make({ object: "rsa4096", algorithm: "PS512" })
        let turns = 0
        let isDone = false
        const turn = () => {
          turns++
          if (!isDone) setImmediate(turn)
        }
        yield* signer.sign(message)
        turn()
        yield* signer.sign(message)
        const between = turns
        yield* signer.sign(message)
        isDone = true
        assert.isAbove(between, 1)
        assert.isAbove(turns, between + 1)
      })
    )

    it.live(
      "goes on after interruptions under load, and closes the sessions they had",
      () =>
        Effect.gen(function* () {
          yield* released
          const signer = yield* make({ object: "rsa4096", algorithm: "RS256", sessions: 2 })
          const fibers = yield* Effect.forEach(
            Array.from({ length: 40 }, (_, n) => n),
            (n) => Effect.forkChild(signer.sign(messageOf(n)), { startImmediately: true })
          )
          yield* Effect.forEach(
            fibers.filter((_, n) => n % 2 === 0),
            (fiber) => Fiber.interrupt(fiber),
            { discard: true }
          )
          for (const [n, fiber] of fibers.entries()) {
            const exit = yield* Fiber.await(fiber)
            if (n % 2 === 0) assert.isTrue(Exit.hasInterrupts(exit))
            else if (Exit.isFailure(exit)) assert.fail(Cause.pretty(exit.cause))
            else assert.isTrue(yield* verifies(signer, messageOf(n), exit.value))
          }
          assert.isAtMost(open.size, 2)
          assert.isTrue(yield* verifies(signer, message, yield* signer.sign(message)))
        }),
      timeout
    )

    // -----------------------------------------------------------------------
    // module
    // -----------------------------------------------------------------------

    it.effect("initialises the module once for all layers, and finalises it after the last", () =>
      Effect.gen(function* () {
        yield* released
        const before = { ...calls }
        const outer = yield* Effect.scoped(
          Effect.gen(function* () {
            const first = yield* make()
            yield* Effect.scoped(make({ object: "made-ed" }))
            assert.strictEqual(calls.finalized, before.finalized)
            yield* first.sign(message)
            return first
          })
        )
        assert.strictEqual(calls.initialized - before.initialized, 1)
        assert.strictEqual(calls.finalized - before.finalized, 1)
        assert.throws(() => hsm.library().C_GetSlotList(true), /NOT_INITIALIZED/)
        assert.strictEqual((yield* Effect.flip(outer.sign(message)))._tag, "KeyUnavailable")
      })
    )

    it.effect("shares a module that somebody else has initialised, and leaves it so", () =>
      Effect.gen(function* () {
        yield* released
        const library = hsm.library()
        library.C_Initialize({ flags: 2 })
        yield* Effect.scoped(Effect.flatMap(make(), (signer) => signer.sign(message)))
        assert.isAbove(library.C_GetSlotList(true).length, 3)
        library.C_Finalize()
      })
    )
  })
}
