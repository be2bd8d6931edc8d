/**
 * The JWK that an agent of AdCP publishes.
 *
 * @category internal
 */
import * as Schema from "effect/Schema"
import type { PublicJwk } from "../../schemas/Jwk.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"

/**
 * What a key of AdCP may be for: `adcp_use` of its JWK, and the purpose of its
 * Signer.
 *
 * @category schemas
 * @since 0.1.0
 */
export const AdcpUse = Schema.Literals([
  "request-signing",
  "webhook-signing",
  "response-signing",
  "governance-signing",
  "attestation-signing"
])

/**
 * The type of {@link AdcpUse}.
 *
 * @category models
 * @since 0.1.0
 */
export type AdcpUse = typeof AdcpUse.Type

/**
 * A public key as the `jwks_uri` of an agent publishes it.
 *
 * @category models
 * @since 0.1.0
 */
export type AdcpJwk = PublicJwk & {
  readonly kid: string
  readonly use: "sig"
  readonly key_ops: ReadonlyArray<"verify">
  readonly adcp_use: AdcpUse
}

/** The one algorithm of the keys that AdCP knows: a verifier wants it said. */
const algorithmOf: { readonly [keyType: string]: string } = { Ed25519: "EdDSA", "P-256": "ES256" }

/**
 * The JWK to publish at the `jwks_uri` of an agent, with the members that verifiers
 * of AdCP demand.
 *
 * @category keys
 * @since 0.1.0
 */
export const publicJwk = (
  key: PublicKey.PublicKey,
  options: {
    readonly adcpUse: AdcpUse
    /** Default: the RFC 7638 thumbprint. */
    readonly keyId?: string | undefined
  }
): AdcpJwk => ({
  ...(Object.hasOwn(algorithmOf, key.type) ? { alg: algorithmOf[key.type] } : {}),
  ...PublicKey.toJwk(key),
  kid: options.keyId ?? PublicKey.thumbprint(key),
  use: "sig",
  key_ops: ["verify"],
  adcp_use: options.adcpUse
})
