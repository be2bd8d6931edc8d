import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Context, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { KeyId, LocalSigner, PublicKey, SignatureAlgorithm, Signer, Verifier } from "../../src/index.ts"
import * as SshAgentServer from "../../src/layers/SshAgentServer.ts"
import * as SshAgentSigner from "../../src/layers/SshAgentSigner.ts"
import * as SshAgentFrame from "../../src/schemas/SshAgentFrame.ts"
import * as SshSignature from "../../src/schemas/SshSignature.ts"
import * as SshWire from "../../src/schemas/SshWire.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { overServer, privateFolder, sshAgent } from "../conformance/sshAgent.ts"
import { secretsOf } from "./keys.ts"
import { blobOf, type Script, scriptedAgent } from "./scriptedAgent.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const message = bytes("a message that must not show anywhere")

for (const { algorithm, layer, maxMessageLength } of sshAgent) {
  Conformance.suite(it, `kit/ssh-agent/server/${algorithm}`, layer, {
    maxMessageLength,
    secrets: [...secretsOf(algorithm)],
    faulty: [
      overServer(algorithm, { key: { comment: "of no key" } }),
      overServer(algorithm, { socket: "/nonexistent/agent", resilience: { times: 0 } })
    ]
  })
}

/** A Signer of its own over an agent that follows a script: bare, or as `layer` decorates it, without repetition. */
const over = Effect.fnUntraced(function* (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  script: Script,
  options: Partial<SshAgentSigner.Options> & { readonly list?: Script; readonly isBare?: boolean } = {}
) {
  const { isBare, list, ...rest } = options
  const key = yield* TestKey.make(algorithm)
  const agent = yield* scriptedAgent(key, script, list)
  const all = { socket: agent.socket, key: { publicKey: key.publicKey }, algorithm, ...rest }
  const layer =
    isBare === true ? SshAgentSigner.layerBare(all) : SshAgentSigner.layer({ ...all, resilience: { times: 0 } })
  const signer = Context.get(yield* Layer.build(layer), Signer.Signer)
  return { agent, key, signer }
})

/** What a failure shows in any form must not hold the message. */
const failureOf = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(self), (exit) => {
    assert.isTrue(Exit.isFailure(exit), "it succeeded")
    const cause = (exit as Exit.Failure<A, E>).cause
    const error = Cause.squash(cause) as E
    const sighting = Canary.search([{ name: "the message", secret: message }])(
      [Cause.pretty(cause), Canary.show(cause), Canary.show(error)].join("\n")
    )
    assert.isUndefined(sighting)
    return error
  })

const flipped = (answer: Uint8Array) => answer.with(answer.length - 1, answer.at(-1)! ^ 1)
const signature = (...parts: ReadonlyArray<Uint8Array>) => SshAgentFrame.signResponse(SshWire.concat(...parts))

interface Fault {
  readonly name: string
  readonly tag: string
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm
  readonly script: Script
}

