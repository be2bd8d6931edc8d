/**
 * A process that takes the steps of a rotation, for the tests that have two of them
 * contend, and kill one: `TOTAL postgres PORT USER PASSWORD` or `TOTAL file PATH`. It
 * says `ready`, waits for a line, and at the end says what it did.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { once } from "node:events"
import * as FileRotationStore from "../../src/layers/FileRotationStore.ts"
import * as PostgresRotationStore from "../../src/layers/PostgresRotationStore.ts"
import * as Rotation from "../../src/services/Rotation.ts"
import { options, takeSteps } from "./rotationSteps.ts"

const [total, kind, ...rest] = process.argv.slice(2) as [string, string, ...ReadonlyArray<string>]

const StoreLive =
  kind === "file"
    ? FileRotationStore.layer({ path: rest[0]! })
    : PostgresRotationStore.layer({ name: "contended" }).pipe(
        Layer.provide(
          PgClient.layer({
            host: "127.0.0.1",
            port: Number(rest[0]),
            username: rest[1]!,
            password: Redacted.make(rest[2]!),
            database: "postgres"
          })
        )
      )

await Effect.gen(function* () {
  yield* Rotation.Rotation.use((rotation) => rotation.status)
  process.stdout.write("ready\n")
  yield* Effect.promise(() => once(process.stdin, "data"))
  const taken = yield* takeSteps(Number(total))
  process.stdout.write(`${JSON.stringify(taken)}\n`)
}).pipe(Effect.provide(Rotation.layer(options).pipe(Layer.provide(StoreLive))), Effect.runPromise)
process.exit(0)
