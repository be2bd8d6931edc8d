/**
 * What SoftHSM cannot be made to do: return values, calls that hang, and attributes in
 * other forms. Everything else is tested on it, in `test/live`.
 */
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Redacted } from "effect"
import { p256 } from "@noble/curves/nist.js"
import { PublicKey } from "../../src/index.ts"
import { classify } from "../../src/layers/pkcs11/Pkcs11Error.ts"
import { pointOf, requestOf } from "../../src/layers/pkcs11/Pkcs11Key.ts"
import type { Cryptoki, Options, PinSource } from "../../src/layers/Pkcs11Signer.ts"
import * as Pkcs11Signer from "../../src/layers/Pkcs11Signer.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { bytesFromHex } from "./keys.ts"

const message = new TextEncoder().encode("message")
const context = { backend: "pkcs11", keyId: "key", operation: "sign" } as const

// ---------------------------------------------------------------------------
// return values
// ---------------------------------------------------------------------------

/** Numbers of pkcs11t.h 3.1, and the tag of each. */
const tags: Readonly<Record<string, ReadonlyArray<number>>> = {
  Retryable: [
    0x1, 0x2, 0x3, 0x5, 0x6, 0x30, 0x31, 0x32, 0x50, 0x60, 0x82, 0x90, 0x91, 0xb0, 0xb1, 0xb3, 0xb8, 0xe0, 0xe1, 0x100,
    0x101, 0x104, 0x105, 0x121, 0x190, 0x191, 0x1a0, 0x1a1, 0x1b5, 0x201, 0x202
  ],
  AuthenticationFailed: [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x1b0, 0x1b1, 0x1b8],
  PermissionDenied: [0x11, 0x1b, 0x6a, 0x170, 0x200],
  KeyNotSigner: [0x68],
  KeyUnavailable: [0x1b6, 0x203],
  UnsupportedAlgorithm: [0x62, 0x63, 0x70, 0x71, 0x130, 0x140],
  InvalidConfiguration: [
    0x7, 0x8, 0x9, 0xa, 0x10, 0x12, 0x13, 0x20, 0x21, 0x40, 0x41, 0x51, 0x54, 0x64, 0x65, 0x66, 0x67, 0x69, 0xb4, 0xb5,
    0xb6, 0xb7, 0xc0, 0xc1, 0xd0, 0xd1, 0xe2, 0xf0, 0xf1, 0xf2, 0x102, 0x103, 0x110, 0x112, 0x113, 0x114, 0x115, 0x120,
    0x150, 0x160, 0x180, 0x1b7, 0x1b9
  ],
  UnknownBackendError: [0x4, 0xb2, 0x204, 0x80000000, 0x80000001, 0xffffffff]
}

const failure = (code: number) => Object.assign(new Error("CKR_CANARY_TEXT"), { code })

describe("return values", () => {
  it.each(Object.entries(tags))("are %s", (tag, codes) => {
    for (const code of codes) {
      const error = classify(failure(code))(context)
      assert.strictEqual(error._tag, tag, `0x${code.toString(16)}`)
      const cause = "cause" in error ? (error.cause as { readonly code?: string } | undefined) : undefined
      assert.match(cause?.code ?? "", tag === "UnknownBackendError" ? /^0x[0-9a-f]+$/ : /^CKR_[A-Z_]+$/)
      assert.notInclude(Canary.show(error), "CANARY_TEXT")
    }
  })

  it("are each in the table once", () => {
    const all = Object.values(tags).flat()
    assert.strictEqual(new Set(all).size, all.length)
    assert.strictEqual(all.length, 102)
  })

  it("are read from text where pkcs11js leaves them there, and nothing else is", () => {
    assert.strictEqual(classify(new Error("CKR_PIN_LOCKED:164"))(context)._tag, "AuthenticationFailed")
    for (const thrown of [
      new Error("x CKR_PIN_LOCKED:164"),
      new TypeError("a"),
      undefined,
      null,
      "CKR_OK:0",
      { code: 0 }
    ]) {
      assert.strictEqual(classify(thrown)(context)._tag, "UnknownBackendError")
    }
  })
})

