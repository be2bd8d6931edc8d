import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import {
  Decorator,
  EcdsaSignature,
  KeyId,
  KeyVersion,
  LocalSigner,
  PrivateKey,
  PublicKey,
  Signature,
  Signer,
  SignerError,
  Verifier
} from "effect-signer"
import { ScriptedSigner, TestSigner } from "effect-signer/testing"
import * as Schema from "effect/Schema"

const message = new TextEncoder().encode("message")
const unavailable = ScriptedSigner.fail(new SignerError.BackendUnavailable({}))
const notFound = ScriptedSigner.fail(
  new SignerError.KeyNotFound({ backend: "scripted", keyId: "-", operation: "publicKey" })
)

/** A backend that answers what it is told and records what it was given. */
const fake = (overrides: Partial<Signer.Backend> = {}) =>
  Effect.gen(function* () {
    const algorithm = overrides.algorithm ?? "Ed25519"
    const { publicKey } = yield* PrivateKey.generate(algorithm)
    const inputs: Array<Uint8Array> = []
    const backend: Signer.Backend = {
      name: "fake",
      keyId: KeyId.make("k"),
      algorithm,
      input: "message",
      publicKey: () => Effect.succeed(publicKey),
      sign: (input) =>
        Effect.sync(() => {
          inputs.push(input)
          return { bytes: new Uint8Array(64) }
        }),
      ...overrides
    }
    return { backend, inputs, publicKey }
  })

