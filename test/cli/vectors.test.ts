import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdir, writeFile } from "node:fs/promises"
import { run, temporary } from "./support/inProcess.ts"

const header = "index,secret key,public key,aux_rand,message,signature,verification result,comment"

/** The first row of https://github.com/bitcoin/bips/blob/master/bip-0340/test-vectors.csv */
const row =
  "0,0000000000000000000000000000000000000000000000000000000000000003," +
  "F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9," +
  "0000000000000000000000000000000000000000000000000000000000000000," +
  "0000000000000000000000000000000000000000000000000000000000000000," +
  "E907831F80848D1069A5371B402410364BDF1C5F8307B0084C55F1CE2DCA821525F66A4A85EA8B71E482A74F382D2CE5EBEEE8FDB2172F477DF4900D310536C0," +
  "TRUE,"

/** A folder with one family, of which the one vector is this. */
const folder = Effect.fnUntraced(function* (line: string) {
  const { at } = yield* temporary
  yield* Effect.promise(async () => {
    await mkdir(at("vectors/bip340"), { recursive: true })
    await writeFile(at("vectors/bip340/test-vectors.csv"), `${header}\n${line}\n`)
  })
  return at("vectors")
})

describe("vectors", () => {
  it.effect("runs the families that are there, and names the others", () =>
    Effect.gen(function* () {
      const dir = yield* folder(row)
      const { err, exitCode, out } = yield* run(["vectors", "run", dir])
      assert.deepStrictEqual([exitCode, err], [0, "1/1 bip340\n"])
      assert.match(out, /^suite .*\nbip340 {2}1 {6}1 /)
      assert.match(out, /not in the folder, not run: rfc8032, .*adcp\/request/)
      const json = yield* run(["vectors", "run", dir, "--json"])
      assert.deepStrictEqual([json.exitCode, json.err], [0, ""])
      assert.deepInclude(JSON.parse(json.out), { ok: true })
    })
  )

  it.effect("ends with 1 where an answer is wrong, and where a file cannot be read", () =>
    Effect.gen(function* () {
      for (const line of [row.replace("E907", "E908"), row.replace("TRUE", "PERHAPS")]) {
        const { exitCode, out } = yield* run(["vectors", "run", yield* folder(line)])
        assert.strictEqual(exitCode, 1)
        assert.include(out, "bip340: FAILED")
      }
    })
  )

  it.effect("ends with 2 where there is nothing to run", () =>
    Effect.gen(function* () {
      const dir = yield* folder(row)
      for (const args of [[`${dir}/bip340`], [`${dir}/none`], [dir, "--only", "rfc"]]) {
        const { exitCode, out } = yield* run(["vectors", "run", ...args])
        assert.deepStrictEqual([exitCode, out], [2, ""])
      }
    })
  )

  it.effect("lists what is looked for, and where it is published", () =>
    Effect.gen(function* () {
      const { exitCode, out } = yield* run(["vectors", "list"])
      assert.strictEqual(exitCode, 0)
      assert.include(out, "bitcoin/bips bip-0340/test-vectors.csv")
    })
  )
})
