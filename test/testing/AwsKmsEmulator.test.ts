import { DescribeKeyCommand, GetPublicKeyCommand, KMSClient, SignCommand } from "@aws-sdk/client-kms"
import type { SignCommandInput, SigningAlgorithmSpec } from "@aws-sdk/client-kms"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { createHash } from "node:crypto"
import { EcdsaSignature, PublicKey, SignatureAlgorithm, Verifier } from "../../src/index.ts"
import * as AwsKmsEmulator from "../../src/testing/AwsKmsEmulator.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const { Fault } = AwsKmsEmulator
type Kms = AwsKmsEmulator.AwsKmsEmulator["Service"]

const message = new TextEncoder().encode("message")

const clientOf = (kms: Kms) => {
  const { credentials, endpoint, region } = kms.connection
  return new KMSClient({
    endpoint,
    region,
    maxAttempts: 1,
    credentials: {
      accessKeyId: credentials.accessKeyId,
      secretAccessKey: Redacted.value(credentials.secretAccessKey)
    }
  })
}

/** The name, the status and the text of what the real SDK throws. */
const errorOf = (call: () => Promise<unknown>) =>
  Effect.promise(() =>
    call().then(
      () => assert.fail("it was answered"),
      (error: { name: string; message: string; $metadata: { httpStatusCode?: number } }) => ({
        name: error.name,
        status: error.$metadata.httpStatusCode,
        message: error.message
      })
    )
  )

const vendorNames: ReadonlyArray<
  readonly [SignatureAlgorithm.SignatureAlgorithm, AwsKmsEmulator.KeySpec, SigningAlgorithmSpec]
> = [
  ["ES256", "ECC_NIST_P256", "ECDSA_SHA_256"],
  ["ES384", "ECC_NIST_P384", "ECDSA_SHA_384"],
  ["ES512", "ECC_NIST_P521", "ECDSA_SHA_512"],
  ["ES256K", "ECC_SECG_P256K1", "ECDSA_SHA_256"],
  ["PS256", "RSA_2048", "RSASSA_PSS_SHA_256"],
  ["PS384", "RSA_2048", "RSASSA_PSS_SHA_384"],
  ["PS512", "RSA_2048", "RSASSA_PSS_SHA_512"],
  ["RS256", "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"],
  ["RS384", "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384"],
  ["RS512", "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"],
  ["ML-DSA-44", "ML_DSA_44", "ML_DSA_SHAKE_256"]
]

