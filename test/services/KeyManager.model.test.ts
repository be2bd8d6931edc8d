/**
 * Random sequences of operations on a `KeyManager`, over each store, beside a model
 * of it in a few lines: both must give the same answers, and end with the same keys.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Context, Effect, Equal, Exit, Layer, Option, Redacted, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LocalSigner, PrivateKey, PublicKey, Verifier } from "../../src/index.ts"
import type { SignatureAlgorithm, Signer } from "../../src/index.ts"
import * as FileKeyStore from "../../src/layers/FileKeyStore.ts"
import * as MemoryKeyStore from "../../src/layers/MemoryKeyStore.ts"
import * as PostgresKeyStore from "../../src/layers/PostgresKeyStore.ts"
import * as KeyManager from "../../src/services/KeyManager.ts"
import type { KeyStore } from "../../src/services/KeyStore.ts"
import * as Postgres from "../support/postgres.ts"

const message = new TextEncoder().encode("message")

// ---------------------------------------------------------------------------
// keys and operations
// ---------------------------------------------------------------------------

interface Key {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly privateKey: PrivateKey.PrivateKey
  readonly publicKey: PublicKey.PublicKey
  /** The URN of the point, whatever the scheme. */
  readonly urn: string
  readonly signer: Signer.Service
  readonly signature: Uint8Array
}

/** Two keys of one algorithm, and one secp256k1 key under two. */
const keysOf = Effect.gen(function* () {
  const secp256k1 = yield* PrivateKey.fromRaw("secp256k1", new Uint8Array(32).fill(7))
  const sources = [
    ["Ed25519", yield* PrivateKey.generate("Ed25519")],
    ["Ed25519", yield* PrivateKey.generate("Ed25519")],
    ["ES256K", secp256k1],
    ["BIP340", secp256k1]
  ] as const
  return yield* Effect.forEach(sources, ([algorithm, privateKey]) =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey, algorithm })
      const key: Key = {
        algorithm,
        privateKey,
        publicKey: yield* PublicKey.withAlgorithm(privateKey.publicKey, algorithm),
        urn: PublicKey.keyId(privateKey.publicKey),
        signer,
        signature: (yield* signer.sign(message)).bytes
      }
      return key
    })
  )
})

const keys = await Effect.runPromise(keysOf)
const urns = [...new Set(keys.map(({ urn }) => urn))]
const ids = ["a", "b", "urn:kms:x:1/0/1", ...urns, `${keys[2]!.urn}#bip340`]

const Index = Schema.Literals([0, 1, 2, 3])
const Chosen = Schema.UndefinedOr(Schema.Literals(["a", "b", "urn:kms:x:1/0/1"]))
const Id = Schema.Literals(ids)
const Tag = Schema.Literals(["x", "y"])

const Operation = Schema.Union([
  Schema.Struct({ op: Schema.Literal("importKey"), key: Index, id: Chosen, setActive: Schema.Boolean, tag: Tag }),
  Schema.Struct({ op: Schema.Literal("importPublicKey"), key: Index, id: Chosen, setActive: Schema.Boolean, tag: Tag }),
  Schema.Struct({ op: Schema.Literal("attach"), key: Index, id: Chosen, setActive: Schema.Boolean, tag: Tag }),
  Schema.Struct({ op: Schema.Literal("sign"), id: Schema.UndefinedOr(Id) }),
  Schema.Struct({ op: Schema.Literal("signer"), id: Schema.UndefinedOr(Id) }),
  Schema.Struct({ op: Schema.Literal("signWithEarlier") }),
  Schema.Struct({ op: Schema.Literal("verify"), id: Schema.UndefinedOr(Id), key: Index }),
  Schema.Struct({ op: Schema.Literal("publicKey"), id: Schema.UndefinedOr(Id) }),
  Schema.Struct({ op: Schema.Literal("entry"), id: Id }),
  Schema.Struct({ op: Schema.Literal("has"), id: Id }),
  Schema.Struct({ op: Schema.Literal("export"), id: Id }),
  Schema.Struct({ op: Schema.Literal("remove"), id: Id, force: Schema.Boolean }),
  Schema.Struct({ op: Schema.Literal("active") }),
  Schema.Struct({ op: Schema.Literal("setActive"), id: Id }),
  Schema.Struct({ op: Schema.Literal("disable"), id: Id }),
  Schema.Struct({ op: Schema.Literal("enable"), id: Id }),
  Schema.Struct({ op: Schema.Literal("setTags"), id: Id, tag: Tag }),
  Schema.Struct({
    op: Schema.Literal("list"),
    tag: Schema.UndefinedOr(Tag),
    disabled: Schema.UndefinedOr(Schema.Boolean)
  })
])
type Operation = typeof Operation.Type

