/**
 * The key over all keys of a store: what wraps the one secret that a store encrypts
 * its private halves with. It is asked once, when the store is opened.
 *
 * Whoever has the database and not this key has no private half. Keep it elsewhere:
 * in the environment of the program at least, in a KMS at best.
 *
 * **Details**
 *
 * {@link fromSecret} is one of 32 bytes that the program knows. For a KMS, fill in
 * {@link EnvelopeKey}: `wrap` and `unwrap` are its encrypt and decrypt of 32 bytes
 * (AWS KMS `Encrypt` and `Decrypt`, Google Cloud KMS `encrypt` and `decrypt`, Azure
 * Key Vault `wrapKey` and `unwrapKey`, Vault's `transit/encrypt` and
 * `transit/decrypt`). Give it a context, where it takes one, that names the store.
 *
 * **Example** (Vault's transit engine)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { Base64 } from "effect/encoding"
 * import * as EnvelopeKey from "effect-signer/EnvelopeKey"
 *
 * const vaultTransit = (url: string, key: string, token: Redacted.Redacted): EnvelopeKey.EnvelopeKey => {
 *   const call = (path: string, body: object) =>
 *     Effect.tryPromise({
 *       try: async (signal) => {
 *         const headers = { "x-vault-token": Redacted.value(token) }
 *         const response = await fetch(`${url}/v1/transit/${path}/${key}`, {
 *           method: "POST", headers, body: JSON.stringify(body), signal
 *         })
 *         if (!response.ok) throw new Error("refused")
 *         return (await response.json()) as { readonly data: Record<string, string> }
 *       },
 *       // nothing of the answer: it may hold what was wrapped
 *       catch: () => new EnvelopeKey.EnvelopeKeyError({ name: "vault-transit", reason: "Unavailable" })
 *     })
 *   return {
 *     name: "vault-transit",
 *     wrap: (bytes) =>
 *       Effect.map(call("encrypt", { plaintext: Base64.encode(bytes) }), ({ data }) =>
 *         new TextEncoder().encode(data["ciphertext"])
 *       ),
 *     unwrap: (bytes) =>
 *       Effect.flatMap(call("decrypt", { ciphertext: new TextDecoder().decode(bytes) }), ({ data }) =>
 *         Effect.mapError(Effect.fromResult(Base64.decode(data["plaintext"] ?? "")), () =>
 *           new EnvelopeKey.EnvelopeKeyError({ name: "vault-transit", reason: "Refused" })
 *         )
 *       )
 *   }
 * }
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { fromBase64, fromBase64Url } from "../schemas/BaseEncoding.ts"
import { InvalidConfiguration, VendorError } from "../schemas/SignerError.ts"

/**
 * The key could not wrap or unwrap: `Refused` where it says no, also to what another
 * key wrapped, `Unavailable` where the same call may succeed later.
 *
 * @category errors
 * @since 0.1.0
 */
export class EnvelopeKeyError extends Schema.TaggedError<EnvelopeKeyError>("effect-signer/EnvelopeKeyError")(
  "EnvelopeKeyError",
  {
    /** Of the envelope key. */
    name: Schema.String,
    reason: Schema.Literals(["Refused", "Unavailable"]),
    cause: Schema.optionalKey(VendorError)
  }
) {
  override get message() {
    return `${this.name}: EnvelopeKeyError: ${this.reason}`
  }
}

/**
 * Wraps and unwraps the secret of a store: 32 bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface EnvelopeKey {
  /** As errors name it. */
  readonly name: string
  /** What is kept in the store. It must be authenticated, and say by which version of a key it was made. */
  readonly wrap: (secret: Uint8Array) => Effect.Effect<Uint8Array, EnvelopeKeyError>
  /** The secret again, in new bytes: the store wipes them. */
  readonly unwrap: (wrapped: Uint8Array) => Effect.Effect<Uint8Array, EnvelopeKeyError>
}

const length = 32
const nonceLength = 12

const bytesOf = (secret: Redacted.Redacted<Uint8Array | string>): Uint8Array | undefined => {
  const value = Redacted.value(secret)
  const bytes = typeof value === "string" ? (fromBase64(value) ?? fromBase64Url(value)) : value
  return bytes instanceof Uint8Array && bytes.length === length ? new Uint8Array(bytes) : undefined
}

const name = "secret"

const additionalData = new TextEncoder().encode("effect-signer/envelope-key 1")

const refused = () => new EnvelopeKeyError({ name, reason: "Refused" })

/**
 * An envelope key of 32 random bytes, or of their base64 or base64url: AES-256-GCM.
 *
 * **Details**
 *
 * `openssl rand -base64 32` makes one. It is not a passphrase: nothing slows down a
 * guess. Fails with `InvalidConfiguration` for anything but 32 bytes.
 *
 * **Gotchas**
 *
 * Give each store a secret of its own. Two stores under one can be exchanged, whole,
 * by who writes to the database.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSecret = Effect.fnUntraced(function* (
  secret: Redacted.Redacted<Uint8Array | string>
): Effect.fn.Return<EnvelopeKey, InvalidConfiguration> {
  const bytes = Redacted.isRedacted(secret) ? bytesOf(secret) : undefined
  if (bytes === undefined) {
    return yield* InvalidConfiguration.of({
      field: "secret",
      problem: `it must be a Redacted of ${length} bytes, or of their base64: openssl rand -base64 ${length}`
    })
  }
  const { subtle } = globalThis.crypto
  const key = yield* Effect.promise(() =>
    subtle.importKey("raw", bytes as BufferSource, "AES-GCM", false, ["encrypt", "decrypt"])
  )
  bytes.fill(0)
  return {
    name,
    wrap: (secret) =>
      Effect.promise(async () => {
        const iv = new Uint8Array(primitives.randomBytes(nonceLength))
        const data = await subtle.encrypt({ name: "AES-GCM", iv, additionalData }, key, secret as BufferSource)
        const wrapped = new Uint8Array(nonceLength + data.byteLength)
        wrapped.set(iv)
        wrapped.set(new Uint8Array(data), nonceLength)
        return wrapped
      }),
    unwrap: (wrapped) =>
      Effect.tryPromise({
        try: async () => {
          const own = new Uint8Array(wrapped)
          const iv = own.slice(0, nonceLength)
          return new Uint8Array(
            await subtle.decrypt({ name: "AES-GCM", iv, additionalData }, key, own.subarray(nonceLength))
          )
        },
        catch: refused
      })
  }
})

/**
 * A new secret for {@link fromSecret}, as base64.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generateSecret: Effect.Effect<Redacted.Redacted<string>> = Effect.sync(() =>
  Redacted.make(Base64.encode(primitives.randomBytes(length)))
)
