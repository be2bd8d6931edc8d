import { Config, Effect } from "effect"
import { PrivateKey, Signer } from "effect-signer"
import * as FileSigner from "effect-signer/FileSigner"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = await mkdtemp(join(tmpdir(), "key-file-"))
const path = join(folder, "release.key")
process.env["KEY_PASSPHRASE"] = "correct horse battery staple"
const passphrase = Config.Redacted("KEY_PASSPHRASE")

// once: a new key, encrypted, in a file that only this user can read
const setUp = Effect.gen(function* () {
  const key = yield* PrivateKey.generate("Ed25519")
  yield* FileSigner.create({ path, key, passphrase: yield* passphrase })
})

// in the application: the file must be ours, and the passphrase right, or this is not built
const SignerLive = FileSigner.layer({ path, passphrase })

const program = Effect.gen(function* () {
  const signature = yield* Signer.sign(new TextEncoder().encode("release 1.0.0"))
  console.log(`signed with ${signature.algorithm}, ${signature.bytes.length} bytes`)
})

await Effect.runPromise(Effect.andThen(setUp, Effect.provide(program, SignerLive)))

const error = await Effect.runPromise(Effect.flip(FileSigner.make({ path })))
console.log(error._tag, "-", error.message)
await rm(folder, { recursive: true })
