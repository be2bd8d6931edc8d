/**
 * `HttpSignature` with a local Ed25519 key against other libraries that sign HTTP
 * messages, which `npm run test:oracles` installs beside its tests: one POST with a
 * JSON body is signed, and verified from its parts as a server receives them. All
 * sign with node:crypto, and compute and compare the digest of the content.
 *
 * `http/verify-cost/*`: what a larger message costs, per byte, against 1 KiB.
 */
import * as crypto from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { LocalSigner, PrivateKey, PublicKey, Signer } from "effect-signer"
import * as MemoryReplayStore from "../src/layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../src/protocols/Adcp.ts"
import * as HttpMessage from "../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../src/protocols/HttpSignature.ts"
import * as HttpSignatureProfile from "../src/protocols/HttpSignatureProfile.ts"
import * as KeyResolver from "../src/services/KeyResolver.ts"
import * as ReplayStore from "../src/services/ReplayStore.ts"
import * as RevocationStore from "../src/services/RevocationStore.ts"
import { NotAvailable } from "../scripts/live/Software.ts"
import type { Row } from "./Row.ts"
import { ratio, sequential } from "./Row.ts"

const load = <A>(name: string, file: string) =>
  Effect.tryPromise({
    try: () => import(new URL(`../test/oracles/node_modules/${name}/${file}`, import.meta.url).href) as Promise<A>,
    catch: () => new NotAvailable(`${name} is not installed; install it with: npm ci --prefix test/oracles`)
  })

// ---------------------------------------------------------------------------
// what is signed
// ---------------------------------------------------------------------------

const method = "POST"
const path = "/orders?dry=1"
const url = `https://api.example${path}`
const contentType = "application/json"
const text = JSON.stringify({
  item: 7,
  quantity: 2,
  note: "to the back door",
  tags: ["fragile", "gift"],
  total: "19.90"
})
const body: Uint8Array = new TextEncoder().encode(text)
const components = ["@method", "@target-uri", "content-digest", "content-type"]

const digestOf = (content: Uint8Array): Buffer => crypto.createHash("sha256").update(content).digest()

/** What a server does for the libraries that leave the digest to their callers. */
const checkDigest = (value: string | undefined): void => {
  const found = /^sha-256=:([A-Za-z0-9+/]{43}=):$/.exec(value ?? "")
  const isContent = found !== null && crypto.timingSafeEqual(Buffer.from(found[1]!, "base64"), digestOf(body))
  if (!isContent) throw new Error("the digest is not that of the content")
}

const sent: ReadonlyArray<HttpMessage.FieldLine> = [
  ["Host", "api.example"],
  ["Content-Type", contentType]
]

const request = (added: ReadonlyArray<HttpMessage.FieldLine> = [], content = body) =>
  HttpMessage.request({ method, target: path, scheme: "https", fields: [...sent, ...added], body: content })

// ---------------------------------------------------------------------------
// ours
// ---------------------------------------------------------------------------

const policy: HttpSignature.Policy = {
  components,
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: undefined
}

const setup = Effect.fnUntraced(function* (purpose?: string) {
  const privateKey = yield* PrivateKey.generate("Ed25519")
  const signer = yield* LocalSigner.make({ privateKey, purpose })
  const { publicKey } = privateKey
  const resolver = yield* KeyResolver.fromKeys([{ publicKey, purpose }])
  const secret = crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(privateKey)))
  return {
    keyId: PublicKey.thumbprint(publicKey),
    privateKey,
    publicKey,
    secret,
    spki: crypto.createPublicKey(secret),
    provide: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      effect.pipe(
        Effect.provideService(Signer.Signer, signer),
        Effect.provideService(KeyResolver.KeyResolver, resolver)
      )
  }
})

type Setup = Effect.Success<ReturnType<typeof setup>>

const ours = ({ provide }: Setup) =>
  provide(
    Effect.flatMap(
      Effect.suspend(() => HttpSignature.sign(request(), { components })),
      ({ fields }) => HttpSignature.verify(request(fields), policy)
    )
  )

// ---------------------------------------------------------------------------
// theirs
// ---------------------------------------------------------------------------

interface Httpbis {
  readonly httpbis: {
    readonly signMessage: (
      config: object,
      message: object
    ) => Promise<{ readonly headers: Readonly<Record<string, string>> }>
    readonly verifyMessage: (config: object, message: object) => Promise<boolean | null>
  }
  readonly createSigner: (key: unknown, algorithm: string, id: string) => object
  readonly createVerifier: (key: unknown, algorithm: string) => unknown
}

