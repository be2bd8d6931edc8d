import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import type { Server } from "node:net"
import { tmpdir } from "node:os"
import { PrivateKey, type SignerError } from "../../src/index.ts"
import * as DBus from "../../src/layers/keyring/DBus.ts"
import * as KeyringSigner from "../../src/layers/KeyringSigner.ts"
import * as SecretService from "../../src/layers/keyring/SecretService.ts"
import { Malformed } from "../../src/schemas/Malformed.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const entry = { service: "effect-signer-test", account: "none" }
const seed = TestKey.secretBytes("Ed25519", "effect-signer")

/** Runs an effect with this address of the session bus. */
const withBus = <A, E>(address: string | undefined, effect: Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = [process.env["DBUS_SESSION_BUS_ADDRESS"], process.env["XDG_RUNTIME_DIR"]] as const
      delete process.env["XDG_RUNTIME_DIR"]
      if (address === undefined) delete process.env["DBUS_SESSION_BUS_ADDRESS"]
      else process.env["DBUS_SESSION_BUS_ADDRESS"] = address
      return before
    }),
    () => effect,
    ([bus, runtimeDirectory]) =>
      Effect.sync(() => {
        if (bus === undefined) delete process.env["DBUS_SESSION_BUS_ADDRESS"]
        else process.env["DBUS_SESSION_BUS_ADDRESS"] = bus
        if (runtimeDirectory !== undefined) process.env["XDG_RUNTIME_DIR"] = runtimeDirectory
      })
  )

/** A bus that answers each piece it is sent with the next of these. */
const bus = (answers: ReadonlyArray<Uint8Array | string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const folder = await mkdtemp(`${tmpdir()}/effect-signer-bus-`)
        const server = createServer((socket) => {
          const left = [...answers]
          socket.on("error", () => {})
          socket.on("data", () => {
            const answer = left.shift()
            if (answer !== undefined) socket.write(answer)
          })
        })
        await new Promise<void>((resolve) => server.listen(`${folder}/bus`, resolve))
        return { folder, server }
      }),
      ({ folder, server }: { readonly folder: string; readonly server: Server }) =>
        Effect.promise(async () => {
          server.close()
          await rm(folder, { recursive: true })
        })
    ),
    ({ folder }) => `unix:path=${folder}/bus`
  )

// the Secret Service is the keyring of Linux; other systems have one always
describe.runIf(process.platform === "linux")("KeyringSigner on a Linux host without a keyring", () => {
  it.live.each([
    ["no address", undefined],
    ["an address where nothing is", "unix:path=/nonexistent/bus"],
    ["an address that is not local", "tcp:host=localhost,port=1"],
    ["no address at all", "nonsense"]
  ] as const)("%s is a typed reason, at once", ([, address]) =>
    Effect.gen(function* () {
      const key = yield* TestKey.make("Ed25519")
      const effects: ReadonlyArray<Effect.Effect<unknown, SignerError.SignerError>> = [
        KeyringSigner.make(entry),
        KeyringSigner.store(key, entry),
        KeyringSigner.has(entry),
        KeyringSigner.delete(entry),
        KeyringSigner.list(entry)
      ]
      for (const effect of effects) {
        const error = yield* Effect.flip(withBus(address, effect))
        assert.deepInclude(error, { _tag: "InvalidConfiguration", field: "keyring", absent: true })
        const sighting = Canary.search([{ name: "the seed", secret: seed }])(Canary.show(error))
        assert.isUndefined(sighting)
      }
    })
  )

  const serial = (reply: Uint8Array, to: number) => reply.with(16 + 4, to)
  /** An answer without a body to call 1: METHOD_RETURN, little-endian, REPLY_SERIAL. */
  const empty = Uint8Array.of(0x6c, 2, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 5, 1, 0x75, 0, 1, 0, 0, 0)

  it.live.each([
    ["refuses the user", ["REJECTED EXTERNAL\r\n"], /does not accept this user/],
    ["is no bus", ["HTTP/1.1 400 Bad Request\r\n\r\n"], /does not accept this user/],
    ["sends no message", ["OK 0\r\n", new Uint8Array(64)], /no message of D-Bus version 1/],
    ["answers with another type", ["OK 0\r\n", serial(empty, 1)], /expected \(s\)/],
    ["says that it is longer than it is", ["OK 0\r\n", empty.with(7, 0xff)], /longer than/]
  ] as const)("a bus that %s is a typed reason", ([, answers, says]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(withBus(yield* bus(answers), KeyringSigner.load(entry)))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.match(error.message, says)
    }).pipe(Effect.scoped)
  )

  it.live("a bus that never answers has a time limit", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        withBus(yield* bus(["OK 0\r\n"]), KeyringSigner.load({ ...entry, timeLimit: "50 millis" }))
      )
      assert.strictEqual(error._tag === "Retryable" && error.reason._tag, "TimedOut")
    }).pipe(Effect.scoped)
  )
})

