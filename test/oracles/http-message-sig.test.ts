/**
 * `http-message-sig` (Cloudflare) and ours on the same messages: each verifies what
 * the other signs, of what theirs has: no `@query-param`, no `sf`, `bs` or `tr`.
 */
import * as theirs from "http-message-sig"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Result } from "effect"
import { createPrivateKey, sign as signRaw } from "node:crypto"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Signer from "../../src/services/Signer.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"
import type { Case } from "./HttpCase.ts"
import { Draw, requestOf, responseOf, typical } from "./HttpCase.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

/** What theirs answers, or the code of what it throws. */
const said = (evaluate: () => Promise<unknown>) =>
  Effect.match(promise(evaluate), {
    onFailure: (error) => (theirs.isSignatureError(error) ? error.code : error.message),
    onSuccess: () => "accepted"
  })

const reasonOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.result(effect), (outcome) => {
    if (Result.isSuccess(outcome)) return "accepted"
    return "reason" in outcome.failure ? String(outcome.failure.reason) : outcome.failure._tag
  })

const seconds = () => Math.floor(Date.now() / 1000)

// ---------------------------------------------------------------------------
// messages and components of both
// ---------------------------------------------------------------------------

const fieldsOf = (lines: ReadonlyArray<HttpMessage.FieldLine>) => lines.map(([name, value]) => ({ name, value }))

const theirRequest = (message: HttpMessage.HttpRequest, url: string): theirs.RequestDescriptor => ({
  kind: "request",
  method: message.method,
  targetUri: url,
  requestTarget: message.requestTarget!,
  fields: fieldsOf(message.fields)
})

const theirsOf = ({ message, url }: Case<HttpMessage.HttpMessage>): theirs.MessageDescriptor =>
  message._tag === "Request"
    ? theirRequest(message, url)
    : {
        kind: "response",
        status: message.status,
        fields: fieldsOf(message.fields),
        request: theirRequest(message.request!, url)
      }

/** Of a case, what theirs can cover. */
const supported = <M extends HttpMessage.HttpMessage>(one: Case<M>): Case<M> => ({
  ...one,
  components: one.components.filter((text) => !/@query-param|;sf|;bs|;tr/.test(text))
})

const theirComponent = (text: string): theirs.ComponentDescriptor => {
  const [name, ...parameters] = text.split(";") as [string, ...Array<string>]
  const entries = parameters.map((parameter) => {
    const [key, value] = parameter.split("=") as [string, string | undefined]
    return [key, value === undefined ? true : value.slice(1, -1)] as const
  })
  return theirs.component(name, Object.fromEntries(entries))
}

// ---------------------------------------------------------------------------
// keys of both
// ---------------------------------------------------------------------------

const setup = Effect.fnUntraced(function* (algorithm: "Ed25519" | "PS512") {
  const privateKey =
    algorithm === "PS512" ? yield* PrivateKey.fromJwk(testRsaKey, { algorithm }) : yield* PrivateKey.generate(algorithm)
  const signer = yield* LocalSigner.make({ privateKey, algorithm })
  const publicKey = yield* signer.publicKey()
  const resolver = yield* KeyResolver.fromKeys([{ publicKey }])
  const webAlgorithm = algorithm === "PS512" ? { name: "RSA-PSS", hash: "SHA-512" } : { name: "Ed25519" }
  const { subtle } = crypto
  const secret = yield* promise(() =>
    subtle.importKey("pkcs8", Redacted.value(PrivateKey.toPkcs8(privateKey)) as never, webAlgorithm, false, ["sign"])
  )
  const spki = yield* promise(() =>
    subtle.importKey("spki", PublicKey.toSpki(publicKey) as never, webAlgorithm, false, ["verify"])
  )
  return {
    keyId: PublicKey.thumbprint(publicKey),
    alg: algorithm === "PS512" ? "rsa-pss-sha512" : "ed25519",
    raw: createPrivateKey(Redacted.value(PrivateKey.toPem(privateKey))),
    signer: theirs.webcrypto.signer(secret),
    verifier: theirs.webcrypto.verifier(spki),
    policy: {
      components: ["@method"],
      algorithms: [algorithm],
      maxAge: "5 minutes",
      skew: "30 seconds",
      tag: undefined,
      fieldTypes: { "x-dict": "dictionary" }
    } satisfies HttpSignature.Policy,
    provide: <A, E>(effect: Effect.Effect<A, E, Signer.Signer | KeyResolver.KeyResolver>) =>
      effect.pipe(
        Effect.provideService(Signer.Signer, signer),
        Effect.provideService(KeyResolver.KeyResolver, resolver)
      )
  }
})

type Setup = Effect.Success<ReturnType<typeof setup>>

const theyVerify = (
  { alg, verifier }: Setup,
  one: Case<HttpMessage.HttpMessage>,
  policy: Partial<theirs.VerificationPolicy> = {}
) =>
  said(() =>
    theirs.verifySignature(theirsOf(one), {
      policy: {
        algorithms: [alg],
        requiredComponents: one.components.map(theirComponent),
        requiredParameters: ["created"],
        maxAge: 300,
        ...policy
      },
      resolveVerifier: () => verifier
    })
  )

/** The same message, but for what every case covers. */
const changed = (message: HttpMessage.HttpMessage): HttpMessage.HttpMessage =>
  message._tag === "Request" ? { ...message, method: `${message.method}X` } : { ...message, status: message.status - 1 }

