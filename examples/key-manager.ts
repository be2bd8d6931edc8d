import { Effect, Layer, Option } from "effect"
import { PrivateKey, PublicKey } from "effect-signer"
import * as KeyManager from "effect-signer/KeyManager"
import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"

const message = new TextEncoder().encode("release 1.0.0")

const program = Effect.gen(function* () {
  const keys = yield* KeyManager.KeyManager

  // a new key, and one that signs where no id is given
  yield* keys.generateKey("Ed25519", { id: "release-2026", tags: { stage: "production" }, setActive: true })
  const signature = yield* keys.sign(message)
  console.log(signature.keyId, yield* keys.verify(message, signature)) // release-2026 true

  // one secp256k1 key, two schemes, two ids
  const wallet = yield* PrivateKey.generate("secp256k1")
  const ecdsa = yield* keys.importKey(wallet, { algorithm: "ES256K" })
  const schnorr = yield* keys.importKey(wallet, { algorithm: "BIP340" })
  console.log(schnorr === `${ecdsa}#bip340`) // true

  // somebody else's key, to verify with
  const theirs = yield* PublicKey.fromHex("Ed25519", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
  yield* keys.importPublicKey(theirs, { id: "theirs" })
  yield* keys
    .sign(message, "theirs")
    .pipe(Effect.catchTag("KeyNotSigner", (error) => Effect.sync(() => console.log(error._tag))))

  // a Signer of one key, for protocols: after disable it signs no more
  const signer = yield* keys.signer("release-2026")
  yield* keys.generateKey("Ed25519", { id: "release-2027", tags: { stage: "production", replaces: "release-2026" } })
  yield* keys.setActive("release-2027")
  yield* keys.disable("release-2026")
  yield* signer
    .sign(message)
    .pipe(Effect.catchTag("KeyUnavailable", (error) => Effect.sync(() => console.log(error.state))))

  for (const entry of yield* keys.list({ tags: { stage: "production" } })) {
    console.log(entry.id, entry.kind, entry.state, entry.canExport)
  }
  console.log(Option.getOrUndefined(yield* keys.active)) // release-2027
})

// MemoryKeyStore, FileKeyStore, PostgresKeyStore: only the layer changes.
const KeysLive = KeyManager.layer.pipe(Layer.provide(MemoryKeyStore.layer))

await Effect.runPromise(program.pipe(Effect.provide(KeysLive)))