const faults: ReadonlyArray<Fault> = [
  { name: "an answer of another type", tag: "InvalidResponse", script: () => SshAgentFrame.encode(Uint8Array.of(99)) },
  { name: "success without a signature", tag: "InvalidResponse", script: () => SshAgentFrame.encode(Uint8Array.of(6)) },
  { name: "a list instead of a signature", tag: "InvalidResponse", script: () => SshAgentFrame.identitiesAnswer([]) },
  { name: "a frame without a type", tag: "InvalidResponse", script: () => new Uint8Array(4) },
  { name: "a frame of 256 KiB and a byte", tag: "InvalidResponse", script: () => Uint8Array.of(0, 4, 0, 1, 14) },
  { name: "noise", tag: "InvalidResponse", script: () => bytes("HTTP/1.1 400 Bad Request\r\n\r\n") },
  {
    name: "bytes after the signature",
    tag: "InvalidResponse",
    script: ({ honest }) => SshAgentFrame.encode(honest.subarray(4), Uint8Array.of(0))
  },
  {
    name: "a signature that is cut off",
    tag: "InvalidResponse",
    script: () => signature(SshWire.string("ssh-ed25519"))
  },
  {
    name: "a signature of 63 bytes",
    tag: "InvalidResponse",
    script: () => signature(SshWire.string("ssh-ed25519"), SshWire.string(new Uint8Array(63)))
  },
  { name: "a signature that does not verify", tag: "InvalidResponse", script: ({ honest }) => flipped(honest) },
  {
    name: "a signature of another algorithm",
    tag: "InvalidResponse",
    script: () => signature(SshWire.string("ecdsa-sha2-nistp256"), SshWire.string(new Uint8Array(64)))
  },
  {
    name: "a signature with the other hash",
    tag: "InvalidResponse",
    algorithm: "RS512",
    script: () => signature(SshWire.string("rsa-sha2-256"), SshWire.string(new Uint8Array(256)))
  },
  {
    name: "a signature over SHA-1",
    tag: "InvalidResponse",
    algorithm: "RS256",
    script: () => signature(SshWire.string("ssh-rsa"), SshWire.string(new Uint8Array(256)))
  },
  {
    name: "a negative number",
    tag: "InvalidResponse",
    algorithm: "ES256",
    script: () => {
      const number = SshWire.string(new Uint8Array(32).fill(0x80))
      return signature(SshWire.string("ecdsa-sha2-nistp256"), SshWire.string(SshWire.concat(number, number)))
    }
  },
  {
    name: "a number that is too long",
    tag: "InvalidResponse",
    algorithm: "ES256",
    script: () => {
      const number = SshWire.string(new Uint8Array(33).fill(0x7f))
      return signature(SshWire.string("ecdsa-sha2-nistp256"), SshWire.string(SshWire.concat(number, number)))
    }
  },
  { name: "a refusal", tag: "PermissionDenied", script: () => SshAgentFrame.failure },
  { name: "an end", tag: "Retryable", script: ({ socket }) => void socket.destroy() },
  {
    name: "an end within a frame",
    tag: "Retryable",
    script: ({ honest, socket }) => void socket.end(honest.subarray(0, 20))
  }
]

describe("an agent that answers wrongly", () => {
  it.effect.each(faults)("$name is $tag", ({ algorithm = "Ed25519", script, tag }) =>
    Effect.gen(function* () {
      const { agent, signer } = yield* over(algorithm, (asked) => (asked.number === 0 ? script(asked) : asked.honest))
      const error = yield* failureOf(signer.sign(message))
      assert.strictEqual(error._tag, tag, error.message)
      if (error._tag === "Retryable") assert.strictEqual(error.reason._tag, "BackendUnavailable")
      // and the next one is answered, whatever became of the connection
      const next = yield* signer.sign(message)
      assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), message, next))
      assert.strictEqual(agent.requests(), 2)
    })
  )

  it.effect("a good signature with another hash than was asked for is InvalidResponse, also undecorated", () =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make("RS256")
      const other = yield* LocalSigner.make({ privateKey, algorithm: "RS256" })
      const { bytes } = yield* other.sign(message)
      const answer = SshAgentFrame.signResponse(SshSignature.encode("RS256", bytes))
      const { signer } = yield* over("RS512", () => answer, { isBare: true })
      const error = yield* failureOf(signer.sign(message))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.include(error.message, "rsa-sha2-256, and rsa-sha2-512 was asked for")
    })
  )

  it.effect("bytes behind s of a good signature are InvalidResponse, also undecorated", () =>
    Effect.gen(function* () {
      const { signer } = yield* over(
        "ES256",
        ({ honest }) => {
          const inner = SshAgentFrame.decodeAnswer(honest.subarray(4)) as { readonly signature: Uint8Array }
          return SshWire.decode(inner.signature, "test", (reader) =>
            signature(
              SshWire.string(reader.string("the name")),
              SshWire.string(SshWire.concat(reader.string("the numbers"), Uint8Array.of(0)))
            )
          )
        },
        { isBare: true }
      )
      assert.strictEqual((yield* failureOf(signer.sign(message)))._tag, "InvalidResponse")
    })
  )

  it.effect("answers in another order are InvalidResponse for both", () =>
    Effect.gen(function* () {
      const held: Array<Uint8Array> = []
      const { signer } = yield* over("Ed25519", ({ honest, socket }) => {
        held.push(honest)
        if (held.length === 2) socket.write(SshWire.concat(held[1]!, held[0]!))
      })
      const both = [bytes("first"), bytes("second")].map((input) => Effect.flip(signer.sign(input)))
      const errors = yield* Effect.all(both, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        errors.map(({ _tag }) => _tag),
        ["InvalidResponse", "InvalidResponse"]
      )
    })
  )

  it.effect("an answer that nobody asked for ends the connection, and no call", () =>
    Effect.gen(function* () {
      const { agent, signer } = yield* over("Ed25519", ({ honest, number }) =>
        number === 0 ? SshWire.concat(honest, honest) : honest
      )
      const calls = [yield* Effect.exit(signer.sign(message)), yield* Effect.exit(signer.sign(message))]
      assert.isTrue(calls.every(Exit.isSuccess))
      assert.strictEqual(agent.connections(), 2)
    })
  )

  it.effect("what is behind a broken answer may be tried again", () =>
    Effect.gen(function* () {
      const { signer } = yield* over("Ed25519", ({ number }) => (number === 0 ? new Uint8Array(4) : undefined))
      const errors = yield* Effect.forEach([1, 2, 3], () => Effect.flip(signer.sign(message)), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        errors.map(({ _tag }) => _tag),
        ["InvalidResponse", "Retryable", "Retryable"]
      )
    })
  )
})

