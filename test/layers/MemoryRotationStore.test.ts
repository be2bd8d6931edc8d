import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as MemoryRotationStore from "../../src/layers/MemoryRotationStore.ts"
import { RotationStore } from "../../src/services/RotationStore.ts"
import { rotationStoreCases } from "./support/rotationStores.ts"

describe("MemoryRotationStore", () => {
  rotationStoreCases(
    it,
    Effect.map(MemoryRotationStore.make, (store) => {
      const layer = Layer.succeed(RotationStore, store)
      return { store: layer, other: layer }
    })
  )
})
