/**
 * The JOSE cookbook: examples of RFC 7520, RFC 7797 and RFC 8037, and the
 * thumbprints of RFC 7638 and RFC 8037. Each serialization is verified; what is
 * reproducible is signed again and must be the same text.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import * as Jws from "../../protocols/Jws.ts"
import { fromJose } from "../../schemas/JoseAlgorithm.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as KeyResolver from "../../services/KeyResolver.ts"
import * as Mac from "../../services/Mac.ts"
import * as Signer from "../../services/Signer.ts"
import { checked, type Outcome, readJson, suite, VectorError } from "./VectorSuite.ts"

const { optionalKey, String: Text } = Schema

const Jwk = Schema.JsonObject
const OneOrMore = <S extends Schema.Constraint>(schema: S) => Schema.Union([schema, Schema.Array(schema)])

const Signing = Schema.Struct({
  protected: optionalKey(Schema.JsonObject),
  protected_b64u: optionalKey(Text),
  unprotected: optionalKey(Schema.JsonObject),
  "sig-input": Text,
  sig: Text,
  json: optionalKey(Schema.JsonObject)
})

const Example = Schema.Struct({
  title: optionalKey(Text),
  reproducible: optionalKey(Schema.Boolean),
  input: Schema.Struct({ payload: Text, key: OneOrMore(Jwk), alg: OneOrMore(Text) }),
  signing: OneOrMore(Signing),
  output: Schema.Struct({
    compact: optionalKey(Text),
    json: optionalKey(Schema.JsonObject),
    json_flat: optionalKey(Schema.JsonObject)
  })
})
type Example = typeof Example.Type

const Nested = Schema.Struct({ title: Text, sign: Example, encrypt: Schema.Json })

const list = <A>(value: A | ReadonlyArray<A>): ReadonlyArray<A> => (Array.isArray(value) ? value : [value as A])

/** Published keys are private ones: what a verifier has of them. */
const publicPart = ({ d: _d, dp: _dp, dq: _dq, p: _p, q: _q, qi: _qi, ...jwk }: Schema.JsonObject): Schema.JsonObject =>
  jwk

const utf8 = new TextEncoder()

const keysOf = Effect.fnUntraced(function* ({ input }: Example) {
  const keys = list(input.key).map((jwk, index) => ({ jwk, alg: list(input.alg)[index]! }))
  const macs = yield* Effect.forEach(
    keys.filter(({ jwk }) => jwk["kty"] === "oct"),
    ({ alg, jwk }) => Mac.fromJwk(Redacted.make(jwk), { algorithm: alg as Mac.MacAlgorithm })
  )
  // Two of RFC 7520 section 4.8 share a kid: each is a set of its own
  const resolvers = yield* Effect.forEach(
    keys.filter(({ jwk }) => jwk["kty"] !== "oct"),
    ({ alg, jwk }) =>
      Effect.map(
        KeyResolver.fromJwks(JSON.stringify({ keys: [publicPart(jwk)] }), { algorithms: [fromJose(alg)!] }),
        (resolver) => ({ algorithm: fromJose(alg)!, resolver })
      )
  )
  const resolver = KeyResolver.make((request) => {
    const found = resolvers.find(({ algorithm }) => algorithm === request.algorithm)
    return found === undefined ? Effect.fail(new KeyResolver.KeyUnknown({})) : found.resolver.resolve(request)
  })
  return { keys, macs, resolver }
})

type Form = "compact" | "json" | "json_flat"

