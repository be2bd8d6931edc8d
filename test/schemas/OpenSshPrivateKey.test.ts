import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Redacted } from "effect"
import * as OpenSshPrivateKey from "../../src/schemas/OpenSshPrivateKey.ts"
import { Malformed } from "../../src/schemas/Malformed.ts"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PrivateKeyForm from "../../src/schemas/PrivateKeyForm.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { InvalidConfiguration } from "../../src/schemas/SignerError.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { seeded } from "../primitives/random.ts"
import { pem } from "./keys.ts"
import { encryptedOpenSshKey, openSshKeys } from "./openSshKeys.ts"
import { refused } from "./refused.ts"

const derOf = (file: string) => Buffer.from(file.replace(/-----.*-----|\n/g, ""), "base64")

const fileOf = (bytes: Uint8Array) => {
  const lines = Buffer.from(bytes)
    .toString("base64")
    .replace(/.{1,70}/g, "$&\n")
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}-----END OPENSSH PRIVATE KEY-----\n`
}

const [ed25519, p256] = openSshKeys.map(({ file }) => derOf(file)) as [Buffer, Buffer]
const read = (bytes: Uint8Array) => PrivateKey.fromPem(fileOf(bytes))

/** A copy with some bytes changed. */
const changed = (bytes: Uint8Array, change: (copy: Buffer) => void) => {
  const copy = Buffer.from(bytes)
  change(copy)
  return copy
}

describe("openssh-key-v1", () => {
  it.effect.each(openSshKeys)("of $type is read as ssh-keygen writes it", ({ file, line, type }) =>
    Effect.gen(function* () {
      assert.strictEqual(fileOf(derOf(file)), file)
      const key = yield* PrivateKey.fromPem(file)
      assert.strictEqual(key.type, type)
      assert.strictEqual(PublicKey.toOpenSsh(key.publicKey), line)
      // The secret is the whole one: what it writes as PKCS#8 is read, and compared, again
      const again = yield* PrivateKey.fromPem(PrivateKey.toPem(key))
      assert.strictEqual(PublicKey.toOpenSsh(again.publicKey), line)
      const form = yield* PrivateKeyForm.decode(Buffer.from(file), {})
      assert.strictEqual(PublicKey.toOpenSsh(form.publicKey), line)
    })
  )

  it.effect("is refused where it is encrypted, with a passphrase and without", () =>
    Effect.gen(function* () {
      const passphrase = Redacted.make("secret")
      const advice = /encrypted in the way of OpenSSH.*ssh-add/
      yield* refused(PrivateKey.fromPem(encryptedOpenSshKey), "openssh", advice)
      yield* refused(PrivateKey.fromPem(encryptedOpenSshKey, { passphrase }), "openssh", advice)
      yield* refused(PrivateKeyForm.decode(Buffer.from(encryptedOpenSshKey), { passphrase }), "openssh", advice)
      const plain = Buffer.from(fileOf(ed25519))
      yield* refused(PrivateKeyForm.decode(plain, { passphrase }), "passphrase", /not encrypted; leave/)
    })
  )

  it.effect("is refused where a part of it is another one", () =>
    Effect.gen(function* () {
      const at = (bytes: Buffer, text: string) => bytes.lastIndexOf(text)
      const check = at(ed25519, "ssh-ed25519") - 12
      const comment = at(ed25519, "a comment")
      for (const [bytes, problem] of [
        [changed(ed25519, (copy) => void (copy[0] = 0x4f)), /does not begin with openssh-key-v1/],
        [changed(ed25519, (copy) => copy.write("nono", 19)), /encrypted/],
        [changed(ed25519, (copy) => copy.write("bcry", 27)), /names a key derivation/],
        [changed(ed25519, (copy) => void (copy[38] = 2)), /not one key/],
        [changed(ed25519, (copy) => void (copy[check]! ^= 1)), /check numbers differ/],
        [changed(ed25519, (copy) => void (copy[copy.length - 1]! ^= 1)), /the padding is not 1, 2, 3/],
        [changed(ed25519, (copy) => void (copy[comment - 1]! += 8)), /cut off/],
        [changed(ed25519, (copy) => copy.write("ssh-ed25518", at(copy, "ssh-ed25519"))), /another key type/],
        // The public key before it, the one beside it, the one in the second half, and the seed
        [changed(ed25519, (copy) => void (copy[70]! ^= 1)), /the public key before it does not belong/],
        [changed(ed25519, (copy) => void (copy[comment - 4 - 70]! ^= 1)), /the public half beside it does not belong/],
        [changed(ed25519, (copy) => void (copy[comment - 5]! ^= 1)), /the second 32 bytes does not belong/],
        [changed(ed25519, (copy) => void (copy[comment - 4 - 60]! ^= 1)), /does not belong/],
        [changed(p256, (copy) => copy.write("nistp384", at(copy, "nistp256"))), /the curve is not that/],
        [ed25519.subarray(0, 200), /cut off/],
        [Buffer.concat([ed25519, Buffer.of(0)]), /bytes after the end/]
      ] as const) {
        yield* refused(read(bytes), "openssh", problem)
      }
      yield* refused(PrivateKey.fromPem(pem("OPENSSH PRIVATE KEY", ed25519)), "pem", /not 70 characters/)
    })
  )

  it.effect(
    "answers 100,000 mutants with the one key or a typed error that shows nothing of it",
    () =>
      Effect.gen(function* () {
        const random = seeded(70)
        const search = Canary.search([{ name: "seed", secret: OpenSshPrivateKey.decode(ed25519).secret }])
        const line = openSshKeys[0]!.line
        const messages = new Set<string>()
        let accepted = 0
        for (let i = 0; i < 100_000; i++) {
          const mutant = changed(ed25519, (copy) => {
            for (let changes = 1 + random.below(3); changes > 0; changes--)
              copy[random.below(copy.length)] = random.below(256)
          }).subarray(0, random.below(8) === 0 ? random.below(ed25519.length) : undefined)
          try {
            OpenSshPrivateKey.decode(mutant)
          } catch (error) {
            assert.instanceOf(error, Malformed)
            messages.add((error as Malformed).message)
            continue
          }
          const exit = yield* Effect.exit(read(mutant))
          if (Exit.isSuccess(exit)) {
            accepted++
            assert.strictEqual(PublicKey.toOpenSsh(exit.value.publicKey), line)
            continue
          }
          const error = Cause.squash(exit.cause)
          assert.instanceOf(error, InvalidConfiguration)
          messages.add(JSON.stringify(error))
        }
        for (const message of messages) assert.isUndefined(search(message), message)
        assert.isAbove(messages.size, 10)
        assert.isAbove(accepted, 100) // the comment may be anything
      }),
    60_000
  )
})