const httpMessageSignatures = ratio(
  "http/sign-verify/http-message-signatures",
  "http-message-signatures 1.0.6",
  Effect.gen(function* () {
    const keys = yield* setup()
    const library = yield* load<Httpbis>("http-message-signatures", "lib/index.js")
    const key = library.createSigner(keys.secret, "ed25519", keys.keyId)
    const verify = library.createVerifier(keys.spki, "ed25519")
    const keyLookup = async ({ keyid }: { readonly keyid: string }) => (keyid === keys.keyId ? { verify } : null)
    const stated = { requiredFields: components, requiredParams: ["created"], maxAge: 300, tolerance: 30, keyLookup }
    const theirs = async () => {
      const digest = `sha-256=:${digestOf(body).toString("base64")}:`
      const signed = await library.httpbis.signMessage(
        { key, fields: components, params: ["created", "keyid"] },
        { method, url, headers: { Host: "api.example", "Content-Type": contentType, "Content-Digest": digest } }
      )
      const received = { method, url, headers: { ...signed.headers } }
      if ((await library.httpbis.verifyMessage(stated, received)) !== true) throw new Error("not verified")
      checkDigest(received.headers["Content-Digest"])
    }
    return { ours: sequential(() => ours(keys)), reference: sequential(() => Effect.promise(theirs)) }
  })
)

interface HttpMessageSig {
  readonly createSignature: (
    message: object,
    options: object
  ) => Promise<{ readonly signature: string; readonly signatureInput: string }>
  readonly verifySignature: (message: object, options: object) => Promise<unknown>
}

const httpMessageSig = ratio(
  "http/sign-verify/http-message-sig",
  "http-message-sig 0.3.0",
  Effect.gen(function* () {
    const keys = yield* setup()
    const library = yield* load<HttpMessageSig>("http-message-sig", "dist/index.mjs")
    const algorithm = "ed25519"
    const signer = { algorithm, sign: (data: Uint8Array) => crypto.sign(null, data, keys.secret) }
    const verifier = {
      algorithm,
      verify: (data: Uint8Array, signature: Uint8Array) => crypto.verify(null, data, keys.spki, signature)
    }
    const stated = {
      policy: {
        algorithms: [algorithm],
        requiredComponents: components,
        requiredParameters: ["created"],
        maxAge: 300,
        clockSkew: 30
      },
      resolveVerifier: ({ parameters }: { readonly parameters: { readonly keyid: string } }) => {
        if (parameters.keyid !== keys.keyId) throw new Error("another key")
        return verifier
      }
    }
    const message = (added: ReadonlyArray<HttpMessage.FieldLine>) => ({
      kind: "request",
      method,
      targetUri: url,
      fields: [...sent, ...added].map(([name, value]) => ({ name, value }))
    })
    const theirs = async () => {
      const digest = ["Content-Digest", `sha-256=:${digestOf(body).toString("base64")}:`] as const
      const { signature, signatureInput } = await library.createSignature(message([digest]), {
        components,
        parameters: { created: Math.floor(Date.now() / 1000), keyid: keys.keyId },
        signer
      })
      const received = message([digest, ["Signature-Input", signatureInput], ["Signature", signature]])
      await library.verifySignature(received, stated)
      checkDigest(received.fields.find(({ name }) => name === "Content-Digest")?.value)
    }
    return { ours: sequential(() => ours(keys)), reference: sequential(() => Effect.promise(theirs)) }
  })
)

interface AdcpSdk {
  readonly signRequest: (
    request: object,
    key: object,
    options: object
  ) => { readonly headers: Readonly<Record<string, string>> }
  readonly verifyRequestSignature: (request: object, options: object) => Promise<{ readonly status: string }>
  readonly StaticJwksResolver: new (keys: ReadonlyArray<object>) => object
  readonly InMemoryReplayStore: new () => object
  readonly InMemoryRevocationStore: new () => object
}

