/**
 * Keys of a store that sign: each opened once, when it first signs, and asked about
 * in the store each time.
 *
 * @category internal
 */
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import { primitives } from "#primitives"
import * as KeyId from "../schemas/KeyId.ts"
import { KeyStoreError } from "../schemas/KeyStoreError.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { KeyNotFound, SignerError } from "../schemas/SignerError.ts"
import { KeyNotSigner } from "../schemas/SignerError.ts"
import * as Wiped from "../schemas/Wiped.ts"
import { KeyGate } from "./KeyGate.ts"
import type { Service as Store } from "./KeyStore.ts"
import * as LocalBackend from "./LocalBackend.ts"
import * as ManagedKeyId from "./ManagedKeyId.ts"
import type { Service as SignerService } from "./Signer.ts"
import * as TaprootKey from "./TaprootKey.ts"

/** A stored key that is opened, and the public key it was opened for. */
interface Opened {
  readonly publicKey: PublicKey
  readonly signer: SignerService
}

/** At most this many keys stay opened: the least used is opened again when it signs. */
const capacity = 1024

export interface OpenedKeys {
  /** A key that may sign now, and the gate that says for how long. */
  readonly usable: (id: string) => Effect.Effect<readonly [KeyGate, SignerService], SignerError | KeyStoreError>
  /** What was done to a key, after the store has done it. */
  readonly changed: (id: string, state: KeyGate["state"]) => Effect.Effect<void>
}

/** A key as the store described it last, and its gate. */
interface Known {
  readonly publicKey: PublicKey
  readonly gate: KeyGate
}

/** Takes the store's copy of a private key, which is wiped when the Signer has its own. */
const open = (store: Store) => (id: string) =>
  Wiped.withWiped(
    store.privateKey(id),
    Effect.fnUntraced(function* (privateKey): Effect.fn.Return<Opened, SignerError> {
      const keyId = KeyId.make(id)
      const signer = yield* privateKey.algorithm === "BIP341"
        ? TaprootKey.signer(ManagedKeyId.backend, privateKey, keyId)
        : // where keys are kept, and for how long, was decided with the store
          LocalBackend.make(ManagedKeyId.backend, primitives)({ privateKey, keyId, allowInProduction: true })
      return { signer, publicKey: yield* signer.publicKey() }
    }),
    PrivateKey.wipe
  )

export const make = Effect.fnUntraced(function* (store: Store) {
  /** Of keys whose entries were read to sign. */
  const known = new Map<string, Known>()
  /** How often the state of a key was changed here. */
  let changes = 0

  // single flight: of a thousand first callers, one opens the key; a failure is not remembered
  const opened = yield* Cache.makeWith(open(store), {
    capacity,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  })

  /** No Signer of this key signs any more; with the next key under the id, if there is one already. */
  const forget = (id: string, next?: Known): Effect.Effect<void> => {
    const before = known.get(id)
    if (before !== undefined) before.gate.state = "removed"
    if (next === undefined) known.delete(id)
    else known.set(id, next)
    return Cache.invalidate(opened, id)
  }

  /**
   * A key that signs, with its gate as the entry says. An entry that was read while
   * something changed here may be the older of the two: it is read again.
   */
  const read = (id: string): Effect.Effect<Known, KeyNotFound | KeyNotSigner | KeyStoreError> =>
    Effect.suspend(() => {
      const before = changes
      return Effect.matchEffect(store.get(id), {
        onFailure: (error) =>
          error._tag === "KeyNotFound" && changes === before
            ? Effect.andThen(forget(id), Effect.fail(error))
            : Effect.fail(error),
        onSuccess: ({ disabled, hasPrivateKey, publicKey }) => {
          if (changes !== before) return read(id)
          if (!hasPrivateKey) {
            return Effect.andThen(forget(id), Effect.fail(new KeyNotSigner(ManagedKeyId.signContext(id))))
          }
          const last = known.get(id)
          // another key may be under the id of one that was removed elsewhere
          const isLast = last !== undefined && Equal.equals(last.publicKey, publicKey)
          const now = isLast ? last : { publicKey, gate: new KeyGate(KeyId.make(id)) }
          now.gate.state = disabled ? "disabled" : "open"
          return isLast ? Effect.succeed(now) : Effect.as(forget(id, now), now)
        }
      })
    })

  const usable: OpenedKeys["usable"] = Effect.fnUntraced(function* (id) {
    // between the entry and the private half, too, another key may come under the id
    for (let attempt = 0; attempt < 3; attempt++) {
      const { gate, publicKey } = yield* read(id)
      yield* gate.pass(Effect.void)
      const { publicKey: ofSigner, signer } = yield* Cache.get(opened, id)
      if (Equal.equals(ofSigner, publicKey)) return [gate, signer] as const
      yield* Cache.invalidate(opened, id)
    }
    return yield* new KeyStoreError({
      store: store.name,
      reason: "Corrupt",
      problem: "the private half that the store opens is not that of the entry"
    })
  })

  const changed: OpenedKeys["changed"] = (id, state) =>
    Effect.suspend(() => {
      changes++
      if (state === "removed") return forget(id)
      const last = known.get(id)
      if (last !== undefined) last.gate.state = state
      return state === "open" ? Effect.void : Cache.invalidate(opened, id)
    })

  return { usable, changed } satisfies OpenedKeys
})
