/**
 * The conformance cases against AWS KMS itself, and against emulators of it that
 * others wrote.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `EFFECT_SIGNER_AWS_KEY_ID` | a key of a real account to sign about 180 messages with; credentials as the SDK finds them |
 * | `EFFECT_SIGNER_AWS_ALGORITHM` | its algorithm; needed for RSA |
 * | `EFFECT_SIGNER_AWS_REGION` | its region; default: as the SDK finds it |
 *
 * `npm run test:live` starts the emulators.
 */
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  KMSClient,
  UpdateAliasCommand
} from "@aws-sdk/client-kms"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { aws, localKms, ministack } from "../../scripts/live/aws.ts"
import * as Software from "../../scripts/live/Software.ts"
import { SignatureAlgorithm, Signer } from "../../src/index.ts"
import * as AwsKmsSigner from "../../src/layers/AwsKmsSigner.ts"
import { Conformance } from "../../src/testing.ts"
import type { KeySpec } from "../../src/testing/AwsKmsEmulator.ts"

const message = new TextEncoder().encode("message")
const timeout = 120_000

const specs: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, KeySpec]> = [
  ["Ed25519", "ECC_NIST_EDWARDS25519"],
  ["ES256", "ECC_NIST_P256"],
  ["ES384", "ECC_NIST_P384"],
  ["ES512", "ECC_NIST_P521"],
  ["ES256K", "ECC_SECG_P256K1"],
  ["PS256", "RSA_2048"],
  ["PS384", "RSA_2048"],
  ["PS512", "RSA_2048"],
  ["RS256", "RSA_2048"],
  ["RS384", "RSA_2048"],
  ["RS512", "RSA_2048"],
  ["ML-DSA-44", "ML_DSA_44"],
  ["ML-DSA-65", "ML_DSA_65"],
  ["ML-DSA-87", "ML_DSA_87"]
]

/** What these programs are known not to do. Nothing else is left out. */
interface KnownDefects {
  readonly software: Software.Software
  readonly region: string
  readonly algorithms: Readonly<Partial<Record<SignatureAlgorithm.SignatureAlgorithm, string>>>
}

const noMlDsa = "it has no ML-DSA keys"
const maxSalt = "it signs PSS with the longest salt instead of one as long as the hash"

const emulators: ReadonlyArray<KnownDefects> = [
  {
    software: ministack,
    region: "us-east-1",
    algorithms: { "ML-DSA-44": noMlDsa, "ML-DSA-65": noMlDsa, "ML-DSA-87": noMlDsa }
  },
  {
    software: localKms,
    region: "eu-west-2",
    algorithms: {
      Ed25519: "it has no Ed25519 keys",
      PS256: maxSalt,
      PS384: maxSalt,
      PS512: maxSalt,
      "ML-DSA-44": noMlDsa,
      "ML-DSA-65": noMlDsa,
      "ML-DSA-87": noMlDsa
    }
  }
]

const notRun = (why: string) => {
  // oxlint-disable-next-line no-restricted-properties -- what is missing here, or known not to work, is the name
  it.skip(`${why}`, () => {})
}

const build = <E>(layer: Layer.Layer<Signer.Signer, E>) => Effect.provide(Signer.Signer, layer)

for (const { algorithms, region, software } of emulators) {
  const endpoint = Software.urlOf(software.name)
  if (endpoint === undefined) continue
  const client = new KMSClient({ endpoint, region, credentials: { accessKeyId: "test", secretAccessKey: "test" } })
  const createKey = async (KeySpec: KeySpec) => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ KeySpec, KeyUsage: "SIGN_VERIFY" }))
    return KeyMetadata!
  }

  for (const [algorithm, spec] of specs) {
    const name = `kit/aws/${software.name}/${algorithm}`
    const defect = algorithms[algorithm]
    if (defect !== undefined) {
      notRun(`${name} (${defect})`)
      continue
    }
    const { Arn } = await createKey(spec)
    Conformance.suite(it, name, AwsKmsSigner.layer({ client, keyId: Arn!, algorithm }), {
      timeout,
      ...(algorithm === "Ed25519" ? { maxMessageLength: 4096 } : {})
    })
  }

  describe(`${software.name}`, () => {
    it.live("an alias is resolved once, and one that moves does not move the Signer", () =>
      Effect.gen(function* () {
        const [first, second] = yield* Effect.promise(() =>
          Promise.all([createKey("ECC_NIST_P256"), createKey("ECC_NIST_P256")])
        )
        const AliasName = "alias/effect-signer-live"
        yield* Effect.promise(() => client.send(new CreateAliasCommand({ AliasName, TargetKeyId: first!.KeyId })))
        const layer = AwsKmsSigner.layer({ client, keyId: AliasName })
        yield* Effect.gen(function* () {
          const signer = yield* Signer.Signer
          assert.strictEqual(signer.keyId, first!.Arn)
          yield* Effect.promise(() => client.send(new UpdateAliasCommand({ AliasName, TargetKeyId: second!.KeyId })))
          assert.strictEqual((yield* signer.sign(message)).keyId, first!.Arn)
        }).pipe(Effect.provide(layer))
        assert.strictEqual((yield* build(Layer.fresh(layer))).keyId, second!.Arn)
      })
    )

    it.live("a key that is disabled is KeyUnavailable, an alias that is none is KeyNotFound", () =>
      Effect.gen(function* () {
        const { Arn, KeyId } = yield* Effect.promise(() => createKey("ECC_NIST_P256"))
        yield* Effect.gen(function* () {
          const signer = yield* Signer.Signer
          yield* Effect.promise(() => client.send(new DisableKeyCommand({ KeyId })))
          assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "KeyUnavailable")
        }).pipe(Effect.provide(AwsKmsSigner.layer({ client, keyId: Arn! })))
        const none = AwsKmsSigner.layer({ client, keyId: "alias/effect-signer-none" })
        assert.strictEqual((yield* Effect.flip(build(none)))._tag, "KeyNotFound")
      })
    )
  })
}

const keyId = process.env["EFFECT_SIGNER_AWS_KEY_ID"]

if (keyId !== undefined && Software.isDemanded(aws.name)) {
  const algorithm = Schema.decodeUnknownSync(Schema.UndefinedOr(SignatureAlgorithm.SignatureAlgorithm))(
    process.env["EFFECT_SIGNER_AWS_ALGORITHM"]
  )
  const layer = AwsKmsSigner.layer({ keyId, algorithm, region: process.env["EFFECT_SIGNER_AWS_REGION"] })
  const signer = await Effect.runPromise(build(layer))
  Conformance.suite(it, `kit/aws/live/${signer.algorithm}`, layer, {
    timeout,
    ...(signer.algorithm === "Ed25519" ? { maxMessageLength: 4096 } : {})
  })
}