describe("a refusal", () => {
  it.effect.each([
    { name: "the key is gone", list: [{ blob: new Uint8Array(8), comment: "" }], tag: "KeyNotFound" },
    { name: "the list is empty", list: [], tag: "KeyUnavailable" }
  ])("is $tag where $name", ({ list, tag }) =>
    Effect.gen(function* () {
      let isRefusing = false
      const { signer } = yield* over(
        "Ed25519",
        () => {
          isRefusing = true
          return SshAgentFrame.failure
        },
        { list: ({ honest }) => (isRefusing ? SshAgentFrame.identitiesAnswer(list) : honest) }
      )
      assert.strictEqual((yield* failureOf(signer.sign(message)))._tag, tag)
    })
  )

  it.effect("to list keys is KeyUnavailable", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(over("Ed25519", () => {}, { list: () => SshAgentFrame.failure }))
      assert.strictEqual(error._tag, "KeyUnavailable")
    })
  )
})

describe("waiting", () => {
  it.effect("ends after the time limit, and the next call has a new connection", () =>
    Effect.gen(function* () {
      const { agent, signer } = yield* over(
        "Ed25519",
        ({ connection, honest }) => (connection === 0 ? undefined : honest),
        {
          isBare: true,
          timeout: "3 seconds"
        }
      )
      const fiber = yield* Effect.forkChild(failureOf(signer.sign(message)), { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag, "Retryable")
      assert.strictEqual(error._tag === "Retryable" && error.reason._tag, "TimedOut")
      yield* signer.sign(message)
      assert.strictEqual(agent.connections(), 2)
    })
  )

  it.effect("that is interrupted leaves the answers of others in their order", () =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const released: Array<() => void> = []
      const { agent, signer } = yield* over(
        "Ed25519",
        ({ honest, number, socket }) => {
          released.push(() => socket.write(honest))
          if (number === 2) Deferred.doneUnsafe(reached, Effect.void)
        },
        { isBare: true }
      )
      const inputs = ["one", "two", "three"].map(bytes)
      const fibers = yield* Effect.forEach(inputs, (input) =>
        Effect.forkChild(signer.sign(input), { startImmediately: true })
      )
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fibers[1]!)
      yield* Fiber.interrupt(fibers[0]!)
      for (const release of released) release()
      const third = yield* Fiber.join(fibers[2]!)
      assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), inputs[2]!, third))
      assert.strictEqual(agent.connections(), 1)
    })
  )

  it.effect("for a hung agent ends for all who are gone, and the connection with them", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const { agent, signer } = yield* over(
        "Ed25519",
        ({ connection, honest, socket }) => {
          if (connection > 0) return honest
          socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        },
        { isBare: true }
      )
      const fibers = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(signer.sign(message), { startImmediately: true })
      )
      // the oldest goes: new calls go elsewhere, and the others still have their places
      yield* Fiber.interrupt(fibers[0]!)
      yield* signer.sign(message)
      assert.strictEqual(agent.connections(), 2)
      yield* Fiber.interruptAll(fibers)
      yield* Deferred.await(closed)
    })
  )

  it.effect("1,000 calls share one connection", () =>
    Effect.gen(function* () {
      const { agent, signer } = yield* over("Ed25519", ({ honest }) => honest, { isBare: true })
      const publicKey = yield* signer.publicKey()
      const verdicts = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, index) => bytes(`message ${index}`)),
        (input) => Effect.flatMap(signer.sign(input), (signature) => Verifier.verify(publicKey, input, signature)),
        { concurrency: "unbounded" }
      )
      assert.isTrue(verdicts.every(Boolean))
      assert.strictEqual(agent.connections(), 1)
    })
  )
})

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

