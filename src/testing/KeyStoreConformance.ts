/**
 * What every `KeyStore` must do, as a list of effects: the same cases run over the
 * stores of this package and over one of your own.
 *
 * **Details**
 *
 * Each case builds the store anew and releases it: the layer must give an empty
 * store each time. With `pair`, two stores over one medium, what one writes must be
 * what the other reads. Cases run by the clock of the system, also under a
 * `TestClock`, because a store may wait for its turn.
 *
 * **Gotchas**
 *
 * No case can kill a process. What a store leaves behind when it is killed in the
 * middle is for a test of its own.
 *
 * **Example** (All cases as tests)
 *
 * ```ts
 * import { it } from "@effect/vitest"
 * import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"
 * import { KeyStoreConformance } from "effect-signer/testing"
 *
 * KeyStoreConformance.suite(it, "memory", MemoryKeyStore.layer)
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { NewKey, Service, StoredKey, Tags } from "../services/KeyStore.ts"
import { KeyStore } from "../services/KeyStore.ts"
import * as Canary from "./Canary.ts"
import type { Case, Exception, TestRunner } from "./Conformance.ts"
import { ConformanceFailure } from "./Conformance.ts"
import * as TestKey from "./TestKey.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Options of a {@link Subject}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Two stores over one medium, empty: as two processes have them. */
  readonly pair?: Effect.Effect<readonly [Service, Service], unknown, Scope.Scope> | undefined
  /** What must not show beside private halves, in 8 bytes or more: a passphrase, a password, a secret. */
  readonly secrets?: ReadonlyArray<Uint8Array | string> | undefined
  /** Cases that are not run. One that names no case is an error. */
  readonly exceptions?: ReadonlyArray<Exception> | undefined
}