const adcpSdk = ratio(
  "http/sign-verify/adcp-sdk",
  "@adcp/sdk 6.11.0",
  Effect.gen(function* () {
    const keys = yield* setup("request-signing")
    const library = yield* load<AdcpSdk>("@adcp/sdk", "dist/lib/signing/index.js")
    const { keyId: keyid, privateKey, publicKey } = keys
    const key = { keyid, alg: "ed25519", privateKey: Redacted.value(PrivateKey.toJwk(privateKey)) }
    const use = { use: "sig", key_ops: ["verify"], adcp_use: "request-signing" }
    const jwk = { ...PublicKey.toJwk(publicKey), kid: keyid, alg: "EdDSA", ...use }
    const stated = { supported: true, covers_content_digest: "required", required_for: [] }
    const options = {
      capability: stated,
      jwks: new library.StaticJwksResolver([jwk]),
      replayStore: new library.InMemoryReplayStore(),
      revocationStore: new library.InMemoryRevocationStore()
    }
    const headers = { Host: "api.example", "Content-Type": contentType }
    const theirs = async () => {
      const plain = { method, url, headers, body: text }
      const signed = library.signRequest(plain, key, { coverContentDigest: true })
      const { status } = await library.verifyRequestSignature({ ...plain, headers: signed.headers }, options)
      if (status !== "verified") throw new Error("not verified")
    }
    const profile = HttpSignatureProfile.adcp31
    const capability = yield* Adcp.parseCapability({ request_signing: stated })
    const replay = yield* MemoryReplayStore.make()
    const adcpKeys = yield* Adcp.keysFromJwks({ keys: [jwk] })
    const byProfile = Effect.flatMap(
      Effect.suspend(() => Adcp.signRequest(request(), { profile })),
      ({ fields }) => Adcp.verifyRequest(request(fields), { profile, capability })
    ).pipe(
      keys.provide,
      Effect.provideService(Adcp.AdcpKeys, adcpKeys),
      Effect.provideService(ReplayStore.ReplayStore, replay),
      Effect.provideService(RevocationStore.RevocationStore, StaticRevocationStore.make({ keyIds: [] }))
    )
    return { ours: sequential(() => byProfile), reference: sequential(() => Effect.promise(theirs)) }
  })
)

// ---------------------------------------------------------------------------
// what a larger message costs
// ---------------------------------------------------------------------------

const kib = 1024

/** Verifying a message of a size against one of 1 KiB: the ratio is per byte, so below 1 is less than linear. */
const costRow = (name: string, size: number, signed: (keys: Setup, size: number) => ReturnType<typeof larger>): Row => {
  const row = ratio(
    `http/verify-cost/${name}/${size >= kib * kib ? `${size / kib / kib}MiB` : `${size / kib}KiB`}`,
    "1 KiB, per byte",
    Effect.gen(function* () {
      const keys = yield* setup()
      const small = yield* signed(keys, kib)
      const large = yield* signed(keys, size)
      return { ours: sequential(() => large), reference: sequential(() => small) }
    })
  )
  return { ...row, measure: Effect.map(row.measure, (result) => ({ ...result, ratio: (result.ratio * kib) / size })) }
}

const larger = (
  { provide }: Setup,
  content: Uint8Array,
  fields: ReadonlyArray<HttpMessage.FieldLine>,
  covered: ReadonlyArray<string> = [],
  options: Partial<HttpSignature.SignOptions> = {}
) =>
  Effect.map(
    provide(HttpSignature.sign(request(fields, content), { ...options, components: [...components, ...covered] })),
    (signed) =>
      provide(Effect.suspend(() => HttpSignature.verify(request([...fields, ...signed.fields], content), policy)))
  )

const lines = (size: number): ReadonlyArray<HttpMessage.FieldLine> =>
  Array.from({ length: size / 64 }, (_, index) => [`X-Line-${String(index).padStart(8, "0")}`, "v".repeat(46)] as const)

const costs: ReadonlyArray<Row> = [
  ...[64 * kib, kib * kib].flatMap((size) => [
    costRow("body", size, (keys, length) => larger(keys, new Uint8Array(length).fill(97), [])),
    costRow("field-lines", size, (keys, length) => larger(keys, body, lines(length))),
    costRow("covered-field", size, (keys, length) => larger(keys, body, [["X-Long", "v".repeat(length)]], ["x-long"]))
  ]),
  costRow("signature-input", 64 * kib, (keys, length) => larger(keys, body, [], [], { nonce: "n".repeat(length) }))
]

export const rows: ReadonlyArray<Row> = [httpMessageSignatures, httpMessageSig, adcpSdk, ...costs]