/** An agent of ours with these keys. */
const serving = Effect.fnUntraced(function* (
  ...keys: ReadonlyArray<readonly [algorithm: SignatureAlgorithm.SignatureAlgorithm, comment: string]>
) {
  const served = yield* Effect.forEach(keys, ([algorithm, comment]) =>
    Effect.flatMap(TestKey.make(algorithm, comment), (privateKey) =>
      Effect.map(LocalSigner.make({ privateKey, algorithm }), (signer) => ({ signer, comment }))
    )
  )
  return yield* SshAgentServer.make({ socket: `${yield* privateFolder}/agent`, keys: served })
})

describe("key", () => {
  it.effect("is found by public key, fingerprint, ID52 and comment", () =>
    Effect.gen(function* () {
      const { keys, socket } = yield* serving(["Ed25519", "everyday"], ["ES256", "release"], ["Ed25519", "other"])
      const [everyday, release] = keys
      for (const [key, expected] of [
        [{ publicKey: release!.publicKey }, release],
        [{ fingerprint: release!.fingerprint }, release],
        [{ comment: "release" }, release],
        [{ id52: PublicKey.toId52(everyday!.publicKey)! }, everyday]
      ] as const) {
        const signer = yield* SshAgentSigner.make({ socket, key })
        assert.strictEqual(signer.keyId, expected!.fingerprint)
        assert.strictEqual(signer.algorithm, expected!.algorithms[0])
        assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), expected!.publicKey))
      }
      const named = yield* SshAgentSigner.make({
        socket,
        key: { comment: "release" },
        keyId: KeyId.make("k"),
        purpose: "releases"
      })
      assert.deepStrictEqual([named.keyId, named.purpose], ["k", "releases"])
    })
  )

  it.effect("that is not there is KeyNotFound, and a comment of two keys InvalidConfiguration", () =>
    Effect.gen(function* () {
      const { keys, socket } = yield* serving(["Ed25519", "twice"], ["ES256", "twice"])
      const tagOf = (key: SshAgentSigner.KeySelector) =>
        Effect.map(Effect.flip(SshAgentSigner.make({ socket, key })), ({ _tag }) => _tag)
      const another = yield* TestKey.make("Ed25519", "another")
      assert.strictEqual(yield* tagOf({ publicKey: another.publicKey }), "KeyNotFound")
      assert.strictEqual(yield* tagOf({ fingerprint: PublicKey.sshFingerprint(another.publicKey)! }), "KeyNotFound")
      assert.strictEqual(yield* tagOf({ comment: "none" }), "KeyNotFound")
      assert.strictEqual(yield* tagOf({ comment: "twice" }), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({ fingerprint: keys[0]!.fingerprint.slice(0, -1) }), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({ fingerprint: `MD5:${"0:".repeat(15)}0` }), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({ id52: "v".repeat(52) }), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({ comment: "" }), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({} as never), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf(undefined as never), "InvalidConfiguration")
      assert.strictEqual(
        yield* tagOf({ comment: "twice", publicKey: another.publicKey } as never),
        "InvalidConfiguration"
      )
    })
  )

  it.effect("of an unsupported kind is passed over, and UnsupportedAlgorithm where it is the one", () =>
    Effect.gen(function* () {
      const key = yield* TestKey.make("Ed25519")
      const certificate = SshWire.concat(SshWire.string("ssh-ed25519-cert-v01@openssh.com"), new Uint8Array(40))
      const security = SshWire.concat(SshWire.string("sk-ssh-ed25519@openssh.com"), new Uint8Array(40))
      const { socket } = yield* scriptedAgent(
        key,
        ({ honest }) => honest,
        () =>
          SshAgentFrame.identitiesAnswer([
            { blob: certificate, comment: "me" },
            { blob: blobOf(key.publicKey), comment: "me" },
            { blob: security, comment: "token" },
            { blob: new Uint8Array(0), comment: "nothing" }
          ])
      )
      const signer = yield* SshAgentSigner.make({ socket, key: { comment: "me" } })
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), key.publicKey))
      const error = yield* Effect.flip(SshAgentSigner.make({ socket, key: { comment: "token" } }))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
      assert.include(error.message, "sk-ssh-ed25519@openssh.com")
      assert.deepStrictEqual(
        (yield* SshAgentSigner.list({ socket })).map(({ algorithms, comment, type }) => [type, comment, algorithms]),
        [
          ["ssh-ed25519-cert-v01@openssh.com", "me", []],
          ["ssh-ed25519", "me", ["Ed25519"]],
          ["sk-ssh-ed25519@openssh.com", "token", []],
          ["unknown", "nothing", []]
        ]
      )
    })
  )

  it.effect("of RSA needs an algorithm; others have one and no other", () =>
    Effect.gen(function* () {
      const { socket } = yield* serving(["RS512", "rsa"], ["ES256", "ec"])
      const tagOf = (comment: string, algorithm?: SignatureAlgorithm.SignatureAlgorithm) =>
        Effect.map(Effect.flip(SshAgentSigner.make({ socket, key: { comment }, algorithm })), ({ _tag }) => _tag)
      assert.strictEqual(yield* tagOf("rsa"), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf("rsa", "PS256"), "UnsupportedAlgorithm")
      assert.strictEqual(yield* tagOf("rsa", "RS384"), "UnsupportedAlgorithm")
      assert.strictEqual(yield* tagOf("ec", "ES256K"), "UnsupportedAlgorithm")
      assert.strictEqual(yield* tagOf("ec", "ES384"), "InvalidConfiguration")
      const other = yield* SshAgentSigner.make({ socket, key: { comment: "rsa" }, algorithm: "RS256" })
      assert.strictEqual((yield* Effect.flip(other.sign(message)))._tag, "PermissionDenied") // it has RS512 only
    })
  )
})

