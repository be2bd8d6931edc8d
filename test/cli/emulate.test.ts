/** `effect-signer emulate`, as the process that it is. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess } from "node:child_process"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { emulators } from "../../src/cli/Emulators.ts"
import * as SignerConfig from "../../src/layers/SignerConfig.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as Signer from "../../src/Signer.ts"
import * as Child from "./support/child.ts"
import * as InProcess from "./support/inProcess.ts"

interface Description {
  readonly vendor: string
  readonly url: string
  readonly env: Readonly<Record<string, string>>
  readonly keys: ReadonlyArray<{
    readonly name: string
    readonly type: string
    readonly id: string
    readonly config: object
  }>
}

/** An emulator that has said how to reach it, and how it ends. */
const started = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const running = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      let child: ChildProcess | undefined
      const ended = Child.run(["emulate", ...args], { started: (process) => void (child = process) })
      const text = await new Promise<string>((resolve) => {
        let out = ""
        child!.stdout!.on("data", (chunk: Buffer) => {
          out += chunk.toString()
          if (out.endsWith("\n")) resolve(out)
        })
        void ended.then(({ err }) => resolve(err))
      })
      return { child: child!, ended, text }
    }),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return ended
      })
  )
  return running
})

const described = (args: ReadonlyArray<string>) =>
  Effect.map(started([...args, "--json"]), (running) => ({
    ...running,
    description: JSON.parse(running.text) as Description
  }))

const failing = (...args: ReadonlyArray<string>) =>
  Effect.map(InProcess.run(["emulate", ...args]), ({ err, exitCode, out }) => {
    assert.deepStrictEqual([exitCode, out], [2, ""])
    return err.replace("effect-signer: ", "").trimEnd()
  })

const message = new TextEncoder().encode("message")

