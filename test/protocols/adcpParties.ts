/**
 * Two parties of AdCP for tests: one signs, with a key that is published as a JWK;
 * the other verifies, with stores that start empty.
 */
import { Effect, Layer } from "effect"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import type { FieldLine, HttpMessage, HttpRequest } from "../../src/protocols/HttpMessage.ts"
import { request } from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import type { Profile } from "../../src/protocols/HttpSignatureProfile.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as Signer from "../../src/services/Signer.ts"
import { ReplayStore } from "../../src/services/ReplayStore.ts"
import { RevocationStore } from "../../src/services/RevocationStore.ts"

const utf8 = new TextEncoder()

export const url = "https://seller.example.com/adcp/create_media_buy"

export const keyId = "acme-2026"

export const post = (
  options: {
    readonly target?: string
    readonly body?: string
    readonly fields?: ReadonlyArray<FieldLine>
  } = {}
): HttpRequest =>
  request({
    method: "POST",
    target: options.target ?? url,
    fields: options.fields ?? [["Content-Type", "application/json"]],
    body: utf8.encode(options.body ?? `{"plan_id":"plan_001"}`)
  })

export const capability = Effect.runSync(
  Adcp.parseCapability({
    supported: true,
    covers_content_digest: "either",
    required_for: ["create_media_buy"],
    warn_for: ["sync_creatives"],
    supported_for: ["get_products"],
    protocol_methods_required_for: ["tasks/cancel"]
  })
)

/** The private half of every key here. */
const signers = new Map<string, Signer.Service>()

/** One key for all tests of an algorithm: its purpose is up to who signs. */
export const signerOf = (algorithm: "Ed25519" | "ES256", purpose: string) =>
  Effect.gen(function* () {
    const known = signers.get(algorithm)
    const signer =
      known ?? (yield* Effect.provide(Signer.Signer, LocalSigner.layerGenerated(algorithm, { purpose: "any" })))
    signers.set(algorithm, signer)
    return Signer.Signer.of({ ...signer, purpose })
  })

/** The key as its owner publishes it. */
export const jwkOf = Effect.fnUntraced(function* (algorithm: "Ed25519" | "ES256", change: object = {}) {
  const signer = yield* signerOf(algorithm, "any")
  const jwk = PublicKey.toJwk(yield* signer.publicKey(), { kid: keyId })
  return {
    ...jwk,
    alg: algorithm === "Ed25519" ? "EdDSA" : "ES256",
    use: "sig",
    key_ops: ["verify"],
    adcp_use: "request-signing",
    ...change
  }
})

export interface Crafted {
  readonly algorithm?: "Ed25519" | "ES256"
  readonly profile?: Profile
  /** What the signature says in another way than the profile. */
  readonly options?: { readonly [K in keyof HttpSignature.SignOptions]?: HttpSignature.SignOptions[K] | undefined }
}

/** Signs in any way, also in one that no verifier accepts. */
export const craft = <M extends HttpMessage>(message: M, crafted: Crafted = {}) =>
  Effect.gen(function* () {
    const profile = crafted.profile ?? HttpSignatureProfile.adcp31.request
    const signer = yield* signerOf(crafted.algorithm ?? "Ed25519", profile.purposes[0]!)
    const options = yield* HttpSignatureProfile.signOptions(profile, message, { keyId })
    const free = { ...options, maxLifetime: undefined, purposes: undefined, ...crafted.options }
    const { message: signed } = yield* Effect.provideService(
      HttpSignature.sign(message, free as HttpSignature.SignOptions),
      Signer.Signer,
      signer
    )
    return signed
  })

/** The verifying side, with the key as it is published. */
export const verifier = (
  options: {
    readonly jwks?: ReadonlyArray<unknown>
    readonly algorithm?: "Ed25519" | "ES256"
    readonly jwk?: object
    readonly revoked?: ReadonlyArray<string>
    readonly maxPerKey?: number
  } = {}
): Layer.Layer<Adcp.AdcpKeys | ReplayStore | RevocationStore> =>
  Layer.mergeAll(
    Layer.effect(
      Adcp.AdcpKeys,
      Effect.flatMap(jwkOf(options.algorithm ?? "Ed25519", options.jwk), (jwk) =>
        Adcp.keysFromJwks({ keys: options.jwks ?? [jwk] })
      )
    ),
    MemoryReplayStore.layer(options.maxPerKey === undefined ? {} : { maxPerKey: options.maxPerKey }),
    StaticRevocationStore.layer({ keyIds: options.revoked ?? [] })
  ).pipe(Layer.orDie)

/** A message whose field lines of a name are others. */
export const withField = <M extends HttpMessage>(message: M, name: string, change: (value: string) => string): M => ({
  ...message,
  fields: message.fields.map(([other, value]): FieldLine =>
    other.toLowerCase() === name ? [other, change(value)] : [other, value]
  )
})

export const without = <M extends HttpMessage>(message: M, name: string): M => ({
  ...message,
  fields: message.fields.filter(([other]) => other.toLowerCase() !== name)
})