/**
 * What is tested. `layer` is built anew by each case, and is empty each time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject extends Options {
  readonly name: string
  readonly layer: Layer.Layer<KeyStore, unknown>
}

// ---------------------------------------------------------------------------
// what cases are made of
// ---------------------------------------------------------------------------

/** What a case found out. */
class Problem {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const problem = (text: string) => Effect.fail(new Problem(text))

const demand = (holds: boolean, text: string) => (holds ? Effect.void : problem(text))

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : typeof error

/** Fails with this error, which names this key. */
const refused = Effect.fnUntraced(function* <A, E>(
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
const newKey = Effect.fnUntraced(function* (
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

const holds = Effect.fnUntraced(function* (store: Service, key: NewKey, disabled = false) {
  yield* demand(isEntryOf(yield* store.get(key.id), key, disabled), `"get" does not answer with what was kept`)
  yield* demand(yield* store.has(key.id), `"has" denies a key that is there`)
})

const pkcs8 = (key: PrivateKey.PrivateKey) => Redacted.value(PrivateKey.toPkcs8(key)).join()

/** The private half that the store opens is the one that was inserted. */
const opens = Effect.fnUntraced(function* (store: Service, { id, privateKey, publicKey }: NewKey) {
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

const lists = Effect.fnUntraced(function* (
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

const isActive = Effect.fnUntraced(function* (store: Service, id: string | undefined) {
  const active = Option.getOrUndefined(yield* store.active)
  yield* demand(active === id, `the active key is ${String(active)}; expected ${String(id)}`)
})

/** Texts that are taken for something else, somewhere. */
const oddTexts = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "null",
  "0",
  "10",
  "2",
  " ",
  " padded ",
  "'; DROP TABLE effect_signer_keys; --",
  `"quoted" 'twice' \`thrice\``,
  "back\\slash \\u0041 \\x00 \\",
  "\\u0000 \\ud83d",
  "%s %d $1 ${x} {{y}} ?",
  "é",
  "e\u0301",
  "ключ 鍵 مفتاح",
  "🔑\u{1f9ff}",
  "\u202ertl\u202c",
  "\u2028line\u2029",
  "\ufeffbom",
  "../../etc/passwd",
  "C:\\keys\\a:b|c",
  "urn:kms:ed25519:0123456789abcdef0123456789abcdef",
  "<script>alert(1)</script>",
  "a".repeat(1024)
]

// ---------------------------------------------------------------------------
// cases
// ---------------------------------------------------------------------------

type Check = (store: Service, subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>
type PairCheck = (first: Service, second: Service) => Effect.Effect<void, unknown, Scope.Scope>

const algorithms: ReadonlyArray<SignatureAlgorithm> = [
  "Ed25519",
  "ES256",
  "ES384",
  "ES512",
  "ES256K",
  "BIP340",
  "PS256",
  "RS256",
  "ML-DSA-44"
]

const checks: ReadonlyArray<readonly [name: string, check: Check]> = [
  [
    "is empty when it is new",
    Effect.fnUntraced(function* (store) {
      yield* lists(store, [])
      yield* isActive(store, undefined)
      yield* demand(!(yield* store.has("none")), `"has" of a key that is not there is true`)
      yield* refused(store.get("none"), "KeyNotFound", `"get"`, "none")
      yield* refused(store.privateKey("none"), "KeyNotFound", `"privateKey"`, "none")
      yield* refused(store.update("none", { disabled: true }), "KeyNotFound", `"update"`, "none")
      yield* refused(store.remove("none"), "KeyNotFound", `"remove"`, "none")
      yield* refused(store.remove("none", { force: true }), "KeyNotFound", `"remove" with force`, "none")
      yield* refused(store.setActive("none"), "KeyNotFound", `"setActive"`, "none")
      yield* demand(!(yield* store.has("")), `"has" of an empty id is true`)
      yield* demand(!(yield* store.has("__proto__")), `"has" of __proto__ is true`)
    })
  ],
  [
    "keeps what it was given",
    Effect.fnUntraced(function* (store) {
      const keys = [
        yield* newKey("signing", { tags: { tenant: "acme", use: "release" } }),
        yield* newKey("watching", { isWatchOnly: true, createdAt: 0 })
      ]
      yield* store.insert(keys)
      for (const key of keys) yield* holds(store, key)
      yield* store.insert([])
      yield* lists(store, ["watching", "signing"])
    })
  ],
  ...algorithms.map((algorithm): readonly [string, Check] => [
    `opens the private half of ${algorithm}`,
    Effect.fnUntraced(function* (store) {
      const made = yield* Effect.result(newKey("key", { algorithm }))
      // of what this runtime cannot do there is no key to keep
      if (made._tag === "Failure") return
      yield* store.insert([made.success])
      yield* holds(store, made.success)
      yield* opens(store, made.success)
      yield* opens(store, made.success)
    })
  ]),
  [
    "has no private half of a watch-only key",
    Effect.fnUntraced(function* (store) {
      yield* store.insert([yield* newKey("watching", { isWatchOnly: true })])
      yield* refused(store.privateKey("watching"), "KeyNotSigner", `"privateKey"`, "watching")
    })
  ],
  [
    "keeps keys of its own: those that it was given and those that it gives may be wiped",
    Effect.fnUntraced(function* (store) {
      const key = yield* newKey("key")
      const again = yield* newKey("key")
      yield* store.insert([key])
      PrivateKey.wipe(key.privateKey!)
      PrivateKey.wipe(yield* store.privateKey("key"))
      yield* opens(store, again)
    })
  ],
  [
    "keeps tags of its own",
    Effect.fnUntraced(function* (store) {
      const tags: Record<string, string> = { tenant: "acme" }
      yield* store.insert([yield* newKey("key", { tags })])
      tags["tenant"] = "globex"
      const change: Record<string, string> = { tenant: "initech" }
      yield* demand((yield* store.get("key")).tags["tenant"] === "acme", "tags changed with the object they came in")
      yield* store.update("key", { tags: change })
      change["tenant"] = "globex"
      yield* demand((yield* store.get("key")).tags["tenant"] === "initech", "tags changed with the object they came in")
    })
  ],
  [
    "lists by the time of creation, then by id",
    Effect.fnUntraced(function* (store) {
      const times = [
        ["b", 2],
        ["a", 2],
        ["z", 1],
        ["\u{1f511}", 2],
        ["\uff5e", 2],
        ["B", 2],
        ["old", 0]
      ] as const
      yield* store.insert(
        yield* Effect.forEach(times, ([id, createdAt]) => newKey(id, { createdAt, isWatchOnly: true }))
      )
      // by UTF-16 code units: a surrogate is less than U+FF5E
      yield* lists(store, ["old", "z", "B", "a", "b", "\u{1f511}", "\uff5e"])
    })
  ],
  [
    "lists what meets all of a filter",
    Effect.fnUntraced(function* (store) {
      yield* store.insert([
        yield* newKey("1", { tags: { tenant: "acme", use: "release" } }),
        yield* newKey("2", { tags: { tenant: "acme" }, isWatchOnly: true }),
        yield* newKey("3", { tags: { tenant: "globex", use: "release" }, algorithm: "ES256" }),
        yield* newKey("4", { algorithm: "ES256K" }),
        yield* newKey("5", { algorithm: "BIP340", tags: { tenant: "" } })
      ])
      yield* store.update("3", { disabled: true })
      yield* lists(store, ["1", "2", "3", "4", "5"])
      yield* lists(store, ["1", "2", "3", "4", "5"], { tags: {} })
      yield* lists(store, ["1", "2"], { tags: { tenant: "acme" } })
      yield* lists(store, ["1"], { tags: { tenant: "acme", use: "release" } })
      yield* lists(store, ["5"], { tags: { tenant: "" } })
      yield* lists(store, [], { tags: { tenant: "acme ", use: "release" } })
      yield* lists(store, [], { tags: { toString: "" } })
      yield* lists(store, ["3"], { algorithm: "ES256" })
      yield* lists(store, ["4"], { algorithm: "ES256K" })
      yield* lists(store, ["3"], { disabled: true })
      yield* lists(store, ["1", "2", "4", "5"], { disabled: false })
      yield* lists(store, ["2"], { hasPrivateKey: false })
      yield* lists(store, ["1", "3", "4", "5"], { hasPrivateKey: true })
      yield* lists(store, ["1"], {
        tags: { tenant: "acme" },
        hasPrivateKey: true,
        disabled: false,
        algorithm: "Ed25519"
      })
      yield* lists(store, [], { tags: { tenant: "acme" }, disabled: true })
    })
  ],
  [
    "changes tags and the state, and nothing else",
    Effect.fnUntraced(function* (store) {
      const key = yield* newKey("key", { tags: { a: "1", b: "2" } })
      const other = yield* newKey("other", { tags: { a: "1" } })
      yield* store.insert([key, other])
      yield* store.update("key", {})
      yield* holds(store, key)
      yield* store.update("key", { disabled: true })
      yield* holds(store, key, true)
      yield* opens(store, key)
      yield* store.update("key", { tags: { b: "3" } })
      yield* holds(store, { ...key, tags: { b: "3" } }, true)
      yield* store.update("key", { tags: {}, disabled: false })
      yield* holds(store, { ...key, tags: {} })
      yield* opens(store, key)
      yield* holds(store, other)
    })
  ],
  [
    "forgets a key that is removed",
    Effect.fnUntraced(function* (store) {
      const [key, other] = [yield* newKey("key"), yield* newKey("other")]
      yield* store.insert([key, other])
      yield* store.remove("key")
      yield* demand(!(yield* store.has("key")), `"has" finds a key that was removed`)
      yield* refused(store.get("key"), "KeyNotFound", `"get" of a removed key`, "key")
      yield* refused(store.privateKey("key"), "KeyNotFound", `"privateKey" of a removed key`, "key")
      yield* refused(store.remove("key"), "KeyNotFound", `"remove" of a removed key`, "key")
      yield* lists(store, ["other"])
      const next = yield* newKey("key", { seed: "another" })
      yield* store.insert([next])
      yield* holds(store, next)
      yield* opens(store, next)
      yield* opens(store, other)
    })
  ],
  [
    "has one active key, which is removed with force only",
    Effect.fnUntraced(function* (store) {
      const [a, b, c] = [yield* newKey("a"), yield* newKey("b"), yield* newKey("c")]
      yield* store.insert([a, b])
      yield* isActive(store, undefined)
      yield* store.setActive("a")
      yield* isActive(store, "a")
      yield* store.setActive("b")
      yield* isActive(store, "b")
      yield* store.insert([c], { setActive: "c" })
      yield* isActive(store, "c")
      yield* refused(store.setActive("none"), "KeyNotFound", `"setActive"`, "none")
      yield* isActive(store, "c")
      yield* refused(store.remove("c"), "ActiveKeyDelete", `"remove" of the active key`, "c")
      yield* refused(store.remove("c", { force: false }), "ActiveKeyDelete", `"remove" of the active key`, "c")
      yield* holds(store, c)
      yield* isActive(store, "c")
      yield* store.remove("c", { force: true })
      yield* isActive(store, undefined)
      yield* lists(store, ["a", "b"])
      yield* store.remove("a", { force: true })
      yield* lists(store, ["b"])
    })
  ],
  [
    "inserts all or none",
    Effect.fnUntraced(function* (store) {
      const key = yield* newKey("key")
      yield* store.insert([key], { setActive: "key" })
      const others = [yield* newKey("a"), yield* newKey("key", { seed: "other" }), yield* newKey("b")]
      yield* refused(store.insert(others, { setActive: "a" }), "KeyExists", `"insert" of an id that is there`, "key")
      yield* lists(store, ["key"])
      yield* isActive(store, "key")
      yield* holds(store, key)
      yield* opens(store, key)
      const twice = [yield* newKey("c"), yield* newKey("d"), yield* newKey("c", { seed: "other" })]
      yield* refused(store.insert(twice), "KeyExists", `"insert" of an id twice`, "c")
      yield* lists(store, ["key"])
    })
  ],
  [
    "refuses what no store keeps",
    Effect.fnUntraced(function* (store) {
      const key = yield* newKey("key")
      const other = yield* newKey("other")
      const wiped = yield* newKey("wiped")
      PrivateKey.wipe(wiped.privateKey!)
      const bad: ReadonlyArray<readonly [string, NewKey]> = [
        ["an empty id", { ...key, id: "" }],
        ["an id that is too long", { ...key, id: "a".repeat(1025) }],
        ["an id with a control character", { ...key, id: "a\u0000b" }],
        ["an id with a line end", { ...key, id: "a\nb" }],
        ["an id with half of a surrogate pair", { ...key, id: "\ud83d" }],
        ["a public key without its algorithm", { ...key, publicKey: (yield* TestKey.make("ES256K")).publicKey }],
        ["a private half of another key", { ...key, privateKey: other.privateKey }],
        ["a private half that was wiped", wiped],
        ["a tag that is too long", { ...key, tags: { a: "x".repeat(4097) } }],
        ["a tag with U+0000", { ...key, tags: { a: "\u0000" } }],
        ["a tag with half of a surrogate pair", { ...key, tags: { "\udd11": "a" } }],
        ["a tag that is no text", { ...key, tags: { a: 1 } as never }],
        ["too many tags", { ...key, tags: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, ""])) }],
        ["a time that is no whole number", { ...key, createdAt: 0.5 }],
        ["a time that is negative", { ...key, createdAt: -1 }],
        ["a time that is no number", { ...key, createdAt: Number.NaN }]
      ]
      for (const [what, wrong] of bad) {
        const error = yield* refused(store.insert([other, wrong]), "KeyStoreError", `"insert" of ${what}`)
        yield* demand((error as { readonly reason?: unknown }).reason === "Invalid", `${what} is not "Invalid"`)
      }
      yield* refused(store.insert([key], { setActive: "other" }), "KeyStoreError", `"setActive" of none of the keys`)
      yield* lists(store, [])
      yield* store.insert([key])
      yield* refused(store.update("key", { tags: { a: "\u0000" } }), "KeyStoreError", `"update" with U+0000`)
      yield* holds(store, key)
    })
  ],
  [
    "keeps ids and tags of any text",
    Effect.fnUntraced(function* (store) {
      const keys = yield* Effect.forEach(oddTexts, (text, index) =>
        newKey(text, {
          createdAt: index,
          tags: Object.fromEntries([
            [text.slice(0, 256), `value\n\t${text}`],
            ["plain", text]
          ])
        })
      )
      yield* store.insert(keys, { setActive: "__proto__" })
      yield* isActive(store, "__proto__")
      yield* lists(store, oddTexts)
      for (const [index, key] of keys.entries()) {
        yield* holds(store, key)
        yield* opens(store, key)
        yield* lists(store, [key.id], { tags: { plain: key.id } })
        if (index % 5 === 0) {
          const tags = Object.fromEntries([...Object.entries(key.tags), ["__proto__", "own"]])
          yield* store.update(key.id, { tags })
          yield* holds(store, { ...key, tags })
        }
      }
      yield* store.setActive(oddTexts.at(-1)!)
      for (const id of oddTexts.slice(0, -1)) yield* store.remove(id)
      yield* lists(store, oddTexts.slice(-1))
    })
  ],
  [
    "keeps several hundred keys of one call",
    Effect.fnUntraced(function* (store) {
      const ids = Array.from({ length: 500 }, (_, i) => `key-${String(i).padStart(3, "0")}`)
      const { privateKey, publicKey } = yield* newKey("any")
      yield* store.insert(ids.map((id, i) => ({ id, publicKey, privateKey, tags: { n: String(i % 7) }, createdAt: i })))
      yield* lists(store, ids)
      yield* lists(
        store,
        ids.filter((_, i) => i % 7 === 3),
        { tags: { n: "3" } }
      )
      yield* opens(store, { id: "key-499", publicKey, privateKey, tags: {}, createdAt: 0 })
    })
  ],
  [
    "lets one of many callers insert an id",
    Effect.fnUntraced(function* (store) {
      yield* oneWins(yield* Effect.forEach(Array.from({ length: 12 }), () => Effect.succeed(store)), store)
    })
  ],
  [
    "loses no key of concurrent callers",
    Effect.fnUntraced(function* (store) {
      yield* noneIsLost([store], store, 24)
    })
  ],
  [
    "never has an active key that is not there",
    Effect.fnUntraced(function* (store) {
      yield* activeIsThere([store, store])
    })
  ],
  [
    "works after a call that was interrupted",
    Effect.fnUntraced(function* (store) {
      for (let turn = 0; turn < 8; turn++) {
        const fiber = yield* Effect.forkChild(store.insert([yield* newKey(`interrupted-${turn}`)]))
        for (let i = 0; i < turn; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      const key = yield* newKey("after")
      yield* store.insert([key], { setActive: "after" })
      yield* holds(store, key)
      yield* opens(store, key)
      for (const { id } of yield* store.list()) {
        // whole or not at all
        yield* opens(store, yield* newKey(id))
      }
    })
  ],
  [
    "shows nothing secret",
    Effect.fnUntraced(function* (store, subject) {
      const key = yield* newKey("key", { algorithm: "ES256" })
      const rsa = yield* newKey("rsa", { algorithm: "PS256" })
      yield* store.insert([key, rsa], { setActive: "key" })
      const shown: ReadonlyArray<readonly [string, unknown]> = [
        ["the store", store],
        ["an entry", yield* store.get("key")],
        ["a list", yield* store.list()],
        ["a private half", yield* store.privateKey("key")],
        ["KeyExists", yield* Effect.flip(store.insert([key]))],
        ["KeyNotFound", yield* Effect.flip(store.get("none"))],
        ["ActiveKeyDelete", yield* Effect.flip(store.remove("key"))],
        ["Invalid", yield* Effect.flip(store.insert([{ ...rsa, privateKey: key.privateKey }]))]
      ]
      const search = Canary.search([
        ...(subject.secrets ?? []).map((secret, index) => ({ name: `secrets[${index}]`, secret })),
        { name: "the private half of P-256", secret: TestKey.secretBytes("P-256", "key") },
        { name: "the private half of RSA", secret: TestKey.testRsaKey.d.slice(0, 40) }
      ])
      for (const [what, value] of shown) {
        const sighting = search(Canary.show(value))
        yield* demand(sighting === undefined, `${what} shows ${sighting?.secret} as ${sighting?.form}`)
      }
    })
  ]
]

/** Every one of these inserts a key of its own under one id: one of them succeeds, and its key is there. */
const oneWins = Effect.fnUntraced(function* (stores: ReadonlyArray<Service>, reader: Service) {
  const keys = yield* Effect.forEach(stores, (_, index) => newKey("same", { seed: `seed ${index}` }))
  const outcomes = yield* Effect.forEach(stores, (store, index) => Effect.result(store.insert([keys[index]!])), {
    concurrency: "unbounded"
  })
  const winners = keys.filter((_, index) => outcomes[index]!._tag === "Success")
  yield* demand(winners.length === 1, `${winners.length} of ${keys.length} callers inserted one id`)
  const others = outcomes.flatMap((outcome) => (outcome._tag === "Failure" ? [outcome.failure._tag] : []))
  yield* demand(
    others.every((tag) => tag === "KeyExists"),
    `those who were too late failed with ${[...new Set(others)].join(", ")}`
  )
  yield* holds(reader, winners[0]!)
  yield* opens(reader, winners[0]!)
})

const noneIsLost = Effect.fnUntraced(function* (stores: ReadonlyArray<Service>, reader: Service, count: number) {
  const keys = yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
    newKey(`key-${String(index).padStart(2, "0")}`)
  )
  yield* Effect.forEach(
    keys,
    (key, index) => {
      const store = stores[index % stores.length]!
      return Effect.andThen(store.insert([key]), store.update(key.id, { tags: { index: String(index) } }))
    },
    { concurrency: "unbounded", discard: true }
  )
  yield* lists(
    reader,
    keys.map(({ id }) => id)
  )
  for (const [index, key] of keys.entries()) {
    yield* holds(reader, { ...key, tags: { index: String(index) } })
    yield* opens(reader, key)
  }
})

/** Some make a key active while others remove it: at the end the active key is there, or there is none. */
const activeIsThere = Effect.fnUntraced(function* ([first, second]: readonly [Service, Service]) {
  for (let turn = 0; turn < 5; turn++) {
    const id = `key-${turn}`
    yield* first.insert([yield* newKey(id)])
    const [made, removed] = yield* Effect.all(
      [Effect.result(first.setActive(id)), Effect.result(second.remove(id, { force: turn % 2 === 0 }))],
      { concurrency: "unbounded" }
    )
    const active = Option.getOrUndefined(yield* second.active)
    yield* demand(active === undefined || (yield* first.has(active)), "the active key is one that was removed")
    yield* demand(
      removed._tag === "Success"
        ? !(yield* first.has(id)) && active !== id
        : removed.failure._tag === "ActiveKeyDelete" && made._tag === "Success" && active === id,
      "a key was made active and removed at once"
    )
    if (active === id) yield* second.remove(id, { force: true })
  }
})

const pairChecks: ReadonlyArray<readonly [name: string, check: PairCheck]> = [
  [
    "shows at once what another instance wrote",
    Effect.fnUntraced(function* (first, second) {
      const key = yield* newKey("key", { tags: { a: "1" } })
      yield* first.insert([key])
      yield* holds(second, key)
      yield* opens(second, key)
      for (let i = 0; i < 10; i++) {
        yield* first.update("key", { tags: { a: `${i}` } })
        yield* holds(second, { ...key, tags: { a: `${i}` } })
      }
      yield* second.setActive("key")
      yield* isActive(first, "key")
      yield* refused(first.remove("key"), "ActiveKeyDelete", `"remove"`, "key")
      yield* second.remove("key", { force: true })
      yield* refused(first.get("key"), "KeyNotFound", `"get"`, "key")
      yield* refused(first.privateKey("key"), "KeyNotFound", `"privateKey"`, "key")
      yield* isActive(first, undefined)
      yield* refused(first.update("key", { disabled: true }), "KeyNotFound", `"update"`, "key")
    })
  ],
  [
    "lets one of two instances insert an id",
    Effect.fnUntraced(function* (first, second) {
      yield* oneWins([first, second, first, second, first, second], second)
    })
  ],
  [
    "loses no key of two instances",
    Effect.fnUntraced(function* (first, second) {
      yield* noneIsLost([first, second], first, 12)
    })
  ],
  [
    "never has an active key that another instance removed",
    Effect.fnUntraced(function* (first, second) {
      yield* activeIsThere([first, second])
    })
  ]
]

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

const describe = (cause: Cause.Cause<unknown>): string => {
  const [error] = cause.reasons.map((reason) =>
    reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : "interrupted"
  )
  return error instanceof Problem ? error.text : String(error)
}

/** The clock of the system: a store may wait for its turn, and no test moves the time for it. */
const live = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

/**
 * All cases of a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases = (subject: Subject): ReadonlyArray<Case> => {
  const exceptions = subject.exceptions ?? []
  const search = Canary.search((subject.secrets ?? []).map((secret, i) => ({ name: `secrets[${i}]`, secret })))
  const caseOf = (name: string, check: Effect.Effect<void, unknown, Scope.Scope>): Case => ({
    name,
    run: live(Effect.scoped(check)).pipe(
      Effect.catchCause((cause) => {
        const text = describe(cause)
        const sighting = search(text)
        return Effect.fail(
          new ConformanceFailure({
            suite: subject.name,
            case: name,
            problem: sighting === undefined ? text : `what it says shows ${sighting.secret} as ${sighting.form}`
          })
        )
      })
    ),
    exception: exceptions.find((exception) => exception.case === name)?.reason
  })
  const { pair } = subject
  const known = [
    ...checks.map(([name, check]) =>
      caseOf(
        name,
        Effect.flatMap(Layer.build(Layer.fresh(subject.layer)), (context) =>
          check(Context.get(context, KeyStore), subject)
        )
      )
    ),
    ...(pair === undefined
      ? []
      : pairChecks.map(([name, check]) =>
          caseOf(
            name,
            Effect.flatMap(pair, ([first, second]) => check(first, second))
          )
        ))
  ]
  const unknown = exceptions
    .filter((exception) => !known.some(({ name }) => name === exception.case))
    .map(({ case: name }) => caseOf(name, problem("an exception names this case, and there is none")))
    .map((unknown): Case => ({ ...unknown, exception: undefined }))
  return [...known, ...unknown]
}

/**
 * Registers all cases as tests. A case with an exception is registered as skipped,
 * with its reason in the name.
 *
 * @category combinators
 * @since 0.1.0
 */
export const suite = (
  it: TestRunner,
  name: string,
  layer: Layer.Layer<KeyStore, unknown>,
  options?: Options & {
    /** Milliseconds per case. Default: the runner's. */
    readonly timeout?: number | undefined
  }
): void => {
  for (const { exception, name: caseName, run } of cases({ ...options, name, layer })) {
    if (exception === undefined) it.effect(`${name}: ${caseName}`, () => run, options?.timeout)
    else it.effect.skip(`${name}: ${caseName} (${exception})`, () => run, options?.timeout)
  }
}
