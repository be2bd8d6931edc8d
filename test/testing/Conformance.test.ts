import { assert, describe, it } from "@effect/vitest"
import { ed25519ph } from "@noble/curves/ed25519.js"
import { p256 } from "@noble/curves/nist.js"
import { Deferred, Effect, Exit, Layer, Option, Redacted, type Scope, Semaphore } from "effect"
import * as crypto from "node:crypto"
import {
  EcdsaSignature,
  KeyId,
  KeyVersion,
  LocalSigner,
  PrivateKey,
  Signature,
  Signer,
  SignerError
} from "../../src/index.ts"
import { Conformance, ScriptedSigner, TestSigner } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

type Algorithm = Signature.Signature["algorithm"]
type PublicKeyExit = Exit.Exit<Effect.Success<ReturnType<Signer.Service["publicKey"]>>, SignerError.SignerError>

// ---------------------------------------------------------------------------
// the correct parts, of which the wrong ones are made
// ---------------------------------------------------------------------------

const local = (algorithm: Algorithm, seed?: string) =>
  LocalSigner.make({ privateKey: TestKey.make(algorithm, seed), algorithm })

const nodeKey = (algorithm: Algorithm) =>
  Effect.map(TestKey.make(algorithm), (key) => crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(key))))

const context = { backend: "wrong", keyId: "key", operation: "sign" } as const
const unavailable = new SignerError.Retryable({ ...context, reason: new SignerError.BackendUnavailable({}) })

/** A real network call lets others run; so does this, without a clock. */
const elsewhere = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

/** A correct backend with one part replaced. */
const backend = (
  algorithm: Algorithm,
  wrong: (real: Signer.Service) => Partial<Signer.Backend>,
  options?: Signer.MakeOptions
) =>
  Layer.effect(
    Signer.Signer,
    Effect.flatMap(local(algorithm), (real) =>
      Signer.make(
        {
          name: "wrong",
          keyId: real.keyId,
          algorithm,
          input: "message",
          publicKey: real.publicKey,
          sign: (message) =>
            Effect.andThen(
              elsewhere,
              Effect.map(real.sign(message), ({ bytes }) => ({ bytes }))
            ),
          ...wrong(real)
        },
        options
      )
    )
  )

/** A Signer that `Signer.make` did not make: a correct one with one part replaced. */
const signer = (
  algorithm: Algorithm,
  wrong: (real: Signer.Service) => Partial<Signer.Service> | Effect.Effect<Partial<Signer.Service>, never, Scope.Scope>
) =>
  Layer.effect(
    Signer.Signer,
    Effect.gen(function* () {
      const real = yield* local(algorithm)
      const changed = wrong(real)
      return Signer.Signer.of({ ...real, ...(Effect.isEffect(changed) ? yield* changed : changed) })
    })
  )

/** Replaces fields of a signature. */
const relabelled = (signature: Signature.Signature, fields: Partial<Signature.Signature>) =>
  new Signature.Signature({ ...signature, ...fields })

// ---------------------------------------------------------------------------
// correct subjects
// ---------------------------------------------------------------------------

/** A subject that counts reads of the public key. */
const counted = <A>(name: string, make: (read: Effect.Effect<void>) => A) => {
  let reads = 0
  return { name, ...make(Effect.sync(() => void reads++)), publicKeyReads: Effect.sync(() => reads) }
}

const sha256 = (message: Uint8Array) => new Uint8Array(crypto.createHash("sha256").update(message).digest())

/** Each signature is by the next of two versions. */
const rotating = Effect.gen(function* () {
  const versions = new Map([
    ["1", yield* local("ES256", "1")],
    ["2", yield* local("ES256", "2")]
  ])
  let calls = 0
  return yield* Signer.make({
    name: "rotating",
    keyId: KeyId.make("key"),
    algorithm: "ES256",
    input: "message",
    publicKey: (version) =>
      versions.get(version ?? "2")?.publicKey() ??
      Effect.fail(new SignerError.KeyNotFound({ ...context, operation: "publicKey" })),
    sign: (message) => {
      const version = calls++ % 2 === 0 ? "1" : "2"
      return Effect.map(versions.get(version)!.sign(message), ({ bytes }) => ({
        bytes,
        keyVersion: KeyVersion.make(version)
      }))
    }
  })
})

