/**
 * An encrypted key file for each algorithm, for the suite `kit/file`. The cost of
 * Argon2id is the lowest there is.
 */
import { Effect, Layer, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SignatureAlgorithm } from "../../src/index.ts"
import * as FileSigner from "../../src/layers/FileSigner.ts"
import type { Signer, SignerError } from "../../src/index.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { secretsOf } from "../layers/keys.ts"

type Algorithm = SignatureAlgorithm.SignatureAlgorithm

export const cheap = { memory: 8, iterations: 1, parallelism: 1 }

const passphrase = Redacted.make("the passphrase of the conformance kit")

/** A folder that is there as long as the layer is. */
const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-signer-kit-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const withFile = (
  algorithm: Algorithm,
  layerOf: (path: string) => Layer.Layer<Signer.Signer, SignerError.SignerError>
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const path = join(yield* folder, "release.key")
      yield* FileSigner.create({ path, key: yield* TestKey.make(algorithm), passphrase, cost: cheap })
      return layerOf(path)
    })
  )

export const fileSubjects = SignatureAlgorithm.all.map((algorithm) => ({
  algorithm,
  secrets: [...secretsOf(algorithm), Redacted.value(passphrase)],
  layer: withFile(algorithm, (path) => FileSigner.layer({ path, passphrase, algorithm })),
  faulty: [
    withFile(algorithm, (path) => FileSigner.layer({ path, passphrase: Redacted.make("another one"), algorithm })),
    withFile(algorithm, (path) => FileSigner.layer({ path, algorithm })),
    withFile(algorithm, (path) => FileSigner.layer({ path: `${path}.none`, passphrase, algorithm }))
  ]
}))
