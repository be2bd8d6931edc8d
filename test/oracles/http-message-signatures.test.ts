/**
 * `http-message-signatures` and ours on the same messages: each verifies what the
 * other signs. Where we differ, a test says who is right, by RFC 9421.
 */
import { httpbis, createSigner, createVerifier } from "http-message-signatures"
import type { Request, Response, SigningKey, VerifyConfig } from "http-message-signatures"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Result } from "effect"
import { constants, createPrivateKey, createPublicKey, randomBytes, sign as signRaw } from "node:crypto"
import { PrivateKey, PublicKey, SignatureAlgorithm } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Signer from "../../src/services/Signer.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"
import type { Case } from "./HttpCase.ts"
import { Draw, requestOf, responseOf, typical } from "./HttpCase.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

/** What theirs answers, or the text of what it throws. */
const said = (evaluate: () => Promise<unknown>) =>
  Effect.match(promise(evaluate), { onFailure: (error) => error.message, onSuccess: (answer) => answer })

const reasonOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.result(effect), (outcome) => {
    if (Result.isSuccess(outcome)) return "accepted"
    return "reason" in outcome.failure ? String(outcome.failure.reason) : outcome.failure._tag
  })

// ---------------------------------------------------------------------------
// messages of both
// ---------------------------------------------------------------------------

type TheirHeaders = Record<string, string | Array<string>>

const headersOf = (lines: ReadonlyArray<HttpMessage.FieldLine>): TheirHeaders => {
  const headers: Record<string, Array<string>> = {}
  for (const [name, value] of lines) (headers[name] ??= []).push(value)
  return headers
}

const linesOf = (headers: TheirHeaders): ReadonlyArray<HttpMessage.FieldLine> =>
  Object.entries(headers).flatMap(([name, value]) => [value].flat().map((line) => [name, line] as const))

/** A message as theirs takes it: its signatures for requests and for responses are told apart by the compiler only. */
interface Theirs {
  readonly message: Response
  readonly request: Request | undefined
}

const theirsOf = ({ message, url }: Case<HttpMessage.HttpMessage>): Theirs => {
  const headers = headersOf(message.fields)
  const request = (of: HttpMessage.HttpRequest): Request => ({ method: of.method, url, headers: headersOf(of.fields) })
  return message._tag === "Request"
    ? { message: { ...request(message), headers } as never, request: undefined }
    : { message: { status: message.status, headers }, request: request(message.request!) }
}

const caseOf = (options: HttpMessage.RequestOptions & { readonly scheme: "https" | "http" }) => {
  const message = HttpMessage.request(options)
  return { message, url: `${options.scheme}://api.example${options.target}`, components: [], fieldTypes: {} as never }
}

// ---------------------------------------------------------------------------
// keys of both
// ---------------------------------------------------------------------------

const algorithms = SignatureAlgorithm.all.filter((algorithm) =>
  ["Ed25519", "ES256", "ES384", "PS512", "RS256"].includes(algorithm)
)