const p256Secret = TestKey.secretBytes("P-256", "effect-signer")
const token = "hvs.canary-token-0123456789"

const correct: ReadonlyArray<Conformance.Subject> = [
  { name: "message", layer: backend("Ed25519", () => ({})) },
  {
    name: "digest",
    layer: backend("ES256", () => ({
      input: "digest",
      sign: (digest) => Effect.sync(() => ({ bytes: p256.sign(digest, p256Secret, { prehash: false, lowS: false }) }))
    }))
  },
  counted("lazy", (read) => ({
    layer: backend(
      "Ed25519",
      (real) => ({
        publicKey: (version) => Effect.andThen(elsewhere, Effect.andThen(read, real.publicKey(version)))
      }),
      { lazy: true }
    )
  })),
  { name: "TestSigner", layer: TestSigner.layer({ algorithm: "ES384" }) },
  { name: "ScriptedSigner", layer: ScriptedSigner.layer({ algorithm: "ES256K" }) },
  { name: "limit", layer: backend("Ed25519", () => ({ maxMessageLength: 4096 })), maxMessageLength: 4096 },
  {
    name: "batch",
    layer: backend(
      "Ed25519",
      (real) => ({
        signMany: (inputs) => Effect.forEach(inputs, (input) => Effect.exit(real.sign(input)))
      }),
      { batch: {} }
    )
  },
  { name: "versions", layer: Layer.effect(Signer.Signer, rotating) },
  {
    name: "decorated",
    layer: backend("ES256K", () => ({})).pipe(
      Signer.resilient(),
      Signer.verified,
      Signer.guard({ name: "all", permits: () => true }),
      Signer.observed()
    )
  },
  {
    name: "one session",
    layer: Layer.effect(
      Signer.Signer,
      Effect.gen(function* () {
        const real = yield* local("Ed25519")
        const session = yield* Semaphore.make(1)
        return Signer.transform(real, { sign: (sign) => session.withPermit(Effect.andThen(elsewhere, sign)) })
      })
    )
  },
  {
    name: "faulty configurations",
    layer: backend("Ed25519", () => ({})),
    secrets: [token],
    faulty: [
      Layer.effect(
        Signer.Signer,
        LocalSigner.make({ privateKey: PrivateKey.fromPem(Redacted.make(`-----BEGIN PRIVATE KEY-----\n${token}`)) })
      )
    ]
  }
]

// ---------------------------------------------------------------------------
// one known mistake each
// ---------------------------------------------------------------------------

/** The cases that verify a signature. */
const verifying = [
  "signs 0 bytes",
  "signs 1 bytes",
  "signs 4096 bytes",
  "signs 4097 bytes",
  "signs 1000000 bytes",
  "makes canonical signatures",
  "names its key and algorithm",
  "signs the bytes of a view and nothing around them",
  "signs a copy of the message",
  "signs again when its effect is run again",
  "does not mix 64 concurrent calls",
  "works after interrupted calls",
  "fails no other caller when one is interrupted",
  "verifies when the backend is gone"
]

/** The cases that need a signature at all. */
const signing = [...verifying, "does not sign for another message", "leaves the message as it is", "has one public key"]

/** The cases that have several signatures in their hands. */
const several = [
  "does not mix 64 concurrent calls",
  "works after interrupted calls",
  "fails no other caller when one is interrupted"
]

const limitCase = "refuses messages exactly above its limit"

interface Wrong extends Conformance.Options {
  readonly mistake: string
  /** All cases that fail. */
  readonly caughtBy: ReadonlyArray<string>
  readonly layer: Layer.Layer<Signer.Signer, unknown>
}

const secret = TestKey.secretBytes("Ed25519", "effect-signer")
const base64 = Buffer.from(secret).toString("base64")

