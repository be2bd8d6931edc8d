/**
 * What the cases of a `KeyStore` are made of: keys to insert, and what is demanded of
 * a store that has them.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { NewKey, Service, StoredKey, Tags } from "../../services/KeyStore.ts"
import * as TestKey from "../TestKey.ts"

/** Of one store; `secrets` must not show. */
export type Check = (
  store: Service,
  secrets: ReadonlyArray<Uint8Array | string>
) => Effect.Effect<void, unknown, Scope.Scope>

/** Of two stores over one medium. */
export type PairCheck = (first: Service, second: Service) => Effect.Effect<void, unknown, Scope.Scope>

/** Cases by their names. */
export type Checks<C> = ReadonlyArray<readonly [name: string, check: C]>

/** What a case found out. */
export class Problem {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export const problem = (text: string) => Effect.fail(new Problem(text))

export const demand = (holds: boolean, text: string) => (holds ? Effect.void : problem(text))

export const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : typeof error

/** Fails with this error, which names this key. */
export const refused = Effect.fnUntraced(function* <A, E>(
  effect: Effect.Effect<A, E>,
  tag: string,
  what: string,
  keyId?: string | undefined
) {
  const error = yield* Effect.flip(effect).pipe(Effect.catch(() => problem(`${what} succeeded; expected ${tag}`)))
  yield* demand(tagOf(error) === tag, `${what} failed with ${tagOf(error)}; expected ${tag}`)
  if (keyId !== undefined) {
    yield* demand((error as { readonly keyId?: unknown }).keyId === keyId, `the error of ${what} names another key`)
  }
  return error
})

/** A key that states its algorithm. `seed` makes another one of most kinds. */
export const newKey = Effect.fnUntraced(function* (
  id: string,
  options: {
    readonly algorithm?: SignatureAlgorithm | undefined
    readonly tags?: Tags | undefined
    readonly createdAt?: number | undefined
    readonly isWatchOnly?: boolean | undefined
    readonly seed?: string | undefined
  } = {}
) {
  const { algorithm = "Ed25519", createdAt = 1_700_000_000_000, isWatchOnly, seed = id, tags = {} } = options
  const privateKey = yield* TestKey.make(algorithm, seed)
  const publicKey = yield* PublicKey.withAlgorithm(privateKey.publicKey, algorithm)
  return { id, publicKey, privateKey: isWatchOnly === true ? undefined : privateKey, tags, createdAt } satisfies NewKey
})

const sameTags = (a: Tags, b: Tags) => {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
}

/** The entry is that of the key that was inserted. */
const isEntryOf = (shown: StoredKey, key: NewKey, disabled = false) =>
  shown.id === key.id &&
  PublicKey.sameKey(shown.publicKey, key.publicKey) &&
  shown.publicKey.algorithm === key.publicKey.algorithm &&
  sameTags(shown.tags, key.tags) &&
  shown.disabled === disabled &&
  shown.createdAt === key.createdAt &&
  shown.hasPrivateKey === (key.privateKey !== undefined)

export const holds = Effect.fnUntraced(function* (store: Service, key: NewKey, disabled = false) {
  yield* demand(isEntryOf(yield* store.get(key.id), key, disabled), `"get" does not answer with what was kept`)
  yield* demand(yield* store.has(key.id), `"has" denies a key that is there`)
})

const pkcs8 = (key: PrivateKey.PrivateKey) => Redacted.value(PrivateKey.toPkcs8(key)).join()

/** The private half that the store opens is the one that was inserted. */
export const opens = Effect.fnUntraced(function* (store: Service, { id, privateKey, publicKey }: NewKey) {
  const opened = yield* store.privateKey(id)
  yield* demand(
    privateKey !== undefined && pkcs8(opened) === pkcs8(privateKey),
    `"privateKey" answers with another private half`
  )
  yield* demand(
    opened.algorithm === publicKey.algorithm,
    `the private half is for ${opened.algorithm}, its entry for ${publicKey.algorithm}`
  )
  PrivateKey.wipe(opened)
})

const idsOf = (keys: ReadonlyArray<StoredKey>) => keys.map(({ id }) => id)

export const lists = Effect.fnUntraced(function* (
  store: Service,
  ids: ReadonlyArray<string>,
  filter?: Parameters<Service["list"]>[0]
) {
  const found = idsOf(yield* store.list(filter))
  yield* demand(
    JSON.stringify(found) === JSON.stringify(ids),
    `"list" of ${JSON.stringify(filter ?? {})} answers with ${JSON.stringify(found)}; expected ${JSON.stringify(ids)}`
  )
})

export const isActive = Effect.fnUntraced(function* (store: Service, id: string | undefined) {
  const active = Option.getOrUndefined(yield* store.active)
  yield* demand(active === id, `the active key is ${String(active)}; expected ${String(id)}`)
})