describe("lazy", () => {
  it.effect("asks for nothing until it signs", () =>
    Effect.gen(function* () {
      const folder = yield* privateFolder
      const privateKey = yield* TestKey.make("Ed25519")
      const fingerprint = PublicKey.sshFingerprint(privateKey.publicKey)!
      const socket = `${folder}/agent`
      const signer = yield* SshAgentSigner.make({ socket, key: { fingerprint }, algorithm: "Ed25519", lazy: true })
      const error = yield* failureOf(signer.sign(message))
      assert.strictEqual(error._tag, "Retryable")
      yield* SshAgentServer.make({ socket, keys: [{ signer: yield* LocalSigner.make({ privateKey }) }] })
      const { bytes } = yield* signer.sign(message)
      assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), message, bytes))
    })
  )

  it.effect("does not go with what must be looked up", () =>
    Effect.gen(function* () {
      const fingerprint = PublicKey.sshFingerprint((yield* TestKey.make("Ed25519")).publicKey)!
      for (const key of [{ fingerprint }, { comment: "me" }]) {
        const error = yield* Effect.flip(SshAgentSigner.make({ socket: "/nonexistent", key, lazy: true }))
        assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, "lazy")
      }
    })
  )
})

describe("a message", () => {
  const login = SshWire.concat(
    SshWire.string(new Uint8Array(32)),
    Uint8Array.of(50),
    ...["root", "ssh-connection", "publickey"].map((text) => SshWire.string(text)),
    Uint8Array.of(1),
    SshWire.string("ssh-ed25519")
  )

  it.effect("that could log in is PolicyDenied, and nothing is sent", () =>
    Effect.gen(function* () {
      const { agent, signer } = yield* over("Ed25519", ({ honest }) => honest, { isBare: true })
      const error = yield* Effect.flip(signer.sign(login))
      assert.strictEqual(error._tag === "PolicyDenied" && error.rule, "no-user-authentication")
      assert.strictEqual(agent.requests(), 0)
      const allowed = yield* over("Ed25519", ({ honest }) => honest, { isBare: true, allowUserAuthentication: true })
      yield* allowed.signer.sign(login)
    })
  )

  it.effect("that is too large for a frame is MessageTooLarge, also for a key that is not yet known", () =>
    Effect.gen(function* () {
      const { keys, socket } = yield* serving(["RS256", "rsa"])
      const { fingerprint } = keys[0]!
      const signer = yield* SshAgentSigner.make({ socket, key: { fingerprint }, algorithm: "RS256", lazy: true })
      const limit = 262_144 - 13 - 279
      const error = yield* Effect.flip(signer.sign(new Uint8Array(limit + 1)))
      assert.strictEqual(error._tag === "MessageTooLarge" && error.limit, limit)
      yield* signer.sign(new Uint8Array(limit))
    })
  )
})