/** Leaks of the private key, each at another place. */
const leak = (
  where: string,
  wrong: (real: Signer.Service) => Partial<Signer.Service>,
  alsoCaughtBy: ReadonlyArray<string> = []
): Wrong => ({
  mistake: `leaks the secret ${where}`,
  caughtBy: ["shows nothing secret", ...alsoCaughtBy],
  layer: signer("Ed25519", wrong),
  secrets: [secret]
})

const versionError = (fields: { readonly text: string }) =>
  new SignerError.UnknownBackendError({
    ...context,
    operation: "publicKey",
    cause: new SignerError.VendorError({ vendorName: "Vendor", ...fields })
  })

/** A cache of signatures by message; `copy` hands out a copy each time. */
const cached =
  (copy: (signature: Signature.Signature) => Signature.Signature) =>
  (real: Signer.Service): Partial<Signer.Service> => {
    const known = new Map<string, Signature.Signature>()
    return {
      sign: (message) =>
        Effect.suspend(() => {
          const key = Buffer.from(message).toString("hex")
          const found = known.get(key)
          return found !== undefined
            ? Effect.succeed(copy(found))
            : Effect.map(real.sign(message), (signature) => {
                known.set(key, signature)
                return copy(signature)
              })
        })
    }
  }

let signatures = 0

