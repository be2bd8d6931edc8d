import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import { signingService } from "../layers/support/signingService.ts"
import { run, temporary } from "./support/inProcess.ts"

const token = "token-of-the-graded-service"

/** A service with this flaw, and the flags that name it. */
const graded = Effect.fnUntraced(function* (algorithm: "Ed25519" | "ES256", flaw?: string) {
  const { at, write } = yield* temporary
  const privateKey = yield* PrivateKey.generate(algorithm)
  const signer = yield* LocalSigner.make({ privateKey })
  const { url } = yield* signingService(signer, { token, flaw })
  yield* write("key.pem", PublicKey.toPem(privateKey.publicKey))
  yield* write("token", `${token}\n`)
  const flags = ["--kid", "k1", "--key", at("key.pem"), "--token-file", at("token")]
  return yield* run(["grade", url, ...flags, "--json"])
})

interface Report {
  readonly ok: boolean
  readonly passed: number
  readonly cases: ReadonlyArray<{ readonly case: string; readonly ok: boolean; readonly problem?: string }>
}

const failed = (out: string) => (JSON.parse(out) as Report).cases.filter(({ ok }) => !ok)

describe("grade", () => {
  it.effect.each(["Ed25519", "ES256"] as const)("passes a service that is right: %s", (algorithm) =>
    Effect.gen(function* () {
      const { err, exitCode, out } = yield* graded(algorithm)
      assert.deepStrictEqual([exitCode, err, failed(out)], [0, "", []])
      assert.isAtLeast((JSON.parse(out) as Report).passed, 12)
    })
  )

  it.effect.each([
    ["open", "refuses who has no token,refuses another token"],
    ["any-key", "refuses a key id that does not exist"],
    ["any-algorithm", "refuses ed25519, which the key cannot do"]
  ] as const)("finds a service that is %s", ([flaw, cases]) =>
    Effect.gen(function* () {
      const { exitCode, out } = yield* graded("ES256", flaw)
      assert.strictEqual(exitCode, 1)
      assert.strictEqual(
        failed(out)
          .map((one) => one.case)
          .join(),
        cases
      )
    })
  )

  it.effect("says that a signature is DER, and shows no token", () =>
    Effect.gen(function* () {
      const { err, exitCode, out } = yield* graded("ES256", "der")
      assert.strictEqual(exitCode, 1)
      assert.include(failed(out)[0]?.problem, "it looks like DER")
      assert.notInclude(out + err, token)
    })
  )

  it.effect("ends with 2 where nobody answers, once, and where a token is missing", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const privateKey = yield* PrivateKey.generate("Ed25519")
      yield* write("key.pem", PublicKey.toPem(privateKey.publicKey))
      const flags = ["--kid", "k1", "--key", at("key.pem")]
      const { err, exitCode, out } = yield* run(["grade", "http://127.0.0.1:1/sign", ...flags])
      assert.deepStrictEqual([exitCode, out], [2, ""])
      assert.include(err, "127.0.0.1:1")
      const { url } = yield* signingService(yield* LocalSigner.make({ privateKey }), { token })
      const without = yield* run(["grade", url, ...flags])
      assert.deepStrictEqual([without.exitCode, without.out], [2, ""])
      assert.include(without.err, "--token-file")
    })
  )

  it.effect("finds a service that signs for everybody, also where no token is given", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const privateKey = yield* PrivateKey.generate("Ed25519")
      yield* write("key.pem", PublicKey.toPem(privateKey.publicKey))
      const { url } = yield* signingService(yield* LocalSigner.make({ privateKey }), { token, flaw: "open" })
      const { exitCode, out } = yield* run(["grade", url, "--kid", "k1", "--key", at("key.pem"), "--json"])
      assert.strictEqual(exitCode, 1)
      assert.strictEqual(failed(out)[0]?.case, "refuses who has no token")
    })
  )
})