describe("socket", () => {
  it.live("keeps no process alive that has nothing else to do", () =>
    Effect.gen(function* () {
      const key = yield* TestKey.make("Ed25519")
      const { socket } = yield* scriptedAgent(key, ({ honest }) => honest)
      const of = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)
      // The scope is never closed: nobody ends the connection
      const code = `
        import { Effect, Scope } from ${JSON.stringify(import.meta.resolve("effect"))}
        import * as SshAgentSigner from ${of("layers/SshAgentSigner.ts")}
        const [key] = await Effect.runPromise(SshAgentSigner.list({ socket: ${JSON.stringify(socket)} }))
        const signer = await Effect.runPromise(
          Scope.provide(
            SshAgentSigner.make({ socket: ${JSON.stringify(socket)}, key: { publicKey: key.publicKey } }),
            Scope.makeUnsafe()
          )
        )
        await Effect.runPromise(signer.sign(new Uint8Array(1)))
        console.log("signed")
      `
      const child = spawn(process.execPath, [
        "--conditions=effect-signer-source",
        "--input-type=module",
        "--eval",
        code
      ])
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
      child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()))
      const status = yield* Effect.promise(() => new Promise((resolve) => child.once("close", resolve))).pipe(
        Effect.timeout("30 seconds")
      )
      assert.deepStrictEqual([output, status], ["signed\n", 0])
    })
  )

  it.effect("is not opened anew after the scope has ended", () =>
    Effect.gen(function* () {
      const key = yield* TestKey.make("Ed25519")
      const agent = yield* scriptedAgent(key, ({ honest }) => honest)
      const signer = yield* Effect.scoped(
        SshAgentSigner.make({ socket: agent.socket, key: { publicKey: key.publicKey } })
      )
      const before = agent.connections()
      assert.strictEqual((yield* failureOf(signer.sign(message)))._tag, "Retryable")
      assert.strictEqual(agent.connections(), before)
    })
  )

  it.effect("that is none, is missing or is not stated has its own error", () =>
    Effect.gen(function* () {
      const folder = yield* privateFolder
      const { publicKey } = yield* TestKey.make("Ed25519")
      const errorOf = (socket: string) => Effect.flip(SshAgentSigner.make({ socket, key: { publicKey } }))
      assert.strictEqual((yield* errorOf(`${folder}/none`))._tag, "Retryable")
      assert.include(["InvalidConfiguration", "Retryable"], (yield* errorOf(folder))._tag)
      assert.strictEqual((yield* errorOf(""))._tag, "InvalidConfiguration")
      assert.strictEqual((yield* errorOf("a\0b"))._tag, "InvalidConfiguration")
      // a file of that name, and no TCP port
      const port = yield* Effect.flip(SshAgentSigner.make({ socket: "99999", key: { publicKey } }))
      assert.strictEqual(port._tag === "Retryable" && port.cause?.code, "ENOENT")
      const before = process.env["SSH_AUTH_SOCK"]
      delete process.env["SSH_AUTH_SOCK"]
      const error = yield* Effect.flip(SshAgentSigner.make({ key: { publicKey } }))
      if (before !== undefined) process.env["SSH_AUTH_SOCK"] = before
      assert.include(error.message, "SSH_AUTH_SOCK")
    })
  )
})

