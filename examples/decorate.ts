import { Effect, Layer, Schedule } from "effect"
import { AuditLog, LocalSigner, Signer } from "effect-signer"

const prefix = new TextEncoder().encode("release:")

const SignerLive = LocalSigner.layerGenerated("ES256", { purpose: "release" }).pipe(
  Signer.timeout("2 seconds"), // per attempt
  Signer.retry({
    schedule: Schedule.exponential("100 millis").pipe(Schedule.jittered),
    times: 3,
    budget: "10 seconds" // no attempt outlives it
  }),
  Signer.verified, // what comes back verifies, or is InvalidResponse
  Signer.guard({
    name: "release-only", // policy, before anything is spent
    permits: ({ message }) => prefix.every((byte, index) => message[index] === byte)
  }),
  Signer.audited, // one entry per call
  Layer.provideMerge(AuditLog.layerMemory())
)

const program = Effect.gen(function* () {
  yield* Signer.sign(new TextEncoder().encode("release: v1.0.0"))
  yield* Signer.sign(new TextEncoder().encode("transfer: everything")).pipe(
    Effect.catchTag("PolicyDenied", (error) => Effect.sync(() => console.log(error.message)))
  )
  const entries = yield* AuditLog.AuditEntries
  for (const entry of yield* entries.all) {
    console.log(entry.outcome, entry.error ?? "", `${entry.messageLength} bytes`)
  }
})

await Effect.runPromise(program.pipe(Effect.provide(SignerLive)))