// ---------------------------------------------------------------------------
// the model
// ---------------------------------------------------------------------------

interface Entry {
  readonly kind: KeyManager.Entry["kind"]
  readonly key: number
  tag: string
  disabled: boolean
}

/** An answer, or the tag of an error, as text. */
type Answer = string

const makeModel = () => {
  const entries = new Map<string, Entry>()
  let storeActive: string | undefined
  /** `null`: none, after the attached key that was active is gone. */
  let here: string | null | undefined
  let earlier: { readonly id: string; readonly entry: Entry } | undefined

  const active = () => (here === undefined ? storeActive : (here ?? undefined))
  const show = (id: string, { disabled, key, kind, tag }: Entry) =>
    `${id} ${kind} ${keys[key]!.algorithm} ${tag} ${disabled ? "disabled" : "enabled"}`
  const named = (id: string | undefined, use: (entry: Entry, id: string) => Answer): Answer => {
    const name = id ?? active()
    const entry = name === undefined ? undefined : entries.get(name)
    return name === undefined ? "ActiveKeyNotSet" : entry === undefined ? "KeyNotFound" : use(entry, name)
  }
  const signing = (entry: Entry): Answer =>
    entry.kind === "watch-only"
      ? "KeyNotSigner"
      : entry.disabled
        ? "KeyUnavailable"
        : `signed by ${keys[entry.key]!.algorithm}`
  const add = (
    kind: Entry["kind"],
    op: { key: number; id: string | undefined; setActive: boolean; tag: string }
  ): Answer => {
    const { algorithm, publicKey, urn } = keys[op.key]!
    let id = op.id ?? urn
    if (op.id === undefined) {
      const suffixed = `${urn}#${algorithm.toLowerCase()}`
      const there = entries.get(urn)
      if (
        there === undefined
          ? entries.has(suffixed)
          : keys[there.key]!.algorithm !== algorithm && PublicKey.sameKey(keys[there.key]!.publicKey, publicKey)
      )
        id = suffixed
    }
    if (entries.has(id)) return "KeyExists"
    entries.set(id, { kind, key: op.key, tag: op.tag, disabled: false })
    if (op.setActive && kind === "attached") here = id
    else if (op.setActive) [storeActive, here] = [id, undefined]
    return id
  }

  const run = (op: Operation): Answer => {
    switch (op.op) {
      case "importKey":
        return add("private", op)
      case "importPublicKey":
        return add("watch-only", op)
      case "attach":
        return add("attached", op)
      case "sign":
        return named(op.id, signing)
      case "signer":
        return named(op.id, (entry, id) => {
          const answer = signing(entry)
          if (answer.startsWith("signed")) earlier = { id, entry }
          return answer
        })
      case "signWithEarlier":
        return earlier === undefined
          ? "none"
          : entries.get(earlier.id) === earlier.entry
            ? signing(earlier.entry)
            : "KeyNotFound"
      case "verify":
        return named(op.id, (entry) => {
          const [by, of] = [keys[op.key]!, keys[entry.key]!]
          return String(by.algorithm === of.algorithm && PublicKey.sameKey(by.publicKey, of.publicKey))
        })
      case "publicKey":
        return named(op.id, (entry) => String(keys[entry.key]!.publicKey))
      case "entry":
        return named(op.id, (entry, id) => show(id, entry))
      case "has":
        return String(entries.has(op.id))
      case "export":
        return named(op.id, (entry) =>
          entry.kind === "private" ? String(keys[entry.key]!.publicKey) : "not exportable"
        )
      case "remove":
        return named(op.id, (entry, id) => {
          const isActive = entry.kind === "attached" ? here === id : storeActive === id
          if (isActive && !op.force) return "ActiveKeyDelete"
          entries.delete(id)
          if (isActive && entry.kind === "attached") here = null
          else if (isActive) storeActive = undefined
          return "done"
        })
      case "active":
        return String(active())
      case "setActive":
        return named(op.id, (entry, id) => {
          if (entry.kind === "attached") here = id
          else [storeActive, here] = [id, undefined]
          return "done"
        })
      case "disable":
      case "enable":
        return named(op.id, (entry) => {
          entry.disabled = op.op === "disable"
          return "done"
        })
      case "setTags":
        return named(op.id, (entry) => {
          entry.tag = op.tag
          return "done"
        })
      case "list":
        return [...entries]
          .filter(([, { disabled, tag }]) => (op.tag ?? tag) === tag && (op.disabled ?? disabled) === disabled)
          .map(([id, entry]) => show(id, entry))
          .sort()
          .join("\n")
    }
  }
  return { run }
}