const setup = Effect.fnUntraced(function* (algorithm: SignatureAlgorithm.SignatureAlgorithm) {
  const isRsa = SignatureAlgorithm.facts[algorithm].keyType === "RSA"
  const privateKey = isRsa
    ? yield* PrivateKey.fromJwk(testRsaKey, { algorithm })
    : yield* PrivateKey.generate(algorithm)
  const signer = yield* LocalSigner.make({ privateKey, algorithm })
  const publicKey = yield* signer.publicKey()
  const keyId = PublicKey.thumbprint(publicKey)
  const resolver = yield* KeyResolver.fromKeys([{ publicKey }])
  const alg = SignatureAlgorithm.facts[algorithm].httpSignature!
  const secret = createPrivateKey(Redacted.value(PrivateKey.toPem(privateKey)))
  const provide = <A, E>(effect: Effect.Effect<A, E, Signer.Signer | KeyResolver.KeyResolver>) =>
    effect.pipe(Effect.provideService(Signer.Signer, signer), Effect.provideService(KeyResolver.KeyResolver, resolver))
  const theirVerifier = {
    id: keyId,
    algs: [alg],
    verify: createVerifier(createPublicKey(PublicKey.toPem(publicKey)), alg)
  }
  /** Its own PSS signer takes the longest salt: see below. */
  const theirSigner: SigningKey =
    algorithm === "PS512"
      ? {
          id: keyId,
          alg,
          sign: async (data) =>
            signRaw("sha512", data, { key: secret, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 })
        }
      : createSigner(secret, alg, keyId)
  const theirConfig: VerifyConfig = { keyLookup: async ({ keyid }) => (keyid === keyId ? theirVerifier : null) }
  const policy: HttpSignature.Policy = {
    components: ["@method"],
    algorithms: [algorithm],
    maxAge: "5 minutes",
    skew: "30 seconds",
    tag: undefined,
    fieldTypes: { "x-dict": "dictionary" }
  }
  return { alg, keyId, policy, provide, secret, signer, theirConfig, theirSigner, theirVerifier }
})

type Setup = Effect.Success<ReturnType<typeof setup>>

/** The same message, but for what every case covers. */
const changed = <M extends { readonly method: string } | { readonly status: number }>(message: M): M =>
  "method" in message ? { ...message, method: `${message.method}X` } : { ...message, status: message.status - 1 }

/** The parameters of a draw, for both. Theirs leaves out what is empty. */
const parametersOf = (draw: Draw) => {
  const text = (value: string) => value.replace(/[^\x20-\x7e]/g, "~")
  return { nonce: text(draw.nonce) || undefined, tag: text(draw.tag) || undefined }
}

/** Ours signs, theirs verifies; then a covered value is another one. */
const weSign = Effect.fnUntraced(function* (
  { policy, provide, theirConfig }: Setup,
  one: Case<HttpMessage.HttpMessage>,
  draw: Draw
) {
  const { message } = yield* provide(
    HttpSignature.sign(one.message, {
      components: one.components,
      fieldTypes: one.fieldTypes,
      ...parametersOf(draw),
      alg: draw.alg,
      expiresIn: draw.expires ? "1 minute" : undefined
    })
  )
  const theirs = theirsOf({ ...one, message })
  assert.isTrue(yield* promise(() => httpbis.verifyMessage(theirConfig, theirs.message, theirs.request)))
  yield* provide(HttpSignature.verify(message, { ...policy, components: one.components, tag: parametersOf(draw).tag }))
  const other = changed(theirs.message)
  assert.notStrictEqual(yield* said(() => httpbis.verifyMessage(theirConfig, other, theirs.request)), true)
})

/** Theirs signs, ours verifies, and reads what theirs covered; then a covered value is another one. */
const theySign = Effect.fnUntraced(function* (
  { policy, provide, theirSigner }: Setup,
  one: Case<HttpMessage.HttpMessage>,
  draw: Draw
) {
  const { message, request } = theirsOf(one)
  const { nonce, tag } = parametersOf(draw)
  const names = ["keyid", "created", "nonce", "tag", ...(draw.alg ? ["alg"] : []), ...(draw.expires ? ["expires"] : [])]
  const signed = yield* promise(() =>
    httpbis.signMessage(
      {
        key: theirSigner,
        fields: [...one.components],
        params: draw.hasBody ? names : names.toReversed(),
        paramValues: { ...(nonce === undefined ? {} : { nonce }), ...(tag === undefined ? {} : { tag }) }
      },
      message,
      request
    )
  )
  const ours = { ...one.message, fields: linesOf(signed.headers) }
  const stated = { ...policy, components: one.components, tag }
  const verified = yield* provide(HttpSignature.verify(ours, stated))
  const [signature] = verified.signatures
  assert.strictEqual(signature.components.length, one.components.length)
  assert.strictEqual(signature.nonce, nonce)
  assert.strictEqual(yield* reasonOf(provide(HttpSignature.verify(changed(ours), stated))), "SignatureInvalid")
})

