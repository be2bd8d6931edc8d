/**
 * RFC 9421: its signed messages, verified, refused where they must be, and signed
 * again; its component lines; its `Accept-Signature`. And the ML-DSA algorithms of
 * C2SP httpsig-pq, signed and verified byte for byte.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { join } from "node:path"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import { parseComponent, readerOf } from "../../protocols/http/HttpComponent.ts"
import type { FieldLine, HttpMessage, HttpRequest } from "../../protocols/HttpMessage.ts"
import { request, response } from "../../protocols/HttpMessage.ts"
import * as HttpSignature from "../../protocols/HttpSignature.ts"
import { seal } from "../../protocols/http/HttpSignatureWriter.ts"
import * as SignatureFields from "../../protocols/http/SignatureFields.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { fromName } from "../../schemas/SignatureAlgorithm.ts"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import * as KeyResolver from "../../services/KeyResolver.ts"
import * as Mac from "../../services/Mac.ts"
import * as Verifier from "../../services/Verifier.ts"
import { checked, Hex, type Outcome, readJson, suite, VectorError } from "./VectorSuite.ts"

const { optionalKey, String: Text } = Schema
const Base64 = Schema.Uint8ArrayFromBase64

const Vectors = Schema.Struct({
  origin: Text,
  licence: Text,
  extractedBy: Text,
  keys: Schema.Record(
    Text,
    Schema.Struct({
      jwk: optionalKey(Schema.JsonObject),
      pem: optionalKey(Schema.Array(Text)),
      base64: optionalKey(Base64)
    })
  ),
  signed: Schema.Array(
    Schema.Struct({
      id: Text,
      section: Text,
      label: Text,
      alg: Text,
      keyid: Text,
      message: Text,
      base: Text,
      baseDerivedBy: optionalKey(Text),
      request: optionalKey(Text),
      valid: Schema.Boolean,
      signature: Base64,
      note: optionalKey(Text)
    })
  ),
  components: Schema.Array(
    Schema.Struct({
      section: Text,
      message: Text,
      lines: Schema.Array(Text),
      scheme: optionalKey(Text),
      note: optionalKey(Text)
    })
  ),
  acceptSignature: Schema.Array(Schema.Struct({ section: Text, header: Text }))
})
type Vectors = typeof Vectors.Type
type Signed = Vectors["signed"][number]

const read = readJson(Vectors)

const utf8 = new TextEncoder()

// ---------------------------------------------------------------------------
// messages as text
// ---------------------------------------------------------------------------

const fieldOf = (line: string): FieldLine => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]

/** The trailers behind the chunks of a body. */
const trailersOf = (body: string): ReadonlyArray<FieldLine> => {
  const lines = body.split("\n")
  return lines.slice(lines.indexOf("0") + 1).map(fieldOf)
}

const parseMessage = (
  text: string,
  options: { readonly scheme?: string | undefined; readonly request?: HttpRequest }
) => {
  const isStartLine = /^(?:[A-Z]+ \S+ HTTP\/1\.1|HTTP\/1\.1 \d{3} .*)\n/
  // The examples of fields have no start line; a line that begins with blanks goes on
  const [head, ...rest] = (isStartLine.test(`${text}\n`) ? text : `GET / HTTP/1.1\n${text}`)
    .replace(/\n(?=[ \t])/g, "\r\n")
    .split("\n\n") as [string, ...Array<string>]
  const [start, ...lines] = head.split(/(?<!\r)\n/) as [string, ...Array<string>]
  const fields = lines.map(fieldOf)
  const content = rest.join("\n\n")
  const isChunked = fields.some(([name]) => name === "Transfer-Encoding")
  // One message of section 4.3 has an empty line too many
  const body = isChunked ? undefined : utf8.encode(content.replace(/^\n/, ""))
  const trailers = isChunked ? trailersOf(content) : undefined
  const [first, second] = start.split(" ") as [string, string]
  return first === "HTTP/1.1"
    ? response({ status: Number(second), fields, body, trailers, ...options })
    : request({
        method: first,
        target: second,
        scheme: second.includes("://") ? undefined : (options.scheme ?? "https"),
        fields,
        body,
        trailers
      })
}

