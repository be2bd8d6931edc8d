/**
 * RFC 8785: the documents of its reference implementation, from value to bytes, and
 * the numbers of its published sequence, by the checksums of their texts.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import * as Jcs from "../../schemas/Jcs.ts"
import { checked, exception, readText, suite, VectorError } from "./VectorSuite.ts"

const check = Effect.fnUntraced(function* (folder: string, name: string) {
  const input = yield* readText(join(folder, "input", name))
  const output = yield* readText(join(folder, "output", name))
  const bytes = yield* readText(join(folder, "outhex", name.replace(/json$/, "txt")))
  const text = yield* Effect.result(Jcs.canonicalizeJson(input))
  const written = yield* Effect.result(Jcs.canonicalBytes(JSON.parse(input)))
  const again = yield* Effect.result(Jcs.canonicalizeJson(output))
  return checked(name, [
    ...(text._tag === "Success" && text.success === output ? [] : ["made another text"]),
    ...(again._tag === "Success" && again.success === output ? [] : ["changes its own text"]),
    ...(written._tag === "Success" && Buffer.from(written.success).toString("hex") === bytes.replace(/\s/g, "")
      ? []
      : ["made other bytes"])
  ])
})

/** The published sequence: first the numbers of the page, then 2000 from the smallest normal one, then a hash chain. */
function* sequence(first: ReadonlyArray<bigint>): Generator<bigint> {
  yield* first
  for (let i = 0n; i < 2000n; i++) yield 0x0010000000000000n + i
  let block: Uint8Array = new Uint8Array(32)
  for (;;) {
    block = createHash("sha256").update(block).digest()
    const words = new BigUint64Array(Uint8Array.from(block).buffer)
    for (const bits of words) {
      const value = toNumber(bits)
      if (value !== 0 && Number.isFinite(value)) yield bits
    }
  }
}

const toNumber = (bits: bigint): number => new Float64Array(BigUint64Array.of(bits).buffer)[0]!

/** The longest of the published lengths that is run: a second or two. */
const mostLines = 100_000

const numbers = Effect.fnUntraced(function* (folder: string) {
  const page = yield* Effect.orElseSucceed(readText(join(folder, "README.md")), () => undefined)
  if (page === undefined) return [exception("the numbers", "the README.md that describes them is not in this copy")]
  const first = [...page.matchAll(/\b0x[0-9a-f]{16}n\b/g)].map(([text]) => BigInt(text.slice(0, -1)))
  // the last one is where the 2000 begin
  const start = first.pop()
  const checksums = new Map(
    [...page.matchAll(/^\| ([0-9a-f]{64}) \| (\d+) /gm)].map(([, checksum, lines]) => [Number(lines), checksum!])
  )
  if (start !== 0x0010000000000000n || checksums.size === 0) {
    return yield* new VectorError({ file: "README.md", problem: "it does not describe the sequence of numbers" })
  }
  const hash = createHash("sha256")
  const outcomes = []
  let lines = 0
  for (const bits of sequence(first)) {
    hash.update(`${bits.toString(16)},${yield* Effect.orDie(Jcs.canonicalize(toNumber(bits)))}\n`)
    lines++
    const checksum = checksums.get(lines)
    if (checksum !== undefined) {
      const isRight = hash.copy().digest("hex") === checksum
      outcomes.push(checked(`the first ${lines} numbers`, isRight ? [] : ["another checksum"]))
    }
    if (lines === mostLines) break
  }
  return outcomes
})

export const jcs = suite({
  suite: "jcs",
  folder: "jcs",
  source: "cyberphone/json-canonicalization testdata, and its numbers",
  outcomes: Effect.fnUntraced(function* (root) {
    const folder = join(root, "jcs")
    const names = yield* Effect.tryPromise({
      try: () => readdir(join(folder, "input")),
      catch: (error) => new VectorError({ file: "jcs/input", problem: `cannot be read: ${String(error)}` })
    })
    const documents = yield* Effect.forEach(names.toSorted(), (name) => check(folder, name))
    return [...documents, ...(yield* numbers(folder))]
  })
})