// ---------------------------------------------------------------------------
// the manager
// ---------------------------------------------------------------------------

const show = (entry: KeyManager.Entry): string =>
  `${entry.id} ${entry.kind} ${entry.algorithm} ${entry.tags["n"]} ${entry.state}`

const makeReal = (manager: KeyManager.Service) => {
  let earlier: Signer.Service | undefined
  const options = ({ id, setActive, tag }: { id: string | undefined; setActive: boolean; tag: string }) => ({
    id,
    setActive,
    tags: { n: tag }
  })
  const verified = Effect.fnUntraced(function* (signer: Signer.Service) {
    const signature = yield* signer.sign(message)
    const by = keys.filter(({ algorithm }) => algorithm === signature.algorithm)
    const verifying = yield* Effect.filter(by, ({ publicKey }) => verifies(publicKey, signature.bytes))
    return verifying.length === 0 ? "a signature of nobody" : `signed by ${signature.algorithm}`
  })
  const run = (op: Operation): Effect.Effect<Answer, { readonly _tag: string }> => {
    switch (op.op) {
      case "importKey": {
        const { algorithm, privateKey } = keys[op.key]!
        return manager.importKey(privateKey, { ...options(op), algorithm })
      }
      case "importPublicKey": {
        const { algorithm, privateKey } = keys[op.key]!
        return manager.importPublicKey(privateKey.publicKey, { ...options(op), algorithm })
      }
      case "attach":
        return manager.attach(keys[op.key]!.signer, options(op))
      case "sign":
        return Effect.gen(function* () {
          const signature = yield* manager.sign(message, op.id)
          return (yield* manager.verify(message, signature, op.id))
            ? `signed by ${signature.algorithm}`
            : "not verified"
        })
      case "signer":
        return Effect.flatMap(manager.signer(op.id), (signer) => {
          earlier = signer
          return verified(signer)
        })
      case "signWithEarlier":
        return earlier === undefined ? Effect.succeed("none") : verified(earlier)
      case "verify":
        return Effect.map(manager.verify(message, keys[op.key]!.signature, op.id), String)
      case "publicKey":
        return Effect.map(manager.publicKey(op.id), String)
      case "entry":
        return Effect.map(manager.entry(op.id), show)
      case "has":
        return Effect.map(manager.has(op.id), String)
      case "export":
        return Effect.flatMap(manager.entry(op.id), (entry) =>
          entry.canExport
            ? Effect.map(manager.exportKey(entry), ({ publicKey }) =>
                Equal.equals(publicKey, entry.publicKey) ? String(publicKey) : "another key"
              )
            : Effect.succeed("not exportable")
        )
      case "remove":
        return Effect.as(manager.remove(op.id, { force: op.force }), "done")
      case "active":
        return Effect.map(manager.active, (active) => String(Option.getOrUndefined(active)))
      case "setActive":
        return Effect.as(manager.setActive(op.id), "done")
      case "disable":
        return Effect.as(manager.disable(op.id), "done")
      case "enable":
        return Effect.as(manager.enable(op.id), "done")
      case "setTags":
        return Effect.as(manager.setTags(op.id, { n: op.tag }), "done")
      case "list":
        return Effect.map(
          manager.list({
            tags: op.tag === undefined ? undefined : { n: op.tag },
            state: op.disabled === undefined ? undefined : op.disabled ? "disabled" : "enabled"
          }),
          (entries) => entries.map(show).sort().join("\n")
        )
    }
  }
  return { run: (op: Operation) => Effect.catch(run(op), (error) => Effect.succeed(error._tag)) }
}

