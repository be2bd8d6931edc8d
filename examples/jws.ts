import { Console, Effect, Result } from "effect"
import { LocalSigner, PrivateKey } from "effect-signer"
import * as Jws from "effect-signer/Jws"
import * as KeyResolver from "effect-signer/KeyResolver"

const payload = new TextEncoder().encode(`{"version":"1.2.3"}`)

const program = Effect.gen(function* () {
  const build = yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") })
  const release = yield* LocalSigner.make({ privateKey: PrivateKey.generate("ES384") })

  // two keys sign one payload
  const jws = yield* Jws.signGeneral(payload, [{ signer: build }, { signer: release, typ: "release" }])

  // a reader that knows one of them: all signatures must verify, unless it says otherwise
  const Keys = KeyResolver.fromSigners([{ signer: release, owner: "release team" }])
  const verify = (policy: "all" | "any") =>
    Jws.verifyGeneral(JSON.stringify(jws), { policy }).pipe(Effect.provideService(KeyResolver.KeyResolver, Keys))

  yield* Console.log((yield* Effect.flip(verify("all")))._tag)
  const { signatures } = yield* verify("any")
  for (const outcome of signatures) {
    yield* Console.log(Result.isSuccess(outcome) ? `signed by ${outcome.success.key?.owner}` : outcome.failure._tag)
  }
})

await Effect.runPromise(program)