describe("make", () => {
  it.effect("copies the message, once", () =>
    Effect.gen(function* () {
      const { backend, inputs } = yield* fake()
      const signer = yield* Signer.make(backend)
      const buffer = new TextEncoder().encode("message")
      yield* signer.sign(buffer)
      assert.deepStrictEqual(inputs, [buffer])
      assert.notStrictEqual(inputs[0], buffer)
    })
  )

  it.effect.each(["text", [1, 2], new Uint16Array(2), new DataView(new ArrayBuffer(2)), undefined])(
    "never signs %s, which is not bytes",
    (message) =>
      Effect.gen(function* () {
        const { backend, inputs } = yield* fake()
        for (const signer of [yield* Signer.make(backend), (yield* TestSigner.make()).signer]) {
          const decorated = Decorator.timeout("1 second")(signer)
          for (const each of [signer, decorated]) {
            const error = yield* Effect.flip(each.sign(message as never))
            assert.include(error.message, "message: expected a Uint8Array; encode text")
          }
        }
        assert.lengthOf(inputs, 0)
      })
  )

  it.effect("signs at once where the backend can, and only where nothing decorates", () =>
    Effect.gen(function* () {
      const now: Array<Uint8Array> = []
      const { backend, inputs } = yield* fake({
        signNow: (message) => {
          now.push(message)
          return message.length > 3 ? undefined : { bytes: new Uint8Array(64) }
        }
      })
      const signer = yield* Signer.make(backend)
      const short = new Uint8Array(3)
      yield* signer.sign(short)
      assert.isTrue(now[0] === short) // no copy
      yield* signer.sign(new Uint8Array(4))
      assert.lengthOf(inputs, 1)
      const guarded = Decorator.guard({ name: "never", permits: () => false })(signer)
      yield* Effect.flip(guarded.sign(short))
      assert.lengthOf(now, 2)
      yield* Decorator.timeout("1 second")(signer).sign(short)
      assert.lengthOf(now, 2)
      assert.isFalse(inputs[1] === short)
    })
  )

  it.effect("copies shared memory, which another thread could change between two readings", () =>
    Effect.gen(function* () {
      let readings = 0
      const { backend, inputs } = yield* fake({
        signNow: () => {
          readings++
          return { bytes: new Uint8Array(64) }
        }
      })
      const signer = yield* Signer.make(backend)
      const shared = new Uint8Array(new SharedArrayBuffer(8)).fill(7)
      yield* signer.sign(shared)
      assert.strictEqual(readings, 0)
      assert.isTrue(inputs[0]?.buffer instanceof ArrayBuffer)
      assert.deepStrictEqual([...inputs[0]!], Array(8).fill(7))
    })
  )

  it.effect("takes a Buffer and a view, and hands on a plain Uint8Array", () =>
    Effect.gen(function* () {
      const { backend, inputs } = yield* fake()
      const signer = yield* Signer.make(backend)
      yield* signer.sign(Buffer.from("xmessage").subarray(1))
      assert.deepStrictEqual(inputs, [message])
      assert.strictEqual(inputs[0]?.constructor, Uint8Array)
    })
  )

  it.effect.each([
    ["ES256", "sha256"],
    ["PS384", "sha384"],
    ["RS512", "sha512"]
  ] as const)("gives a digest backend of %s the %s digest", ([algorithm, hash]) =>
    Effect.gen(function* () {
      const { backend, inputs } = yield* fake({ algorithm, input: "digest" })
      const signer = yield* Signer.make(backend)
      yield* Effect.exit(signer.sign(message))
      assert.deepStrictEqual(inputs, [new Uint8Array(createHash(hash).update(message).digest())])
    })
  )

  it.effect.each(["Ed25519", "BIP340", "ML-DSA-65"] as const)("refuses a digest backend for %s", (algorithm) =>
    Effect.gen(function* () {
      const { backend } = yield* fake({ algorithm, input: "digest" })
      assert.strictEqual((yield* Effect.flip(Signer.make(backend)))._tag, "InvalidConfiguration")
    })
  )

  it.effect("refuses a message above the limit, with advice, and asks nobody", () =>
    Effect.gen(function* () {
      const { backend, inputs } = yield* fake({ maxMessageLength: 4096, tooLargeAdvice: "use ES256" })
      const signer = yield* Signer.make(backend)
      yield* signer.sign(new Uint8Array(4096))
      const error = yield* Effect.flip(signer.sign(new Uint8Array(4097)))
      assert.strictEqual(error.message, "fake.sign: MessageTooLarge: 4097 bytes, at most 4096; use ES256")
      assert.lengthOf(inputs, 1)
    })
  )

  it.effect("refuses a signature of the wrong length", () =>
    Effect.gen(function* () {
      const { backend } = yield* fake({ sign: () => Effect.succeed({ bytes: new Uint8Array(71) }) })
      const signer = yield* Signer.make(backend)
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(error.message, "fake.sign: InvalidResponse: a signature of 71 bytes, expected 64")
    })
  )

  it.effect("says of DER where r and s are expected what to do about it", () =>
    Effect.gen(function* () {
      const bytes = EcdsaSignature.toDer(new Uint8Array(64).fill(0x7f))!
      const failing = Effect.fnUntraced(function* (algorithm: "ES256" | "Ed25519", bytes: Uint8Array) {
        const { backend } = yield* fake({ algorithm, sign: () => Effect.succeed({ bytes }) })
        return yield* Effect.flip(Effect.flatMap(Signer.make(backend, { lazy: true }), ({ sign }) => sign(message)))
      })
      const error = yield* failing("ES256", bytes)
      assert.include(error.message, `a signature of ${bytes.length} bytes, expected 64; it looks like DER`)
      assert.include(error.message, "use EcdsaSignature.fromDer")
      assert.notInclude((yield* failing("ES256", new Uint8Array(71))).message, "DER")
      assert.notInclude((yield* failing("Ed25519", bytes)).message, "DER")
    })
  )

  it.effect("names the key version of each signature, where there is one", () =>
    Effect.gen(function* () {
      const versions = ["1", undefined, "2"]
      const { backend } = yield* fake({
        sign: () =>
          Effect.sync(() => {
            const version = versions.shift()
            return {
              bytes: new Uint8Array(64),
              keyVersion: version === undefined ? undefined : KeyVersion.make(version)
            }
          })
      })
      const signer = yield* Signer.make(backend)
      const signatures = yield* Effect.forEach([1, 2, 3], () => signer.sign(message))
      assert.deepStrictEqual(
        signatures.map(({ keyVersion }) => keyVersion),
        ["1", undefined, "2"].map((v) => v as KeyVersion.KeyVersion)
      )
    })
  )

  it.effect("makes secp256k1 ECDSA low-S, and leaves P-256 alone", () =>
    Effect.gen(function* () {
      const high = new Uint8Array(64).fill(1, 0, 32).fill(0xf0, 32)
      for (const byte of [0, 0xff]) {
        const { backend } = yield* fake({
          algorithm: "ES256K",
          sign: () => Effect.succeed({ bytes: new Uint8Array(64).fill(byte) })
        })
        const error = yield* Effect.flip((yield* Signer.make(backend)).sign(message))
        assert.strictEqual(error._tag, "InvalidResponse")
      }
      for (const algorithm of ["ES256K", "ES256"] as const) {
        const { backend } = yield* fake({ algorithm, sign: () => Effect.succeed({ bytes: high }) })
        const { bytes } = yield* (yield* Signer.make(backend)).sign(message)
        assert.strictEqual(EcdsaSignature.isLowS(bytes), algorithm === "ES256K")
      }
    })
  )

  it.effect("fails at once on a key that the algorithm does not fit", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.generate("P-384")
      const { backend } = yield* fake({ algorithm: "ES256", publicKey: () => Effect.succeed(publicKey) })
      const error = yield* Effect.flip(Signer.make(backend))
      assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, "algorithm")
      yield* Signer.make(backend, { lazy: true })
    })
  )

  it.effect("trips over any key but the expected one", () =>
    Effect.gen(function* () {
      const { backend, publicKey } = yield* fake()
      const other = (yield* PrivateKey.generate("Ed25519")).publicKey
      yield* Signer.make(backend, { expectedPublicKey: publicKey })
      assert.strictEqual(
        (yield* Effect.flip(Signer.make(backend, { expectedPublicKey: other })))._tag,
        "InvalidResponse"
      )
    })
  )
})

