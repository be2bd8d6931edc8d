/**
 * Data Integrity proofs with BIP340: the published proof is made byte for byte from
 * two documents and a Multikey, with the auxiliary randomness that is published.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { base58 } from "@scure/base"
import { createHash } from "node:crypto"
import { join } from "node:path"
import { signWith } from "../../primitives/schnorr.ts"
import * as Jcs from "../../schemas/Jcs.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { problemsOf, verifiers } from "./Implementations.ts"
import { checked, exception, readJson, readText, suite } from "./VectorSuite.ts"

const Pair = Schema.Struct({ publicKeyMultibase: Schema.String, privateKeyMultibase: Schema.String })
const readPair = readJson(Pair)
const readPairs = readJson(Schema.Record(Schema.String, Pair))

/** The key in a Multikey: multibase base58btc, a multicodec of two bytes, the key. */
const multikey = (text: string, prefix: string): Uint8Array | undefined => {
  const bytes = text.startsWith("z") ? base58.decode(text.slice(1)) : new Uint8Array(0)
  return hex(bytes.subarray(0, 2)) === prefix ? bytes.subarray(2) : undefined
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const sha256 = (...parts: ReadonlyArray<Uint8Array>) => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
const utf8 = (text: string) => new TextEncoder().encode(text)

/** The keys of a pair, and whether they belong together. */
const keysOf = Effect.fnUntraced(
  function* ({ privateKeyMultibase, publicKeyMultibase }: typeof Pair.Type) {
    const secret = multikey(privateKeyMultibase, "8126")
    const compressed = multikey(publicKeyMultibase, "e701")
    if (secret === undefined || compressed === undefined) {
      return { secret: undefined, publicKey: undefined, problems: ["no Multikey of secp256k1"] }
    }
    const privateKey = yield* PrivateKey.fromRaw("secp256k1", secret)
    // published with the even y, whichever point is that of the secret
    const publicKey = yield* PublicKey.fromRaw("secp256k1", compressed, { algorithm: "BIP340" })
    const isSame = PublicKey.sameKey(privateKey.publicKey, publicKey)
    return { secret, publicKey: compressed.subarray(1), problems: isSame ? [] : ["the public key is another one"] }
  },
  Effect.catch((error) => Effect.succeed({ secret: undefined, publicKey: undefined, problems: [error.message] }))
)

/** What the files of one cryptosuite end with. */
const endings = { "bip340-jcs-2025": "JCS", "bip340-rdfc-2025": "DataInt" } as const

const proof = Effect.fnUntraced(function* (folder: string, name: keyof typeof endings) {
  const read = (file: string) => readText(join(folder, name, `${file}${endings[name]}.txt`))
  const trimmed = (file: string) => Effect.map(read(file), (text) => text.trim())
  const canonical = { document: yield* read("canonDoc"), proof: yield* read("proofCanon") }
  const problems: Array<string> = []
  const same = (what: string, made: string, published: string) => {
    if (made !== published) problems.push(`made another ${what}`)
  }
  if (name === "bip340-jcs-2025") {
    const document = yield* readText(join(folder, "unsigned.json"))
    const config = yield* readText(join(folder, name, "proofConfigJCS.json"))
    same("document", yield* Effect.orDie(Jcs.canonicalizeJson(document)), canonical.document.trim())
    same("configuration", yield* Effect.orDie(Jcs.canonicalizeJson(config)), canonical.proof.trim())
    canonical.document = canonical.document.trim()
    canonical.proof = canonical.proof.trim()
  }
  const [documentHash, proofHash] = [sha256(utf8(canonical.document)), sha256(utf8(canonical.proof))]
  const hash = sha256(proofHash, documentHash)
  same("hash of the document", hex(documentHash), yield* trimmed("docHash"))
  same("hash of the configuration", hex(proofHash), yield* trimmed("proofHash"))
  same("combined hash", hex(proofHash) + hex(documentHash), yield* trimmed("combinedHash"))
  same("final hash", hex(hash), yield* trimmed("finalHash"))
  const { publicKey, secret } = yield* keysOf(yield* readPair(join(folder, "keyPair.json")))
  if (secret === undefined) return checked(name, ["no key"])
  const bytes = signWith(secret, hash, Buffer.from(yield* trimmed("randomAuxHex"), "hex"))
  same("signature", hex(bytes), yield* trimmed("sigHex"))
  same("proof value", `z${base58.encode(bytes)}`, yield* trimmed("sigBTC58"))
  const asked = yield* verifiers("BIP340", publicKey)
  return checked(name, [...problems, ...(yield* problemsOf(asked, "valid", hash, bytes))])
})

const chained = ["signedProofSet1", "signedProofSet2", "signedProofChain1", "signedProofChain2"]

export const dataIntegrityBip340 = suite({
  suite: "di-bip340",
  folder: "di-bip340",
  source: "dcdpr/data-integrity-schnorr-secp256k1 TestVectors",
  outcomes: Effect.fnUntraced(function* (root) {
    const folder = join(root, "di-bip340")
    const pairs = yield* readPairs(join(folder, "proof-set-chain", "multiKeyPairs.json"))
    const keyPair = yield* readPair(join(folder, "keyPair.json"))
    const keys = yield* Effect.forEach(Object.entries({ keyPair, ...pairs }), ([name, pair]) =>
      Effect.map(keysOf(pair), ({ problems }) => checked(name, problems))
    )
    const proofs = yield* Effect.forEach(["bip340-jcs-2025", "bip340-rdfc-2025"] as const, (name) =>
      proof(folder, name)
    )
    const rest = chained.map((name) => exception(name, "needs RDF canonicalization, which is not here"))
    return [...keys, ...proofs, ...rest]
  })
})
