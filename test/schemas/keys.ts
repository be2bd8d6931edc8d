/** One key of every kind, made by `node:crypto` and not by us. */
import * as crypto from "node:crypto"
import { promisify } from "node:util"
import { KeyType } from "../../src/schemas/SignatureAlgorithm.ts"

const generateKeyPair = promisify(crypto.generateKeyPair) as unknown as (
  type: string,
  options?: object
) => Promise<crypto.KeyPairKeyObjectResult>

const parameters: { readonly [T in KeyType]: readonly [string, object?] } = {
  Ed25519: ["ed25519"],
  "P-256": ["ec", { namedCurve: "P-256" }],
  "P-384": ["ec", { namedCurve: "P-384" }],
  "P-521": ["ec", { namedCurve: "P-521" }],
  secp256k1: ["ec", { namedCurve: "secp256k1" }],
  RSA: ["rsa", { modulusLength: 2048 }],
  "ML-DSA-44": ["ml-dsa-44"],
  "ML-DSA-65": ["ml-dsa-65"],
  "ML-DSA-87": ["ml-dsa-87"]
}

export const keyTypes = KeyType.literals
export const curves = ["P-256", "P-384", "P-521", "secp256k1"] as const
export const coordinateLength = { "P-256": 32, "P-384": 48, "P-521": 66, secp256k1: 32 } as const

/** The kinds that `node:crypto` of this Node has: ML-DSA came with 24.6. */
export const nodeKeyTypes: ReadonlyArray<KeyType> = keyTypes.filter((type) => {
  if (!type.startsWith("ML-DSA")) return true
  try {
    crypto.generateKeyPairSync(type.toLowerCase() as "ed25519")
    return true
  } catch {
    return false
  }
})

export interface NodeKey {
  readonly type: KeyType
  readonly publicKey: crypto.KeyObject
  readonly privateKey: crypto.KeyObject
  readonly spki: Buffer
  readonly pkcs8: Buffer
}

export const newNodeKey = async (type: KeyType): Promise<NodeKey> => {
  const { privateKey, publicKey } = await generateKeyPair(...parameters[type])
  return {
    type,
    privateKey,
    publicKey,
    spki: publicKey.export({ format: "der", type: "spki" }),
    pkcs8: privateKey.export({ format: "der", type: "pkcs8" })
  }
}

export const nodeKeys: ReadonlyArray<NodeKey> = await Promise.all(nodeKeyTypes.map(newNodeKey))

export const nodeKey = (type: KeyType): NodeKey => nodeKeys.find((key) => key.type === type)!

/** `hex` with spaces. */
export const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"))

/** One DER element, written without the code under test. */
export const tlv = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const content = Buffer.concat(parts)
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff]
  return new Uint8Array(Buffer.concat([Buffer.from([tag, ...length]), content]))
}

export const pem = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`