describe("emulate", () => {
  it.live.each([
    { vendor: "aws", type: "ECC_NIST_P384", algorithm: "ES384", signal: "SIGTERM" },
    { vendor: "azure", type: "P-256", algorithm: "ES256", signal: "SIGINT" },
    { vendor: "gcp", type: "EC_SIGN_ED25519", algorithm: "Ed25519", signal: "SIGTERM" },
    { vendor: "vault", type: "ed25519", algorithm: "Ed25519", signal: "SIGINT" }
  ] as const)(
    "$vendor answers to the configuration that it prints, and $signal ends it",
    ({ algorithm, signal, type, vendor }) =>
      Effect.gen(function* () {
        const { child, description, ended } = yield* described([
          vendor,
          "--key",
          `one=${type.toLowerCase()}`,
          "--key",
          "two"
        ])
        assert.match(description.url, /^http:\/\/127\.0\.0\.1:\d+$/)
        assert.deepStrictEqual(
          description.keys.map(({ name, type }) => [name, type]),
          [
            ["one", type],
            ["two", emulators[vendor]!.keyTypes[0]!]
          ]
        )
        const signers = yield* Effect.forEach(description.keys, ({ config }) =>
          Effect.gen(function* () {
            const signer = yield* Signer.Signer
            yield* signer.sign(message) // verified by its layer
            return { algorithm: signer.algorithm, key: PublicKey.thumbprint(yield* signer.publicKey()) }
          }).pipe(Effect.provide(SignerConfig.layer(config)))
        )
        assert.strictEqual(signers[0]!.algorithm, algorithm)
        assert.notStrictEqual(signers[0]!.key, signers[1]!.key)
        child.kill(signal)
        const end = yield* Effect.promise(() => ended)
        assert.deepStrictEqual([end.signal, end.exitCode, end.err], [signal, null, ""])
      }).pipe(Effect.scoped)
  )

  it.live.each([
    { vendor: "aws", prefix: "AWS_REGION" },
    { vendor: "azure", prefix: "AZURE_KEYVAULT_URL" },
    { vendor: "gcp", prefix: "GCP_KMS_ENDPOINT" },
    { vendor: "vault", prefix: "VAULT_ADDR" }
  ])("$vendor prints variables to paste, with which a signer works", ({ prefix, vendor }) =>
    Effect.gen(function* () {
      const { text } = yield* started([vendor])
      const env = Object.fromEntries(
        [...text.matchAll(/^export (\w+)='([^']*)'$/gm)].map(([, name, value]) => [name!, value!] as const)
      )
      assert.property(env, prefix)
      assert.property(env, "SIGNER_BACKEND")
      assert.include(text, '{ "env": "NAME" }')
      for (const line of text.split("\n")) assert.match(line, /^(#.*|export \w+='[\w:/.-]+'|)$/)
      const checked = yield* Effect.promise(() => Child.run(["check", "--signer-env", "-"], { env }))
      assert.deepStrictEqual([checked.exitCode, checked.err], [0, ""])
    }).pipe(Effect.scoped)
  )

  it.live("throttles as often as it is told, and the same signatures for the same seed", () =>
    Effect.gen(function* () {
      const outcomes = Effect.gen(function* () {
        const { description } = yield* described(["vault", "--fault", "throttle:0.5", "--seed", "7"])
        const layer = SignerConfig.layer({ ...description.keys[0]!.config, resilience: { times: 0 } })
        return yield* Effect.forEach(Array.from({ length: 20 }), () =>
          Effect.match(Signer.sign(message), {
            onFailure: (error) => (error._tag === "Retryable" ? error.reason._tag : error._tag),
            onSuccess: () => "signed"
          })
        ).pipe(Effect.provide(layer))
      }).pipe(Effect.scoped)
      const [first, second] = [yield* outcomes, yield* outcomes]
      assert.deepStrictEqual(first, second)
      assert.deepStrictEqual([...new Set(first)].toSorted(), ["RateLimited", "signed"])
    })
  )

  it.live("rotates its keys", () =>
    Effect.gen(function* () {
      const { description } = yield* described(["vault", "--rotate-every", "100 millis"])
      const rotated = Effect.gen(function* () {
        let version: string | undefined
        while (version === undefined || Number(version) < 3) version = (yield* Signer.sign(message)).keyVersion
        return version
      })
      const layer = SignerConfig.layer(description.keys[0]!.config)
      assert.isAtLeast(Number(yield* rotated.pipe(Effect.provide(layer))), 3)
    }).pipe(Effect.scoped)
  )

  it.live("takes the port that is asked for, and says that one is taken", () =>
    Effect.gen(function* () {
      const port = yield* Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<{ readonly port: number; readonly close: () => void }>((resolve) => {
              const server = createServer().listen(0, "127.0.0.1", () =>
                resolve({ port: (server.address() as AddressInfo).port, close: () => server.close() })
              )
            })
        ),
        ({ close }) => Effect.sync(close)
      )
      assert.strictEqual(
        yield* failing("vault", "--port", String(port.port)),
        "port: is in use by another program; name another one, or 0 for any that is free"
      )
      port.close()
      const { description } = yield* described(["vault", "--port", String(port.port)])
      assert.strictEqual(description.url, `http://127.0.0.1:${port.port}`)
    }).pipe(Effect.scoped)
  )

  it.live("refuses what makes no sense in a sentence", () =>
    Effect.gen(function* () {
      const key = "--key is NAME or NAME=TYPE; a name is letters, digits and hyphens"
      assert.strictEqual(yield* failing("vault", "--key", "a b"), key)
      assert.strictEqual(yield* failing("vault", "--key", "=ed25519"), key)
      assert.include(
        yield* failing("vault", "--key", "a=P-256"),
        "--key: P-256 is no type of keys here; they are ed25519, ecdsa-p256"
      )
      assert.strictEqual(yield* failing("azure", "--key", "a", "--key", "A"), "--key: two keys have the same name")
      for (const fault of ["x", "throttle:", "throttle:x", "toString"]) {
        assert.include(yield* failing("vault", "--fault", fault), "--fault is NAME or NAME:PROBABILITY")
      }
      for (const fault of ["throttle:0", "throttle:1.5", "throttle:2", "throttle:20"]) {
        assert.include(yield* failing("vault", "--fault", fault), "--fault: the probability is out of range")
      }
      for (const time of ["0 millis", "5", "-5 seconds", "5 parsecs"]) {
        assert.include(yield* failing("vault", `--rotate-every=${time}`), "--rotate-every is a time")
      }
      assert.include(yield* failing("aws", "--rotate-every", "5 seconds"), "do not rotate")
      assert.include(yield* failing("vault", "--port", "65536"), "--port is a number from 0 to 65535")
      assert.include(yield* failing("ibm"), "ibm is no vendor that is emulated; they are aws, azure, gcp, vault")
      assert.include(yield* failing("volt"), "did you mean vault?")
      assert.notInclude(yield* failing("vault", "--key", `a=${"k".repeat(60)}`), "kkk")
    })
  )
})