const messageOf = (vector: Signed): HttpMessage =>
  parseMessage(
    vector.message,
    vector.request === undefined ? {} : { request: parseMessage(vector.request, {}) as HttpRequest }
  )

// ---------------------------------------------------------------------------
// signed messages
// ---------------------------------------------------------------------------

const identifiersOf = (base: string): ReadonlyArray<string> =>
  base
    .split("\n")
    .slice(0, -1)
    .map((line) => line.slice(0, line.indexOf(": ")))

const policyOf = (vector: Signed, algorithm: SignatureAlgorithm): HttpSignature.Policy => ({
  components: identifiersOf(vector.base).length === 0 ? ["@method"] : identifiersOf(vector.base),
  algorithms: [algorithm],
  maxAge: "1 minute",
  skew: "10 seconds",
  tag: /;tag="([^"]*)"/.exec(vector.base)?.[1],
  label: vector.label,
  body: "any"
})

const withoutSignature = (message: HttpMessage): HttpMessage => ({
  ...message,
  fields: message.fields.filter(([name]) => !/^signature(?:-input)?$/i.test(name))
})

const tagOf = (outcome: Result.Result<unknown, { readonly _tag: string; readonly reason?: string }>): string =>
  Result.isSuccess(outcome) ? "verified" : (outcome.failure.reason ?? outcome.failure._tag)

/** What must come of a message: the cover of one is empty, and no policy accepts that. */
const expectedOf = (vector: Signed): string =>
  identifiersOf(vector.base).length === 0 ? "NotCovered" : vector.valid ? "verified" : "SignatureInvalid"

const baseProblems = (vector: Signed, message: HttpMessage) =>
  Effect.map(HttpSignature.explain(message, { label: vector.label, theirs: vector.base }), ({ difference }) =>
    difference === undefined ? [] : [`line ${difference.line} of the base is ${difference.ours}`]
  )

const signedBySecret = Effect.fnUntraced(function* (vector: Signed, secret: Uint8Array) {
  const message = messageOf(vector)
  const mac = yield* Mac.make({ algorithm: "HS256", secret: Redacted.make(secret), keyId: vector.keyid })
  const { algorithms: _, ...policy } = policyOf(vector, "Ed25519")
  const verified = yield* Effect.result(HttpSignature.verifyMac(message, mac, policy))
  const again = yield* HttpSignature.signMac(withoutSignature(message), mac, {
    components: identifiersOf(vector.base),
    label: vector.label
  })
  return [
    ...(yield* baseProblems(vector, message)),
    ...(tagOf(verified) === expectedOf(vector) ? [] : [`came to ${tagOf(verified)}`]),
    ...sameLines(again.fields, message)
  ]
})

/** Whether the new lines are those of the message. */
const sameLines = (lines: ReadonlyArray<FieldLine>, message: HttpMessage): ReadonlyArray<string> =>
  lines.flatMap(([name, value]) =>
    message.fields.some(([other, text]) => other === name && text.trim() === value)
      ? []
      : [`signed again: ${name} differs`]
  )

const signedByKey = Effect.fnUntraced(function* (vector: Signed, jwk: Schema.JsonObject) {
  const message = messageOf(vector)
  const algorithm = yield* fromName(vector.alg)
  const privateKey = yield* PrivateKey.fromJwk(jwk, { algorithm })
  const signer = yield* LocalSigner.make({ privateKey, algorithm })
  const publicKey = yield* signer.publicKey()
  const resolver = yield* KeyResolver.fromKeys([{ publicKey, keyId: vector.keyid }])
  const verify = (what: HttpMessage) =>
    Effect.result(HttpSignature.verify(what, policyOf(vector, algorithm))).pipe(
      Effect.provideService(KeyResolver.KeyResolver, resolver)
    )
  const outcome = tagOf(yield* verify(message))
  // What is signed of the message, whatever a policy says
  const isSigned = yield* Verifier.verify(publicKey, utf8.encode(vector.base), vector.signature)
  const { input } = SignatureFields.read(message).find(({ label }) => label === vector.label)!
  const { label } = vector
  const again = yield* seal({ message: withoutSignature(message), added: [], label }, input, {}, signer.sign)
  const verifiedAgain = tagOf(yield* verify(again.signed.message))
  const expected = expectedOf(vector)
  return [
    ...(yield* baseProblems(vector, message)),
    ...(isSigned === vector.valid ? [] : [`the signature is ${isSigned ? "" : "not "}valid`]),
    ...(outcome === expected ? [] : [`came to ${outcome}`]),
    ...(verifiedAgain === (vector.valid ? expected : "verified") ? [] : [`signed again it came to ${verifiedAgain}`]),
    ...(algorithm === "Ed25519" && vector.valid ? sameLines(again.signed.fields, message) : [])
  ]
})

