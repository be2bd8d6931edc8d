/**
 * A service that verifies what it is sent: `/rest/` behind `HttpSignatureServer`,
 * `/adcp31/` and `/adcp32/` by the checklist of AdCP for requests, `/webhook/` by that
 * for webhooks. It stands behind a proxy that ends TLS, and serves one host.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Logger, References } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import * as StaticRevocationStore from "../../../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../../../src/protocols/Adcp.ts"
import * as HttpMessage from "../../../src/protocols/HttpMessage.ts"
import type * as HttpSignature from "../../../src/protocols/HttpSignature.ts"
import * as HttpSignatureProfile from "../../../src/protocols/HttpSignatureProfile.ts"
import * as HttpSignatureServer from "../../../src/protocols/HttpSignatureServer.ts"
import * as KeyResolver from "../../../src/services/KeyResolver.ts"
import { ReplayStore } from "../../../src/services/ReplayStore.ts"
import * as RevocationStore from "../../../src/services/RevocationStore.ts"
import type { Party, PublishedKey } from "./backendKeys.ts"

export const sides = ["rest", "adcp31", "adcp32", "webhook"] as const

export type Side = (typeof sides)[number]

export const authority = "shop.example"

/** What a server behind the proxy knows of it. */
const behindProxy = { scheme: "https", authority } as const

/** What `/rest/` wants of a request. */
const policy: HttpSignature.Policy = {
  components: ["@method", "@target-uri"],
  algorithms: ["Ed25519", "ES256"],
  maxAge: "5 minutes",
  maxLifetime: "5 minutes",
  skew: "30 seconds",
  tag: "orders",
  minNonceBytes: 16,
  purpose: "request-signing"
}

/** The version that each side of AdCP speaks. */
export const profiles = {
  adcp31: HttpSignatureProfile.adcp31,
  adcp32: HttpSignatureProfile.adcp32,
  webhook: HttpSignatureProfile.adcp31
}

const capability = (covers: HttpSignatureProfile.DigestPolicy) =>
  Effect.runSync(
    Adcp.parseCapability({
      supported: true,
      covers_content_digest: covers,
      required_for: ["create_media_buy"],
      supported_for: ["get_products"]
    })
  )

/** What the sellers say of themselves: one leaves the digest open, as 3.1 lets it. */
const capabilities = { adcp31: capability("either"), adcp32: capability("required") }

/** What the servers did: what a handler was given twice is seen, and why a request was refused. */
export const makeLedger = () => {
  const handled = new Map<string, number>()
  const reasons = new Map<string, string>()
  return {
    handled,
    handle: (side: Side, keyId: string, nonce: string) => {
      const name = `${side} ${keyId} ${nonce}`
      handled.set(name, (handled.get(name) ?? 0) + 1)
    },
    /** By the number that the client gave the request. */
    reasons,
    refuse: (number: string | undefined, reason: string) => void reasons.set(number ?? "", reason)
  }
}

export type Ledger = ReturnType<typeof makeLedger>

const utf8 = new TextDecoder()

/** What the handlers answer: who signed, and what they were given. */
const answer = (keyId: string, owner: string | undefined, body: Uint8Array | undefined) =>
  HttpServerResponse.jsonUnsafe({ keyId, owner, body: body === undefined ? "" : utf8.decode(body) })

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

const keysOf = ({ main, responses, revoked, webhooks }: Party): ReadonlyArray<PublishedKey> => [
  main,
  webhooks,
  responses,
  revoked
]

/** The same keys, revocations and all, to both kinds of verifiers. */
export const published = Effect.fnUntraced(function* (parties: ReadonlyArray<Party>) {
  const keys = parties.flatMap(keysOf)
  const revocation = StaticRevocationStore.make({ keyIds: parties.map(({ revoked }) => revoked.keyId) })
  const owners = Map.groupBy(keys, ({ owner }) => owner)
  const jwks = yield* Effect.forEach(owners, ([agentUrl, keys]) =>
    Adcp.keysFromJwks(
      { keys: keys.map(({ keyId, publicKey, purpose }) => Adcp.publicJwk(publicKey, { keyId, adcpUse: purpose })) },
      { agentUrl }
    )
  )
  return Context.make(RevocationStore.RevocationStore, revocation).pipe(
    Context.add(KeyResolver.KeyResolver, RevocationStore.refusing(yield* KeyResolver.fromKeys(keys), revocation)),
    Context.add(Adcp.AdcpKeys, Adcp.allKeys(jwks))
  )
})

