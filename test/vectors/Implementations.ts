/**
 * Every implementation of the primitives, behind the few questions that vectors
 * ask. A suite asks all of them at once, so a case passes only where all give the
 * right answer and none throws.
 */
import { Effect } from "effect"
import { primitives as node } from "../../src/primitives/node.ts"
import { primitives as portable } from "../../src/primitives/portable.ts"
import { type Primitives, Unsupported } from "../../src/primitives/Primitives.ts"
import * as Ecdsa from "../../src/schemas/Ecdsa.ts"
import { all, facts } from "../../src/schemas/SignatureAlgorithm.ts"
import type { Facts, SignatureAlgorithm } from "../../src/schemas/SignatureAlgorithm.ts"

export const implementations: ReadonlyArray<Primitives> = [node, portable]

/** Verifies signatures in the encoding that the vectors are in. */
export interface Verifier {
  readonly name: string
  readonly verify: (message: Uint8Array, signature: Uint8Array) => Promise<boolean>
}

export interface VerifierOptions {
  readonly encoding?: "raw" | "der" | undefined
  readonly lowS?: boolean | undefined
}

/** One verifier per implementation. Bytes that an implementation refuses as a key verify nothing. */
export const verifiers = (
  algorithm: SignatureAlgorithm,
  publicKey: Uint8Array,
  options: VerifierOptions = {}
): Promise<ReadonlyArray<Verifier>> =>
  Promise.all(implementations.map(async (primitives): Promise<Verifier> => {
    const verify = await primitives.prepareVerify(algorithm, publicKey).catch((error) => {
      if (error instanceof Unsupported) throw error
      return () => false
    })
    const length = facts[algorithm].signatureLength! / 2
    return {
      name: primitives.name,
      verify: async (message, signature) => {
        const raw = options.encoding === "der" ? Ecdsa.fromDer(signature, length) : signature
        if (raw === undefined) return false
        if (options.lowS === true && (raw.length !== 64 || !Ecdsa.isLowS(raw))) return false
        return verify(message, raw)
      }
    }
  }))

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

/** What the verifiers answer wrongly over one signature. */
export const problemsOf = async (
  asked: ReadonlyArray<Verifier>,
  expected: Expected,
  message: Uint8Array,
  signature: Uint8Array
): Promise<ReadonlyArray<string>> => {
  const answers = await Promise.all(asked.map(async ({ name, verify }) => {
    const answer = await verify(message, signature).then(
      (valid) => (valid ? "valid" : "invalid"),
      (error) => `throws ${String(error)}`
    )
    return { name, answer }
  }))
  const right = expected === "acceptable" ? answers[0]!.answer : expected
  return answers
    .filter(({ answer }) => answer !== right || answer.startsWith("throws"))
    .map(({ answer, name }) => `${name} answers ${answer}, expected ${expected}`)
}

/** What the implementations do other than expected, each asked on its own. */
export const problemsWith = async (
  ask: (primitives: Primitives) => Promise<ReadonlyArray<string>>
): Promise<ReadonlyArray<string>> => {
  const problems = await Promise.all(implementations.map(async (primitives) => {
    const found = await ask(primitives).catch((error) => [`throws ${String(error)}`])
    return found.map((problem) => `${primitives.name}: ${problem}`)
  }))
  return problems.flat()
}

export const toHex = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? "nothing" : Buffer.from(bytes).toString("hex")

/** A problem where bytes differ from the expected ones, none where they are the same. */
export const unequal = (what: string, actual: Uint8Array | undefined, expected: Uint8Array): ReadonlyArray<string> =>
  toHex(actual) === toHex(expected) ? [] : [`${what} is ${toHex(actual)}, expected ${toHex(expected)}`]

/** Runs checks that answer with promises; one that throws outside of what it checks is a defect. */
export const run = <A>(check: () => Promise<A>): Effect.Effect<A> => Effect.promise(check)