const weSign = Effect.fnUntraced(function* (keys: Setup, one: Case<HttpMessage.HttpMessage>, draw: Draw) {
  const { components, fieldTypes } = one
  const signing = HttpSignature.sign(one.message, { components, fieldTypes, alg: draw.alg, tag: "t", nonce: true })
  const { message } = yield* keys.provide(signing)
  assert.strictEqual(yield* theyVerify(keys, { ...one, message }), "accepted")
  assert.strictEqual(yield* theyVerify(keys, { ...one, message: changed(message) }), "VerificationFailed")
})

const theySign = Effect.fnUntraced(function* (keys: Setup, one: Case<HttpMessage.HttpMessage>, draw: Draw) {
  const { alg, keyId, policy, provide, signer } = keys
  const stated = draw.alg ? { alg } : {}
  const { signature, signatureInput } = yield* promise(() =>
    theirs.createSignature(theirsOf(one), {
      components: one.components.map(theirComponent),
      parameters: { keyid: keyId, created: seconds(), ...stated, tag: "t", nonce: 'n\\"n' },
      signer
    })
  )
  const lines = [["Signature-Input", signatureInput] as const, ["Signature", signature] as const]
  const message = { ...one.message, fields: [...one.message.fields, ...lines] }
  const exactly = { ...policy, components: one.components, tag: "t" }
  const { signatures } = yield* provide(HttpSignature.verify(message, exactly))
  assert.strictEqual(signatures[0].nonce, 'n\\"n')
  assert.strictEqual(yield* reasonOf(provide(HttpSignature.verify(changed(message), exactly))), "SignatureInvalid")
})

// ---------------------------------------------------------------------------

describe("messages of any kind", () => {
  it.live.prop(
    "requests and responses",
    { draw: Draw },
    ({ draw }) =>
      Effect.gen(function* () {
        const keys = yield* setup("Ed25519")
        for (const one of [supported(requestOf(draw)), supported(responseOf(draw))]) {
          yield* weSign(keys, one, draw)
          yield* theySign(keys, one, draw)
        }
      }),
    { arbitrary: { runs: 200 } }
  )
})

describe.each(["Ed25519", "PS512"] as const)("%s", (algorithm) => {
  it.live("each verifies what the other signs", () =>
    Effect.gen(function* () {
      const keys = yield* setup(algorithm)
      for (const one of [supported(requestOf(typical)), supported(responseOf(typical))]) {
        yield* weSign(keys, one, typical)
        yield* theySign(keys, one, typical)
      }
    })
  )
})

describe("where we differ", () => {
  const simple = (fields: ReadonlyArray<HttpMessage.FieldLine>): Case<HttpMessage.HttpRequest> => ({
    message: HttpMessage.request({ method: "GET", target: "https://api.example/", fields }),
    url: "https://api.example/",
    components: ["@method"],
    fieldTypes: { "x-dict": "dictionary" }
  })

  /** A signature over exactly these lines, by neither library. */
  const written = (
    { raw }: Setup,
    one: Case<HttpMessage.HttpRequest>,
    lines: ReadonlyArray<string>,
    member: string
  ): Case<HttpMessage.HttpRequest> => {
    const base = [...lines, `"@signature-params": ${member}`].join("\n")
    const signature = signRaw(null, Buffer.from(base, "latin1"), raw).toString("base64")
    const added = [["Signature-Input", `sig1=${member}`] as const, ["Signature", `sig1=:${signature}:`] as const]
    return { ...one, message: { ...one.message, fields: [...one.message.fields, ...added] } }
  }

  it.live("theirs verifies a signature that covers nothing, where the caller requires nothing", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519")
      const one = written(keys, simple([]), [], `();created=${seconds()};keyid="${keys.keyId}"`)
      assert.strictEqual(yield* theyVerify(keys, one, { requiredComponents: [] }), "accepted")
      const nothing = HttpSignature.verify(one.message, { ...keys.policy, components: [] })
      assert.strictEqual(yield* reasonOf(keys.provide(nothing)), "InvalidConfiguration")
      assert.strictEqual(yield* reasonOf(keys.provide(HttpSignature.verify(one.message, keys.policy))), "NotCovered")
    })
  )

  it.live("theirs leaves the digest that is covered to the caller (section 7.2.8)", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519")
      const one = supported(requestOf(typical))
      const { message } = yield* keys.provide(HttpSignature.sign(one.message, one))
      const other = { ...message, body: new TextEncoder().encode(`{"item":8}`) }
      assert.strictEqual(yield* theyVerify(keys, { ...one, message: other }), "accepted")
      assert.strictEqual(
        yield* reasonOf(keys.provide(HttpSignature.verify(other, { ...keys.policy, components: one.components }))),
        "DigestInvalid"
      )
    })
  )

  it.live("theirs refuses a message that has a byte that is not ASCII, also in a field that is not covered", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519")
      const one = simple([["X-Name", "caf\u00e9"]])
      const { message } = yield* keys.provide(HttpSignature.sign(one.message, one))
      assert.strictEqual(yield* theyVerify(keys, { ...one, message }), "MalformedField")
      assert.strictEqual(yield* reasonOf(keys.provide(HttpSignature.verify(message, keys.policy))), "accepted")
    })
  )

  it.live("theirs refuses a date of RFC 9651 in a dictionary, ours reads it", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519")
      const one = { ...simple([["X-Dict", "at=@1700000000"]]), components: ["@method", `x-dict;key="at"`] }
      const { message } = yield* keys.provide(HttpSignature.sign(one.message, one))
      assert.strictEqual(yield* theyVerify(keys, { ...one, message }), "UnsupportedFeature")
      assert.strictEqual(
        yield* reasonOf(keys.provide(HttpSignature.verify(message, { ...keys.policy, components: one.components }))),
        "accepted"
      )
    })
  )
})
