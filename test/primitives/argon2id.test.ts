import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { argon2id, inSlices, inWorker, native } from "../../src/primitives/argon2id.ts"
import { seeded } from "./random.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

/** From the tests of the reference implementation, phc-winner-argon2: version 0x13, 2^16 KiB, 2 passes, 1 lane. */
const reference = {
  input: { passphrase: utf8("password"), salt: utf8("somesalt"), memory: 65_536, iterations: 2, parallelism: 1 },
  key: "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
}

/** A worker needs `import.meta.resolve`, which the test runner has not: a process of its own. */
const inAnotherProcess = (input: typeof reference.input) => {
  const module = fileURLToPath(new URL("../../src/primitives/argon2id.ts", import.meta.url))
  const { passphrase, salt, ...cost } = input
  const code = `
    const { inWorker } = await import(${JSON.stringify(module)})
    const input = { passphrase: Buffer.from("${hex(passphrase)}", "hex"), salt: Buffer.from("${hex(salt)}", "hex"), ...${JSON.stringify(cost)} }
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const key = await inWorker()({ ...input, passphrase: new Uint8Array(input.passphrase), salt: new Uint8Array(input.salt) })
    clearInterval(timer)
    const controller = new AbortController()
    const aborted = inWorker()({ ...input, memory: 262144, iterations: 16 }, controller.signal)
    controller.abort()
    const end = await aborted.then(() => "finished", () => "stopped")
    console.log(JSON.stringify({ key: Buffer.from(key).toString("hex"), turns, end }))
  `
  const out = execFileSync(process.execPath, ["--conditions=effect-signer-source", "--input-type=module", "-e", code], {
    timeout: 60_000
  })
  return JSON.parse(out.toString()) as { readonly key: string; readonly turns: number; readonly end: string }
}

describe("argon2id", () => {
  it("is what the reference implementation computes", async () => {
    assert.strictEqual(hex(await argon2id(reference.input)), reference.key)
  })

  it("is the same in slices, and timers run meanwhile", async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    assert.strictEqual(hex(await inSlices(reference.input)), reference.key)
    clearInterval(timer)
    assert.isAbove(turns, 2)
  })

  it("ends in the middle of its slices when it is aborted", async () => {
    const controller = new AbortController()
    const aborted = inSlices({ ...reference.input, memory: 262_144, iterations: 16 }, controller.signal).then(
      () => "finished",
      () => "stopped"
    )
    setTimeout(() => controller.abort(), 20)
    assert.strictEqual(await aborted, "stopped")
  })

  it("is the same in a worker, which leaves this thread free and which an abort ends", () => {
    const { end, key, turns } = inAnotherProcess(reference.input)
    assert.strictEqual(key, reference.key)
    assert.isAbove(turns, 2)
    assert.strictEqual(end, "stopped")
  })

  it("is the same natively for any input, where Node has it", async () => {
    const random = seeded(1)
    const [major, minor] = process.versions.node.split(".").map(Number) as [number, number]
    assert.strictEqual(native() !== undefined, major > 24 || (major === 24 && minor >= 7))
    for (let i = 0; i < 20; i++) {
      const parallelism = 1 + random.below(4)
      const input = {
        passphrase: random.bytes(1 + random.below(80)),
        salt: random.bytes(16),
        memory: 8 * parallelism + random.below(40),
        iterations: 1 + random.below(3),
        parallelism
      }
      const key = hex(await inSlices(input))
      assert.strictEqual(hex(await (native() ?? inSlices)(input)), key)
      assert.strictEqual(hex(await argon2id(input)), key)
    }
  })

  it("has no worker where the package cannot be named", () => {
    // the test runner bundles: import.meta.resolve is not there
    assert.strictEqual(inWorker() === undefined, typeof import.meta.resolve !== "function")
  })
})
