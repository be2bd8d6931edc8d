/** `@sigstore/verify` verifies the bundles that `@sigstore/sign` builds with our signer. */
import { bundleFromJSON, bundleToJSON } from "@sigstore/bundle"
import {
  type BundleBuilder,
  DSSEBundleBuilder,
  MessageSignatureBundleBuilder,
  type Signer as SigstoreSign
} from "@sigstore/sign"
import { toSignedEntity, type TrustMaterial, Verifier } from "@sigstore/verify"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createPublicKey } from "node:crypto"
import { PublicKey, SignatureAlgorithm } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as SigstoreSigner from "../../src/protocols/adapters/SigstoreSigner.ts"
import * as Signer from "../../src/services/Signer.ts"
import { PrivateKey } from "../../src/index.ts"
import * as Signature from "../../src/schemas/Signature.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })
const data = Buffer.from(JSON.stringify({ _type: "https://in-toto.io/Statement/v1" }))

const make = (algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  LocalSigner.make({
    privateKey:
      SignatureAlgorithm.facts[algorithm].keyType === "RSA"
        ? PrivateKey.fromJwk(testRsaKey, { algorithm })
        : PrivateKey.generate(algorithm),
    algorithm
  })

const builders = {
  envelope: (signer: SigstoreSign) => new DSSEBundleBuilder({ signer, witnesses: [] }),
  message: (signer: SigstoreSign) => new MessageSignatureBundleBuilder({ signer, witnesses: [] })
}

/** Whether a bundle verifies with one public key, found by its hint, and with no log and no timestamp. */
const verifies = (builder: BundleBuilder, key: PublicKey.PublicKey, artifact = data) =>
  Effect.gen(function* () {
    const built = yield* promise(() => builder.create({ data, type: "application/vnd.in-toto+json" }))
    const bundle = bundleFromJSON(JSON.parse(JSON.stringify(bundleToJSON(built)))) // as a file
    const trusted: TrustMaterial = {
      certificateAuthorities: [],
      timestampAuthorities: [],
      tlogs: [],
      ctlogs: [],
      publicKey: (hint) => {
        assert.strictEqual(hint, SigstoreSigner.hint(key))
        return { publicKey: createPublicKey(PublicKey.toPem(key)), validFor: () => true }
      }
    }
    const verifier = new Verifier(trusted, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 })
    try {
      verifier.verify(toSignedEntity(bundle, artifact))
      return true
    } catch (error) {
      assert.include((error as Error).message, "signature verification failed")
      return false
    }
  })

describe.each(["ES256", "RS256"] as const)("SigstoreSigner with %s", (algorithm) => {
  it.live.each(["envelope", "message"] as const)("signs a bundle that verifies: %s", (kind) =>
    Effect.gen(function* () {
      const signer = yield* make(algorithm)
      const sigstore: SigstoreSign = yield* Effect.provideService(SigstoreSigner.make(), Signer.Signer, signer)
      const key = yield* signer.publicKey()
      for (let i = 0; i < 4; i++) assert.isTrue(yield* verifies(builders[kind](sigstore), key))
    })
  )

  it.live("signs a message bundle that does not verify over another artifact", () =>
    Effect.gen(function* () {
      const signer = yield* make(algorithm)
      const sigstore = yield* Effect.provideService(SigstoreSigner.make(), Signer.Signer, signer)
      const key = yield* signer.publicKey()
      assert.isFalse(yield* verifies(builders.message(sigstore), key, Buffer.from("another")))
    })
  )
})

it.live("an Ed25519 key signs envelopes", () =>
  Effect.gen(function* () {
    const signer = yield* make("Ed25519")
    const sigstore = yield* SigstoreSigner.make({ envelopesOnly: true }).pipe(
      Effect.provideService(Signer.Signer, signer)
    )
    assert.isTrue(yield* verifies(builders.envelope(sigstore), yield* signer.publicKey()))
  })
)

describe("what is not offered, @sigstore/verify cannot verify", () => {
  const raw = (signer: Signer.Service): SigstoreSign => ({
    sign: (bytes) =>
      Effect.runPromise(
        Effect.gen(function* () {
          const signature = yield* signer.sign(bytes)
          const key = yield* signer.publicKey()
          const encoded = Signature.toDer(signature) ?? signature.bytes
          return {
            signature: Buffer.from(encoded),
            key: { $case: "publicKey", publicKey: PublicKey.toPem(key), hint: SigstoreSigner.hint(key) }
          }
        })
      )
  })

  it.live.each([
    ["envelope", "ES384"],
    ["envelope", "PS256"],
    ["message", "Ed25519"],
    ["message", "ES384"],
    ["message", "PS256"]
  ] as const)("%s with %s", ([kind, algorithm]) =>
    Effect.gen(function* () {
      const signer = yield* make(algorithm)
      assert.isFalse(yield* verifies(builders[kind](raw(signer)), yield* signer.publicKey()))
      const options = { envelopesOnly: kind === "envelope" }
      const error = yield* Effect.flip(Effect.provideService(SigstoreSigner.make(options), Signer.Signer, signer))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
    })
  )
})
