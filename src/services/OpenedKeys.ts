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
import type { KeyStoreError } from "../schemas/KeyStoreError.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { KeyNotFound, SignerError } from "../schemas/SignerError.ts"
import { KeyNotSigner } from "../schemas/SignerError.ts"
import { KeyGate } from "./KeyGate.ts"
import type { Service as Store, StoredKey } from "./KeyStore.ts"
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

/** Takes the store's copy of a private key, which is wiped when the Signer has its own. */
const open = (store: Store) =>
  Effect.fnUntraced(function* (id: string): Effect.fn.Return<Opened, SignerError | KeyStoreError> {
    const privateKey = yield* store.privateKey(id)
    const keyId = KeyId.make(id)
    const signer = yield* Effect.ensuring(
      privateKey.algorithm === "BIP341"
        ? TaprootKey.signer(ManagedKeyId.backend, privateKey, keyId)
        : // where keys are kept, and for how long, was decided with the store
          LocalBackend.make(ManagedKeyId.backend, primitives)({ privateKey, keyId, allowInProduction: true }),
      Effect.sync(() => PrivateKey.wipe(privateKey))
    )
    return { signer, publicKey: yield* signer.publicKey() }
  })

export const make = Effect.fnUntraced(function* (store: Store) {
  /** Of keys whose entries were read to sign. */
  const gates = new Map<string, KeyGate>()
  /** How often the state of a key was changed here. */
  let changes = 0

  // single flight: of a thousand first callers, one opens the key; a failure is not remembered
  const opened = yield* Cache.makeWith(open(store), {
    capacity,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  })

  /**
   * The entry of a key, and its gate as the entry says. An entry that was read while
   * something changed here may be the older of the two: it is read again.
   */
  const read = (id: string): Effect.Effect<readonly [StoredKey, KeyGate], KeyNotFound | KeyStoreError> =>
    Effect.suspend(() => {
      const before = changes
      return Effect.flatMap(store.get(id), (stored) => {
        if (changes !== before) return read(id)
        const gate = gates.get(id) ?? new KeyGate(KeyId.make(id))
        gates.set(id, gate)
        gate.state = stored.disabled ? "disabled" : "open"
        return Effect.succeed([stored, gate] as const)
      })
    })

  const usable: OpenedKeys["usable"] = Effect.fnUntraced(function* (id) {
    const [stored, gate] = yield* read(id)
    if (!stored.hasPrivateKey) return yield* new KeyNotSigner(ManagedKeyId.signContext(id))
    yield* gate.pass(Effect.void)
    let { publicKey, signer } = yield* Cache.get(opened, id)
    // another key under the id of one that was removed elsewhere
    if (!Equal.equals(publicKey, stored.publicKey)) {
      yield* Cache.invalidate(opened, id)
      ;({ publicKey, signer } = yield* Cache.get(opened, id))
    }
    return [gate, signer] as const
  })

  const changed: OpenedKeys["changed"] = (id, state) =>
    Effect.suspend(() => {
      changes++
      const gate = gates.get(id)
      if (gate !== undefined) gate.state = state
      if (state === "removed") gates.delete(id)
      return state === "open" ? Effect.void : Cache.invalidate(opened, id)
    })

  return { usable, changed } satisfies OpenedKeys
})
