/**
 * What a store encrypts and authenticates with: AES-256-GCM for private halves, and
 * HMAC-SHA-256 for what is not secret and must not be changed. Both keys come from
 * 32 bytes, by HKDF (RFC 5869), and stay in the runtime's cryptography, where
 * nothing can read or print them.
 *
 * **Details**
 *
 * A private half is sealed as PKCS#8, with a random nonce of 12 bytes before it, and
 * with the id, the algorithm and the SPKI of its entry as associated data: in any
 * other entry it does not open. Random nonces are good for 2^32 seals under one key
 * (SP 800-38D section 8.3), which is more than any store holds.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Redacted from "effect/Redacted"
import { primitives } from "#primitives"
import { KeyStoreError } from "../../schemas/KeyStoreError.ts"
import * as PassphraseCipher from "../../schemas/PassphraseCipher.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as Wiped from "../../schemas/Wiped.ts"

/** Bytes of the secret that both keys come from. */
export const secretLength = 32

/** Bytes of a MAC. */
export const macLength = 32

/** The entry that a private half belongs to. */
export interface Owner {
  readonly id: string
  readonly publicKey: PublicKey.PublicKey
}

/** The two keys. */
export interface KeyCipher {
  readonly sealing: CryptoKey
  readonly mac: CryptoKey
}

const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)
const utf8 = (text: string): Uint8Array<ArrayBuffer> => own(new TextEncoder().encode(text))

/** The keys of a secret, which the caller wipes. */
export const make = (secret: Uint8Array): Effect.Effect<KeyCipher> =>
  Effect.promise(async () => {
    const { subtle } = globalThis.crypto
    const copy = own(secret)
    try {
      const base = await subtle.importKey("raw", copy, "HKDF", false, ["deriveKey"])
      const derived = (purpose: string, algorithm: AesDerivedKeyParams | HmacImportParams, usages: Array<KeyUsage>) =>
        subtle.deriveKey(
          { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: utf8(`effect-signer/key-store ${purpose}`) },
          base,
          algorithm,
          false,
          usages
        )
      return {
        sealing: await derived("seal", { name: "AES-GCM", length: 256 }, ["encrypt", "decrypt"]),
        mac: await derived("mac", { name: "HMAC", hash: "SHA-256", length: 256 } as HmacImportParams, [
          "sign",
          "verify"
        ])
      }
    } finally {
      copy.fill(0)
    }
  })

/** Authenticates bytes. */
export const mac = ({ mac }: KeyCipher, bytes: Uint8Array): Effect.Effect<Uint8Array> =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.sign("HMAC", mac, bytes as BufferSource)),
    (data) => new Uint8Array(data)
  )

/** Whether this is the MAC of these bytes. */
export const verifyMac = ({ mac }: KeyCipher, bytes: Uint8Array, tag: Uint8Array): Effect.Effect<boolean> =>
  Effect.promise(() => globalThis.crypto.subtle.verify("HMAC", mac, tag as BufferSource, bytes as BufferSource))

/** Whether each is the MAC of its bytes. */
export const verifyMacs = (
  { mac }: KeyCipher,
  pairs: ReadonlyArray<readonly [bytes: Uint8Array, tag: Uint8Array]>
): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    const { subtle } = globalThis.crypto
    const verdicts = await Promise.all(
      pairs.map(([bytes, tag]) => subtle.verify("HMAC", mac, tag as BufferSource, bytes as BufferSource))
    )
    return verdicts.every((isValid) => isValid)
  })

/** An array of texts has one JSON text, and no other array has it. */
const associatedData = ({ id, publicKey }: Owner) =>
  utf8(
    JSON.stringify([
      "effect-signer/key-store",
      id,
      publicKey.algorithm ?? "",
      Base64Url.encode(PublicKey.toSpki(publicKey))
    ])
  )

const parametersOf = (owner: Owner, nonce: Uint8Array<ArrayBuffer>): AesGcmParams => ({
  name: "AES-GCM",
  iv: nonce,
  tagLength: 8 * PassphraseCipher.tagLength,
  additionalData: associatedData(owner)
})

/** Nonce, ciphertext and tag of a private half. It may have been wiped since it was checked: never is nothing sealed. */
export const seal = (
  store: string,
  { sealing }: KeyCipher,
  owner: Owner,
  privateKey: PrivateKey.PrivateKey
): Effect.Effect<Uint8Array, KeyStoreError> =>
  Wiped.withBytes(
    Effect.filterOrFail(
      Effect.sync(() => Redacted.value(PrivateKey.toPkcs8(privateKey))),
      (pkcs8) => pkcs8.length > 0,
      () => new KeyStoreError({ store, reason: "Invalid", problem: "privateKey: it was wiped meanwhile" })
    ),
    (pkcs8) =>
      Effect.promise(async () => {
        const nonce = own(primitives.randomBytes(PassphraseCipher.nonceLength))
        const data = await globalThis.crypto.subtle.encrypt(parametersOf(owner, nonce), sealing, pkcs8 as BufferSource)
        const sealed = new Uint8Array(nonce.length + data.byteLength)
        sealed.set(nonce)
        sealed.set(new Uint8Array(data), nonce.length)
        return sealed
      })
  )

/** The private half again, in a new key that the caller wipes. It is that of this entry, or this fails. */
export const open = (
  store: string,
  { sealing }: KeyCipher,
  owner: Owner,
  sealed: Uint8Array
): Effect.Effect<PrivateKey.PrivateKey, KeyStoreError> => {
  const corrupt = () =>
    new KeyStoreError({
      store,
      reason: "Corrupt",
      problem: "the private half does not belong to this entry, or was damaged; restore the store from a backup"
    })
  return Wiped.withBytes(
    Effect.tryPromise({
      try: async () => {
        const bytes = own(sealed)
        const nonce = bytes.slice(0, PassphraseCipher.nonceLength)
        const ciphertext = bytes.subarray(PassphraseCipher.nonceLength)
        return new Uint8Array(await globalThis.crypto.subtle.decrypt(parametersOf(owner, nonce), sealing, ciphertext))
      },
      catch: corrupt
    }),
    (pkcs8) =>
      Effect.mapError(PrivateKey.fromPkcs8(pkcs8, { algorithm: owner.publicKey.algorithm }), corrupt).pipe(
        Effect.filterOrFail(
          (key) => PublicKey.sameKey(key.publicKey, owner.publicKey),
          (key) => {
            PrivateKey.wipe(key)
            return corrupt()
          }
        )
      )
  )
}