const mistakes: ReadonlyArray<Wrong> = [
  {
    mistake: "hands out one cached signature",
    caughtBy: ["signs again when its effect is run again"],
    layer: signer(
      "ES256",
      cached((signature) => signature)
    )
  },
  {
    mistake: "caches signatures, where its backend is counted",
    caughtBy: ["signs again when its effect is run again"],
    layer: signer("ES256", (real) =>
      cached((signature) => relabelled(signature, { bytes: signature.bytes.slice() }))({
        ...real,
        sign: (message) =>
          Effect.suspend(() => {
            signatures++
            return real.sign(message)
          })
      })
    ),
    signatures: Effect.sync(() => signatures)
  },
  {
    mistake: "wipes the message a tick later",
    caughtBy: ["leaves the message as it is", "signs the bytes of a view and nothing around them"],
    layer: signer("Ed25519", (real) => ({
      sign: (message) =>
        Effect.tap(real.sign(message), () => Effect.sync(() => void setImmediate(() => message.fill(0))))
    }))
  },
  {
    mistake: "reads the message a tick later",
    caughtBy: ["signs a copy of the message"],
    layer: signer("Ed25519", (real) => ({
      sign: (message) =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.suspend(() => real.sign(message))
        )
    }))
  },
  {
    mistake: "truncates signatures",
    caughtBy: signing,
    layer: backend("Ed25519", (real) => ({
      sign: (message) => Effect.map(real.sign(message), ({ bytes }) => ({ bytes: bytes.subarray(1) }))
    }))
  },
  {
    mistake: "truncates signatures of an unspecified length",
    caughtBy: verifying,
    layer: backend("PS256", (real) => ({
      sign: (message) => Effect.map(real.sign(message), ({ bytes }) => ({ bytes: bytes.subarray(1) }))
    }))
  },
  {
    mistake: "signs with another key",
    caughtBy: verifying,
    layer: backend("ES256", () => ({
      sign: (message) =>
        Effect.flatMap(local("ES256", "another"), (other) =>
          Effect.map(other.sign(message), ({ bytes }) => ({ bytes }))
        )
    }))
  },
  {
    mistake: "shows another public key",
    caughtBy: [...verifying, "answers an unknown key version with a typed error"],
    layer: backend("Ed25519", () => ({
      publicKey: () => Effect.flatMap(local("Ed25519", "another"), (other) => other.publicKey())
    }))
  },
  {
    mistake: "signs with one version and names the other",
    caughtBy: verifying,
    layer: backend("ES256", (real) => ({
      publicKey: (version) =>
        version === "2" ? Effect.flatMap(local("ES256", "2"), (other) => other.publicKey()) : real.publicKey(version),
      sign: (message) => Effect.map(real.sign(message), ({ bytes }) => ({ bytes, keyVersion: KeyVersion.make("2") }))
    }))
  },
  {
    mistake: "returns DER",
    caughtBy: verifying,
    layer: signer("ES256", (real) => ({
      sign: (message) =>
        Effect.map(real.sign(message), (signature) =>
          relabelled(signature, { bytes: EcdsaSignature.toDer(signature.bytes)! })
        )
    }))
  },
  {
    mistake: "returns a high S",
    caughtBy: ["makes canonical signatures"],
    layer: signer("ES256K", (real) => ({
      sign: (message) =>
        Effect.map(real.sign(message), (signature) => relabelled(signature, { bytes: highS(signature.bytes) }))
    }))
  },
  {
    mistake: "uses the longest salt",
    caughtBy: verifying,
    layer: backend("PS256", () => ({
      sign: (message) =>
        Effect.map(nodeKey("PS256"), (key) => ({
          bytes: new Uint8Array(
            crypto.sign("sha256", message, {
              key,
              padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
              saltLength: crypto.constants.RSA_PSS_SALTLEN_MAX_SIGN
            })
          )
        }))
    }))
  },
  {
    mistake: "pads with PKCS#1 v1.5 where PSS was promised",
    caughtBy: verifying,
    layer: backend("PS256", () => ({
      sign: (message) =>
        Effect.map(nodeKey("PS256"), (key) => ({ bytes: new Uint8Array(crypto.sign("sha256", message, key)) }))
    }))
  },
  {
    mistake: "signs Ed25519ph",
    caughtBy: verifying,
    layer: backend("Ed25519", () => ({
      sign: (message) => Effect.sync(() => ({ bytes: ed25519ph.sign(message, secret) }))
    }))
  },
  {
    mistake: "hashes twice",
    caughtBy: verifying,
    layer: backend("ES256", (real) => ({
      sign: (message) => Effect.map(real.sign(sha256(message)), ({ bytes }) => ({ bytes }))
    }))
  },
  {
    mistake: "signs the first 4096 bytes",
    caughtBy: ["signs 4097 bytes", "signs 1000000 bytes"],
    layer: backend("ES256", (real) => ({
      sign: (message) => Effect.map(real.sign(message.subarray(0, 4096)), ({ bytes }) => ({ bytes }))
    }))
  },
  {
    mistake: "takes no empty message",
    caughtBy: ["signs 0 bytes"],
    layer: backend("Ed25519", (real) => ({
      sign: (message) =>
        message.length === 0 ? Effect.fail(unavailable) : Effect.map(real.sign(message), ({ bytes }) => ({ bytes }))
    }))
  },
  {
    mistake: "has a limit it does not declare",
    caughtBy: ["signs 4097 bytes", "signs 1000000 bytes"],
    layer: backend("Ed25519", () => ({ maxMessageLength: 4096 }))
  },
  {
    mistake: "refuses below its limit",
    caughtBy: ["signs 4096 bytes", "signs 4097 bytes", "signs 1000000 bytes", limitCase],
    layer: backend("Ed25519", () => ({ maxMessageLength: 4095 })),
    maxMessageLength: 4096
  },
  {
    mistake: "signs above its limit",
    caughtBy: ["signs 4097 bytes", "signs 1000000 bytes", limitCase],
    layer: backend("Ed25519", () => ({ maxMessageLength: 4097 })),
    maxMessageLength: 4096
  },
  {
    mistake: "refuses long messages with another error",
    caughtBy: ["signs 4097 bytes", "signs 1000000 bytes", limitCase],
    layer: backend("Ed25519", (real) => ({
      sign: (message) =>
        message.length > 4096 ? Effect.fail(unavailable) : Effect.map(real.sign(message), ({ bytes }) => ({ bytes }))
    })),
    maxMessageLength: 4096
  },
  {
    mistake: "reads the caller's buffer late",
    caughtBy: ["signs a copy of the message"],
    layer: signer("Ed25519", (real) => ({
      sign: (message) =>
        Effect.andThen(
          elsewhere,
          Effect.suspend(() => real.sign(message))
        )
    }))
  },
  {
    mistake: "wipes the caller's message",
    caughtBy: [
      "leaves the message as it is",
      "signs the bytes of a view and nothing around them",
      "signs again when its effect is run again"
    ],
    layer: signer("Ed25519", (real) => ({
      sign: (message) =>
        Effect.ensuring(
          real.sign(message),
          Effect.sync(() => message.fill(0))
        )
    }))
  },
  {
    mistake: "signs the buffer under a view",
    caughtBy: ["signs the bytes of a view and nothing around them"],
    layer: signer("Ed25519", (real) => ({ sign: (message) => real.sign(new Uint8Array(message.buffer)) }))
  },
  {
    mistake: "signs once per effect",
    caughtBy: ["signs again when its effect is run again"],
    layer: signer("Ed25519", (real) => ({
      sign: (message) => {
        const copy = message.slice()
        return Effect.ensuring(
          Effect.suspend(() => real.sign(copy)),
          Effect.sync(() => copy.fill(0))
        )
      }
    }))
  },
  {
    mistake: "mixes the outcomes of a batch",
    caughtBy: several,
    layer: backend(
      "Ed25519",
      (real) => ({
        signMany: (inputs) =>
          Effect.map(
            Effect.forEach(inputs, (input) => Effect.exit(real.sign(input))),
            (exits) => exits.reverse()
          )
      }),
      { batch: {} }
    )
  },
  {
    mistake: "keeps the message of the newest call",
    caughtBy: several,
    layer: backend("Ed25519", (real) => {
      let current = new Uint8Array(0)
      return {
        sign: (message) =>
          Effect.suspend(() => {
            current = new Uint8Array(message)
            return Effect.andThen(
              elsewhere,
              Effect.suspend(() => Effect.map(real.sign(current), ({ bytes }) => ({ bytes })))
            )
          })
      }
    })
  },
  {
    mistake: "writes all signatures to one buffer",
    caughtBy: several,
    layer: signer("Ed25519", (real) => {
      const bytes = new Uint8Array(64)
      return {
        sign: (message) =>
          Effect.map(real.sign(message), (signature) => {
            bytes.set(signature.bytes)
            return Object.assign(Object.create(signature), { bytes })
          })
      }
    })
  },
  {
    mistake: "names another key",
    caughtBy: ["names its key and algorithm"],
    layer: signer("Ed25519", (real) => ({
      sign: (message) =>
        Effect.map(real.sign(message), (signature) => relabelled(signature, { keyId: KeyId.make("another") }))
    }))
  },
  {
    mistake: "names another algorithm",
    caughtBy: ["names its key and algorithm"],
    layer: signer("ES256", (real) => ({
      sign: (message) => Effect.map(real.sign(message), (signature) => relabelled(signature, { algorithm: "ES256K" }))
    }))
  },
  {
    mistake: "has two public keys in turn",
    caughtBy: [
      "makes canonical signatures",
      "names its key and algorithm",
      "signs again when its effect is run again",
      ...several,
      "has one public key",
      "reads the public key once for 1,000 callers",
      "verifies when the backend is gone"
    ],
    layer: signer("Ed25519", (real) =>
      Effect.map(Effect.orDie(local("Ed25519", "another")), (other) => {
        let reads = 0
        return { publicKey: (version) => (reads++ % 2 === 0 ? real : other).publicKey(version) }
      })
    )
  },
  {
    mistake: "has the current public key for any version",
    caughtBy: ["answers an unknown key version with a typed error"],
    layer: signer("Ed25519", (real) => ({ publicKey: () => real.publicKey() }))
  },
  {
    mistake: "dies of an unknown version",
    caughtBy: ["answers an unknown key version with a typed error"],
    layer: signer("Ed25519", (real) => ({
      publicKey: (version) => (version === undefined ? real.publicKey() : Effect.die(new TypeError("no such version")))
    }))
  },
  {
    mistake: "is broken by an interruption",
    caughtBy: ["works after interrupted calls"],
    layer: backend("Ed25519", (real) => {
      let isBroken = false
      return {
        sign: (message) =>
          Effect.suspend(() => (isBroken ? Effect.fail(unavailable) : elsewhere)).pipe(
            Effect.onInterrupt(() => Effect.sync(() => void (isBroken = true))),
            Effect.andThen(Effect.map(real.sign(message), ({ bytes }) => ({ bytes })))
          )
      }
    })
  },
  {
    mistake: "remembers a public key that could not be read",
    caughtBy: ["works after interrupted calls"],
    layer: signer("Ed25519", (real) => {
      let remembered: PublicKeyExit | undefined
      return {
        publicKey: (version) =>
          version !== undefined
            ? real.publicKey(version)
            : Effect.suspend(
                () =>
                  remembered ??
                  Effect.onExit(Effect.andThen(elsewhere, real.publicKey()), (exit) =>
                    Effect.sync(() => {
                      remembered = Exit.hasInterrupts(exit) ? Exit.fail(unavailable) : exit
                    })
                  )
              )
      }
    })
  },
  {
    mistake: "reads the public key for all in the fiber of the first caller",
    caughtBy: ["works after interrupted calls", "fails no other caller when one is interrupted"],
    layer: signer("Ed25519", (real) => {
      let reading: Deferred.Deferred<Effect.Success<ReturnType<Signer.Service["publicKey"]>>, SignerError.SignerError>
      return {
        publicKey: (version) =>
          version !== undefined
            ? real.publicKey(version)
            : Effect.suspend(() => {
                if (reading !== undefined) return Deferred.await(reading)
                const mine = (reading = Deferred.makeUnsafe())
                return Effect.onExit(Effect.andThen(elsewhere, real.publicKey()), (exit) => Deferred.done(mine, exit))
              })
      }
    })
  },
  {
    ...counted("", (read) => ({
      layer: backend("Ed25519", (real) => ({
        publicKey: (version) => Effect.andThen(read, real.publicKey(version))
      })).pipe((made) =>
        Layer.effect(
          Signer.Signer,
          Effect.gen(function* () {
            const signer = yield* Signer.Signer
            const real = yield* local("Ed25519")
            return Signer.Signer.of({
              ...signer,
              publicKey: (version) => Effect.andThen(read, real.publicKey(version))
            })
          })
        ).pipe(Layer.provide(made))
      )
    })),
    mistake: "asks the backend for the public key on each call",
    caughtBy: ["reads the public key once for 1,000 callers", "verifies when the backend is gone"]
  },
  {
    mistake: "has a counter of reads that does not count",
    caughtBy: ["reads the public key once for 1,000 callers"],
    layer: backend("Ed25519", () => ({})),
    publicKeyReads: Effect.succeed(0)
  },
  {
    mistake: "needs the backend to verify",
    caughtBy: ["verifies when the backend is gone"],
    layer: signer("Ed25519", (real) =>
      Effect.gen(function* () {
        const session = { isOpen: true }
        yield* Effect.addFinalizer(() => Effect.sync(() => void (session.isOpen = false)))
        return {
          publicKey: (version) =>
            Effect.suspend(() => (session.isOpen ? real.publicKey(version) : Effect.fail(unavailable)))
        }
      })
    )
  },
  {
    mistake: "frees signatures with the session",
    caughtBy: ["verifies when the backend is gone"],
    layer: signer("Ed25519", (real) =>
      Effect.gen(function* () {
        const memory: Array<Uint8Array> = []
        yield* Effect.addFinalizer(() => Effect.sync(() => memory.forEach((bytes) => bytes.fill(0))))
        return {
          sign: (message) => Effect.tap(real.sign(message), ({ bytes }) => Effect.sync(() => memory.push(bytes)))
        }
      })
    )
  },
  leak("in a field", () => Object.assign({}, { purpose: undefined, config: { seed: secret } })),
  leak("in a hidden field, as text", (real) => ({
    publicKey: Object.defineProperty(real.publicKey.bind(real), "key", { value: base64, enumerable: false })
  })),
  leak("in a log line", (real) => ({
    sign: (message) => Effect.andThen(Effect.logTrace("signing with", base64), real.sign(message))
  })),
  leak("in a log annotation", (real) => ({
    sign: (message) =>
      Effect.andThen(Effect.log("signing"), real.sign(message)).pipe(Effect.annotateLogs({ seed: [...secret] }))
  })),
  leak("in a span", (real) => ({
    sign: (message) => Effect.withSpan(real.sign(message), "sign", { attributes: { seed: base64 } })
  })),
  leak("in the cause of an error", (real) => ({
    publicKey: (version) =>
      version === undefined
        ? real.publicKey()
        : Effect.fail(versionError({ text: `POST {"key":"${Buffer.from(secret).toString("base64url")}"}` }))
  })),
  leak(
    "in the message of a defect",
    (real) => ({
      publicKey: (version) =>
        version === undefined
          ? real.publicKey()
          : Effect.die(new Error(`bad key ${Buffer.from(secret).toString("hex")}`))
    }),
    ["answers an unknown key version with a typed error"]
  ),
  {
    mistake: "leaks the message in a log line",
    caughtBy: ["shows nothing secret"],
    layer: signer("Ed25519", (real) => ({
      sign: (message) => Effect.andThen(Effect.logDebug("signing", message), real.sign(message))
    }))
  },
  {
    mistake: "leaks the message in an error",
    caughtBy: ["shows nothing secret"],
    layer: signer("Ed25519", (real) => ({
      sign: (message) =>
        message.length > 4096
          ? Effect.fail(
              new SignerError.MessageTooLarge({
                ...context,
                length: message.length,
                limit: 4096,
                advice: Buffer.from(message).toString("base64")
              })
            )
          : real.sign(message)
    })),
    maxMessageLength: 4096
  },
  {
    mistake: "leaks a token when it cannot be built",
    caughtBy: ["shows nothing secret"],
    layer: backend("Ed25519", () => ({})),
    secrets: [token],
    faulty: [Layer.effect(Signer.Signer, Effect.fail(versionError({ text: `403 for ${token}` })))]
  }
]

