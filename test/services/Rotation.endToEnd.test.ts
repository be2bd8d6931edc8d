import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { HttpRouter } from "effect/http"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import type { RequestListener } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LocalSigner, Signer } from "../../src/index.ts"
import * as FileRotationStore from "../../src/layers/FileRotationStore.ts"
import * as RemoteJwks from "../../src/layers/RemoteJwks.ts"
import * as Jwks from "../../src/protocols/Jwks.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Rotation from "../../src/services/Rotation.ts"
import { RotationStore } from "../../src/services/RotationStore.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { ca, serve } from "../layers/httpsServer.ts"

const second = 1000
const owner = "https://id.example"

/** `max-age` is all that `propagation` allows. */
const policy = {
  propagation: "2 minutes",
  tokenLifetime: "2 minutes",
  refresh: "20 seconds",
  outage: "20 seconds",
  clockSkew: 0
} as const

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "effect-signer-rotation-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** A process of its own, by the state in a file. */
const processOver = (path: string) =>
  Effect.flatMap(FileRotationStore.make({ path }), (store) =>
    Rotation.make({
      policy,
      signerOf: (id) => LocalSigner.make({ privateKey: TestKey.make("ES256", id) })
    }).pipe(Effect.provideService(RotationStore, store))
  )

describe("a rotation, its key set on a server, and who verifies by that", () => {
  it.effect(
    "every token verifies for as long as it lives, through a rotation, a rollback and a removal",
    () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_800_000_000_000)
        const path = join(yield* folder, "rotation.json")
        const [stepper, publisher, ...signing] = yield* Effect.all([
          processOver(path),
          processOver(path),
          processOver(path),
          processOver(path)
        ])
        yield* stepper.adopt("first")
        const signers = yield* Effect.forEach(signing, ({ signer }) => signer)

        const statuses: Array<number> = []
        const answer = yield* HttpRouter.toHttpEffect(
          Jwks.layerRoute({ keys: publisher.published, maxAge: policy.propagation })
        )
        const handle = yield* NodeHttpServer.makeHandler(answer, { scope: yield* Effect.scope })
        const listener: RequestListener = (request, response) => {
          response.on("finish", () => statuses.push(response.statusCode))
          handle(request, response)
        }
        const server = yield* serve(listener)
        const verifiers = yield* Effect.forEach([1, 2, 3], () =>
          RemoteJwks.make({
            url: `https://127.0.0.1:${server.port}/.well-known/jwks.json`,
            owner,
            allow: ["127.0.0.1"],
            ports: [server.port],
            ca,
            cooldown: policy.propagation // a key that is not in a set has nobody read it again before its time
          })
        )
        const verify = (verifier: KeyResolver.Service, token: string) =>
          Jwt.verify(token, { issuer: owner, audience: "api" }).pipe(
            Effect.provideService(KeyResolver.KeyResolver, verifier)
          )

        const tokens: Array<{ readonly text: string; readonly expiresAt: number }> = []
        const kids = new Set<string>()
        let turns = 0

        /** Ten seconds. Verifiers begin at different times, so that what they hold has different ages. */
        const turn = Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          for (const signer of signers) {
            const text = yield* Jwt.sign({}, { issuer: owner, audience: "api", expiresIn: policy.tokenLifetime }).pipe(
              Effect.provideService(Signer.Signer, signer)
            )
            tokens.push({ text, expiresAt: now + 120 * second })
          }
          while (tokens.length > 0 && tokens[0]!.expiresAt <= now) tokens.shift()
          for (const verifier of verifiers.slice(0, 1 + Math.floor(turns / 4))) {
            for (const { text } of tokens) kids.add((yield* verify(verifier, text)).key.keyId)
          }
          turns++
          yield* TestClock.adjust("10 seconds")
        })

        const stateOf = (id: string) =>
          Effect.map(stepper.status, ({ state }) => state.keys.find((key) => key.id === id)?.state)
        const until = Effect.fnUntraced(function* (id: string, state: string) {
          for (let i = 0; (yield* stateOf(id)) !== state; i++) {
            assert.isBelow(i, 100)
            yield* Effect.ignore(stepper.advance)
            yield* turn
          }
        })

        for (let i = 0; i < 12; i++) yield* turn
        yield* stepper.start("second")
        yield* until("second", "active")
        for (let i = 0; i < 5; i++) yield* turn
        yield* stepper.rollback
        for (let i = 0; i < 5; i++) yield* turn
        yield* stepper.rollback
        yield* until("first", "disabled")

        assert.strictEqual(kids.size, 2)
        assert.isAbove(statuses.filter((status) => status === 304).length, 3)
        assert.deepStrictEqual(
          statuses.filter((status) => status !== 200 && status !== 304),
          []
        )

        // A key that is compromised: nobody accepts it once the last key set with it has gone
        yield* stepper.disable("second", { compromised: true })
        yield* TestClock.adjust(policy.refresh)
        for (const signer of signers) {
          assert.strictEqual((yield* Effect.flip(signer.sign(new Uint8Array(1))))._tag, "KeyUnavailable")
        }
        yield* TestClock.adjust(policy.propagation)
        for (const verifier of verifiers) {
          for (const keyId of kids) {
            assert.strictEqual((yield* Effect.flip(verifier.resolve({ keyId, issuer: owner })))._tag, "KeyUnknown")
          }
        }
      }).pipe(Effect.scoped),
    60_000
  )
})