// ---------------------------------------------------------------------------
// attributes
// ---------------------------------------------------------------------------

describe("CKA_EC_POINT", () => {
  const raw32 = new Uint8Array(32).fill(0x04)
  const point = p256.getPublicKey(new Uint8Array(32).fill(1), false)

  it("is read in an OCTET STRING and bare", () => {
    assert.deepStrictEqual(pointOf("Ed25519", Uint8Array.of(0x04, 0x20, ...raw32)), raw32)
    assert.deepStrictEqual(pointOf("Ed25519", raw32), raw32)
    assert.deepStrictEqual(pointOf("P-256", Uint8Array.of(0x04, 0x41, ...point)), point)
    assert.deepStrictEqual(pointOf("P-256", point), point)
  })

  it("is refused in any other form", () => {
    assert.throws(() => pointOf("Ed25519", raw32.subarray(1)))
    assert.throws(() => pointOf("P-256", Uint8Array.of(0x04, 0x42, ...point)))
    assert.throws(() => pointOf("P-256", Uint8Array.of(0x04, 0x81, 0x41, ...point)))
  })
})

describe("mechanisms", () => {
  it("have a salt as long as the hash, and the DigestInfo of RFC 8017", () => {
    assert.deepStrictEqual(requestOf("PS384")?.mechanism, {
      mechanism: 0xd,
      parameter: { type: 5, hashAlg: 0x260, mgf: 3, saltLen: 48 }
    })
    assert.deepStrictEqual(
      requestOf("RS256")?.toInput(new Uint8Array(32)),
      bytesFromHex(`3031300d060960864801650304020105000420${"00".repeat(32)}`)
    )
    assert.isUndefined(requestOf("BIP340"))
  })
})

// ---------------------------------------------------------------------------
// a module that does what it is told
// ---------------------------------------------------------------------------

const secretKey = new Uint8Array(32).fill(7)
const publicPoint = p256.getPublicKey(secretKey, false)
const ulong = (n: number) => {
  const bytes = new Uint8Array(8)
  bytes[0] = n & 0xff
  bytes[1] = n >> 8
  return bytes
}

const attributes: Readonly<Record<number, Uint8Array>> = {
  0x003: new TextEncoder().encode("key"),
  0x100: ulong(3),
  0x102: Uint8Array.of(1),
  0x108: Uint8Array.of(1),
  0x180: bytesFromHex("06082a8648ce3d030107"),
  0x181: publicPoint,
  0x202: Uint8Array.of(0)
}

let number = 0

/** A module with one token and one key, whose calls the test answers. */
const makeFake = () => {
  const state = {
    flags: 0x404,
    maxSessionCount: 0,
    isLoggedIn: false,
    open: new Set<number>(),
    opened: 0,
    most: 0,
    logins: 0,
    pin: "",
    initialized: 0,
    finalized: 0,
    login: (): void => {},
    openSession: (): void => {},
    signInit: (): void => {},
    sign: (digest: Uint8Array): Promise<Uint8Array> =>
      Promise.resolve(p256.sign(digest, secretKey, { prehash: false, lowS: false }))
  }
  let next = 1
  let searched = 0
  const fake: Cryptoki = {
    load: () => {},
    C_Initialize: () => void state.initialized++,
    C_Finalize: () => void state.finalized++,
    C_GetSlotList: () => [ulong(0)],
    C_GetTokenInfo: () => ({
      label: "token".padEnd(32),
      manufacturerID: " ".repeat(32),
      model: " ".repeat(16),
      serialNumber: "1".padEnd(16),
      flags: state.flags,
      maxSessionCount: state.maxSessionCount
    }),
    C_GetMechanismList: () => [0x1041],
    C_OpenSession: () => {
      state.openSession()
      state.opened++
      state.open.add(next)
      state.most = Math.max(state.most, state.open.size)
      return ulong(next++)
    },
    C_CloseSession: (session) => void state.open.delete(session[0]! + 256 * session[1]!),
    C_GetSessionInfo: () => ({ state: state.isLoggedIn ? 1 : 0 }),
    C_Login: (_session, _type, pin) => {
      state.logins++
      state.pin = pin
      state.login()
      state.isLoggedIn = true
    },
    C_FindObjectsInit: () => {
      searched = 0
    },
    C_FindObjects: () => (searched++ === 0 ? [ulong(9)] : []),
    C_FindObjectsFinal: () => {},
    C_GetAttributeValue: (_session, _object, [wanted]) => {
      const value = attributes[wanted!.type]
      if (value === undefined) throw failure(0x12)
      return [{ value }]
    },
    C_SignInit: () => state.signInit(),
    C_SignAsync: (_session, input) => state.sign(input)
  }
  const options = {
    module: `/fake-${number++}.so`,
    pkcs11js: {
      PKCS11: function () {
        return fake
      } as unknown as new () => Cryptoki
    },
    token: "token",
    object: "key",
    pin: Redacted.make("pin-of-the-fake")
  } satisfies Options
  return { state, options }
}