describe("public key cache", () => {
  it.effect("10,000 concurrent first callers make one backend call", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ publicKeySteps: [ScriptedSigner.delay("1 second")] })
      const callers = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 10_000 }), () => signer.publicKey(), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      const keys = yield* Fiber.join(callers)
      assert.strictEqual(yield* script.publicKeyReads, 1)
      assert.isTrue(keys.every((key) => key === keys[0]))
    })
  )

  it.effect("does not remember a failure", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ publicKeySteps: [notFound, unavailable] })
      assert.strictEqual((yield* Effect.flip(signer.publicKey()))._tag, "KeyNotFound")
      assert.strictEqual((yield* Effect.flip(signer.publicKey()))._tag, "Retryable")
      yield* signer.publicKey()
      yield* signer.publicKey()
      assert.strictEqual(yield* script.publicKeyReads, 3)
    })
  )

  it.effect("the interruption of one caller is nothing to the others", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ publicKeySteps: [ScriptedSigner.delay("4 seconds")] })
      const first = yield* Effect.forkChild(signer.publicKey(), { startImmediately: true })
      const second = yield* Effect.forkChild(signer.publicKey(), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(PublicKey.isPublicKey(yield* Fiber.join(second)))
      assert.strictEqual(yield* script.publicKeyReads, 1)
    })
  )

  it.effect("is for ever where the version is pinned", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make()
      yield* signer.publicKey()
      yield* TestClock.adjust("365 days")
      yield* signer.publicKey()
      assert.strictEqual(yield* script.publicKeyReads, 1)
    })
  )

  it.effect("reads again after the time to live, and serves a stale key only within its bound", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({
        publicKeyTimeToLive: "1 minute",
        publicKeyStaleFor: "10 minutes"
      })
      yield* signer.publicKey() // 0: read
      yield* TestClock.adjust("59 seconds")
      yield* signer.publicKey()
      assert.strictEqual(yield* script.publicKeyReads, 1)
      yield* TestClock.adjust("1 second") // 60 s: expired
      yield* signer.publicKey()
      assert.strictEqual(yield* script.publicKeyReads, 2)

      yield* script.pushPublicKey(...Array(4).fill(unavailable))
      yield* TestClock.adjust("61 seconds")
      yield* signer.publicKey() // stale, served
      yield* signer.publicKey() // the backend is not asked again at once
      assert.strictEqual(yield* script.publicKeyReads, 3)
      yield* TestClock.adjust("5 seconds")
      yield* signer.publicKey()
      assert.strictEqual(yield* script.publicKeyReads, 4)
      yield* TestClock.adjust("593 seconds") // 659 s after the last good read
      yield* signer.publicKey()
      yield* TestClock.adjust("5 seconds") // 664 s: beyond the bound of 660 s
      assert.strictEqual((yield* Effect.flip(signer.publicKey()))._tag, "Retryable")
      yield* signer.publicKey() // the backend is back
      assert.strictEqual(yield* script.publicKeyReads, 7)
    })
  )

  it.effect("a stale key is not served beyond its bound, however short", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({
        publicKeyTimeToLive: "1 minute",
        publicKeyStaleFor: "1 second"
      })
      yield* signer.publicKey()
      yield* script.pushPublicKey(unavailable, unavailable)
      yield* TestClock.adjust("60500 millis")
      yield* signer.publicKey() // stale, within the bound of 61 s
      yield* TestClock.adjust("499 millis")
      yield* signer.publicKey()
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Effect.flip(signer.publicKey()))._tag, "Retryable")
    })
  )

  it.effect("a read that hangs is given up, for all who share it, and a stale key stands in", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({
        publicKeySteps: [ScriptedSigner.hang],
        publicKeyTimeToLive: "1 minute"
      })
      const impatient = Decorator.timeout("1 second")(signer)
      // callers that overlap, each with less patience than the read
      const callers = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 30 }, (_, index) => index),
          (index) => Effect.exit(Effect.delay(impatient.publicKey(), index * 300)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("10 seconds")
      const exits = yield* Fiber.join(callers)
      assert.strictEqual(yield* script.publicKeyReads, 2)
      assert.isTrue(exits.slice(20).every(Exit.isSuccess))

      yield* TestClock.adjust("1 minute")
      yield* script.pushPublicKey(ScriptedSigner.hang)
      const stale = yield* Effect.forkChild(Decorator.timeout("10 seconds")(signer).publicKey())
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(PublicKey.isPublicKey(yield* Fiber.join(stale)))
    })
  )

  it.effect("a key that is gone is not served stale", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ publicKeyTimeToLive: "1 minute" })
      yield* signer.publicKey()
      yield* script.pushPublicKey(notFound)
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Effect.flip(signer.publicKey()))._tag, "KeyNotFound")
    })
  )

  it.effect("keeps each version for ever", () =>
    Effect.gen(function* () {
      const keys = new Map<string | undefined, PublicKey.PublicKey>()
      for (const version of [undefined, "1", "2"]) keys.set(version, (yield* PrivateKey.generate("Ed25519")).publicKey)
      const reads: Array<string | undefined> = []
      const { backend } = yield* fake({
        publicKey: (version) =>
          Effect.sync(() => {
            reads.push(version)
            return keys.get(version)!
          })
      })
      const signer = yield* Signer.make(backend, { publicKeyTimeToLive: "1 minute" })
      for (const version of ["1", "2"] as const) {
        const key = yield* signer.publicKey(KeyVersion.make(version))
        assert.isTrue(PublicKey.sameKey(key, keys.get(version)!))
      }
      yield* TestClock.adjust("1 hour")
      yield* signer.publicKey(KeyVersion.make("1"))
      yield* signer.publicKey()
      assert.deepStrictEqual(reads, [undefined, "1", "2", undefined])
    })
  )
})

