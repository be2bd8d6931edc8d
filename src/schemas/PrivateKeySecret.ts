/**
 * What a `PrivateKey` holds, for the modules of this package that sign and encode.
 * No public subpath leads here, and nothing on a key does: whoever has a key gets
 * its bytes from the documented encoders of `PrivateKey` only.
 *
 * @category internal
 */

interface Held {
  secret: Uint8Array
  readonly publicBytes: Uint8Array
  readonly isGenerated: boolean
}

const held = new WeakMap<WeakKey, Held>()

const heldBy = (key: object): Held => {
  const found = held.get(key)
  if (found === undefined) throw new TypeError("this is not a PrivateKey that effect-signer made")
  return found
}

/** Takes over the secret. `publicBytes` are those that belong to it: of BIP340, the point with its own y. */
export const hold = (key: object, secret: Uint8Array, publicBytes: Uint8Array, isGenerated: boolean): void => {
  held.set(key, { secret, publicBytes, isGenerated })
}

/** Tells whether a value is a key. */
export const isHeld = (u: unknown): boolean => typeof u === "object" && u !== null && held.has(u)

/** The secret itself, not a copy: never to be changed, kept or shown. Empty once the key is wiped. */
export const secretBytes = (key: object): Uint8Array => heldBy(key).secret

/** The public bytes of the secret, as encoders write them beside it. */
export const publicBytes = (key: object): Uint8Array => heldBy(key).publicBytes

/** Whether `PrivateKey.generate` made it in this process: nobody can name it tomorrow, unless it was written down. */
export const isGenerated = (key: object): boolean => heldBy(key).isGenerated

/** Overwrites the secret with zeros and forgets it. */
export const wipe = (key: object): void => {
  const found = heldBy(key)
  found.secret.fill(0)
  found.secret = new Uint8Array(0)
}
