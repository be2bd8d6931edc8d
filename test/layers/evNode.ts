/** The `signer.json` of ev-node, made by OpenSSL from what its source says. */
import { argon2Sync, createCipheriv } from "node:crypto"

/** A file under a passphrase and a salt, or under an AES key. */
export const signerJson = (
  options: { readonly seed: Uint8Array; readonly publicKey: Uint8Array } & (
    | { readonly words: string; readonly salt: Buffer }
    | { readonly key: Buffer }
  )
): string => {
  const nonce = Buffer.from("000102030405060708090a0b", "hex")
  const key =
    "key" in options
      ? options.key
      : argon2Sync("argon2id", {
          message: options.words,
          nonce: options.salt,
          memory: 32 * 1024,
          passes: 3,
          parallelism: 4,
          tagLength: 32
        })
  const cipher = createCipheriv("aes-256-gcm", key, nonce)
  const plain = Buffer.concat([options.seed, options.publicKey])
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  return JSON.stringify({
    priv_key_encrypted: encrypted.toString("base64"),
    nonce: nonce.toString("base64"),
    pub_key: Buffer.from(options.publicKey).toString("base64"),
    ...("key" in options ? {} : { salt: options.salt.toString("base64") })
  })
}

/** The AES key of its first versions: the first 32 bytes of the passphrase, or those repeated and XORed with the position. */
export const legacyKey = (passphrase: string): Buffer => {
  const bytes = Buffer.from(passphrase)
  const key = Buffer.alloc(32)
  for (let i = 0; i < 32; i++) key[i] = i < bytes.length ? bytes[i]! : bytes[i % bytes.length]! ^ i
  return key
}
