import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Redacted, Ref, Schema } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { createPublicKey, X509Certificate } from "node:crypto"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as RemoteJwks from "../../src/layers/RemoteJwks.ts"
import * as Jwks from "../../src/protocols/Jwks.ts"
import * as Der from "../../src/schemas/Der.ts"
import { all, facts, type SignatureAlgorithm } from "../../src/schemas/SignatureAlgorithm.ts"
import { InvalidConfiguration } from "../../src/schemas/SignerError.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"
import { ca, serve } from "../layers/httpsServer.ts"

const privateKeyFor = (algorithm: SignatureAlgorithm) =>
  facts[algorithm].keyType === "RSA" ? PrivateKey.fromJwk(testRsaKey, { algorithm }) : PrivateKey.generate(algorithm)

const publicKeyFor = (algorithm: SignatureAlgorithm) =>
  Effect.map(privateKeyFor(algorithm), ({ publicKey }) => publicKey)

const joseAlgorithms = all.filter((algorithm) => facts[algorithm].jose !== undefined)

const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]

const problemOf = (keys: ReadonlyArray<Jwks.PublishedKey>, options?: Jwks.Options) =>
  Effect.map(Effect.flip(Jwks.make(keys, options)), ({ _tag, field, problem }) => {
    assert.strictEqual(_tag, "InvalidConfiguration")
    return `${field}: ${problem}`
  })