// ---------------------------------------------------------------------------
// handlers
// ---------------------------------------------------------------------------

const rest = (ledger: Ledger) => {
  const handler = Effect.map(HttpSignatureServer.VerifiedRequest, ({ body, signatures: [{ key, nonce }] }) => {
    ledger.handle("rest", key.keyId, nonce!)
    return answer(key.keyId, key.owner, body)
  }).pipe(HttpSignatureServer.verifiedOnce(policy, behindProxy))
  return Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const logger = Logger.make<unknown, void>(({ message }) => {
      const [text, reason] = message as ReadonlyArray<string>
      if (text === "signature refused") ledger.refuse(headers["x-number"], reason!)
    })
    return handler.pipe(
      Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
      Effect.provideService(References.MinimumLogLevel, "All")
    )
  })
}

const verifierOf = (side: Exclude<Side, "rest">) => {
  const profile = profiles[side]
  return side === "webhook"
    ? (message: HttpMessage.HttpRequest) => Adcp.verifyWebhook(message, { profile })
    : (message: HttpMessage.HttpRequest) => Adcp.verifyRequest(message, { profile, capability: capabilities[side] })
}

const adcp = (side: Exclude<Side, "rest">, ledger: Ledger) => {
  const verify = verifierOf(side)
  return Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = new Uint8Array(yield* request.arrayBuffer)
    const signer = yield* verify(HttpMessage.fromServerRequest(request, { ...behindProxy, body }))
    if (signer._tag === "Unsigned") return HttpServerResponse.text("unsigned", { status: 202 })
    ledger.handle(side, signer.keyId, signer.nonce)
    return answer(signer.keyId, signer.agentUrl, signer.body)
  }).pipe(
    Effect.catchTags({
      AdcpSignatureError: (error) =>
        Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
          ledger.refuse(headers["x-number"], `step ${error.step}`)
          const { status, wwwAuthenticate } = error
          return HttpServerResponse.jsonUnsafe(
            { error_code: error.code },
            { status, headers: { "www-authenticate": wwwAuthenticate } }
          )
        }),
      ReplayStoreUnavailable: () => Effect.succeed(HttpServerResponse.empty({ status: 503 }))
    })
  )
}

// ---------------------------------------------------------------------------
// server
// ---------------------------------------------------------------------------

/** Serves on a port of the loopback interface, for as long as the scope is open. */
export const serve = Effect.fnUntraced(function* (ledger: Ledger) {
  let connections = 0
  // No connection is closed between two waves, also where the machine is slow
  const server = createServer({ keepAliveTimeout: 120_000 }).on("connection", () => connections++)
  const { address, serve } = yield* NodeHttpServer.make(() => server, { port: 0, host: "127.0.0.1" })
  const guarded = rest(ledger)
  const others = { adcp31: adcp("adcp31", ledger), adcp32: adcp("adcp32", ledger), webhook: adcp("webhook", ledger) }
  const services = yield* Effect.context<
    KeyResolver.KeyResolver | ReplayStore | RevocationStore.RevocationStore | Adcp.AdcpKeys
  >()
  const app = Effect.gen(function* () {
    const { url } = yield* HttpServerRequest.HttpServerRequest
    const side = sides.find((side) => url.startsWith(`/${side}/`))
    if (side === undefined) return HttpServerResponse.empty({ status: 404 })
    return side === "rest" ? yield* guarded : yield* others[side]
  })
  yield* serve(Effect.provide(app, services))
  return { port: "port" in address ? address.port : 0, connections: () => connections }
})
