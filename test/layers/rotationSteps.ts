/** One rotation after the other, by whoever takes the step: for stores that several processes share. */
import { Effect } from "effect"
import { LocalSigner } from "../../src/index.ts"
import * as Rotation from "../../src/services/Rotation.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

/** Every step is due at once: what is tested is who takes it. */
export const options: Rotation.Options = {
  policy: { propagation: 0, tokenLifetime: 0, refresh: 0, outage: 0, clockSkew: 0, canarySignatures: 1 },
  signerOf: (id) => LocalSigner.make({ privateKey: TestKey.make("Ed25519", id) })
}

/** What one process did. */
export interface Taken {
  readonly commits: number
  readonly moves: ReadonlyArray<string>
}

/** Takes steps until so many were taken by all. */
export const takeSteps = (total: number) =>
  Effect.gen(function* () {
    const rotation = yield* Rotation.Rotation
    const moves: Array<string> = []
    let commits = 0
    while (true) {
      const { revision, state } = yield* rotation.status
      if (revision >= total) return { commits, moves } satisfies Taken
      const next = 1 + Math.max(0, ...state.keys.map(({ id }) => Number(id.slice(4))))
      const made = yield* rotation.advance.pipe(
        Effect.catchTag("RotationRefused", () => rotation.start(`key-${next}`)),
        Effect.catchTag("RotationRefused", () => Effect.succeed([]))
      )
      if (made.length > 0) commits++
      moves.push(...made.map(({ id, to }) => `${id} ${to}`))
    }
  })
