/**
 * A process that writes a store in a file, for the tests that kill it: `PATH NAME
 * COUNT` inserts COUNT times two keys and says so each time, without COUNT until it is
 * killed.
 */
import { Effect, Redacted } from "effect"
import { PublicKey } from "../../src/index.ts"
import * as FileKeyStore from "../../src/layers/FileKeyStore.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const [path, name, count = "Infinity"] = process.argv.slice(2) as [string, string, string?]

const program = Effect.gen(function* () {
  const passphrase = Redacted.make("correct horse battery staple")
  const store = yield* FileKeyStore.make({ path, passphrase, mustExist: true })
  const privateKey = yield* TestKey.make("Ed25519", name)
  const publicKey = yield* PublicKey.withAlgorithm(privateKey.publicKey, "Ed25519")
  for (let turn = 0; turn < Number(count); turn++) {
    yield* store.insert(
      ["a", "b"].map((half) => ({ id: `${name}-${turn}-${half}`, publicKey, privateKey, tags: {}, createdAt: turn }))
    )
    process.stdout.write(`${turn}\n`)
  }
})

await Effect.runPromise(program)