const verify = Effect.fnUntraced(function* (example: Example, form: Form) {
  const { macs, resolver } = yield* keysOf(example)
  const isDetached = form !== "compact" && example.output[form]!["payload"] === undefined
  const isEmpty = form === "compact" && example.output.compact!.split(".")[1] === ""
  const options = isDetached || isEmpty ? { payload: utf8.encode(example.input.payload) } : {}
  const text = form === "compact" ? example.output.compact! : JSON.stringify(example.output[form])
  const verified: Effect.Effect<{ readonly payload: Uint8Array }, unknown, KeyResolver.KeyResolver> =
    form === "json"
      ? Jws.verifyGeneral(text, { ...options, macs })
      : macs.length > 0
        ? form === "compact"
          ? Jws.verifyMac(text, macs, options)
          : Jws.verifyMacFlattened(text, macs, options)
        : form === "compact"
          ? Jws.verify(text, options)
          : Jws.verifyFlattened(text, options)
  const { payload } = yield* Effect.provideService(verified, KeyResolver.KeyResolver, resolver)
  return Buffer.from(payload).toString() === example.input.payload ? [] : ["another payload"]
})

const kidOf = (header: Schema.JsonObject | undefined): string | false => {
  const kid = header?.["kid"]
  return typeof kid === "string" ? kid : false
}

const isUnencoded = ({ signing }: Example) => list(signing).some((one) => one.protected?.["b64"] === false)

/** Signs again, and compares the text. */
const reproduce = Effect.fnUntraced(function* (example: Example, form: Form) {
  const { keys, macs } = yield* keysOf(example)
  const { jwk } = keys[0]!
  const signing = list(example.signing)[0]!
  const options = {
    kid: kidOf(signing.protected),
    unencoded: isUnencoded(example),
    detached:
      form === "compact" ? example.output.compact!.split(".")[1] === "" : example.output[form]!["payload"] === undefined
  }
  const payload = utf8.encode(example.input.payload)
  const { unprotected } = signing
  const signer =
    macs.length > 0
      ? undefined
      : yield* LocalSigner.make({
          privateKey: PrivateKey.fromJwk(jwk),
          algorithm: fromJose(list(example.input.alg)[0]!)
        })
  const made: unknown =
    form === "compact"
      ? yield* signer === undefined
          ? Jws.signMac(payload, macs[0]!, options)
          : Effect.provideService(Jws.sign(payload, options), Signer.Signer, signer)
      : form === "json_flat"
        ? yield* signer === undefined
            ? Jws.signMacFlattened(payload, macs[0]!, { ...options, unprotected })
            : Effect.provideService(Jws.signFlattened(payload, { ...options, unprotected }), Signer.Signer, signer)
        : yield* Jws.signGeneral(
            payload,
            [
              signer === undefined
                ? { mac: macs[0]!, kid: options.kid, unprotected }
                : { signer, kid: options.kid, unprotected }
            ],
            options
          )
  const canonical = (value: unknown) =>
    JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner
    )
  return canonical(made) === canonical(example.output[form]) ? [] : ["signed again it is another text"]
})

/** RFC 7797 section 6 demands `crit`, which this file was written without. */
const mustBeRefused = (file: string) => file === "rfc7797/4.2.hmac-sha2_b64_false.json"

const problemsOf = (effect: Effect.Effect<ReadonlyArray<string>, unknown>) =>
  Effect.map(Effect.result(effect), (outcome) =>
    Result.isSuccess(outcome) ? outcome.success : [String(outcome.failure)]
  )

const run = Effect.fnUntraced(function* (file: string, example: Example) {
  const forms = (["compact", "json", "json_flat"] as const).filter((form) => example.output[form] !== undefined)
  return yield* Effect.forEach(
    forms,
    Effect.fnUntraced(function* (form) {
      const name = `${file} ${form}`
      const verified = yield* problemsOf(verify(example, form))
      if (mustBeRefused(file)) {
        return checked(
          name,
          verified.some((problem) => problem.includes(`"b64" must be listed in "crit"`)) ? [] : ["accepted"]
        )
      }
      // Section 4.7 has no protected header: nobody should write that, and everybody can read it
      const isOurs = example.reproducible === true && list(example.signing).every((one) => one.protected !== undefined)
      return checked(name, [...verified, ...(isOurs ? yield* problemsOf(reproduce(example, form)) : [])])
    })
  )
})

