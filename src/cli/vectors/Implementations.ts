/**
 * Every implementation of the primitives, asked the same questions. A case passes
 * only where all give the right answer and none throws.
 *
 * Signatures are verified as a program verifies them: the public bytes are read as
 * a `PublicKey`, and a `Verifier` over each implementation answers.
 */
import * as Effect from "effect/Effect"
import { primitives as node } from "../../primitives/node.ts"
import { primitives as portable } from "../../primitives/portable.ts"
import type { Primitives } from "../../primitives/Primitives.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { all, facts } from "../../schemas/SignatureAlgorithm.ts"
import type { Facts, SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import * as Verifier from "../../services/Verifier.ts"

export const implementations: ReadonlyArray<Primitives> = [node, portable]

/** A verifier of one implementation. */
export interface Asked {
  readonly name: string
  readonly verify: (message: Uint8Array, signature: Uint8Array) => Effect.Effect<boolean>
}

/** The bytes of a public key, as vectors give them. */
const readPublicKey = (algorithm: SignatureAlgorithm, bytes: Uint8Array) => {
  const { keyType, scheme } = facts[algorithm]
  return keyType === "RSA"
    ? PublicKey.fromPkcs1(bytes)
    : PublicKey.fromRaw(scheme === "Schnorr" ? "BIP340" : keyType, bytes)
}

/** One verifier per implementation. Bytes that are refused as a key verify nothing. */
export const verifiers = (
  algorithm: SignatureAlgorithm,
  publicKey: Uint8Array,
  options: Pick<Verifier.Options, "encoding" | "lowS"> = {}
): Effect.Effect<ReadonlyArray<Asked>> =>
  Effect.forEach(implementations, (primitives) =>
    readPublicKey(algorithm, publicKey).pipe(
      Effect.flatMap((key) => Verifier.makeWith(primitives)(key, { ...options, algorithm })),
      Effect.map(({ verify }): Asked => ({ name: primitives.name, verify })),
      Effect.catchTag("InvalidConfiguration", () =>
        Effect.succeed({ name: primitives.name, verify: () => Effect.succeed(false) })
      ),
      Effect.orDie // an algorithm that the runtime of the tests lacks
    )
  )

/** The algorithm of the table with these facts, if it has one. */
export const algorithmWith = (wanted: Partial<Facts>): SignatureAlgorithm | undefined =>
  all.find((algorithm) =>
    Object.entries(wanted).every(([name, value]) => facts[algorithm][name as keyof Facts] === value)
  )

/** Why a curve and a hash are not run: the curve where that is reason enough. */
export const notEcdsaHere = (curve: string, isOurs: boolean, hash: string): string =>
  isOurs
    ? `ECDSA on ${curve} with ${hash} is not an algorithm of this toolkit`
    : `${curve} is not a curve of this toolkit`

/** What a vector says of a signature. `acceptable` may be answered either way, the same by all. */
export type Expected = "valid" | "invalid" | "acceptable"

/** What is wrong with the answers over one signature. */
export const problemsOf = Effect.fnUntraced(function* (
  asked: ReadonlyArray<Asked>,
  expected: Expected,
  message: Uint8Array,
  signature: Uint8Array
) {
  const answers = yield* Effect.forEach(asked, ({ name, verify }) =>
    Effect.suspend(() => verify(message, signature)).pipe(
      Effect.map((valid) => ({ name, answer: valid ? "valid" : "invalid" })),
      Effect.catchDefect((defect) => Effect.succeed({ name, answer: `throws ${String(defect)}` }))
    )
  )
  const right = expected === "acceptable" ? answers[0]!.answer : expected
  return answers
    .filter(({ answer }) => answer !== right || answer.startsWith("throws"))
    .map(({ answer, name }) => `${name} answers ${answer}, expected ${expected}`)
})

/** What is wrong with what each implementation does. */
export const problemsWith = (
  ask: (primitives: Primitives) => Promise<ReadonlyArray<string>>
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.forEach(implementations, (primitives) =>
      Effect.promise(() => ask(primitives)).pipe(
        Effect.catchDefect((defect) => Effect.succeed([`throws ${String(defect)}`])),
        Effect.map((problems) => problems.map((problem) => `${primitives.name}: ${problem}`))
      )
    ),
    (problems) => problems.flat()
  )

const toHex = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? "nothing" : Buffer.from(bytes).toString("hex")

/** A problem where bytes differ from the expected ones, none where they are the same. */
export const unequal = (what: string, actual: Uint8Array | undefined, expected: Uint8Array): ReadonlyArray<string> =>
  toHex(actual) === toHex(expected) ? [] : [`${what} is ${toHex(actual)}, expected ${toHex(expected)}`]
