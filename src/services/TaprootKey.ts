/**
 * BIP341 keys of a `KeyManager`: tweaked once, when they are imported. What is kept
 * is the output key, with which signing is BIP340 and nothing more.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { primitives } from "#primitives"
import type { KeyId } from "../schemas/KeyId.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import { hold, isGenerated, publicBytes, secretBytes } from "../schemas/PrivateKeySecret.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { InvalidConfiguration, SignerError } from "../schemas/SignerError.ts"
import { KeyNotFound } from "../schemas/SignerError.ts"
import * as LocalBackend from "./LocalBackend.ts"
import * as ManagedKeyId from "./ManagedKeyId.ts"
import * as Signer from "./Signer.ts"

/** A key of these bytes, which are overwritten. */
const keyOf = (
  bytes: Uint8Array,
  algorithm: "BIP340" | undefined
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Effect.ensuring(
    PrivateKey.fromRaw("secp256k1", bytes, { algorithm }),
    Effect.sync(() => void bytes.fill(0))
  )

/** The output key of an internal key and the Merkle root of its scripts, 32 bytes (BIP341, `taproot_tweak_seckey`). */
export const outputKey = (
  internalKey: PrivateKey.PrivateKey,
  merkleRoot: Uint8Array | undefined
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Effect.flatMap(
    Effect.promise(() => import("../primitives/schnorr.ts")),
    ({ taprootOutputSecret }) =>
      Effect.suspend(() =>
        PrivateKey.isWiped(internalKey) // meanwhile
          ? Effect.fail(ManagedKeyId.invalid("privateKey", "the key was wiped"))
          : Effect.tap(keyOf(taprootOutputSecret(secretBytes(internalKey), merkleRoot), undefined), (key) =>
              // of a key that was generated, nobody knows the output key either
              Effect.sync(() => hold(key, secretBytes(key), publicBytes(key), isGenerated(internalKey)))
            )
      )
  )

/** An output key as the BIP340 key that it is: under the name BIP341 it would be tweaked again by who reads it. */
export const asBip340 = (
  outputKey: PrivateKey.PrivateKey
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Effect.suspend(() => keyOf(secretBytes(outputKey).slice(), "BIP340"))

/** A Signer of an output key. Its signatures say BIP341, and verify with the output key. */
export const signer = Effect.fnUntraced(function* (
  name: string,
  outputKey: PrivateKey.PrivateKey,
  keyId: KeyId
): Effect.fn.Return<Signer.Service, SignerError> {
  const bip340 = yield* asBip340(outputKey)
  const inner = yield* Effect.ensuring(
    LocalBackend.make(name, primitives)({ privateKey: bip340, keyId }),
    Effect.sync(() => PrivateKey.wipe(bip340))
  )
  const publicKey = yield* PublicKey.withAlgorithm(yield* inner.publicKey(), "BIP341")
  return yield* Signer.make({
    name,
    keyId,
    algorithm: "BIP341",
    input: "message",
    publicKey: (version) =>
      version === undefined
        ? Effect.succeed(publicKey)
        : Effect.fail(KeyNotFound.version({ backend: name, keyId, operation: "publicKey" }, version)),
    sign: (message) => Effect.map(inner.sign(message), ({ bytes }) => ({ bytes }))
  })
})