const filesOf = (folder: string, name: string) =>
  Effect.map(
    Effect.tryPromise({
      try: () => readdir(join(folder, "jose-cookbook", name)),
      catch: (error) => new VectorError({ file: name, problem: `cannot be read: ${String(error)}` })
    }),
    (files) =>
      files
        .filter((file) => file.endsWith(".json"))
        .sort()
        .map((file) => `${name}/${file}`)
  )

const readExample = readJson(Example)
const readNested = readJson(Nested)

export const joseCookbook = suite({
  suite: "jose/cookbook",
  folder: "jose-cookbook",
  source: "ietf-jose/cookbook (RFC 7520, RFC 7797, RFC 8037)",
  outcomes: Effect.fnUntraced(function* (folder) {
    const files = [...(yield* filesOf(folder, "jws")), ...(yield* filesOf(folder, "rfc7797")), "curve25519/jws.json"]
    const outcomes: Array<ReadonlyArray<Outcome>> = []
    for (const file of files) {
      outcomes.push(yield* run(file, yield* readExample(join(folder, "jose-cookbook", file))))
    }
    const nested = "6.nesting_signatures_and_encryption.json"
    outcomes.push(yield* run(nested, (yield* readNested(join(folder, "jose-cookbook", nested))).sign))
    return outcomes.flat()
  })
})

const readJwk = readJson(Jwk)

/** Each key of RFC 7520 section 3 is read as what it is, and as nothing else. */
export const joseJwk = suite({
  suite: "jose/jwk",
  folder: "jose-cookbook",
  source: "ietf-jose/cookbook jwk (RFC 7520 section 3)",
  outcomes: Effect.fnUntraced(function* (folder) {
    const files = yield* filesOf(folder, "jwk")
    return yield* Effect.forEach(
      files,
      Effect.fnUntraced(function* (file) {
        const jwk = yield* readJwk(join(folder, "jose-cookbook", file))
        const accepted = {
          public: Result.isSuccess(yield* Effect.result(PublicKey.fromJwk(jwk))),
          private: Result.isSuccess(yield* Effect.result(PrivateKey.fromJwk(jwk))),
          mac: Result.isSuccess(yield* Effect.result(Mac.fromJwk(Redacted.make(jwk))))
        }
        const expected = {
          public: file.includes("public"),
          private: file.includes("private"),
          mac: file.includes("mac_computation")
        }
        return checked(
          file,
          (["public", "private", "mac"] as const).flatMap((kind) =>
            accepted[kind] === expected[kind] ? [] : [`${accepted[kind] ? "accepted" : "refused"} as a ${kind} key`]
          )
        )
      })
    )
  })
})

const Thumbprint = Schema.Struct({ name: Text, jwk: Text, precompute: Text, sha256: Text, thumbprint: Text })
const readThumbprints = readJson(Schema.Array(Thumbprint))

/** RFC 7638 section 3.1 and RFC 8037 appendix A.3. */
export const joseThumbprint = suite({
  suite: "jose/thumbprint",
  folder: "jwk-thumbprint",
  source: "cloudflare/web-bot-auth jsonwebkey-thumbprint (RFC 7638 section 3.1, RFC 8037 appendix A.3)",
  outcomes: Effect.fnUntraced(function* (folder) {
    const cases = yield* readThumbprints(join(folder, "jwk-thumbprint", "cloudflare-vectors.json"))
    return yield* Effect.forEach(cases, ({ jwk, name, thumbprint }) =>
      Effect.map(
        problemsOf(
          Effect.map(PublicKey.fromJwk(JSON.parse(jwk)), (key) =>
            PublicKey.thumbprint(key) === thumbprint ? [] : ["another thumbprint"]
          )
        ),
        (problems) => checked(name, problems)
      )
    )
  })
})