describe("batch", () => {
  const batched = (
    outcomes: (
      inputs: ReadonlyArray<Uint8Array>
    ) => ReadonlyArray<Exit.Exit<Signer.BackendSignature, SignerError.SignerError>>
  ) =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const { backend } = yield* fake({
        sign: () => Effect.die("not in a batch"),
        signMany: (inputs) =>
          Effect.sync(() => {
            sizes.push(inputs.length)
            return outcomes(inputs)
          })
      })
      const signer = yield* Signer.make(backend, { batch: { max: 100 } })
      return { signer, sizes }
    })

  const echo = (input: Uint8Array) => Exit.succeed({ bytes: new Uint8Array(64).fill(input[0]!) })

  it.effect("collects concurrent calls, in order, in batches of at most max", () =>
    Effect.gen(function* () {
      const { signer, sizes } = yield* batched((inputs) => inputs.map(echo))
      const signatures = yield* Effect.forEach(
        Array.from({ length: 250 }, (_, index) => Uint8Array.of(index)),
        (input) => signer.sign(input),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        signatures.map(({ bytes }) => bytes[0]),
        Array.from({ length: 250 }, (_, index) => index)
      )
      assert.deepStrictEqual(sizes, [100, 100, 50])
    })
  )

  it.effect("an outcome is of one call", () =>
    Effect.gen(function* () {
      const error = new SignerError.KeyNotFound({ backend: "fake", keyId: "k", operation: "sign" })
      const { signer } = yield* batched((inputs) =>
        inputs.map((input) => (input[0] === 1 ? Exit.fail(error) : echo(input)))
      )
      const exits = yield* Effect.forEach([0, 1, 2], (n) => Effect.exit(signer.sign(Uint8Array.of(n))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true])
    })
  )

  it.effect("a batch with too few outcomes fails whole", () =>
    Effect.gen(function* () {
      const { signer } = yield* batched((inputs) => inputs.slice(1).map(echo))
      const errors = yield* Effect.forEach([0, 1, 2], (n) => Effect.flip(signer.sign(Uint8Array.of(n))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        errors.map(({ _tag }) => _tag),
        Array(3).fill("InvalidResponse")
      )
    })
  )
})