const verifies = (publicKey: PublicKey.PublicKey, signature: Uint8Array) =>
  Effect.orDie(Verifier.verify(publicKey, message, signature))

/** What shows all that a manager knows. */
const ending: ReadonlyArray<Operation> = [
  { op: "active" },
  { op: "list", tag: undefined, disabled: undefined },
  { op: "signWithEarlier" },
  { op: "sign", id: undefined },
  ...ids.map((id): Operation => ({ op: "sign", id }))
]

const agree = Effect.fnUntraced(function* (operations: ReadonlyArray<Operation>) {
  const model = makeModel()
  const real = makeReal(yield* KeyManager.KeyManager)
  for (const [i, operation] of [...operations, ...ending].entries()) {
    assert.strictEqual(yield* real.run(operation), model.run(operation), `${i}: ${JSON.stringify(operation)}`)
  }
})

// ---------------------------------------------------------------------------
// the stores
// ---------------------------------------------------------------------------

const suite = (name: string, sequences: number, store: Layer.Layer<KeyStore, unknown>) =>
  it.effect.prop(
    `D8 store abstraction: ${sequences} sequences over ${name} agree with the model`,
    { operations: Schema.Array(Operation).check(Schema.isMinLength(12), Schema.isMaxLength(40)) },
    ({ operations }) =>
      agree(operations).pipe(
        Effect.provide(Layer.fresh(KeyManager.layer.pipe(Layer.provide(store)))),
        TestClock.withLive // a store may wait for its turn
      ),
    { arbitrary: { runs: sequences }, timeout: 120_000 }
  )

describe("KeyManager", () => {
  suite("memory", 800, MemoryKeyStore.layer)

  const path = Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "effect-signer-model-"))),
      (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
    ),
    (folder) => join(folder, "keys.json")
  )
  const cost = { memory: 8, iterations: 1, parallelism: 1 }
  const passphrase = Redacted.make("correct horse battery staple")
  suite("file", 150, Layer.unwrap(Effect.map(path, (path) => FileKeyStore.layer({ path, passphrase, cost }))))
})

if (Postgres.missing !== undefined) console.warn(`not tested: KeyManager over PostgreSQL. ${Postgres.missing}`)

describe.skipIf(Postgres.missing !== undefined)("KeyManager with a PostgreSQL server", () => {
  const scope = Scope.makeUnsafe()
  let client: Context.Context<Layer.Success<ReturnType<typeof Postgres.client>>>

  beforeAll(async () => {
    const built = Effect.flatMap(Postgres.server, (server) => Layer.build(Postgres.client(server)))
    client = await Effect.runPromise(Scope.provide(built, scope))
  }, 120_000)

  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 60_000)

  const envelope = Redacted.make("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
  let tables = 0
  suite(
    "postgres",
    50,
    Layer.unwrap(
      Effect.sync(() =>
        PostgresKeyStore.layer({ envelope, table: `model_${tables++}` }).pipe(
          Layer.provide(Layer.succeedContext(client))
        )
      )
    )
  )
})