/** A native call that returns when the test says so. */
const hanging = () => {
  const calls: Array<{ readonly answer: (signature?: Uint8Array) => void; readonly fail: (code: number) => void }> = []
  const sign = (digest: Uint8Array) =>
    new Promise<Uint8Array>((resolve, reject) => {
      calls.push({
        answer: (signature) => resolve(signature ?? p256.sign(digest, secretKey, { prehash: false, lowS: false })),
        fail: (code) => reject(failure(code))
      })
    })
  return { calls, sign }
}

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("Pkcs11Signer", () => {
  it.effect("reads a bare point, and signs", () =>
    Effect.gen(function* () {
      const { options } = makeFake()
      const signer = yield* Pkcs11Signer.make(options)
      const { bytes } = yield* signer.sign(message)
      assert.isTrue(p256.verify(bytes, message, publicPoint, { lowS: false }))
      assert.deepStrictEqual(PublicKey.toRaw(yield* signer.publicKey()), publicPoint)
    })
  )

  it.effect("bounds native calls by its sessions, also those of interrupted callers", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const signer = yield* Pkcs11Signer.make({ ...options, sessions: 2 })
      const { calls, sign } = hanging()
      state.sign = sign
      const fibers = yield* Effect.forEach(Array.from({ length: 5 }), () =>
        Effect.forkChild(signer.sign(message), { startImmediately: true })
      )
      assert.lengthOf(calls, 2)
      yield* Fiber.interrupt(fibers[0]!) // in its call
      yield* Fiber.interrupt(fibers[2]!) // waiting
      assert.lengthOf(calls, 2)
      assert.strictEqual(state.open.size, 2)
      calls[0]!.answer()
      yield* turn
      assert.lengthOf(calls, 3, "the next in line")
      assert.strictEqual(state.opened, 3, "on a new session")
      assert.strictEqual(state.open.size, 2)
      for (let n = 1; n < 3; n++) {
        calls[n]!.answer()
        yield* turn
      }
      calls[3]!.answer()
      for (const n of [1, 3, 4]) assert.lengthOf((yield* Fiber.join(fibers[n]!)).bytes, 64)
      assert.lengthOf(calls, 4)
      assert.strictEqual(state.most, 2)
    })
  )

  it.effect("serves waiting calls in the order in which they came", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const signer = yield* Pkcs11Signer.make({ ...options, sessions: 1 })
      const { calls, sign } = hanging()
      state.sign = sign
      const order: Array<number> = []
      const fibers = yield* Effect.forEach([0, 1, 2, 3], (n) =>
        Effect.forkChild(
          Effect.tap(signer.sign(message), () => Effect.sync(() => order.push(n))),
          { startImmediately: true }
        )
      )
      for (let n = 0; n < 4; n++) {
        calls[n]!.answer()
        yield* turn
      }
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(order, [0, 1, 2, 3])
    })
  )

  it.effect("finalises the module only after a call that hangs has returned", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const { calls, sign } = hanging()
      state.sign = sign
      yield* Effect.scoped(
        Effect.gen(function* () {
          const signer = yield* Pkcs11Signer.make(options)
          yield* Fiber.interrupt(yield* Effect.forkChild(signer.sign(message), { startImmediately: true }))
        })
      )
      assert.deepStrictEqual([state.open.size, state.finalized], [1, 0])
      calls[0]!.answer()
      yield* turn
      assert.deepStrictEqual([state.open.size, state.finalized], [0, 1])
    })
  )

  it.effect("closes a session that was in an error, and repeats only what was not begun", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const signer = yield* Pkcs11Signer.make({ ...options, sessions: 1 })
      const codes = [0x30, 0xb3, 0xb3, 0xb3, 0x82]
      const works = state.sign
      state.sign = (digest) => {
        const code = codes.shift()
        return code === undefined ? works(digest) : Promise.reject(failure(code))
      }
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable") // device error: once
      assert.lengthOf(codes, 4)
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable") // gone twice
      assert.lengthOf(codes, 2)
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable")
      assert.lengthOf((yield* signer.sign(message)).bytes, 64)
      assert.strictEqual(state.open.size, 1)
    })
  )

  it.effect("waits for a session where the token has no more, and fails all at once where it has none", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const signer = yield* Pkcs11Signer.make({ ...options, sessions: 4 })
      state.openSession = () => {
        throw failure(0xb1)
      }
      const signatures = yield* Effect.forEach(Array.from({ length: 10 }), () => signer.sign(message), {
        concurrency: "unbounded"
      })
      assert.lengthOf(signatures, 10)
      assert.strictEqual(state.most, 1)
      state.signInit = () => {
        throw failure(0x32)
      }
      let opened = 0
      state.openSession = () => {
        opened++
        throw failure(0xe0)
      }
      const exits = yield* Effect.forEach(Array.from({ length: 10 }), () => Effect.exit(signer.sign(message)), {
        concurrency: "unbounded"
      })
      assert.isTrue(exits.every(Exit.isFailure))
      assert.isAtMost(opened, 40)
    })
  )

  it.effect("opens more sessions again when others have returned theirs", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const signer = yield* Pkcs11Signer.make({ ...options, sessions: 4 })
      const burst = Effect.forEach(Array.from({ length: 10 }), () => signer.sign(message), {
        concurrency: "unbounded"
      })
      state.openSession = () => {
        throw failure(0xb1)
      }
      yield* burst
      assert.strictEqual(state.most, 1)
      state.openSession = () => {}
      yield* burst
      assert.strictEqual(state.most, 4)
    })
  )

  it.effect("opens no more sessions than the token allows", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      state.maxSessionCount = 2
      const signer = yield* Pkcs11Signer.make({ ...options, sessions: 8 })
      yield* Effect.forEach(Array.from({ length: 20 }), () => signer.sign(message), { concurrency: "unbounded" })
      assert.strictEqual(state.most, 2)
    })
  )

  it.effect("does not return a signature of another length", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const signer = yield* Pkcs11Signer.make(options)
      state.sign = () => Promise.resolve(new Uint8Array(63))
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "InvalidResponse")
    })
  )

  it.effect("fails calls that wait, and later ones, when its scope is closed", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const { calls, sign } = hanging()
      state.sign = sign
      const [signer, fibers] = yield* Effect.scoped(
        Effect.gen(function* () {
          const signer = yield* Pkcs11Signer.make({ ...options, sessions: 1 })
          const fibers = yield* Effect.forEach([0, 1], () =>
            Effect.forkDetach(signer.sign(message), { startImmediately: true })
          )
          return [signer, fibers] as const
        })
      )
      assert.strictEqual((yield* Effect.flip(Fiber.join(fibers[1]!)))._tag, "KeyUnavailable")
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "KeyUnavailable")
      calls[0]!.answer()
      assert.lengthOf((yield* Fiber.join(fibers[0]!)).bytes, 64)
    })
  )

  // -------------------------------------------------------------------------
  // PIN
  // -------------------------------------------------------------------------

  it.effect.each([0xa0, 0xa1, 0xa2, 0xa3, 0xa4])("sends no PIN again after return value %i", (code) =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      state.login = () => {
        throw failure(code)
      }
      const signer = yield* Pkcs11Signer.make({ ...options, lazy: true, algorithm: "ES256" })
      const exits = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.exit(signer.sign(message)), {
        concurrency: "unbounded"
      })
      for (const exit of exits) {
        const error = Exit.findErrorOption(exit)
        assert.isTrue(error._tag === "Some" && error.value._tag === "AuthenticationFailed")
        assert.isUndefined(Canary.search([{ name: "the PIN", secret: "pin-of-the-fake" }])(Canary.show(exit)))
      }
      assert.strictEqual(state.logins, 1)
      assert.strictEqual(state.open.size, 0)
    })
  )

  it.effect.each([0x5, 0x6, 0x30, 0x80000001])(
    "sends no PIN again where the token has counted it as wrong, whatever return value %i says",
    (code) =>
      Effect.gen(function* () {
        const { options, state } = makeFake()
        state.login = () => {
          state.flags |= 0x10000 // CKF_USER_PIN_COUNT_LOW
          throw failure(code)
        }
        const signer = yield* Pkcs11Signer.make({ ...options, lazy: true, algorithm: "ES256" })
        for (let n = 0; n < 3; n++) {
          assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "AuthenticationFailed")
        }
        assert.strictEqual(state.logins, 1)
      })
  )

  it.effect("sends the PIN again where the token was out of order and has counted nothing", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      state.login = () => {
        if (state.logins === 1) throw failure(0x30)
      }
      const signer = yield* Pkcs11Signer.make({ ...options, lazy: true, algorithm: "ES256" })
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable")
      assert.lengthOf((yield* signer.sign(message)).bytes, 64)
      assert.strictEqual(state.logins, 2)
    })
  )

  it.effect("logs in again with the PIN that was accepted, until it is refused", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const signer = yield* Pkcs11Signer.make({ ...options, sessions: 1 })
      const loggedOut = () => {
        if (!state.isLoggedIn) throw failure(0x101)
      }
      state.signInit = loggedOut
      state.isLoggedIn = false
      assert.lengthOf((yield* signer.sign(message)).bytes, 64)
      assert.strictEqual(state.logins, 2)
      state.isLoggedIn = false
      state.login = () => {
        throw failure(0xa0)
      }
      for (let n = 0; n < 5; n++) {
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "AuthenticationFailed")
      }
      assert.strictEqual(state.logins, 3)
    })
  )

  it.effect.each([
    [0x20000, "KeyUnavailable"],
    [0x40000, "AuthenticationFailed"]
  ] as const)("sends no PIN to a token with flags %i", ([flag, tag]) =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      state.flags |= flag
      assert.strictEqual((yield* Effect.flip(Pkcs11Signer.make(options)))._tag, tag)
      assert.strictEqual(state.logins, 0)
    })
  )

  it.effect("names the tokens that are there, where none is the one that is wanted", () =>
    Effect.gen(function* () {
      const { options } = makeFake()
      const error = yield* Effect.flip(Pkcs11Signer.make({ ...options, token: "other" }))
      assert.include(error.message, 'none of the 1 tokens that the module shows is this one; there are "token"')
    })
  )

  it.effect("reads the PIN from a file that nobody else can read, and from no other", () =>
    Effect.gen(function* () {
      const { options, state } = makeFake()
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "effect-signer-pin-"))),
        (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
      )
      const file = join(folder, "pin")
      const write = (content: string | Uint8Array, mode = 0o600) => {
        Fs.rmSync(file, { force: true })
        Fs.writeFileSync(file, content)
        Fs.chmodSync(file, mode)
      }
      const refused = Effect.fnUntraced(function* (pin: PinSource) {
        const error = yield* Effect.flip(Pkcs11Signer.make({ ...options, pin }))
        assert.deepStrictEqual([error._tag, "field" in error && error.field], ["InvalidConfiguration", "pin"])
        return error.message
      })
      write("pin-of-the-file\r\n")
      const signer = yield* Pkcs11Signer.make({ ...options, pin: { file } })
      assert.lengthOf((yield* signer.sign(message)).bytes, 64)
      assert.strictEqual(state.pin, "pin-of-the-file")

      const link = join(folder, "link")
      Fs.symlinkSync(file, link)
      assert.include(yield* refused({ file: link }), "symbolic link")
      yield* Pkcs11Signer.make({ ...options, pin: { file: link, followSymlinks: true } })
      write("pin-of-the-file", 0o640)
      assert.include(yield* refused({ file }), "chmod 600")
      yield* Pkcs11Signer.make({ ...options, pin: { file, allowGroupRead: true } })

      // what would cost an attempt, or never end
      for (const content of ["", "\n", "a\nb", Uint8Array.of(0x31, 0xff, 0x32), "1".repeat(256), "1".repeat(70_000)]) {
        write(content)
        const text = yield* refused({ file })
        assert.notInclude(text, "111")
      }
      assert.include(yield* refused({ file: folder }), "folder")
      assert.include(yield* refused({ file: "/dev/zero" }), "regular")
      assert.strictEqual(state.logins, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("asks for the PIN before anything has a time limit", () =>
    Effect.gen(function* () {
      const { options } = makeFake()
      const asked = yield* Deferred.make<Redacted.Redacted<string>>()
      const fiber = yield* Effect.forkChild(Pkcs11Signer.make({ ...options, pin: Deferred.await(asked) }), {
        startImmediately: true
      })
      yield* Deferred.succeed(asked, options.pin)
      assert.lengthOf((yield* (yield* Fiber.join(fiber)).sign(message)).bytes, 64)
    })
  )

  // -------------------------------------------------------------------------
  // options
  // -------------------------------------------------------------------------

  const { options: valid } = makeFake()

  it.effect.each([
    [{ token: undefined }, "token"],
    [{ object: undefined }, "object"],
    [{ object: "a\0b" }, "object"],
    [{ id: new Uint8Array() }, "id"],
    [{ module: "softhsm.so" }, "module"],
    [{ module: "./softhsm.so" }, "module"],
    [{ module: undefined }, "module"],
    [{ sessions: 0 }, "sessions"],
    [{ sessions: 1.5 }, "sessions"],
    [{ lazy: true }, "algorithm"],
    [{ pin: Redacted.make("") }, "pin"],
    [{ pin: Redacted.make("a\nb") }, "pin"],
    [{ pin: { file: "/none" } }, "pin"],
    [{ uri: "pkcs11:token=other" }, "token"],
    [{ uri: "pkcs11:object=other" }, "object"],
    [{ uri: "pkcs11:id=%02", id: Uint8Array.of(1) }, "id"],
    [{ uri: "pkcs11:?module-path=/other.so" }, "module"],
    [{ uri: "pkcs11:slot-id=1" }, "uri"],
    [{ uri: "pkcs11:type=public" }, "uri"],
    [{ uri: "pkcs11:?pin-source=%7Ccat%20/pin", pin: undefined }, "uri"],
    [{ uri: "pkcs11:?pin-value=1234" }, "uri"],
    [{ pkcs11js: undefined }, "pkcs11js"]
  ] as const)("refuses %j", ([changes, field]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Pkcs11Signer.make({ ...valid, ...changes } as Options))
      assert.deepStrictEqual([error._tag, "field" in error ? error.field : undefined], ["InvalidConfiguration", field])
      if (field === "pkcs11js") assert.include(error.message, "npm install pkcs11js")
    })
  )
})