// ---------------------------------------------------------------------------
// component lines
// ---------------------------------------------------------------------------

/** Fields of the examples that are dictionaries. */
const fieldTypes = { "example-dict": "dictionary" } as const

const componentOutcomes = (vector: Vectors["components"][number]): ReadonlyArray<Outcome> => {
  const reader = readerOf(parseMessage(vector.message, { scheme: vector.scheme }), fieldTypes)
  return vector.lines.map((line) => {
    // A value may hold a colon, and so may a name in quotes
    const identifier = /^"[^"]*"(?:;\w+(?:="[^"]*")?)*/.exec(line)![0]
    const component = parseComponent(identifier)
    const made = Result.try({
      try: () => `${component.text}: ${reader.value(component)}`,
      catch: String
    })
    const actual = Result.isSuccess(made) ? made.success : made.failure
    return checked(`${vector.section} ${identifier}`, actual === line ? [] : [`is ${actual}`])
  })
}

const acceptOutcome = Effect.fnUntraced(function* ({ header, section }: Vectors["acceptSignature"][number]) {
  const message = request({ method: "GET", target: "/", fields: [fieldOf(header)] })
  const requests = yield* HttpSignature.parseAcceptSignature(message)
  const again = yield* HttpSignature.acceptSignature(requests)
  const sorted = (text: string) => text.split(";").sort().join()
  const isSame = sorted(again) === sorted(fieldOf(header)[1].trim())
  return checked(`${section} accept-signature`, isSame ? [] : [`written again it is ${again}`])
})

/** A problem instead of a failure: a case that cannot be run has failed. */
const problemsOf = (effect: Effect.Effect<ReadonlyArray<string>, unknown>) =>
  Effect.map(Effect.result(effect), (outcome) =>
    Result.isSuccess(outcome) ? outcome.success : [String(outcome.failure)]
  )

/** When the signature was made. */
const atItsTime = <A, E>({ base }: Signed, effect: Effect.Effect<A, E>) =>
  TestClock.setTime(Number(/;created=(\d+)/.exec(base)![1]) * 1000).pipe(
    Effect.andThen(effect),
    Effect.provide(Layer.fresh(TestClock.layer()))
  )

export const rfc9421 = suite({
  suite: "rfc9421",
  folder: "rfc9421",
  source: "RFC 9421 sections 2 to 5 and appendix B",
  outcomes: Effect.fnUntraced(function* (root) {
    const vectors = yield* read(join(root, "rfc9421", "rfc9421-vectors.json"))
    const signed = yield* Effect.forEach(vectors.signed, (vector) => {
      const { base64, jwk } = vectors.keys[vector.keyid]!
      const problems = base64 === undefined ? signedByKey(vector, jwk!) : signedBySecret(vector, base64)
      return Effect.map(atItsTime(vector, problemsOf(problems)), (found) => checked(vector.id, found))
    })
    const accepted = yield* Effect.forEach(vectors.acceptSignature, (vector) => Effect.orDie(acceptOutcome(vector)))
    return [...signed, ...vectors.components.flatMap(componentOutcomes), ...accepted]
  })
})

// ---------------------------------------------------------------------------
// ML-DSA
// ---------------------------------------------------------------------------

const PostQuantum = Schema.Struct({
  version: Schema.Int,
  description: Text,
  vectors: Schema.Array(
    Schema.Struct({
      id: Text,
      algorithm: Schema.Literals(["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"]),
      private_key_seed_hex: Hex,
      public_key_base64: Base64,
      signature_base_base64: Base64,
      signature_base_length: Schema.Int,
      signature_base_sha256: Hex,
      serialized_signature_input: Text,
      deterministic_signature_base64: Base64
    })
  )
})

