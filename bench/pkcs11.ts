/**
 * `Pkcs11Signer` with an RSA key of 4096 bits on SoftHSM, which computes on the CPUs of
 * this machine: how late a timer gets while it signs as fast as it can, and how fast
 * that is against `pkcs11js` alone.
 */
import { createHash, generateKeyPairSync } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { Decorator } from "effect-signer"
import * as Pkcs11Signer from "effect-signer/Pkcs11Signer"
import type { SoftHsm } from "../scripts/live/pkcs11.ts"
import { softHsm } from "../scripts/live/pkcs11.ts"
import type { Row } from "./Row.ts"
import { median } from "./Row.ts"

const message = new Uint8Array(32).fill(7)
const token = "bench"
const object = "rsa4096"
const sessions = 4

const started = Effect.suspend(() => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 4096 })
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString()
  return softHsm([{ label: token, keys: [{ label: object, id: "01", pem }] }])
})

const signing = (hsm: SoftHsm) =>
  Effect.map(
    Pkcs11Signer.make({
      module: hsm.module,
      pkcs11js: hsm.pkcs11js,
      token,
      object,
      algorithm: "RS256",
      pin: Redacted.make(hsm.pin),
      sessions
    }),
    (bare) => Decorator.observed()(Decorator.resilient()(bare))
  )

/** Milliseconds between looks at the clock. */
const interval = 10
const looks = 300
const goal = 50

/** How many milliseconds late the latest of the timers is, until `looks` have fired. */
const worstLateness = Effect.callback<number>((resume) => {
  let worst = 0
  let left = looks
  const look = (due: number) => () => {
    const now = performance.now()
    worst = Math.max(worst, now - due)
    if (--left === 0) return resume(Effect.succeed(worst))
    setTimeout(look(now + interval), interval)
  }
  setTimeout(look(performance.now() + interval), interval)
})

const eventLoop: Row = {
  name: "pkcs11/event-loop",
  measure: Effect.scoped(
    Effect.gen(function* () {
      const signer = yield* Effect.flatMap(started, signing)
      const load = Effect.forever(signer.sign(message))
      yield* Effect.forEach(Array.from({ length: 16 }), () => Effect.forkScoped(load), { discard: true })
      const value = yield* worstLateness
      return {
        name: "pkcs11/event-loop",
        value,
        unit: "ms",
        against: `a timer of ${interval} ms at most ${goal} ms late`,
        ratio: value / goal,
        samples: looks
      }
    })
  )
}

const rounds = 15
const count = 40

/** What a program does with `pkcs11js` alone: a session per loop, the digest its own, no check of anything. */
const raw = (hsm: SoftHsm) => {
  const library = hsm.library()
  const slot = library.C_GetSlotList(true).find((slot) => library.C_GetTokenInfo(slot).label.trimEnd() === token)!
  const prefix = Buffer.from("3031300d060960864801650304020105000420", "hex")
  const open = Array.from({ length: sessions }, () => {
    const session = library.C_OpenSession(slot, 4)
    library.C_FindObjectsInit(session, [
      { type: 0, value: 3 },
      { type: 3, value: Buffer.from(object) }
    ])
    const [key] = library.C_FindObjects(session, 1)
    library.C_FindObjectsFinal(session)
    return { session, key: key! }
  })
  return Effect.promise(async () => {
    let left = count
    await Promise.all(
      open.map(async ({ key, session }) => {
        while (left-- > 0) {
          const input = Buffer.concat([prefix, createHash("sha256").update(message).digest()])
          library.C_SignInit(session, { mechanism: 1 }, key)
          await library.C_SignAsync(session, input, Buffer.alloc(512))
          if (input.length === 0) throw new Error("the input was collected")
        }
      })
    )
  })
}

const perSecond = <E>(run: Effect.Effect<void, E>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(run, () => (count * 1000) / (performance.now() - start))
  })

const throughput: Row = {
  name: "pkcs11/throughput/rsa-4096",
  measure: Effect.scoped(
    Effect.gen(function* () {
      const hsm = yield* started
      const signer = yield* signing(hsm)
      const ours = Effect.forEach(Array.from({ length: count }), () => signer.sign(message), {
        concurrency: sessions,
        discard: true
      })
      const reference = raw(hsm)
      yield* ours
      yield* reference
      const values: { readonly ours: Array<number>; readonly reference: Array<number> } = { ours: [], reference: [] }
      for (let round = 0; round < rounds; round++) {
        if (round % 2 === 0) values.ours.push(yield* perSecond(ours))
        values.reference.push(yield* perSecond(reference))
        if (round % 2 === 1) values.ours.push(yield* perSecond(ours))
      }
      return {
        name: "pkcs11/throughput/rsa-4096",
        value: median(values.ours),
        unit: "sign/s",
        against: "pkcs11js alone, as many sessions",
        ratio: median(values.ours.map((value, index) => value / values.reference[index]!)),
        samples: rounds
      }
    })
  )
}

export const rows: ReadonlyArray<Row> = [eventLoop, throughput]