// ---------------------------------------------------------------------------

describe("messages of any kind", () => {
  it.live.prop(
    "requests",
    { draw: Draw },
    ({ draw }) =>
      Effect.gen(function* () {
        const keys = yield* setup("Ed25519")
        yield* weSign(keys, requestOf(draw), draw)
        yield* theySign(keys, requestOf(draw), draw)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.live.prop(
    "responses to requests",
    { draw: Draw },
    ({ draw }) =>
      Effect.gen(function* () {
        const keys = yield* setup("Ed25519")
        yield* weSign(keys, responseOf(draw), draw)
        yield* theySign(keys, responseOf(draw), draw)
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe.each(algorithms)("%s", (algorithm) => {
  it.live("each verifies what the other signs", () =>
    Effect.gen(function* () {
      const keys = yield* setup(algorithm)
      for (const one of [requestOf(typical), responseOf(typical)]) {
        for (let i = 0; i < 8; i++) {
          yield* weSign(keys, one, typical)
          yield* theySign(keys, one, typical)
        }
      }
    })
  )
})

it.live("hmac-sha256: each verifies what the other signs", () =>
  Effect.gen(function* () {
    const secret = randomBytes(32)
    const keyId = "shared"
    const mac = yield* Mac.make({ algorithm: "HS256", secret: Redacted.make(secret), keyId })
    const one = requestOf(typical)
    const options = { components: one.components, fieldTypes: one.fieldTypes, tag: "orders", alg: true }
    const { message } = yield* HttpSignature.signMac(one.message, mac, options)
    const verify = createVerifier(secret, "hmac-sha256")
    const keyLookup = async ({ keyid }: { keyid?: string }) => (keyid === keyId ? { verify } : null)
    assert.isTrue(yield* promise(() => httpbis.verifyMessage({ keyLookup }, theirsOf({ ...one, message }).message)))
    const signed = yield* promise(() =>
      httpbis.signMessage(
        {
          key: createSigner(secret, "hmac-sha256", keyId),
          fields: [...one.components],
          paramValues: { tag: "orders" },
          params: ["created", "keyid", "alg", "tag"]
        },
        theirsOf(one).message
      )
    )
    yield* HttpSignature.verifyMac({ ...one.message, fields: linesOf(signed.headers) }, mac, {
      components: one.components,
      fieldTypes: one.fieldTypes,
      maxAge: "5 minutes",
      skew: "30 seconds",
      tag: "orders"
    })
  })
)

// ---------------------------------------------------------------------------
// where we differ
// ---------------------------------------------------------------------------

const seconds = () => Math.floor(Date.now() / 1000)

const simple = (
  fields: ReadonlyArray<HttpMessage.FieldLine> = [["X-A", "1"]],
  options: { readonly method?: string; readonly target?: string } = {}
) => caseOf({ method: "GET", target: "/", scheme: "https", fields: [["Host", "api.example"], ...fields], ...options })

/** A signature over exactly these lines, by neither library: what a peer could send. */
const written = ({ secret }: Setup, lines: ReadonlyArray<string>, member: string, label = "sig1") => {
  const base = [...lines, `"@signature-params": ${member}`].join("\n")
  const signature = signRaw(null, Buffer.from(base, "latin1"), secret).toString("base64")
  return { input: `${label}=${member}`, signature: `${label}=:${signature}:` }
}

type Written = ReturnType<typeof written>

const withSignatures = <M extends HttpMessage.HttpMessage>(one: Case<M>, ...signatures: ReadonlyArray<Written>) => ({
  ...one,
  message: {
    ...one.message,
    fields: [
      ...one.message.fields,
      ["Signature-Input", signatures.map(({ input }) => input).join(", ")] as const,
      ["Signature", signatures.map(({ signature }) => signature).join(", ")] as const
    ]
  }
})

/** What theirs and ours say of one message. */
const verdicts = Effect.fnUntraced(function* (
  keys: Setup,
  one: Case<HttpMessage.HttpMessage>,
  options: { readonly config?: Partial<VerifyConfig>; readonly policy?: Partial<HttpSignature.Policy> } = {}
) {
  const { message, request } = theirsOf(one)
  const theirs = yield* said(() => httpbis.verifyMessage({ ...keys.theirConfig, ...options.config }, message, request))
  const policy = { ...keys.policy, components: ["@method"], ...options.policy }
  return [theirs, yield* reasonOf(keys.provide(HttpSignature.verify(one.message, policy)))] as const
})

const ed25519 = setup("Ed25519")

/** A signed message of theirs, as ours reads it. */
const signedByThem = Effect.fnUntraced(function* <M extends HttpMessage.HttpMessage>(
  { theirSigner }: Setup,
  one: Case<M>,
  fields: ReadonlyArray<string>
) {
  const { message, request } = theirsOf(one)
  const config = { key: theirSigner, fields: [...fields], params: ["created", "keyid"] }
  const signed = yield* promise(() => httpbis.signMessage(config, message, request))
  return { ...one, message: { ...one.message, fields: linesOf(signed.headers) } }
})

describe("where theirs accepts or signs what RFC 9421 does not allow", () => {
  it.live("its rsa-pss-sha512 signs with the longest salt, which section 3.3.1 says has 64 bytes", () =>
    Effect.gen(function* () {
      const keys = yield* setup("PS512")
      const theirSigner = createSigner(keys.secret, keys.alg, keys.keyId)
      const one = yield* signedByThem({ ...keys, theirSigner }, simple(), ["@method"])
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "SignatureInvalid"])
    })
  )

  it.live("`all: true` accepts a first signature that is invalid, where the last one is valid", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const member = (created: number) => `("@method");created=${created};keyid="${keys.keyId}"`
      const lines = [`"@method": GET`]
      const valid = written(keys, lines, member(seconds()), "good")
      const invalid = written(keys, [`"@method": PUT`], member(seconds()), "bad")
      const old = written(keys, lines, member(seconds() - 3600), "old")
      const all = { config: { all: true, maxAge: 300 } }
      assert.deepStrictEqual(yield* verdicts(keys, withSignatures(simple(), invalid, valid), all), [
        true,
        "SignatureInvalid"
      ])
      assert.deepStrictEqual(yield* verdicts(keys, withSignatures(simple(), old, valid), all), [true, "TooOld"])
    })
  )

  it.live("without `all`, one valid signature is enough only where it is the last; ours takes it anywhere", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const member = `("@method");created=${seconds()};keyid="${keys.keyId}"`
      const valid = written(keys, [`"@method": GET`], member, "good")
      const invalid = written(keys, [`"@method": PUT`], member, "bad")
      const any = { policy: { mode: "any" } } as const
      assert.deepStrictEqual(yield* verdicts(keys, withSignatures(simple(), valid, invalid), any), [false, "accepted"])
      assert.deepStrictEqual(yield* verdicts(keys, withSignatures(simple(), invalid, valid), any), [true, "accepted"])
    })
  )

  it.live("a signature that covers nothing verifies, unless the caller states what is required (section 7.2.1)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const one = withSignatures(simple(), written(keys, [], `();created=${seconds()};keyid="${keys.keyId}"`))
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "NotCovered"])
    })
  )

  it.live("what is required is satisfied by the same component of the request (section 2.4)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const one = {
        ...responseOf({ ...typical, hasBody: false }),
        message: HttpMessage.response({ status: 200, fields: [["X-A", "mine"]], request: simple().message })
      }
      const member = `("x-a";req);created=${seconds()};keyid="${keys.keyId}"`
      const signed = withSignatures(one, written(keys, [`"x-a";req: 1`], member))
      const required = { config: { requiredFields: ["x-a"] }, policy: { components: ["x-a"] } }
      assert.deepStrictEqual(yield* verdicts(keys, signed, required), [true, "NotCovered"])
    })
  )

  it.live("`tr` reads the header of that name (section 2.1.4)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const one = yield* signedByThem(keys, simple(), ["@method", "x-a;tr"])
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "ComponentUnavailable"])
      // With trailers that are known, it is their field, whatever the header says
      const trailers = { ...one.message, trailers: [["X-A", "2"] as const] }
      assert.strictEqual(yield* reasonOf(keys.provide(HttpSignature.verify(trailers, keys.policy))), "SignatureInvalid")
    })
  )

  it.live.each([
    ["the same component twice (section 2.5)", `"@method" "x-a" "x-a"`, [`"x-a": 1`, `"x-a": 1`]],
    ["a parameter that nobody knows (section 2.5)", `"@method" "x-a";new`, [`"x-a";new: 1`]],
    ["a parameter of a field on a derived component", `"@method" "@path";bs`, [`"@path";bs: /`]],
    ["a name that is not in lower case (section 2.1)", `"@method" "X-A"`, [`"X-A": 1`]],
    ["@signature-params among the components (section 2.3)", `"@method" "@signature-params"`, []]
  ] as const)("%s is accepted", ([, components, lines]) =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const member = `(${components});created=${seconds()};keyid="${keys.keyId}"`
      const one = withSignatures(simple(), written(keys, [`"@method": GET`, ...lines], member))
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "ComponentInvalid"])
    })
  )

  it.live("a parameter that comes twice is the last one of them: RFC 9651 allows it, ours refuses it", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const member = (created: string) => `("@method")${created};keyid="${keys.keyId}"`
      const signed = written(keys, [`"@method": GET`], member(`;created=${seconds()}`))
      const twice = { ...signed, input: `sig1=${member(`;created=1;created=${seconds()}`)}` }
      assert.deepStrictEqual(yield* verdicts(keys, withSignatures(simple(), twice)), [true, "Malformed"])
    })
  )

  it.live("a label in one of the two fields only is ignored (section 4)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const signed = written(keys, [`"@method": GET`], `("@method");created=${seconds()};keyid="${keys.keyId}"`)
      const one = withSignatures(simple(), { ...signed, signature: `${signed.signature}, more=:AA==:` })
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "Malformed"])
    })
  )

  it.live("the method is made upper case: it is case-sensitive (section 2.2.1)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const one = yield* signedByThem(keys, simple([], { method: "get" }), ["@method"])
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "SignatureInvalid"])
    })
  )

  it.live("@target-uri has the fragment of the URL, which is never sent (RFC 9110 section 7.1)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const fragment = { ...simple(), url: "https://api.example/#top" }
      const one = yield* signedByThem(keys, fragment, ["@method", "@target-uri"])
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "SignatureInvalid"])
    })
  )

  it.live("@query-param leaves ' ( ) ! ~ as they are, which section 2.2.8 percent-encodes", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      for (const value of ["it's", "(1)", "a!", "~"]) {
        const fields = ["@method", `@query-param;name="q"`]
        const one = yield* signedByThem(keys, simple([], { target: `/?q=${value}` }), fields)
        assert.deepStrictEqual(yield* verdicts(keys, one), [true, "SignatureInvalid"], value)
      }
    })
  )

  it.live("a query parameter that comes twice has two lines in the base (section 2.2.8 forbids covering it)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const one = yield* signedByThem(keys, simple([], { target: "/?q=1&q=2" }), ["@method", `@query-param;name="q"`])
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "ComponentUnavailable"])
    })
  )

  it.live("a bare CR stays in a value, also that of a folded line (section 2.1)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const bare = yield* signedByThem(keys, simple([["X-A", "a\rb"]]), ["@method", "x-a"])
      assert.deepStrictEqual(yield* verdicts(keys, bare), [true, "ComponentUnavailable"])
      const folded = yield* signedByThem(keys, simple([["X-A", "a\r\n b"]]), ["@method", "x-a"])
      assert.deepStrictEqual(yield* verdicts(keys, folded), [true, "SignatureInvalid"])
      // Section 2.1: the fold is one space
      const right = written(
        keys,
        [`"@method": GET`, `"x-a": a b`],
        `("@method" "x-a");created=${seconds()};keyid="${keys.keyId}"`
      )
      const one = withSignatures(simple([["X-A", "a\r\n b"]]), right)
      assert.deepStrictEqual(yield* verdicts(keys, one), [false, "accepted"])
    })
  )

  it.live("`bs` encodes characters as UTF-8: the bytes of the line are others (section 2.1.3)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      // As node:http reads it: one character a byte
      const one = yield* signedByThem(keys, simple([["X-A", "caf\u00e9"]]), ["@method", "x-a;bs"])
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "SignatureInvalid"])
    })
  )

  it.live("`sf` takes a dictionary for a list where it can be read as one (section 2.1.1)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const dictionary = simple([["X-Dict", "a, b, a"]])
      const one = yield* signedByThem(keys, dictionary, ["@method", "x-dict;sf"])
      assert.deepStrictEqual(yield* verdicts(keys, one), [true, "SignatureInvalid"])
      const member = `("@method" "x-dict";sf);created=${seconds()};keyid="${keys.keyId}"`
      const right = withSignatures(dictionary, written(keys, [`"@method": GET`, `"x-dict";sf: a, b`], member))
      assert.deepStrictEqual(yield* verdicts(keys, right), [false, "accepted"])
    })
  )

  it.live("a content-digest that is covered is not compared with the content (section 7.2.8)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const { message, ...rest } = requestOf(typical)
      const one = yield* signedByThem(keys, { message, ...rest }, ["@method", "content-digest"])
      const body = new TextEncoder().encode(`{"item":8}`)
      const changed = { ...one, message: { ...one.message, body } }
      assert.deepStrictEqual(yield* verdicts(keys, changed), [true, "DigestInvalid"])
    })
  )

  it.live("`alg` is ignored where the key does not list its algorithms (section 3.2, step 6)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const member = `("@method");created=${seconds()};keyid="${keys.keyId}";alg="ecdsa-p256-sha256"`
      const one = withSignatures(simple(), written(keys, [`"@method": GET`], member))
      const { verify } = keys.theirVerifier
      const config = { keyLookup: async () => ({ verify }) }
      const policy = { algorithms: ["Ed25519", "ES256"] } as const
      assert.deepStrictEqual(yield* verdicts(keys, one, { config, policy }), [true, "AlgorithmMismatch"])
    })
  )
})