/** n - s: verifies just as well, and is not canonical. */
const highS = (bytes: Uint8Array): Uint8Array => {
  const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const s = n - BigInt(`0x${Buffer.from(bytes.subarray(32)).toString("hex")}`)
  return new Uint8Array([...bytes.subarray(0, 32), ...Buffer.from(s.toString(16).padStart(64, "0"), "hex")])
}

describe("Conformance", () => {
  it.effect.each(correct)("finds nothing wrong with a correct subject: $name", (subject) =>
    Effect.gen(function* () {
      const report = yield* Conformance.run(subject)
      assert.deepStrictEqual(report.failures, [])
      assert.strictEqual(report.passed, report.cases)
    })
  )

  it.effect.each(mistakes)("catches a subject that $mistake", ({ caughtBy, mistake, ...options }) =>
    Effect.gen(function* () {
      const report = yield* Conformance.run({ ...options, name: mistake })
      assert.sameMembers(
        report.failures.map((failure) => failure.case),
        caughtBy.slice()
      )
      assert.strictEqual(report.passed, report.cases - caughtBy.length)
      const search = Canary.search([
        { name: "secret", secret },
        { name: "token", secret: token }
      ])
      assert.isUndefined(search(JSON.stringify(report)))
    })
  )

  it("has no case that catches nothing", () => {
    const caught = new Set(mistakes.flatMap(({ caughtBy }) => caughtBy))
    const subject = { name: "limited", layer: backend("Ed25519", () => ({})), maxMessageLength: 4096 }
    assert.deepStrictEqual(
      Conformance.cases(subject)
        .map(({ name }) => name)
        .filter((name) => !caught.has(name)),
      []
    )
  })

  it.live("leaves waiting for a signer that never answers to the runner", () =>
    Effect.gen(function* () {
      const session = yield* Semaphore.make(1)
      const subject = {
        name: "keeps its session locked when interrupted",
        layer: signer("Ed25519", (real) => ({
          sign: (message) =>
            Effect.andThen(
              session.take(1),
              Effect.tap(Effect.andThen(elsewhere, real.sign(message.slice())), () => session.release(1))
            )
        }))
      }
      const { run } = Conformance.cases(subject).find(({ name }) => name === "works after interrupted calls")!
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(run, "500 millis")))
    })
  )

  const exceptions = [{ case: "signs 1000000 bytes", reason: "billed by the byte" }]

  it.effect("runs no case with an exception, and reports it", () =>
    Effect.gen(function* () {
      let longest = 0
      const report = yield* Conformance.run({
        name: "kit/expensive",
        layer: backend("Ed25519", (real) => ({
          sign: (message) => {
            longest = Math.max(longest, message.length)
            return Effect.map(real.sign(message), ({ bytes }) => ({ bytes }))
          }
        })),
        exceptions
      })
      assert.strictEqual(longest, 4097)
      assert.deepStrictEqual(report, {
        suite: "kit/expensive",
        source: "effect-signer/testing",
        cases: report.cases,
        passed: report.cases - 1,
        exceptions,
        failures: []
      })
      assert.isAbove(report.cases, 15)
    })
  )

  it.effect("fails for an exception that names no case", () =>
    Effect.gen(function* () {
      const report = yield* Conformance.run({
        name: "kit/misspelt",
        layer: backend("Ed25519", () => ({})),
        exceptions: [{ case: "signs a million bytes", reason: "billed by the byte" }]
      })
      assert.deepStrictEqual(report.exceptions, [])
      assert.deepStrictEqual(
        report.failures.map((failure) => failure.case),
        ["signs a million bytes"]
      )
      assert.strictEqual(report.cases, report.passed + 1)
    })
  )

  it.effect("fails every case, with the reason, for a layer that cannot be built", () =>
    Effect.gen(function* () {
      const report = yield* Conformance.run({
        name: "kit/unreachable",
        layer: Layer.effect(Signer.Signer, Effect.fail(unavailable))
      })
      assert.strictEqual(report.passed, 0)
      assert.deepStrictEqual(new Set(report.failures.map(({ problem }) => problem)), new Set([unavailable.message]))
    })
  )

  it.effect("wants faulty layers to fail", () =>
    Effect.gen(function* () {
      const layer = backend("Ed25519", () => ({}))
      const report = yield* Conformance.run({ name: "kit/not-faulty", layer, faulty: [layer] })
      assert.deepStrictEqual(
        report.failures.map(({ problem }) => problem),
        ["faulty[0] signs; it shows no error"]
      )
    })
  )

  it.effect("wants secrets long enough not to be found by accident", () =>
    Effect.gen(function* () {
      const report = yield* Conformance.run({
        name: "kit/pin",
        layer: backend("Ed25519", () => ({})),
        secrets: ["1234"]
      })
      assert.deepStrictEqual(
        report.failures.map(({ problem }) => problem),
        ["secrets[0] has a length of 4; below 8 it would be found by accident"]
      )
    })
  )

  it.effect("builds and releases the layer for each case", () =>
    Effect.gen(function* () {
      let built = 0
      let released = 0
      const layer = Layer.effect(
        Signer.Signer,
        Effect.andThen(
          Effect.acquireRelease(
            Effect.sync(() => built++),
            () => Effect.sync(() => released++)
          ),
          local("Ed25519")
        )
      )
      const { cases } = yield* Conformance.run({ name: "kit/scoped", layer })
      assert.deepStrictEqual([built, released], [cases, cases])
    })
  )

  it("registers a test per case, and names what it skips", () => {
    const run: Array<string> = []
    const skipped: Array<string> = []
    const effect = Object.assign((name: string) => void run.push(name), {
      skip: (name: string) => void skipped.push(name)
    })
    const layer = backend("Ed25519", () => ({}))
    Conformance.suite({ effect }, "kit/fake", layer, { exceptions })
    assert.deepStrictEqual(skipped, ["kit/fake: signs 1000000 bytes (billed by the byte)"])
    assert.deepStrictEqual(
      run,
      Conformance.cases({ name: "kit/fake", layer })
        .map(({ name }) => `kit/fake: ${name}`)
        .filter((name) => !name.endsWith("1000000 bytes"))
    )
  })

  Conformance.suite(
    it,
    "as tests",
    backend("ES256", () => ({}))
  )
})
