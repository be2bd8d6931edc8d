/**
 * What decorators add to one `sign`, in microseconds, over a backend that answers
 * at once.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import * as Layer from "effect/Layer"
import { AuditLog, Decorator, KeyId, PrivateKey, Signer } from "effect-signer"
import type { Row } from "./Row.ts"
import { added, sequential } from "./Row.ts"

const bare = Effect.gen(function* () {
  const { publicKey } = yield* PrivateKey.generate("Ed25519")
  const bytes = new Uint8Array(64)
  return yield* Signer.make({
    name: "instant",
    keyId: KeyId.make("bench"),
    algorithm: "Ed25519",
    input: "message",
    publicKey: () => Effect.succeed(publicKey),
    sign: () => Effect.succeed({ bytes })
  })
})

const row = (name: string, decorate: (self: Signer.Service) => Effect.Effect<Signer.Service>): Row =>
  added(
    `decorators/${name}`,
    "the same signer without",
    Effect.gen(function* () {
      const signer = yield* bare
      const decorated = yield* decorate(signer)
      const message = new Uint8Array(32)
      return {
        ours: sequential(() => decorated.sign(message)),
        reference: sequential(() => signer.sign(message))
      }
    })
  )

const resilient = (self: Signer.Service) => Decorator.observed()(Decorator.resilient()(self))

const all = (self: Signer.Service) =>
  Effect.map(Effect.scoped(Layer.build(AuditLog.layerMemory({ capacity: 1000 }))), (context) =>
    pipe(
      resilient(self),
      Decorator.guard({ name: "any", permits: () => true }),
      Decorator.audited(Context.get(context, AuditLog.AuditLog))
    )
  )

export const rows: ReadonlyArray<Row> = [
  row("timeout", (self) => Effect.succeed(Decorator.timeout("10 seconds")(self))),
  row("resilient", (self) => Effect.succeed(resilient(self))),
  row("all", all)
]
