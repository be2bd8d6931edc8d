/**
 * 100,000 mutants of a file for each decoder of key files: typed failures, or the
 * one key. Nothing is derived at a cost that a mutant chose.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Redacted } from "effect"
import { InvalidConfiguration } from "../../src/schemas/SignerError.ts"
import * as EncryptedKeyFile from "../../src/schemas/EncryptedKeyFile.ts"
import * as EvNodeKeyFile from "../../src/schemas/EvNodeKeyFile.ts"
import * as FastnKeys from "../../src/schemas/FastnKeys.ts"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PrivateKeyForm from "../../src/schemas/PrivateKeyForm.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { cheap } from "../conformance/file.ts"
import { seeded } from "../primitives/random.ts"

const count = 100_000
const passphrase = Redacted.make("correct horse battery staple")
const secret = TestKey.secretBytes("Ed25519", "effect-signer")
const search = Canary.search([{ name: "key", secret }])

const interesting = [
  '"',
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "\\",
  "\n",
  " ",
  "#",
  "=",
  "-",
  "0",
  "9",
  "e9",
  "\u0000",
  "é",
  "__proto__",
  "null"
]

/** A text with one to four changes: characters replaced, removed, added, repeated or exchanged, or an end cut off. */
const mutate = (text: string, random: ReturnType<typeof seeded>): string => {
  let out = text
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(out.length + 1)
    const to = Math.min(out.length, at + 1 + random.below(12))
    const piece = interesting[random.below(interesting.length)]!
    out = [
      () => out.slice(0, at) + piece + out.slice(at + 1),
      () => out.slice(0, at) + String.fromCharCode(random.below(128)) + out.slice(at + 1),
      () => out.slice(0, at) + out.slice(to),
      () => out.slice(0, to) + out.slice(at),
      () => out.slice(0, at) + piece + out.slice(at),
      () => (random.below(8) === 0 ? out.slice(0, at) : out)
    ][random.below(6)]!()
  }
  return out
}

/** Runs a decoder on all mutants. `agrees` is asked of what it accepts. */
const survive = <A>(
  text: string,
  decode: (mutant: string) => Effect.Effect<A, InvalidConfiguration>,
  agrees: (value: A, mutant: string) => boolean
) =>
  Effect.gen(function* () {
    const random = seeded(text.length)
    const messages = new Set<string>()
    let accepted = 0
    for (let i = 0; i < count; i++) {
      const mutant = mutate(text, random)
      if (mutant === text) continue
      const exit = yield* Effect.exit(decode(mutant))
      if (Exit.isSuccess(exit)) {
        accepted++
        if (!agrees(exit.value, mutant)) assert.fail(`accepted ${JSON.stringify(mutant)}`)
        continue
      }
      const error = Cause.squash(exit.cause)
      if (Cause.hasDies(exit.cause) || !(error instanceof InvalidConfiguration)) {
        assert.fail(`${Cause.pretty(exit.cause)} at ${JSON.stringify(mutant)}`)
      }
      messages.add(JSON.stringify(error))
    }
    for (const message of messages) assert.isUndefined(search(message), message)
    assert.isAbove(messages.size, 3)
    return accepted
  })

const hex = Buffer.from(secret).toString("hex")

describe("100,000 mutants", () => {
  it.effect(
    "of an encrypted key file",
    () =>
      Effect.gen(function* () {
        const key = yield* TestKey.make("Ed25519")
        const text = EncryptedKeyFile.encode(yield* EncryptedKeyFile.encrypt(key, passphrase, { cost: cheap }))
        // What is accepted is a file of its own, with another salt or ciphertext: it writes itself, and does not decrypt
        const others: Array<EncryptedKeyFile.EncryptedKeyFile> = []
        yield* survive(text, EncryptedKeyFile.decode, (file, mutant) => {
          if (file.cost.memory < 100) others.push(file)
          return EncryptedKeyFile.encode(file) === mutant
        })
        for (const file of others.slice(0, 500)) {
          const error = yield* Effect.flip(EncryptedKeyFile.decrypt(file, passphrase))
          assert.strictEqual(error._tag, "InvalidConfiguration")
        }
      }),
    120_000
  )

  it.effect(
    "of a signer.json of ev-node",
    () =>
      survive(
        JSON.stringify({
          priv_key_encrypted: Buffer.alloc(80, 1).toString("base64"),
          nonce: Buffer.alloc(12, 2).toString("base64"),
          pub_key: Buffer.alloc(32, 3).toString("base64"),
          salt: Buffer.alloc(16, 4).toString("base64")
        }),
        EvNodeKeyFile.decode,
        ({ ciphertext, nonce, publicKey }) => ciphertext.length === 80 && nonce.length === 12 && publicKey.length === 32
      ),
    120_000
  )

  it.effect(
    "of fastn's lines of keys",
    () =>
      Effect.gen(function* () {
        const id52 = PublicKey.toId52((yield* TestKey.make("Ed25519")).publicKey)!
        yield* survive(
          `# keys\n${id52.slice(0, 6)}: ${hex}\nzzz:${"0".repeat(64)}\n`.replace("zzz", "vvv"),
          (mutant) => FastnKeys.find(Redacted.make(mutant), id52),
          (key) => key === undefined || PublicKey.toId52(key.publicKey) === id52
        )
      }),
    180_000
  )

  it.effect(
    "of a key in any form",
    () =>
      Effect.gen(function* () {
        const key = yield* TestKey.make("Ed25519")
        for (const text of [
          hex,
          Buffer.from(secret).toString("base64"),
          Redacted.value(PrivateKey.toPem(key)),
          JSON.stringify(Redacted.value(PrivateKey.toJwk(key)))
        ]) {
          const isBare = /^[\w+/=]+$/.test(text)
          const random = seeded(text.length)
          for (let i = 0; i < count / 4; i++) {
            const mutant = mutate(text, random)
            const exit = yield* Effect.exit(
              PrivateKeyForm.decode(new TextEncoder().encode(mutant), isBare ? { keyType: "Ed25519" } : {})
            )
            // Bare bytes, and PKCS#8 of Ed25519, are any 32 bytes: another key is another key
            if (Exit.isSuccess(exit)) continue
            const error = Cause.squash(exit.cause)
            if (Cause.hasDies(exit.cause) || !(error instanceof InvalidConfiguration)) {
              assert.fail(`${Cause.pretty(exit.cause)} at ${JSON.stringify(mutant)}`)
            }
            if (i % 50 === 0) assert.isUndefined(search(JSON.stringify(error)))
          }
        }
      }),
    180_000
  )
})
