/**
 * The keys of Standard Webhooks as text: `whsec_`, `whpk_` and `whsk_`.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import { primitives } from "#primitives"
import { fromBase64 } from "../../schemas/BaseEncoding.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as Mac from "../../services/Mac.ts"
import { misconfigured } from "./WebhookDelivery.ts"

const secretPrefix = "whsec_"
const publicPrefix = "whpk_"
const privatePrefix = "whsk_"

/** The bytes behind a prefix, of padded base64 in its one form. */
const bytesBehind = (prefix: string, text: unknown): Uint8Array | undefined =>
  typeof text === "string" && text.startsWith(prefix) && text.length <= 128
    ? fromBase64(text.slice(prefix.length))
    : undefined

/** Bytes of the block of SHA-256. */
const blockLength = 64

/**
 * Reads a shared secret: `whsec_` and the base64 of 24 to 64 bytes.
 *
 * @category decoding
 * @since 0.1.0
 */
export const secret = (
  text: Redacted.Redacted<string>,
  options?: {
    /** How messages name it, and what a verified webhook says of it. */
    readonly keyId?: string | undefined
  }
): Effect.Effect<Mac.Service, InvalidConfiguration> =>
  Effect.suspend(() => {
    const bytes = bytesBehind(secretPrefix, Redacted.value(text))
    if (bytes === undefined || bytes.length < 24 || bytes.length > blockLength) {
      return Effect.fail(misconfigured("make", "secret", "expected whsec_ and the base64 of 24 to 64 random bytes"))
    }
    // HMAC fills a key with zeros up to its block (RFC 2104 section 2): here, a key of 24 bytes is one of 64
    const filled = new Uint8Array(blockLength)
    filled.set(bytes)
    return Mac.make({ algorithm: "HS256", secret: Redacted.make(filled), keyId: options?.keyId })
  })

/**
 * A new shared secret: `whsec_` and 32 random bytes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generateSecret: Effect.Effect<Redacted.Redacted<string>> = Effect.sync(() =>
  Redacted.make(secretPrefix + Base64.encode(primitives.randomBytes(32)))
)

/**
 * Reads a public key: `whpk_` and the base64 of 32 bytes of Ed25519.
 *
 * @category decoding
 * @since 0.1.0
 */
export const publicKey = (text: string): Effect.Effect<PublicKey.PublicKey, InvalidConfiguration> =>
  Effect.suspend(() => {
    const bytes = bytesBehind(publicPrefix, text)
    return bytes?.length === 32
      ? PublicKey.fromRaw("Ed25519", bytes)
      : Effect.fail(misconfigured("make", "publicKey", "expected whpk_ and the base64 of 32 bytes"))
  })

/**
 * Writes a public key, for receivers: `whpk_` and base64; `undefined` for keys that
 * are not Ed25519.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodePublicKey = (key: PublicKey.PublicKey): string | undefined =>
  key.type === "Ed25519" ? publicPrefix + Base64.encode(key.bytes) : undefined

/**
 * Reads a private key, for a `LocalSigner`: `whsk_` and the base64 of a seed of 32
 * bytes, or of seed and public key.
 *
 * @category decoding
 * @since 0.1.0
 */
export const privateKey = (
  text: Redacted.Redacted<string>
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Effect.suspend(() => {
    const bytes = bytesBehind(privatePrefix, Redacted.value(text))
    return bytes?.length === 32 || bytes?.length === 64
      ? PrivateKey.fromRaw("Ed25519", Redacted.make(bytes))
      : Effect.fail(misconfigured("make", "privateKey", "expected whsk_ and the base64 of 32 or 64 bytes"))
  })