describe("layers and keys", () => {
  class RootSigner extends Signer.Tag<RootSigner>()("test/RootSigner") {}

  it.effect("as provides a Signer under another key", () =>
    Effect.gen(function* () {
      const Live = Layer.mergeAll(
        TestSigner.layer({ algorithm: "Ed25519" }),
        TestSigner.layer({ algorithm: "ES384" }).pipe(Signer.timeout("1 second"), Signer.as(RootSigner))
      )
      const algorithms = yield* Effect.gen(function* () {
        return [(yield* Signer.Signer).algorithm, (yield* RootSigner).algorithm]
      }).pipe(Effect.provide(Live))
      assert.deepStrictEqual(algorithms, ["Ed25519", "ES384"])
    })
  )

  it.effect("layerRemote retries what is read while the layer is built, and verifies", () =>
    Effect.gen(function* () {
      let attempts = 0
      const { script, signer } = yield* ScriptedSigner.make({
        publicKeySteps: [unavailable, unavailable],
        steps: [unavailable, ScriptedSigner.invalid("tampered")]
      })
      const make = Effect.suspend(() =>
        ++attempts < 3
          ? Effect.fail(
              new SignerError.Retryable({
                backend: "fake",
                keyId: "k",
                operation: "make",
                reason: new SignerError.BackendUnavailable({})
              })
            )
          : Effect.succeed(signer)
      )
      const fiber = yield* Effect.forkChild(
        Effect.flip(Signer.sign(message)).pipe(
          Effect.provide(Signer.layerRemote({ backend: "fake", keyId: "k" }, make))
        )
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "InvalidResponse")
      assert.strictEqual(attempts, 3)
      assert.strictEqual(yield* script.publicKeyReads, 3)
      assert.lengthOf(yield* script.attempts, 2)
    })
  )
})

describe("Signature", () => {
  it.effect("has a JSON form that reads back", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("ES256") })
      const signature = yield* signer.sign(message)
      const json = JSON.parse(JSON.stringify(signature))
      assert.deepStrictEqual(json, yield* Schema.encodeEffect(Signature.SignatureJson)(signature))
      assert.deepStrictEqual(Object.keys(json), ["algorithm", "keyId", "bytes"])
      assert.match(json.bytes, /^[\w-]{86}$/)
      const again = yield* Schema.decodeUnknownEffect(Signature.SignatureJson)(json)
      assert.deepStrictEqual(again, signature)
      assert.isTrue(again instanceof Signature.Signature)
      for (const bytes of [
        `${json.bytes}AAAA`,
        "",
        "AAAA",
        `${json.bytes}=`,
        `${json.bytes} `,
        `${json.bytes.slice(0, -1)}B`,
        "*",
        1
      ]) {
        const decoded = yield* Effect.exit(Schema.decodeUnknownEffect(Signature.SignatureJson)({ ...json, bytes }))
        assert.isTrue(Exit.isFailure(decoded), `accepted ${bytes}`)
      }
    })
  )

  it.effect("has a DER form where it is ECDSA", () =>
    Effect.gen(function* () {
      const ecdsa = yield* (yield* LocalSigner.make({ privateKey: PrivateKey.generate("ES512") })).sign(message)
      const der = Signature.toDer(ecdsa)!
      assert.deepStrictEqual(EcdsaSignature.fromDer(der, 66), ecdsa.bytes)
      const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") })
      assert.isUndefined(Signature.toDer(yield* signer.sign(message)))
    })
  )
})