describe("where theirs refuses what RFC 9421 allows", () => {
  it.live("`key` of a dictionary that could be read as a list (section 2.1.2)", () =>
    Effect.gen(function* () {
      const keys = yield* ed25519
      const member = `("@method" "x-dict";key="a");created=${seconds()};keyid="${keys.keyId}"`
      const signed = written(keys, [`"@method": GET`, `"x-dict";key="a": ?1`], member)
      const one = withSignatures(simple([["X-Dict", "a, b"]]), signed)
      assert.deepStrictEqual(yield* verdicts(keys, one), ["Unable to parse header as dictionary", "accepted"])
    })
  )
})

it.live("`keyLookup` is given `expires` as a number, where its type says a Date", () =>
  Effect.gen(function* () {
    const keys = yield* ed25519
    const member = `("@method");created=${seconds()};expires=${seconds() + 60};keyid="${keys.keyId}"`
    const one = withSignatures(simple(), written(keys, [`"@method": GET`], member))
    let seen: unknown
    const keyLookup: VerifyConfig["keyLookup"] = async (parameters) => {
      seen = parameters.expires
      return keys.theirVerifier
    }
    assert.deepStrictEqual(yield* verdicts(keys, one, { config: { keyLookup } }), [true, "accepted"])
    assert.isNumber(seen)
  })
)
