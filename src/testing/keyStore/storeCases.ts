/**
 * The cases of a `KeyStore` that one caller at a time has: what is kept, found,
 * changed, refused and never shown.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { NewKey } from "../../services/KeyStore.ts"
import * as Canary from "../Canary.ts"
import * as TestKey from "../TestKey.ts"
import type { Check, Checks } from "./demands.ts"
import { demand, holds, isActive, lists, newKey, opens, refused, tagOf } from "./demands.ts"

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

/** In the order in which they are run. */
export const storeChecks: Checks<Check> = [
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
    "takes what it is given at once, or not at all",
    Effect.fnUntraced(function* (store) {
      const tags: Record<string, string> = { tenant: "acme" }
      const keys: Array<NewKey> = [yield* newKey("a"), yield* newKey("b", { tags })]
      const last = keys[1]!
      const fiber = yield* Effect.forkChild(Effect.result(store.insert(keys)), { startImmediately: true })
      // while the store works, or waits for its turn
      PrivateKey.wipe(last.privateKey!)
      tags["tenant"] = "\u0000"
      keys.pop()
      const outcome = yield* Fiber.join(fiber)
      if (outcome._tag === "Failure") {
        yield* demand(tagOf(outcome.failure) === "KeyStoreError", `"insert" failed with ${tagOf(outcome.failure)}`)
        return yield* lists(store, [])
      }
      const expected = yield* newKey("b", { tags: { tenant: "acme" } })
      yield* holds(store, expected)
      yield* opens(store, expected)
    })
  ],
  [
    "makes the change that it is given, whatever becomes of the object",
    Effect.fnUntraced(function* (store) {
      const [key, other] = [yield* newKey("key"), yield* newKey("other")]
      const made = { setActive: "key" }
      const inserting = yield* Effect.forkChild(store.insert([key, other], made), { startImmediately: true })
      made.setActive = "none"
      yield* Fiber.join(inserting)
      yield* isActive(store, "key")
      const change: { tags: Record<string, string>; disabled: boolean } = { tags: { tenant: "acme" }, disabled: true }
      const updating = yield* Effect.forkChild(store.update("key", change), { startImmediately: true })
      change.tags["tenant"] = "\u0000"
      change.tags = { tenant: "globex" }
      change.disabled = false
      yield* Fiber.join(updating)
      yield* holds(store, { ...key, tags: { tenant: "acme" } }, true)
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
    "shows nothing secret",
    Effect.fnUntraced(function* (store, secrets) {
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
        ...secrets.map((secret, index) => ({ name: `secrets[${index}]`, secret })),
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