describe("Verifier", () => {
  it.effect("takes a key with several algorithms only with one of them", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.generate("secp256k1")
      const error = yield* Effect.flip(Verifier.make(publicKey))
      assert.include(error.message, "ES256K, BIP340")
      assert.strictEqual((yield* Verifier.make(publicKey, { algorithm: "BIP340" })).algorithm, "BIP340")
      assert.strictEqual(
        (yield* Effect.flip(Verifier.make(publicKey, { algorithm: "ES256" })))._tag,
        "InvalidConfiguration"
      )
    })
  )

  it.effect("reads the encoding that is declared, and no other", () =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate("ES256")
      const signature = yield* (yield* LocalSigner.make({ privateKey })).sign(message)
      const der = Signature.toDer(signature)!
      const raw = yield* Verifier.make(privateKey.publicKey)
      const asDer = yield* Verifier.make(privateKey.publicKey, { encoding: "der" })
      assert.isTrue(yield* raw.verify(message, signature.bytes))
      assert.isFalse(yield* raw.verify(message, der))
      assert.isTrue(yield* asDer.verify(message, der))
      assert.isFalse(yield* asDer.verify(message, signature.bytes))
      assert.isTrue(yield* asDer.verify(message, signature)) // a Signature knows its encoding
    })
  )

  it.effect("refuses high-S for ES256K where asked to", () =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate("ES256K")
      const { bytes } = yield* (yield* LocalSigner.make({ privateKey, algorithm: "ES256K" })).sign(message)
      const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
      const s = n - BigInt(`0x${Buffer.from(bytes.subarray(32)).toString("hex")}`)
      const high = new Uint8Array([...bytes.subarray(0, 32), ...Buffer.from(s.toString(16).padStart(64, "0"), "hex")])
      assert.isFalse(EcdsaSignature.isLowS(high))
      assert.deepStrictEqual(EcdsaSignature.toLowS(high), bytes)
      const options = { algorithm: "ES256K" } as const
      assert.isTrue(yield* Verifier.verify(privateKey.publicKey, message, high, options))
      assert.isFalse(yield* Verifier.verify(privateKey.publicKey, message, high, { ...options, lowS: true }))
      assert.isTrue(yield* Verifier.verify(privateKey.publicKey, message, bytes, { ...options, lowS: true }))
    })
  )

  it.effect("says false to a Signature of another algorithm by the same key", () =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate("RSA", { modulusLength: 2048 })
      const signature = yield* (yield* LocalSigner.make({ privateKey, algorithm: "RS256" })).sign(message)
      assert.isTrue(yield* Verifier.verify(privateKey.publicKey, message, signature, { algorithm: "RS256" }))
      assert.isFalse(yield* Verifier.verify(privateKey.publicKey, message, signature, { algorithm: "PS256" }))
    })
  )

  it.effect.each([
    ["Ed25519", { encoding: "der" }],
    ["ES256", { lowS: true }],
    ["ES256", { ed25519: "zip215" }]
  ] as const)("refuses an option that %s does not have", ([algorithm, options]) =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.generate(algorithm)
      assert.strictEqual((yield* Effect.flip(Verifier.make(publicKey, options)))._tag, "InvalidConfiguration")
    })
  )

  it.effect("says false to what is not bytes", () =>
    Effect.gen(function* () {
      for (const algorithm of ["Ed25519", "RS256"] as const) {
        const privateKey = yield* PrivateKey.generate(algorithm)
        const { bytes } = yield* (yield* LocalSigner.make({ privateKey, algorithm })).sign(message)
        const verifier = yield* Verifier.make(privateKey.publicKey, { algorithm })
        assert.isTrue(yield* verifier.verify(message, bytes))
        for (const wrong of ["message", null, undefined, 7, [1]]) {
          assert.isFalse(yield* verifier.verify(wrong as never, bytes))
          assert.isFalse(yield* verifier.verify(message, wrong as never))
        }
      }
    })
  )

  it.effect("is strict about Ed25519 by default, and zip215 where told to", () =>
    Effect.gen(function* () {
      // A = the identity, R = the identity, S = 0: valid for every message under ZIP 215
      const identity = Uint8Array.of(1, ...new Uint8Array(31))
      const publicKey = yield* PublicKey.fromRaw("Ed25519", identity)
      const signature = new Uint8Array([...identity, ...new Uint8Array(32)])
      assert.isFalse(yield* Verifier.verify(publicKey, message, signature))
      assert.isTrue(yield* Verifier.verify(publicKey, message, signature, { ed25519: "zip215" }))
    })
  )
})
