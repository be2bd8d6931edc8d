/** What all adapters to libraries of Promises do alike. Each of them against its real library: `test/oracles`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { LocalSigner, PrivateKey, type SignatureAlgorithm, Signer, SignerError } from "effect-signer"
import { ScriptedSigner } from "effect-signer/testing"
import * as AtprotoKeypair from "../../src/protocols/adapters/AtprotoKeypair.ts"
import * as BetterAuthJwt from "../../src/protocols/adapters/BetterAuthJwt.ts"
import * as JoseSign from "../../src/protocols/adapters/JoseSign.ts"
import * as OctokitAppJwt from "../../src/protocols/adapters/OctokitAppJwt.ts"
import * as SigstoreSigner from "../../src/protocols/adapters/SigstoreSigner.ts"
import * as SolanaSigner from "../../src/protocols/adapters/SolanaSigner.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { ScriptedPublicKeys } from "../services/support/ScriptedPublicKeys.ts"

interface Purpose {
  readonly purpose?: string | undefined
}

const text = "a message that nobody is to see"
const message = new TextEncoder().encode(text)

interface Adapter {
  readonly name: string
  /** Makes it, and gives a call that signs. */
  readonly make: (options?: Purpose) => Effect.Effect<() => Promise<unknown>, SignerError.SignerError, Signer.Signer>
  readonly algorithms: ReadonlyArray<SignatureAlgorithm.SignatureAlgorithm>
  readonly wrong: SignatureAlgorithm.SignatureAlgorithm
  readonly needs: string
}

const adapters: ReadonlyArray<Adapter> = [
  {
    name: "JoseSign",
    make: (options?: Purpose) =>
      Effect.map(
        JoseSign.make(options),
        ({ sign }) =>
          () =>
            sign(message)
      ),
    algorithms: ["Ed25519", "ES256", "ES256K", "PS256"],
    wrong: "BIP340",
    needs: "JOSE needs Ed25519, ES256"
  },
  {
    name: "OctokitAppJwt",
    make: (options?: Purpose) => Effect.map(OctokitAppJwt.make(options), (createJwt) => () => createJwt(text)),
    algorithms: ["RS256"],
    wrong: "PS256",
    needs: "GitHub needs RS256"
  },
  {
    name: "BetterAuthJwt",
    make: (options?: Purpose) =>
      Effect.map(
        BetterAuthJwt.make(options),
        ({ sign }) =>
          () =>
            sign({ text })
      ),
    algorithms: ["Ed25519", "ES256", "ES512", "PS256", "RS256"],
    wrong: "ES384",
    needs: "better-auth needs Ed25519, ES256, ES512, PS256, RS256"
  },
  {
    name: "SigstoreSigner",
    make: (options?: Purpose) =>
      Effect.map(
        SigstoreSigner.make(options),
        ({ sign }) =>
          () =>
            sign(message)
      ),
    algorithms: ["ES256", "RS256"],
    wrong: "Ed25519",
    needs: "sigstore needs ES256, RS256"
  },
  {
    name: "AtprotoKeypair",
    make: (options?: Purpose) =>
      Effect.map(
        AtprotoKeypair.make(options),
        ({ sign }) =>
          () =>
            sign(message)
      ),
    algorithms: ["ES256", "ES256K"],
    wrong: "ES384",
    needs: "AT Protocol needs ES256, ES256K"
  },
  {
    name: "SolanaSigner",
    make: (options?: Purpose) =>
      Effect.map(
        SolanaSigner.make(options),
        ({ signMessages }) =>
          () =>
            signMessages([{ content: message }])
      ),
    algorithms: ["Ed25519"],
    wrong: "ES256",
    needs: "Solana needs Ed25519"
  }
]

const rejection = (evaluate: () => Promise<unknown>) =>
  Effect.flip(Effect.tryPromise({ try: evaluate, catch: (error) => error }))

