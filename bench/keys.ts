/**
 * Ten thousand keys in a `FileKeyStore`, through a `KeyManager`, against the same with
 * a hundred: what a list by tag, a start and the lookup of one key cost, and the memory
 * that an open store holds. Every key has its private half, and a tag that a hundredth
 * of them has.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { PrivateKey, PublicKey } from "effect-signer"
import * as FileKeyStore from "effect-signer/FileKeyStore"
import * as KeyManager from "effect-signer/KeyManager"
import { KeyStore } from "effect-signer/KeyStore"
import type { Result, Row } from "./Row.ts"
import { median, ratio, sequential } from "./Row.ts"

const [few, many] = [100, 10_000]

const passphrase = Redacted.make("correct horse battery staple")

const idOf = (index: number) => `key-${String(index).padStart(5, "0")}`

/** A file with so many keys. */
const written = Effect.fnUntraced(function* (count: number) {
  const folder = mkdtempSync(join(tmpdir(), "effect-signer-bench-keys-"))
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, "keys.json")
  const store = yield* FileKeyStore.make({ path, passphrase })
  const keys = yield* Effect.forEach(
    Array.from({ length: count }, (_, index) => index),
    Effect.fnUntraced(function* (index) {
      const privateKey = yield* PrivateKey.generate("ES256")
      return {
        id: idOf(index),
        privateKey,
        publicKey: yield* PublicKey.withAlgorithm(privateKey.publicKey, "ES256"),
        tags: { tenant: `tenant-${index % 100}`, purpose: "request-signing" },
        createdAt: 1_700_000_000_000 + index
      }
    })
  )
  yield* store.insert(keys, { setActive: idOf(0) })
  return path
})

const files = new Map<number, string>()

/** The file of so many keys: written once for all rows. */
const fileOf = (count: number) =>
  Effect.suspend(() => {
    const known = files.get(count)
    return known !== undefined
      ? Effect.succeed(known)
      : Effect.tap(written(count), (path) => Effect.sync(() => files.set(count, path)))
  })

const open = (path: string) =>
  Effect.flatMap(FileKeyStore.make({ path, passphrase, mustExist: true }), (store) =>
    Effect.provideService(KeyManager.make, KeyStore, store)
  )

const opened = (count: number) => Effect.flatMap(fileOf(count), open)

const bothOpen = Effect.all([opened(many), opened(few)])

const against = `the same with ${few} keys`

/** Opens a store from its file, and looks up one key: milliseconds. */
const start = Effect.fnUntraced(function* (path: string, id: string) {
  const clock = yield* Clock.Clock
  const begin = clock.currentTimeNanosUnsafe()
  const manager = yield* open(path)
  yield* manager.entry(id)
  return Number(clock.currentTimeNanosUnsafe() - begin) / 1e6
})

const rounds = 7

const starts = (name: string): Row => ({
  name,
  measure: Effect.gen(function* () {
    const [large, small] = [yield* fileOf(many), yield* fileOf(few)]
    yield* start(small, idOf(1))
    const ours: Array<number> = []
    const reference: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      ours.push(yield* start(large, idOf(many - 1)))
      reference.push(yield* start(small, idOf(few - 1)))
    }
    return {
      name,
      value: median(ours),
      unit: "ms",
      against,
      ratio: median(ours.map((value, index) => value / reference[index]!)),
      samples: rounds
    } satisfies Result
  })
})

/** Bytes that are in use, of this heap and of buffers beside it, once all garbage is gone. */
const inUse = Effect.sync(() => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc") as () => void
  gc()
  gc()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
})

const mebibyte = 1024 * 1024

/** What one open store of so many keys holds: MiB. */
const held = Effect.fnUntraced(function* (count: number) {
  const path = yield* fileOf(count)
  const before = yield* inUse
  const manager = yield* open(path)
  yield* manager.list({ tags: { tenant: "tenant-3" } })
  const after = yield* inUse
  // used after the measurement, so that it is there until then
  yield* manager.has(idOf(0))
  return (after - before) / mebibyte
})

/** Against the file, because what a hundred keys hold is lost in what else moves meanwhile. */
const memory = (name: string): Row => ({
  name,
  measure: Effect.gen(function* () {
    const { size } = statSync(yield* fileOf(many))
    yield* held(few)
    const ours: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      ours.push(yield* held(many))
      yield* held(few) // what the last one held is let go
    }
    return {
      name,
      value: median(ours),
      unit: "MiB",
      against: "the size of the file",
      ratio: (median(ours) * mebibyte) / size,
      samples: rounds
    } satisfies Result
  })
})

export const rows: ReadonlyArray<Row> = [
  ratio(
    `keys/list-by-tag/${many}`,
    against,
    Effect.map(bothOpen, ([large, small]) => ({
      ours: sequential(() => large.list({ tags: { tenant: "tenant-3" } })),
      reference: sequential(() => small.list({ tags: { tenant: "tenant-3" } }))
    }))
  ),
  ratio(
    `keys/lookup/${many}`,
    against,
    Effect.map(bothOpen, ([large, small]) => {
      let turn = 0
      return {
        ours: sequential(() => large.entry(idOf((turn += 7919) % many))),
        reference: sequential(() => small.entry(idOf((turn += 7919) % few)))
      }
    })
  ),
  starts(`keys/start/${many}`),
  memory(`keys/memory/${many}`)
]
