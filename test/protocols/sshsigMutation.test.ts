/**
 * 100,000 mutants for each decoder of SSHSIG: typed failures only, and no mutant of a
 * signature verifies unless it says the same.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import * as Sshsig from "../../src/protocols/Sshsig.ts"
import { SshsigError } from "../../src/protocols/ssh/SshsigError.ts"
import { seeded } from "../primitives/random.ts"
import { message, vectors } from "./sshsigVectors.ts"

const count = 100_000

const pieces = ["\n", "\r\n", " ", "\t", '"', ",", "=", "#", "*", "!", "\\", "-----", "cert-authority", "\u0000", "é"]

/** One to three changes of a text: characters replaced, removed, added, repeated, or an end cut off. */
const mutated = (text: string, random: ReturnType<typeof seeded>): string => {
  let out = text
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const at = random.below(out.length + 1)
    const to = Math.min(out.length, at + 1 + random.below(9))
    const piece = random.below(2) === 0 ? pieces[random.below(pieces.length)]! : String.fromCharCode(random.below(128))
    out = [
      out.slice(0, at) + piece + out.slice(at + 1),
      out.slice(0, at) + piece + out.slice(at),
      out.slice(0, at) + out.slice(to),
      out.slice(0, to) + out.slice(at),
      random.below(8) === 0 ? out.slice(0, at) : out
    ][random.below(5)]!
  }
  return out
}

const mutatedBytes = (bytes: Uint8Array, random: ReturnType<typeof seeded>): Uint8Array => {
  const at = random.below(bytes.length)
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
  return [
    bytes.with(at, bytes[at]! ^ (1 << random.below(8))),
    Uint8Array.from([...head, random.below(256), ...tail]),
    Uint8Array.from([...head, ...tail.subarray(1 + random.below(4))]),
    Uint8Array.from(head)
  ][random.below(4)]!
}

/** Runs a decoder on every mutant; `accepted` is asked of what it takes. */
const survive = <Input, A>(
  mutants: (random: ReturnType<typeof seeded>, number: number) => Input,
  decode: (mutant: Input) => Effect.Effect<A, SshsigError>,
  accepted: (value: A, mutant: Input) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const random = seeded(9212)
    let refused = 0
    for (let number = 0; number < count; number++) {
      const mutant = mutants(random, number)
      const exit = yield* Effect.exit(decode(mutant))
      if (Exit.isSuccess(exit)) {
        yield* accepted(exit.value, mutant)
        continue
      }
      if (Cause.hasDies(exit.cause) || !(Cause.squash(exit.cause) instanceof SshsigError)) {
        assert.fail(`${Cause.pretty(exit.cause)} at ${JSON.stringify(mutant)}`)
      }
      refused++
    }
    assert.isAbove(refused, count / 10)
  })

const cases = await Effect.runPromise(
  Effect.forEach(
    vectors.filter(({ algorithm }) => algorithm === "Ed25519" || algorithm === "ES256"),
    (vector) =>
      Effect.gen(function* () {
        const signature = yield* Sshsig.fromArmored(vector.signature)
        return { ...vector, parsed: signature, bytes: Sshsig.toBytes(signature) }
      })
  )
)

/** A mutant that still verifies must be the signature itself, in another armor at most. */
const isHarmless = (parsed: Sshsig.Sshsig, { bytes, namespace, parsed: original }: (typeof cases)[number]) =>
  Effect.map(Effect.exit(Sshsig.verify(message, parsed, { publicKey: original.publicKey, namespace })), (exit) =>
    assert.isTrue(
      Exit.isFailure(exit) || !exit.value || Buffer.from(Sshsig.toBytes(parsed)).equals(bytes),
      "a changed signature verifies"
    )
  )

describe("100,000 mutants", () => {
  it.effect(
    "of armored signatures",
    () =>
      survive(
        (random, number) => mutated(cases[number % cases.length]!.signature, random),
        Sshsig.fromArmored,
        (parsed) => Effect.forEach(cases, (one) => isHarmless(parsed, one), { discard: true })
      ),
    120_000
  )

  it.effect(
    "of signatures in bytes",
    () =>
      survive(
        (random, number) => mutatedBytes(cases[number % cases.length]!.bytes, random),
        Sshsig.fromBytes,
        (parsed) => Effect.forEach(cases, (one) => isHarmless(parsed, one), { discard: true })
      ),
    120_000
  )

  it.effect(
    "of a file of allowed signers",
    () => {
      const file = [
        "# comment",
        `user@example.com,*@example.org namespaces="git,file" ${vectors[0]!.line}`,
        `!evil@example.org,*@example.org valid-after="20240101",valid-before="20300101Z" ${vectors[1]!.line}`,
        ""
      ].join("\n")
      return survive(
        (random) => mutated(file, random),
        Sshsig.parseAllowedSigners,
        (signers) => Effect.sync(() => assert.isAtMost(signers.length, 6))
      )
    },
    120_000
  )
})