describe("AwsKmsEmulator", () => {
  it.effect.each(vendorNames)("%s signs the message and its digest to the same effect", ([algorithm, spec, vendor]) =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const privateKey = spec === "RSA_2048" ? yield* TestKey.make(algorithm) : undefined
      const key = yield* kms.createKey(spec, { privateKey })
      const client = clientOf(kms)
      const { hash, keyType, scheme } = SignatureAlgorithm.facts[algorithm]
      const inputs: Array<Pick<SignCommandInput, "Message" | "MessageType">> = [{ Message: message }]
      if (hash !== undefined) {
        inputs.push({ Message: createHash(hash).update(message).digest(), MessageType: "DIGEST" })
      }
      for (const input of inputs) {
        const answer = yield* Effect.promise(() =>
          client.send(new SignCommand({ KeyId: key.keyId, SigningAlgorithm: vendor, ...input }))
        )
        assert.strictEqual(answer.KeyId, key.arn)
        assert.strictEqual(answer.SigningAlgorithm, vendor)
        const bytes =
          scheme === "ECDSA"
            ? EcdsaSignature.fromDer(
                answer.Signature!,
                EcdsaSignature.coordinateLength[keyType as EcdsaSignature.Curve]
              )
            : answer.Signature
        assert.isTrue(yield* Verifier.verify(key.publicKey!, message, bytes!, { algorithm }))
      }
    })
  )

  it.effect("half of the secp256k1 signatures have a high S, and HighS makes all of them so", () =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const key = yield* kms.createKey("ECC_SECG_P256K1")
      const client = clientOf(kms)
      const countLow = Effect.map(
        Effect.forEach(Array.from({ length: 64 }), () =>
          Effect.promise(() =>
            client.send(new SignCommand({ KeyId: key.arn, SigningAlgorithm: "ECDSA_SHA_256", Message: message }))
          )
        ),
        (answers) => answers.filter((a) => EcdsaSignature.isLowS(EcdsaSignature.fromDer(a.Signature!, 32)!)).length
      )
      const low = yield* countLow
      assert.isTrue(low > 8 && low < 56, `${low} of 64`)
      yield* kms.sign.always(Fault.highS)
      assert.strictEqual(yield* countLow, 0)
    })
  )

  it.effect("GetPublicKey and DescribeKey answer as documented", () =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make({ region: "us-west-2", accountId: "210987654321" })
      const key = yield* kms.createKey("ECC_NIST_EDWARDS25519", { alias: "alias/release" })
      assert.match(key.arn, /^arn:aws:kms:us-west-2:210987654321:key\/[0-9a-f-]{36}$/)
      const client = clientOf(kms)
      const answer = yield* Effect.promise(() => client.send(new GetPublicKeyCommand({ KeyId: "alias/release" })))
      assert.strictEqual(answer.KeyId, key.arn)
      assert.strictEqual(answer.KeySpec, "ECC_NIST_EDWARDS25519")
      assert.strictEqual(answer.KeyUsage, "SIGN_VERIFY")
      assert.deepStrictEqual(answer.SigningAlgorithms, ["ED25519_SHA_512", "ED25519_PH_SHA_512"])
      assert.strictEqual(answer.PublicKey!.length, 44)
      assert.isTrue(PublicKey.sameKey(yield* PublicKey.fromSpki(answer.PublicKey!), key.publicKey!))
      yield* kms.setState(key, "PendingDeletion")
      const { KeyMetadata } = yield* Effect.promise(() => client.send(new DescribeKeyCommand({ KeyId: key.arn })))
      assert.strictEqual(KeyMetadata!.Arn, key.arn)
      assert.strictEqual(KeyMetadata!.KeyState, "PendingDeletion")
      assert.isFalse(KeyMetadata!.Enabled)
    })
  )

  const digest = new Uint8Array(32)

  it.effect.each([
    { spec: "ECC_NIST_EDWARDS25519", input: { Message: new Uint8Array(4097) }, name: "ValidationException" },
    { spec: "ECC_NIST_EDWARDS25519", input: { Message: digest, MessageType: "DIGEST" }, name: "ValidationException" },
    { spec: "ECC_NIST_P384", input: { Message: digest, MessageType: "DIGEST" }, name: "ValidationException" },
    { spec: "ECC_NIST_P256", input: { Message: digest, MessageType: "EXTERNAL_MU" }, name: "ValidationException" },
    { spec: "ML_DSA_44", input: { Message: digest, MessageType: "DIGEST" }, name: "ValidationException" },
    { spec: "ML_DSA_44", input: { Message: digest, MessageType: "EXTERNAL_MU" }, name: "ValidationException" },
    {
      spec: "ECC_NIST_P256",
      input: { Message: digest, SigningAlgorithm: "ECDSA_SHA_384" },
      name: "InvalidKeyUsageException"
    },
    { spec: "SYMMETRIC_DEFAULT", input: { Message: digest }, name: "InvalidKeyUsageException" },
    {
      spec: "ECC_NIST_EDWARDS25519",
      input: { Message: digest, MessageType: "DIGEST", SigningAlgorithm: "ED25519_PH_SHA_512" },
      name: "UnsupportedOperationException"
    }
  ] as ReadonlyArray<{ spec: AwsKmsEmulator.KeySpec; input: Partial<SignCommandInput>; name: string }>)(
    "$spec refuses $input with $name",
    ({ input, name, spec }) =>
      Effect.gen(function* () {
        const kms = yield* AwsKmsEmulator.make()
        const key = yield* kms.createKey(spec)
        const vendor = vendorNames.find(([, known]) => known === spec)?.[2] ?? "ED25519_SHA_512"
        const command = new SignCommand({ KeyId: key.arn, SigningAlgorithm: vendor, Message: undefined, ...input })
        const error = yield* errorOf(() => clientOf(kms).send(command))
        assert.strictEqual(error.name, name)
        assert.strictEqual(error.status, 400)
        assert.isAbove(error.message.length, 10)
      })
  )

  it.effect.each([
    ["00000000-0000-0000-0000-000000000000", "does not exist"],
    ["alias/none", "is not found"],
    ["arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000", "Invalid arn"]
  ])("%s is not found", ([keyId, text]) =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const error = yield* errorOf(() => clientOf(kms).send(new GetPublicKeyCommand({ KeyId: keyId })))
      assert.strictEqual(error.name, "NotFoundException")
      assert.include(error.message, text!)
    })
  )

  it.effect("what no SDK would send is refused, too", () =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const post = (target: string, body: string, headers: Record<string, string> = {}) =>
        Effect.promise(async () => {
          const response = await fetch(kms.url, {
            method: "POST",
            body,
            headers: { "x-amz-target": target, "content-type": "application/x-amz-json-1.1", ...headers }
          })
          const { __type } = (await response.json()) as { readonly __type: string }
          return [response.status, __type]
        })
      const authorization = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-central-1/kms/aws4_request"
      assert.deepStrictEqual(yield* post("TrentService.Sign", "{}"), [400, "MissingAuthenticationTokenException"])
      assert.deepStrictEqual(yield* post("TrentService.Sign", "{"), [400, "SerializationException"])
      assert.deepStrictEqual(yield* post("TrentService.Sign", "[]"), [400, "SerializationException"])
      assert.deepStrictEqual(yield* post("TrentService.Encrypt", "{}"), [400, "UnknownOperationException"])
      assert.deepStrictEqual(yield* post("TrentService.Sign", `{"Message":"?"}`, { authorization }), [
        400,
        "SerializationException"
      ])
    })
  )

  it.effect("the script is in order, then chance with a seed, and both are recorded", () =>
    Effect.gen(function* () {
      const statuses = (seed: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const kms = yield* AwsKmsEmulator.make()
            const key = yield* kms.createKey("ECC_NIST_EDWARDS25519")
            const client = clientOf(kms)
            yield* kms.sign.push(Fault.none, Fault.reset, Fault.htmlPage(502))
            yield* kms.sign.sometimes(Fault.throttle(), { probability: 0.5, seed })
            for (let number = 0; number < 35; number++) {
              yield* Effect.promise(() =>
                client
                  .send(new SignCommand({ KeyId: key.arn, SigningAlgorithm: "ED25519_SHA_512", Message: message }))
                  .catch(() => undefined)
              )
            }
            const events = yield* kms.recorder.events
            return events
              .filter(({ _tag }) => _tag !== "Received")
              .map((event) => (event._tag === "Answered" ? event.status : event._tag))
          })
        )
      const first = yield* statuses(1)
      assert.deepStrictEqual(first.slice(0, 3), [200, "Dropped", 502])
      assert.deepStrictEqual([...new Set(first.slice(3))].toSorted(), [200, 400])
      assert.deepStrictEqual(yield* statuses(1), first)
      assert.notDeepEqual(yield* statuses(2), first)
    })
  )

  it.effect("a port that is taken and a key of another kind are InvalidConfiguration", () =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const taken = yield* Effect.flip(AwsKmsEmulator.make({ port: Number(new URL(kms.url).port) }))
      assert.isTrue(taken._tag === "InvalidConfiguration" && taken.field === "port")
      const privateKey = yield* TestKey.make("ES256")
      const other = yield* Effect.flip(kms.createKey("ECC_NIST_P384", { privateKey }))
      assert.isTrue(other._tag === "InvalidConfiguration" && other.field === "privateKey")
    })
  )

  it.effect("is not built in production, unless it is allowed", () =>
    Effect.gen(function* () {
      const previous = process.env["NODE_ENV"]
      process.env["NODE_ENV"] = "production"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.env["NODE_ENV"] = previous
        })
      )
      const error = yield* Effect.flip(Layer.build(AwsKmsEmulator.layer()))
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "allowInProduction")
      yield* Layer.build(AwsKmsEmulator.layer({ allowInProduction: true }))
    })
  )
})
