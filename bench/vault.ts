/**
 * `VaultSigner.layerBare` on the undici client of Effect, against the package
 * `node-vault`, and batches against single requests. The server is a process of its
 * own and answers at once.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { fork } from "node:child_process"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Scope } from "effect/Scope"
import { Signer } from "effect-signer"
import * as VaultSigner from "effect-signer/VaultSigner"
import nodeVault from "node-vault"
import type { Row } from "./Row.ts"
import { median } from "./Row.ts"

const token = "hvs.bench"
const message = new Uint8Array(32).fill(7)

const server = Effect.acquireRelease(
  Effect.promise(
    () =>
      new Promise<{ readonly url: string; readonly stop: () => void }>((resolve, reject) => {
        const child = fork(new URL("vaultServer.ts", import.meta.url), { stdio: ["ignore", "pipe", "inherit", "ipc"] })
        child.once("error", reject)
        child.stdout!.once("data", (port: Buffer) =>
          resolve({ url: `http://127.0.0.1:${Number(port)}`, stop: () => void child.kill() })
        )
      })
  ),
  ({ stop }) => Effect.sync(stop)
)

/** Signs so many times, so many at once. */
type Run = (count: number, concurrency: number) => Effect.Effect<void>

const signing = (url: string, options: Partial<VaultSigner.Options> = {}) =>
  Effect.map(
    Layer.build(
      VaultSigner.layerBare({ url, token: Redacted.make(token), key: "release", ...options }).pipe(
        Layer.provide(NodeHttpClient.layerUndici)
      )
    ),
    (context): Run => {
      const signer = Context.get(context, Signer.Signer)
      return (count, concurrency) =>
        Effect.orDie(
          Effect.forEach(Array.from({ length: count }), () => signer.sign(message), { concurrency, discard: true })
        )
    }
  )

/** What an application does with `node-vault`: base64 there and back. */
const withNodeVault = (url: string): Run => {
  const client = nodeVault({ endpoint: url, token })
  const sign = async () => {
    const { data } = await client.write("transit/sign/release", { input: Buffer.from(message).toString("base64") })
    return new Uint8Array(Buffer.from((data.signature as string).split(":")[2]!, "base64"))
  }
  return (count, concurrency) =>
    Effect.promise(async () => {
      let left = count
      await Promise.all(
        Array.from({ length: concurrency }, async () => {
          while (left-- > 0) await sign()
        })
      )
    })
}

interface Cost {
  /** Microseconds of the clock, and of this process's CPU, for one signature. */
  readonly time: number
  readonly cpu: number
}

const costOf = (run: Run, count: number, concurrency: number) =>
  Effect.suspend(() => {
    const cpu = process.cpuUsage()
    const start = performance.now()
    return Effect.map(run(count, concurrency), (): Cost => {
      const { system, user } = process.cpuUsage(cpu)
      return { time: ((performance.now() - start) * 1000) / count, cpu: (user + system) / count }
    })
  })

const rounds = 15

interface Sides {
  readonly ours: (url: string) => Effect.Effect<Run, unknown, Scope>
  readonly reference: (url: string) => Effect.Effect<Run, unknown, Scope>
}

const compared = ({ ours, reference }: Sides, count: number, concurrency: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { url } = yield* server
      const [left, right] = [yield* ours(url), yield* reference(url)]
      const costs: { readonly ours: Array<Cost>; readonly reference: Array<Cost> } = { ours: [], reference: [] }
      // warm up
      yield* left(count, concurrency)
      yield* right(count, concurrency)
      for (let round = 0; round < rounds; round++) {
        if (round % 2 === 0) costs.ours.push(yield* costOf(left, count, concurrency))
        costs.reference.push(yield* costOf(right, count, concurrency))
        if (round % 2 === 1) costs.ours.push(yield* costOf(left, count, concurrency))
      }
      return costs
    })
  )

const row = (
  name: string,
  against: string,
  unit: string,
  sides: Sides,
  {
    concurrency,
    count,
    valueOf
  }: {
    readonly concurrency: number
    readonly count: number
    readonly valueOf: (cost: Cost) => number
  }
): Row => ({
  name,
  measure: Effect.map(compared(sides, count, concurrency), ({ ours, reference }) => ({
    name,
    value: median(ours.map(valueOf)),
    unit,
    against,
    ratio: median(ours.map((cost, index) => valueOf(cost) / valueOf(reference[index]!))),
    samples: rounds
  }))
})

const throughput = ({ time }: Cost) => 1_000_000 / time

const single = (url: string) => signing(url)
const batched = (url: string) => signing(url, { batch: {} })
const peer = (url: string) => Effect.sync(() => withNodeVault(url))

export const rows: ReadonlyArray<Row> = [
  row(
    "vault/throughput/c64/node-vault",
    "node-vault",
    "sign/s",
    { ours: single, reference: peer },
    {
      concurrency: 64,
      count: 2000,
      valueOf: throughput
    }
  ),
  row(
    "vault/cpu/c64/node-vault",
    "node-vault",
    "us",
    { ours: single, reference: peer },
    {
      concurrency: 64,
      count: 2000,
      valueOf: ({ cpu }) => cpu
    }
  ),
  row(
    "vault/batched/c256/node-vault",
    "node-vault",
    "sign/s",
    { ours: batched, reference: peer },
    {
      concurrency: 256,
      count: 5120,
      valueOf: throughput
    }
  ),
  row(
    "vault/batched/c256/unbatched",
    "the same signer without batches",
    "sign/s",
    { ours: batched, reference: single },
    {
      concurrency: 256,
      count: 5120,
      valueOf: throughput
    }
  ),
  row(
    "vault/batched/c1/latency",
    "the same signer without batches",
    "us",
    { ours: batched, reference: single },
    {
      concurrency: 1,
      count: 500,
      valueOf: ({ time }) => time
    }
  )
]