const readPostQuantum = readJson(PostQuantum)

/** An optional package: only this suite needs it. */
const loadMlDsa = Effect.tryPromise({
  try: async () => {
    const { ml_dsa44, ml_dsa65, ml_dsa87 } = await import("@noble/post-quantum/ml-dsa.js")
    return { "ml-dsa-44": ml_dsa44, "ml-dsa-65": ml_dsa65, "ml-dsa-87": ml_dsa87 }
  },
  catch: () =>
    new VectorError({
      file: "httpsig-pq/vectors.json",
      problem: "ML-DSA that is not hedged is that of @noble/post-quantum, which is not installed"
    })
})

const postQuantumProblems = Effect.fnUntraced(function* (
  mlDsa: Effect.Success<typeof loadMlDsa>,
  vector: (typeof PostQuantum.Type)["vectors"][number]
) {
  const algorithm = yield* fromName(vector.algorithm)
  const { publicKey: raw, secretKey } = mlDsa[vector.algorithm].keygen(vector.private_key_seed_hex)
  const publicKey = yield* PublicKey.fromRaw(algorithm as "ML-DSA-44", vector.public_key_base64)
  const message = request({
    method: "GET",
    target: "https://example.com/foo?param=Value&Pet=dog",
    fields: [
      ["Host", "example.com"],
      ["Date", "Mon, 06 Jul 2026 20:00:00 GMT"]
    ]
  })
  const [label, input] = Result.getOrThrow(
    StructuredFields.parseDictionary(vector.serialized_signature_input.replace("Signature-Input: ", ""))
  )[0] as readonly [string, StructuredFields.InnerList]
  // Signatures of this toolkit are hedged; those of the vectors are not
  const sign = (base: Uint8Array) =>
    Effect.sync(() => ({ bytes: mlDsa[vector.algorithm].sign(base, secretKey, { extraEntropy: false }) }))
  const { signed } = yield* seal({ message, added: [], label }, input, {}, sign)
  const { base } = yield* HttpSignature.explain(signed.message)
  const { input: _, signature } = SignatureFields.read(signed.message)[0]!
  const keyId = /;keyid="([^"]*)"/.exec(vector.serialized_signature_input)![1]!
  const resolver = yield* KeyResolver.fromKeys([{ publicKey, keyId }])
  const created = Number(/;created=(\d+)/.exec(vector.serialized_signature_input)![1])
  const verified = yield* TestClock.setTime(created * 1000).pipe(
    Effect.andThen(
      HttpSignature.verify(signed.message, {
        components: ["@method", "@target-uri"],
        algorithms: [algorithm],
        maxAge: "1 minute",
        skew: 0,
        tag: undefined
      })
    ),
    Effect.result,
    Effect.provideService(KeyResolver.KeyResolver, resolver),
    Effect.provide(Layer.fresh(TestClock.layer()))
  )
  const isEqual = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
  return [
    ...(isEqual(raw, vector.public_key_base64) ? [] : ["another public key"]),
    ...(isEqual(utf8.encode(base), vector.signature_base_base64) ? [] : [`another base: ${base}`]),
    ...(isEqual(signature, vector.deterministic_signature_base64) ? [] : ["another signature"]),
    ...(tagOf(verified) === "verified" ? [] : [`came to ${tagOf(verified)}`])
  ]
})

export const httpSignaturePostQuantum = suite({
  suite: "httpsig-pq",
  folder: "httpsig-pq",
  source: "C2SP/C2SP httpsig-pq.md v1.0.0",
  outcomes: Effect.fnUntraced(function* (root) {
    const { vectors } = yield* readPostQuantum(join(root, "httpsig-pq", "vectors.json"))
    const mlDsa = yield* loadMlDsa
    return yield* Effect.forEach(vectors, (vector) =>
      Effect.map(problemsOf(postQuantumProblems(mlDsa, vector)), (problems) => checked(vector.id, problems))
    )
  })
})
