import { Console, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Signer } from "effect-signer"
import * as Jwt from "effect-signer/Jwt"
import * as KeyResolver from "effect-signer/KeyResolver"
import * as MemoryRotationStore from "effect-signer/MemoryRotationStore"
import * as Rotation from "effect-signer/Rotation"
import { TestSigner } from "effect-signer/testing"

const issuer = "https://id.example"

// Where each key is, by its name: any Signer, also of another backend than the one before.
const signerOf = (id: string) => Effect.map(TestSigner.make({ seed: id }), ({ signer }) => signer)

const RotationLive = Rotation.layer({
  // the key set is sent with max-age=600; tokens live an hour, and verifiers allow a minute more
  policy: { propagation: "10 minutes", tokenLifetime: "61 minutes" },
  signerOf
}).pipe(Layer.provide(MemoryRotationStore.layer())) // PostgresRotationStore, FileRotationStore

const program = Effect.gen(function* () {
  const rotation = yield* Rotation.Rotation
  yield* rotation.adopt("2030-01") // the key of before, which verifiers have
  const signer = yield* rotation.signer

  const issue = Jwt.sign({}, { issuer, audience: "api", expiresIn: "1 hour" }).pipe(
    Effect.provideService(Signer.Signer, signer)
  )
  const old = yield* issue

  yield* rotation.start("2030-02")
  yield* rotation.advance // published
  const refused = yield* Effect.flip(rotation.advance)
  yield* Console.log(refused.message)

  yield* TestClock.adjust("17 minutes") // in production: rotation.run({ schedule: Schedule.spaced("1 minute") })
  for (const step of ["canary", "active"]) {
    const moves = yield* rotation.advance
    yield* Console.log(step, moves.map(({ from, id, to }) => `${id}: ${from} -> ${to}`).join(", "))
  }

  // both verify: the old key is published for as long as its tokens live
  const resolver = yield* KeyResolver.fromKeys(yield* rotation.published)
  for (const token of [old, yield* issue]) {
    const { key } = yield* Jwt.verify(token, { issuer, audience: "api" }).pipe(
      Effect.provideService(KeyResolver.KeyResolver, resolver)
    )
    const { state } = yield* rotation.status
    yield* Console.log("signed by", state.keys.find(({ kid }) => kid === key.keyId)?.id)
  }
})

await Effect.runPromise(program.pipe(Effect.provide([RotationLive, TestClock.layer()])))