describe("make", () => {
  it.effect("states what a verifier must know, and nothing else", () =>
    Effect.gen(function* () {
      const publicKey = yield* PublicKey.fromRaw(
        "Ed25519",
        Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex")
      )
      const { etag, keys, text } = yield* Jwks.make([{ publicKey, purpose: "request-signing" }])
      // RFC 8037 appendix A.3 has the thumbprint of this key
      assert.strictEqual(
        text,
        `{"keys":[{"kty":"OKP","use":"sig","key_ops":["verify"],"alg":"EdDSA","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",` +
          `"crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
      )
      assert.deepStrictEqual(JSON.parse(text).keys, keys)
      assert.match(etag, /^"[\w-]{43}"$/)
    })
  )

  it.effect("states a kid, a purpose and the name of RFC 9864 where it is told to", () =>
    Effect.gen(function* () {
      const publicKey = yield* publicKeyFor("Ed25519")
      const { keys } = yield* Jwks.make([{ publicKey, keyId: "2026-11", purpose: "request-signing" }], {
        purposeMember: "adcp_use",
        ed25519: "Ed25519"
      })
      assert.include(keys[0], { kid: "2026-11", adcp_use: "request-signing", alg: "Ed25519" })
    })
  )

  it.effect.prop(
    "any keys are a set that our own reader and node:crypto accept, without a private byte",
    {
      picked: Schema.Array(
        Schema.Struct({
          algorithm: Schema.Literals(joseAlgorithms),
          keyId: Schema.optional(Schema.Literals(["a", "b", "urn:x", "ключ", "__proto__"])),
          purpose: Schema.optional(Schema.Literals(["request-signing", "webhook-signing"])),
          named: Schema.Boolean
        })
      ).check(Schema.isMaxLength(6))
    },
    ({ picked }) =>
      Effect.gen(function* () {
        const secrets: Array<Uint8Array> = []
        const keys: Array<Jwks.PublishedKey> = []
        for (const { algorithm, keyId, named, purpose } of picked) {
          const privateKey = yield* privateKeyFor(algorithm)
          const jwk = Redacted.value(PrivateKey.toJwk(privateKey)) as Record<string, unknown>
          for (const name of privateMembers) {
            if (jwk[name] !== undefined) secrets.push(Buffer.from(jwk[name] as string, "base64url"))
          }
          const key = { publicKey: privateKey.publicKey, ...(named ? { keyId } : {}), purpose }
          const kid = key.keyId ?? PublicKey.thumbprint(key.publicKey)
          if (!keys.some((other) => (other.keyId ?? PublicKey.thumbprint(other.publicKey)) === kid)) keys.push(key)
        }
        const set = yield* Jwks.make(keys, { purposeMember: "adcp_use" })
        const resolver = yield* KeyResolver.fromJwks(set.text, { owner: "us" })
        for (const { keyId, publicKey, purpose } of keys) {
          const kid = keyId ?? PublicKey.thumbprint(publicKey)
          const resolved = yield* resolver.resolve({ keyId: kid })
          assert.isTrue(PublicKey.sameKey(resolved.publicKey, publicKey))
          assert.strictEqual(resolved.publicKey.algorithm, yield* PublicKey.resolveAlgorithm(publicKey))
          const jwk = set.keys.find((jwk) => jwk.kid === kid)!
          assert.strictEqual(jwk["adcp_use"], purpose)
          assert.deepStrictEqual(jwk.key_ops, ["verify"])
          assert.strictEqual(jwk.use, "sig")
          for (const name of privateMembers) assert.notProperty(jwk, name)
          if (jwk.kty !== "AKP") createPublicKey({ format: "jwk", key: { ...jwk } })
        }
        const found = Canary.search(secrets.map((secret, index) => ({ name: `${index}`, secret })))
        assert.isUndefined(found(Canary.show(set)))
        assert.isAtLeast(secrets.length, keys.length)
      }),
    { arbitrary: { runs: 40 } }
  )

  it.effect("the same keys in another order are the same bytes; another key is another tag", () =>
    Effect.gen(function* () {
      const [a, b, c] = yield* Effect.all([publicKeyFor("ES256"), publicKeyFor("Ed25519"), publicKeyFor("ES384")])
      const one = yield* Jwks.make([{ publicKey: a }, { publicKey: b }])
      const two = yield* Jwks.make([{ publicKey: b }, { publicKey: a }])
      const three = yield* Jwks.make([{ publicKey: b }, { publicKey: c }])
      assert.deepStrictEqual([two.text, two.etag], [one.text, one.etag])
      assert.notStrictEqual(three.etag, one.etag)
    })
  )

  it.effect("no keys are a set", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Jwks.make([])).text, `{"keys":[]}`)
    })
  )

  it.effect("refuses keys that no reader could use, and says which", () =>
    Effect.gen(function* () {
      const publicKey = yield* publicKeyFor("ES256")
      const other = yield* publicKeyFor("ES384")
      const rsa = yield* PublicKey.fromJwk({ kty: "RSA", n: testRsaKey.n, e: testRsaKey.e })
      const taproot = yield* publicKeyFor("BIP340")
      const good = { publicKey }
      const cases: ReadonlyArray<readonly [string, Effect.Effect<string, unknown>]> = [
        ["keys[1].keyId: another key has the same kid", problemOf([good, good])],
        [
          "keys[1].keyId: another",
          problemOf([
            { publicKey, keyId: "a" },
            { publicKey: other, keyId: "a" }
          ])
        ],
        ["keys[1].publicKey: ", problemOf([good, { publicKey: rsa }])],
        ["keys[0].publicKey: JSON Web Keys have no name for BIP340", problemOf([{ publicKey: taproot }])],
        ["keys[0].publicKey: must be a PublicKey", problemOf([{ publicKey: {} as PublicKey.PublicKey }])],
        ["keys[0].keyId: must be text", problemOf([{ publicKey, keyId: "" }])],
        ["keys[0].keyId: must be text", problemOf([{ publicKey, keyId: "a\u001b[2J" }])],
        ["keys[0].keyId: must be text", problemOf([{ publicKey, keyId: "\ud800" }])],
        ["keys[0].keyId: must be text", problemOf([{ publicKey, keyId: "a".repeat(2049) }])],
        ["keys[0].purpose: must be text", problemOf([{ publicKey, purpose: "" }], { purposeMember: "adcp_use" })],
        ["purposeMember: must be a name", problemOf([good], { purposeMember: "d" })],
        ["purposeMember: must be a name", problemOf([good], { purposeMember: "kid" })],
        ["purposeMember: must be a name", problemOf([good], { purposeMember: "__proto__" })],
        ["ed25519: must be", problemOf([good], { ed25519: "none" as "EdDSA" })],
        ["keys: must be a list", problemOf("keys" as never)],
        ["keys: 101 keys", problemOf(Array.from({ length: 101 }, (_, index) => ({ publicKey, keyId: `${index}` })))]
      ]
      for (const [expected, problem] of cases) assert.include(yield* problem, expected)
    })
  )

  it.effect("takes 100 keys, and not more bytes than are read", () =>
    Effect.gen(function* () {
      const publicKey = yield* publicKeyFor("ES256")
      const set = yield* Jwks.make(Array.from({ length: 100 }, (_, index) => ({ publicKey, keyId: `${index}` })))
      yield* KeyResolver.fromJwks(set.text, { owner: "us" })
      const rsa = yield* publicKeyFor("PS256")
      const long = Array.from({ length: 100 }, (_, index) => ({ publicKey: rsa, keyId: `${index}${"é".repeat(120)}` }))
      assert.match(yield* problemOf(long), /^keys: the set has \d+ bytes, and 65536 at most are read$/)
    })
  )
})

describe("certificates", () => {
  const named = (name: string) =>
    Der.sequence(
      Der.encode(
        0x31,
        Der.sequence(
          Der.encode(Der.Tag.oid, Uint8Array.of(0x55, 4, 3)),
          Der.encode(0x0c, new TextEncoder().encode(name))
        )
      )
    )

  /** A certificate whose signature nobody checks. */
  const certificate = (subject: string, issuer: string, spki: Uint8Array, version = Der.encode(0xa0, Der.number(2))) =>
    Buffer.from(
      Der.sequence(
        Der.sequence(
          version,
          Der.number(7),
          Der.sequence(),
          named(issuer),
          Der.sequence(),
          named(subject),
          spki,
          Der.encode(0xa3, Der.sequence())
        ),
        Der.sequence(),
        Der.bitString(Uint8Array.of(1))
      )
    ).toString("base64")

  it.effect("are published beside their key", () =>
    Effect.gen(function* () {
      const [publicKey, root] = yield* Effect.all([publicKeyFor("ES256"), publicKeyFor("ES384")])
      const x5c = [
        certificate("leaf", "root", PublicKey.toSpki(publicKey)),
        certificate("root", "root", PublicKey.toSpki(root), new Uint8Array())
      ]
      const { keys, text } = yield* Jwks.make([{ publicKey, x5c }])
      assert.deepStrictEqual(keys[0]!.x5c, x5c)
      yield* KeyResolver.fromJwks(text, { owner: "us" })
    })
  )

  it.effect("one of another implementation is read", () =>
    Effect.gen(function* () {
      const { publicKey: key, raw } = new X509Certificate(ca)
      const publicKey = yield* PublicKey.fromSpki(key.export({ format: "der", type: "spki" }))
      const x5c = [raw.toString("base64")]
      assert.deepStrictEqual((yield* Jwks.make([{ publicKey, x5c }])).keys[0]!.x5c, x5c)
      const other = yield* publicKeyFor("ES256")
      assert.strictEqual(
        yield* problemOf([{ publicKey: other, x5c }]),
        "keys[0].x5c[0]: this is the certificate of another key"
      )
      for (let length = 0; length < raw.length; length += 7) {
        const cut = raw.subarray(0, length).toString("base64")
        assert.match(yield* problemOf([{ publicKey, x5c: [cut] }]), /^keys\[0\]\.x5c\[0\]: /)
      }
    })
  )

  it.effect("are refused where they say something else", () =>
    Effect.gen(function* () {
      const [publicKey, root] = yield* Effect.all([publicKeyFor("ES256"), publicKeyFor("ES384")])
      const leaf = certificate("leaf", "root", PublicKey.toSpki(publicKey))
      const cases: ReadonlyArray<readonly [string, unknown]> = [
        ["keys[0].x5c: must be a list", []],
        ["keys[0].x5c: must be a list", leaf],
        ["keys[0].x5c[0]: must be base64 of DER", [`${leaf}\n`]],
        ["keys[0].x5c[0]: must be base64 of DER", [ca]],
        ["keys[0].x5c[0]: must be base64 of DER", [7]],
        ["keys[0].x5c[0]: ", [Buffer.from("hello").toString("base64")]],
        ["keys[0].x5c[0]: this is the certificate of another key", [certificate("a", "b", PublicKey.toSpki(root))]],
        ["keys[0].x5c[0]: the key of the certificate: ", [certificate("a", "b", Der.sequence())]],
        ["keys[0].x5c[1]: this is not the issuer", [leaf, certificate("other", "root", PublicKey.toSpki(root))]]
      ]
      for (const [expected, x5c] of cases) {
        assert.include(yield* problemOf([{ publicKey, x5c: x5c as ReadonlyArray<string> }]), expected)
      }
    })
  )
})

// ---------------------------------------------------------------------------
// the route
// ---------------------------------------------------------------------------

const url = "https://id.example/.well-known/jwks.json"

/** A server of the keys in a `Ref`, or of their failure. */
const served = Effect.fnUntraced(function* (path?: `/${string}`) {
  const publicKey = yield* publicKeyFor("ES256")
  const keys = yield* Ref.make<Effect.Effect<ReadonlyArray<Jwks.PublishedKey>, unknown>>(
    Effect.succeed([{ publicKey }])
  )
  const logs: Array<string> = []
  const routes = Jwks.layerRoute({ keys: Effect.flatten(Ref.get(keys)), maxAge: "5 minutes", path }).pipe(
    Layer.provideMerge(Logger.layer([Logger.make(({ message }) => void logs.push(JSON.stringify(message)))]))
  )
  const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
  yield* Effect.addFinalizer(() => Effect.promise(dispose))
  const ask = (init: RequestInit = {}, at = url) => Effect.promise(() => handler(new Request(at, init)))
  return { ask, keys, logs, publicKey, set: yield* Jwks.make([{ publicKey }]) }
})

describe("layerRoute", () => {
  it.effect("answers with the set, how long it may be kept, and what it is called", () =>
    Effect.gen(function* () {
      const { ask, set } = yield* served()
      const response = yield* ask()
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("content-type"), "application/jwk-set+json")
      assert.strictEqual(response.headers.get("cache-control"), "public, max-age=300")
      assert.strictEqual(response.headers.get("etag"), set.etag)
      assert.strictEqual(yield* Effect.promise(() => response.text()), set.text)
    })
  )

  it.effect("HEAD has the same headers and no body", () =>
    Effect.gen(function* () {
      const { ask, set } = yield* served()
      const response = yield* ask({ method: "HEAD" })
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("etag"), set.etag)
      assert.strictEqual(yield* Effect.promise(() => response.text()), "")
    })
  )

  it.effect.each([
    ["the tag", (etag: string) => etag, 304],
    ["the tag, weakened by a proxy", (etag: string) => `W/${etag}`, 304],
    ["one of several", (etag: string) => `"a,b", W/"c" ,${etag}`, 304],
    ["any", () => " * ", 304],
    ["another", () => `"another"`, 200],
    ["the tag without its quotes", (etag: string) => etag.slice(1, -1), 200],
    ["the tag in another", (etag: string) => `"x${etag.slice(1)}`, 200],
    ["nothing", () => "", 200]
  ] as const)("If-None-Match with %s", ([, value, status]) =>
    Effect.gen(function* () {
      const { ask, set } = yield* served()
      const response = yield* ask({ headers: { "if-none-match": value(set.etag) } })
      assert.strictEqual(response.status, status)
      assert.strictEqual(response.headers.get("etag"), set.etag)
      assert.strictEqual(response.headers.get("cache-control"), "public, max-age=300")
      assert.strictEqual(yield* Effect.promise(() => response.text()), status === 304 ? "" : set.text)
    })
  )

  it.effect("says what is true now, request by request", () =>
    Effect.gen(function* () {
      const { ask, keys, publicKey, set } = yield* served()
      const next = yield* publicKeyFor("Ed25519")
      yield* Ref.set(keys, Effect.succeed([{ publicKey }, { publicKey: next }]))
      const response = yield* ask({ headers: { "if-none-match": set.etag } })
      assert.strictEqual(response.status, 200)
      const resolver = yield* KeyResolver.fromJwks(yield* Effect.promise(() => response.text()), { owner: "us" })
      yield* resolver.resolve({ keyId: PublicKey.thumbprint(next) })
    })
  )

  it.effect("503 that nobody keeps, where the keys cannot be read or published", () =>
    Effect.gen(function* () {
      const { ask, keys, logs, publicKey, set } = yield* served()
      for (const failing of [
        Effect.fail({ _tag: "StoreDown", secret: "canary" }),
        Effect.fail("canary"),
        Effect.succeed([{ publicKey }, { publicKey }])
      ]) {
        yield* Ref.set(keys, failing)
        const response = yield* ask({ headers: { "if-none-match": set.etag } })
        assert.strictEqual(response.status, 503)
        assert.strictEqual(response.headers.get("cache-control"), "no-store")
        assert.isNull(response.headers.get("etag"))
        assert.strictEqual(yield* Effect.promise(() => response.text()), "")
      }
      yield* Ref.set(keys, Effect.succeed([{ publicKey }]))
      assert.strictEqual((yield* ask()).status, 200)
      assert.lengthOf(logs, 3)
      assert.include(logs[0], "StoreDown")
      assert.include(logs[2], "another key has the same kid")
      assert.notInclude(logs.join(), "canary")
    })
  )

  it.effect("is what RemoteJwks reads, and a change reaches it when the answer is no longer fresh", () =>
    Effect.gen(function* () {
      const { ask, keys, publicKey } = yield* served()
      const statuses: Array<number> = []
      const server = yield* serve((request, response) => {
        const headers = { "if-none-match": request.headers["if-none-match"] ?? "" }
        void Effect.runPromise(ask({ headers })).then(async (answer) => {
          statuses.push(answer.status)
          response.writeHead(answer.status, Object.fromEntries(answer.headers))
          response.end(await answer.text())
        })
      })
      const remote = yield* RemoteJwks.make({
        url: `https://127.0.0.1:${server.port}/.well-known/jwks.json`,
        owner: "us",
        allow: ["127.0.0.1"],
        ports: [server.port],
        ca
      })
      const next = yield* publicKeyFor("Ed25519")
      const resolved = yield* remote.resolve({ keyId: PublicKey.thumbprint(publicKey) })
      assert.isTrue(PublicKey.sameKey(resolved.publicKey, publicKey))
      yield* TestClock.adjust("5 minutes")
      yield* remote.resolve({ keyId: PublicKey.thumbprint(publicKey) })
      yield* Ref.set(keys, Effect.succeed([{ publicKey: next }]))
      yield* TestClock.adjust("299 seconds")
      yield* remote.resolve({ keyId: PublicKey.thumbprint(publicKey) })
      assert.deepStrictEqual(statuses, [200, 304])
      yield* TestClock.adjust("1 second")
      const gone = yield* Effect.flip(remote.resolve({ keyId: PublicKey.thumbprint(publicKey) }))
      assert.strictEqual(gone._tag, "KeyUnknown")
      assert.deepStrictEqual(statuses, [200, 304, 200])
    })
  )

  it.effect("takes another path, and is at no other", () =>
    Effect.gen(function* () {
      const { ask } = yield* served("/keys")
      assert.strictEqual((yield* ask({}, "https://id.example/keys")).status, 200)
      assert.strictEqual((yield* ask()).status, 404)
    })
  )

  it.effect("reads the keys with the services of its layer", () =>
    Effect.gen(function* () {
      const publicKey = yield* publicKeyFor("ES256")
      class Keys extends KeyResolver.KeyResolver {}
      const keys = Effect.map(
        Effect.flatMap(Keys, ({ resolve }) => resolve({})),
        ({ publicKey }) => [{ publicKey }]
      )
      const resolver = yield* KeyResolver.fromKeys([{ publicKey }])
      const routes = Jwks.layerRoute({ keys, maxAge: 0 }).pipe(
        Layer.provide(Layer.succeed(KeyResolver.KeyResolver, resolver))
      )
      const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const response = yield* Effect.promise(() => handler(new Request(url)))
      assert.deepStrictEqual([response.status, response.headers.get("cache-control")], [200, "public, max-age=0"])
    })
  )

  it.effect.each([Duration.days(2), Duration.infinity, -1, "soon" as never])("refuses maxAge %s", (maxAge) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.asVoid(Jwks.handler({ keys: Effect.succeed([]), maxAge })))
      assert.deepStrictEqual([error._tag, error.field], ["InvalidConfiguration", "maxAge"])
    })
  )

  it.effect("a wrong option fails the layer", () =>
    Effect.gen(function* () {
      const layer = Jwks.layerRoute({ keys: Effect.succeed([]), maxAge: 0, purposeMember: "kid" })
      const error = yield* Effect.flip(Layer.build(Layer.provide(layer, HttpRouter.layer)))
      assert.instanceOf(error, InvalidConfiguration)
    })
  )

  it.effect("handler answers where there is no router", () =>
    Effect.gen(function* () {
      const answer = yield* Jwks.handler({ keys: Effect.succeed([]), maxAge: "1 hour" })
      const response = yield* Effect.provideService(
        answer,
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request(url))
      )
      assert.strictEqual(response.headers["cache-control"], "public, max-age=3600")
    })
  )
})
