import { Duration, Effect } from "effect"
import { PublicKey, Signer, WatchOnlySigner } from "effect-signer"

const program = Signer.sign(new TextEncoder().encode("hello")).pipe(
  Effect.map((signature) => `signed by ${signature.keyId}`),
  // one tag per kind of trouble
  Effect.catchTags({
    KeyNotSigner: (error) => Effect.succeed(`${error.backend} only watches ${error.keyId}`),
    PolicyDenied: (error) => Effect.succeed(`not allowed: ${error.rule}`)
  }),
  // what may be tried again, and why
  Effect.catchReason("Retryable", "RateLimited", ({ retryAfter }) =>
    Effect.succeed(`busy, come back in ${retryAfter === undefined ? "a while" : Duration.format(retryAfter)}`)
  )
)

const watched = await Effect.runPromise(
  PublicKey.fromHex("Ed25519", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
)

console.log(await Effect.runPromise(program.pipe(Effect.provide(WatchOnlySigner.layer({ publicKey: watched })))))
