/**
 * How long after the interruption of a signature its server sees the call end,
 * against a connection of `node:http` that is destroyed.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { fork } from "node:child_process"
import { request } from "node:http"
import { setTimeout } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type { Scope } from "effect/Scope"
import type { Signer } from "effect-signer"
import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
import * as AzureKeyVaultSigner from "effect-signer/AzureKeyVaultSigner"
import * as GcpKmsSigner from "effect-signer/GcpKmsSigner"
import type { SignerError } from "effect-signer/SignerError"
import * as VaultSigner from "effect-signer/VaultSigner"
import type { Address, Event } from "./hangingServer.ts"
import type { Row } from "./Row.ts"
import { median } from "./Row.ts"

const message = new Uint8Array(32).fill(7)
const rounds = 61

type Make = (address: Address) => Effect.Effect<Signer.Service, SignerError, HttpClient.HttpClient | Scope>

const backends: Readonly<Record<string, Make>> = {
  aws: ({ key, url }) =>
    AwsKmsSigner.make({
      endpoint: url,
      region: "eu-central-1",
      keyId: key,
      credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: Redacted.make("emulated") }
    }),
  azure: ({ key, token, url }) =>
    AzureKeyVaultSigner.make({
      vaultUrl: url,
      key,
      credential: { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) },
      scope: "https://vault.azure.net/.default"
    }),
  "gcp/rest": ({ key, token, url }) =>
    GcpKmsSigner.make({ endpoint: url, key, tokens: { getAccessToken: async () => token } }),
  "gcp/grpc": ({ key, url }) => GcpKmsSigner.make({ transport: "grpc", endpoint: url, key }),
  vault: ({ key, token, url }) => VaultSigner.make({ url, token: Redacted.make(token), key })
}

/** A server in a process of its own, and the next thing that it tells. */
const server = (name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = fork(new URL("hangingServer.ts", import.meta.url), [name])
      const told: Array<Event> = []
      const waiting: Array<(event: Event) => void> = []
      child.on("message", (event: Event) => {
        const next = waiting.shift()
        if (next === undefined) told.push(event)
        else next(event)
      })
      const next = <Tag extends Event["_tag"]>(tag: Tag) =>
        Effect.promise(async () => {
          const event = told.shift() ?? (await new Promise<Event>((resolve) => waiting.push(resolve)))
          if (event._tag !== tag) throw new Error(`the server told ${event._tag}, not ${tag}`)
          return event as Event & { readonly _tag: Tag }
        })
      return { child, next }
    }),
    ({ child }) => Effect.sync(() => child.kill())
  )

/** Begins a call that hangs, and gives what ends it. */
type Begin = Effect.Effect<Effect.Effect<unknown>>

const signature = (signer: Signer.Service): Begin =>
  Effect.map(Effect.forkDetach(Effect.exit(signer.sign(message)), { startImmediately: true }), Fiber.interrupt)

const bare = (url: string): Begin =>
  Effect.sync(() => {
    const call = request(url, { method: "POST" })
    call.once("error", () => {})
    call.end("{}")
    return Effect.sync(() => call.destroy())
  })

const row = (name: string, make: Make): Row => ({
  name: `interruption/${name}`,
  measure: Effect.gen(function* () {
    const { next } = yield* server(name)
    const { address, silent } = yield* next("Listening")
    const sides = [signature(yield* make(address)), bare(silent)] as const
    const latency = (begin: Begin) =>
      Effect.gen(function* () {
        const end = yield* begin
        yield* next("Asked")
        yield* Effect.promise(() => setTimeout(2)) // both wait
        const start = process.hrtime.bigint()
        yield* end
        const { at } = yield* next("Ended")
        return Number(BigInt(at) - start) / 1000
      })
    const samples: Array<readonly [ours: number, reference: number]> = []
    for (let round = -5; round < rounds; round++) {
      const ours = yield* latency(sides[0])
      const reference = yield* latency(sides[1])
      if (round >= 0) samples.push([ours, reference]) // the others warm up
    }
    return {
      name: `interruption/${name}`,
      value: median(samples.map(([ours]) => ours)),
      unit: "us",
      against: "node:http, connection destroyed",
      ratio: median(samples.map(([ours, reference]) => ours / reference)),
      samples: samples.length
    }
  }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici))
})

export const rows: ReadonlyArray<Row> = Object.entries(backends).map(([name, make]) => row(name, make))