describe("KeyringSigner", () => {
  it.effect.each([
    [{ service: "", account: "a" }, "service"],
    [{ service: "s", account: "" }, "account"],
    [{ service: "s", account: "a\0b" }, "account"],
    [{ service: "s".repeat(257), account: "a" }, "service"],
    [{ service: "s", account: 1 as never }, "account"]
  ] as const)("refuses names that no keyring has: %j", ([names, field]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(KeyringSigner.load(names))
      assert.deepInclude(error, { _tag: "InvalidConfiguration", field })
    })
  )

  it.effect("stores no key that was wiped, and no seed under another name", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromRaw("Ed25519", Redacted.make(seed))
      const named = yield* Effect.flip(KeyringSigner.store(key, { ...entry, format: "seed" }))
      assert.deepInclude(named, { _tag: "InvalidConfiguration", field: "format" })
      PrivateKey.wipe(key)
      const wiped = yield* Effect.flip(KeyringSigner.store(key, entry))
      assert.deepInclude(wiped, { _tag: "InvalidConfiguration", field: "privateKey" })
    })
  )
})

describe("SecretService.socketPath", () => {
  it.each([
    [{}, undefined],
    [{ XDG_RUNTIME_DIR: "/run/user/1" }, "/run/user/1/bus"],
    [{ DBUS_SESSION_BUS_ADDRESS: "", XDG_RUNTIME_DIR: "/run/user/1" }, "/run/user/1/bus"],
    [{ DBUS_SESSION_BUS_ADDRESS: "unix:path=/tmp/a%20b,guid=00" }, "/tmp/a b"],
    [{ DBUS_SESSION_BUS_ADDRESS: "unix:guid=00,path=/tmp/a" }, "/tmp/a"],
    [{ DBUS_SESSION_BUS_ADDRESS: "unix:abstract=/tmp/dbus-x" }, "\0/tmp/dbus-x"],
    [{ DBUS_SESSION_BUS_ADDRESS: "tcp:host=a,port=1;unix:path=/b" }, "/b"],
    [{ DBUS_SESSION_BUS_ADDRESS: "unix:runtime=yes", XDG_RUNTIME_DIR: "/run/user/1" }, "/run/user/1/bus"],
    [{ DBUS_SESSION_BUS_ADDRESS: "unix:path=" }, undefined],
    [{ DBUS_SESSION_BUS_ADDRESS: "autolaunch:" }, undefined]
  ])("of %j is %j", (env, path) => assert.strictEqual(SecretService.socketPath(env), path))
})

describe("DBus", () => {
  const call = DBus.encodeCall(1, {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Get",
    arguments: ["ü", { service: "a", username: "bc" }]
  })

  it("reads what it writes", () => {
    const message = DBus.decode(call)
    assert.deepInclude(message, { type: 1, length: call.length, signature: "sa{ss}" })
    assert.strictEqual(message?.body.text(), "ü")
  })

  it("waits for a message that is not whole", () => {
    for (let length = 0; length < call.length; length++) assert.isUndefined(DBus.decode(call.subarray(0, length)))
  })

  it("answers any bytes with a message, a wait or Malformed", () => {
    for (let at = 0; at < call.length; at++) {
      for (const byte of [0, 1, 0x7f, 0x80, 0xff, call[at]! ^ 1, call[at]! ^ 8]) {
        try {
          const message = DBus.decode(call.with(at, byte))
          message?.body.text()
          message?.body.skipArray()
        } catch (error) {
          assert.instanceOf(error, Malformed)
        }
      }
    }
  })
})