describe("layerConfig", () => {
  it.effect("reads the environment", () =>
    Effect.gen(function* () {
      const { keys, socket } = yield* serving(["Ed25519", "everyday"], ["RS256", "rsa"])
      const signerOf = (env: Record<string, string>) =>
        Effect.provide(
          Signer.Signer,
          SshAgentSigner.layerConfig().pipe(
            Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ SSH_AUTH_SOCK: socket, ...env })))
          )
        )
      for (const key of [keys[0]!.fingerprint, PublicKey.toId52(keys[0]!.publicKey)!, "everyday"]) {
        assert.strictEqual((yield* signerOf({ A1_SSH_AGENT_KEY: key })).keyId, keys[0]!.fingerprint)
      }
      const rsa = yield* signerOf({ A1_SSH_AGENT_KEY: "rsa", A1_SSH_AGENT_ALGORITHM: "RS256" })
      assert.strictEqual(rsa.algorithm, "RS256")
      const error = yield* Effect.flip(signerOf({}))
      assert.strictEqual(error._tag, "ConfigError")
    })
  )

  it.effect("takes a key that is known already", () =>
    Effect.gen(function* () {
      const { keys, socket } = yield* serving(["Ed25519", "everyday"])
      const key = { publicKey: keys[0]!.publicKey }
      const layer = SshAgentSigner.layerConfig({ socket: Config.succeed(socket), key: Config.succeed(key) })
      assert.strictEqual((yield* Effect.provide(Signer.Signer, layer)).keyId, keys[0]!.fingerprint)
    })
  )
})

describe("layer", () => {
  it.effect("goes on when the agent was started anew", () =>
    Effect.gen(function* () {
      const folder = yield* privateFolder
      const socket = `${folder}/agent`
      const privateKey = yield* TestKey.make("Ed25519")
      const local = yield* LocalSigner.make({ privateKey })
      const agent = SshAgentServer.make({ socket, keys: [{ signer: local }] })
      const signer = yield* SshAgentSigner.make({ socket, key: { publicKey: privateKey.publicKey }, lazy: true })
      for (let start = 0; start < 3; start++) {
        yield* Effect.scoped(Effect.andThen(agent, signer.sign(message)))
        assert.strictEqual((yield* failureOf(signer.sign(message)))._tag, "Retryable")
      }
    })
  )
})

it("has the algorithms that SSH has", () => {
  assert.deepStrictEqual(
    [...SshSignature.algorithms.values()],
    ["Ed25519", "ES256", "ES384", "ES512", "RS256", "RS512"]
  )
})