describe.each(adapters)("$name", ({ algorithms, make, needs, wrong }) => {
  const algorithm = algorithms[0]!

  it.effect.each(algorithms)("is made with %s", (algorithm) =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: TestKey.make(algorithm), algorithm })
      const call = yield* Effect.provideService(make(), Signer.Signer, signer)
      yield* Effect.promise(call)
    })
  )

  it.effect(`is not made with ${wrong}, and says what the library needs`, () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: TestKey.make(wrong), algorithm: wrong })
      const error = yield* Effect.flip(Effect.provideService(make(), Signer.Signer, signer))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
      assert.include(error.message, `${wrong}: ${needs}`)
    })
  )

  it.effect("is made with a Signer of the purpose that is asked for, and of no other", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: TestKey.make(algorithm), algorithm, purpose: "this" })
      yield* Effect.provideService(make({ purpose: "this" }), Signer.Signer, signer)
      const error = yield* Effect.flip(Effect.provideService(make({ purpose: "that" }), Signer.Signer, signer))
      assert.include(error.message, "purpose: the Signer is not for this purpose")
    })
  )

  it.effect("rejects with the typed error of the Signer, which shows nothing of the message", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({
        algorithm,
        steps: [ScriptedSigner.fail(new SignerError.RateLimited({}))]
      })
      const call = yield* Effect.provideService(make(), Signer.Signer, signer)
      const error = yield* rejection(call)
      assert.isTrue(SignerError.isSignerError(error))
      assert.strictEqual((error as SignerError.SignerError)._tag, "Retryable")
      assert.isUndefined(Canary.search([{ name: "message", secret: message }])(Canary.show(error)))
      yield* Effect.promise(call) // and works again
    })
  )

  it.effect("signs with the context in which it was made", () => {
    const lines: Array<unknown> = []
    const capture = Logger.make(({ message }) => void lines.push(message))
    return Effect.gen(function* () {
      const inner = yield* LocalSigner.make({ privateKey: TestKey.make(algorithm), algorithm })
      const signer = Signer.transform(inner, { sign: (sign) => Effect.andThen(Effect.logInfo("signing"), sign) })
      const call = yield* make().pipe(
        Effect.provideService(Signer.Signer, signer),
        Effect.provide(Logger.layer([capture]))
      )
      yield* Effect.promise(call)
      assert.deepStrictEqual(lines, [["signing"]])
    })
  })
})

describe("a key that is rotated", () => {
  it.effect("rejects where a name was made of the earlier one", () =>
    Effect.gen(function* () {
      const keys = yield* ScriptedPublicKeys.make(["v1", "v2"])
      const solana = yield* Effect.provideService(SolanaSigner.make(), Signer.Signer, keys.signer)
      assert.strictEqual(solana.address, SolanaSigner.address(keys.publicKey("v1")))
      yield* Effect.promise(() => solana.signMessages([{ content: message }]))
      keys.rotate("v2")
      const error = (yield* rejection(() => solana.signMessages([{ content: message }]))) as SignerError.SignerError
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.include(error.message, "the key was rotated")
    })
  )

  it.effect("is the one that signed, where the key goes with each signature", () =>
    Effect.gen(function* () {
      const keys = yield* ScriptedPublicKeys.make(["v1", "v2"])
      const sigstore = yield* SigstoreSigner.make({ envelopesOnly: true }).pipe(
        Effect.provideService(Signer.Signer, keys.signer)
      )
      const before = yield* Effect.promise(() => sigstore.sign(message))
      keys.rotate("v2", { stale: true })
      const after = yield* Effect.promise(() => sigstore.sign(message))
      assert.deepStrictEqual(
        [before.key.hint, after.key.hint],
        [SigstoreSigner.hint(keys.publicKey("v1")), SigstoreSigner.hint(keys.publicKey("v2"))]
      )
    })
  )
})

it.effect("keys that a name cannot be made of have none", () =>
  Effect.gen(function* () {
    const { publicKey } = yield* PrivateKey.generate("ES384")
    assert.isUndefined(AtprotoKeypair.did(publicKey))
    assert.isUndefined(SolanaSigner.address(publicKey))
  })
)
