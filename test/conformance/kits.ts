/**
 * The conformance kit over each backend, one suite per backend with the cases of
 * all its algorithms: for the report. The tests run the same cases one by one.
 */
import { Effect, Layer } from "effect"
import type { SuiteResult } from "../../src/cli/vectors/VectorSuite.ts"
import { LocalSigner, SignatureAlgorithm } from "../../src/index.ts"
import type { Signer } from "../../src/index.ts"
import * as NobleSigner from "../../src/layers/NobleSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import * as emulators from "./emulators.ts"
import { fileSubjects } from "./file.ts"
import { sshAgent } from "./sshAgent.ts"
import { webCryptoLayer, webCryptoSubjects } from "./webCrypto.ts"

export interface Kit {
  readonly suite: string
  readonly run: Effect.Effect<SuiteResult>
}

type Subject<E> = Conformance.Options & {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly layer: Layer.Layer<Signer.Signer, E>
}

/** One result for several algorithms: each case is named with its algorithm. */
export const kit = <E>(suite: string, subjects: ReadonlyArray<Subject<E>>): Kit => ({
  suite,
  run: Effect.map(
    Effect.forEach(subjects, ({ algorithm, ...subject }) =>
      Effect.map(Conformance.run({ name: suite, ...subject }), (report) => ({ algorithm, report }))
    ),
    (reports) => {
      const named = <A extends { readonly case: string }>(algorithm: string, rows: ReadonlyArray<A>) =>
        rows.map((row) => ({ ...row, case: `${algorithm}: ${row.case}` }))
      return {
        suite,
        source: "effect-signer/testing",
        cases: reports.reduce((sum, { report }) => sum + report.cases, 0),
        passed: reports.reduce((sum, { report }) => sum + report.passed, 0),
        exceptions: reports.flatMap(({ algorithm, report }) => named(algorithm, report.exceptions)),
        failures: reports.flatMap(({ algorithm, report }) => named(algorithm, report.failures))
      }
    }
  )
})

const inProcess = (layers: typeof LocalSigner | typeof NobleSigner) =>
  SignatureAlgorithm.all.map((algorithm) => ({
    algorithm,
    layer: layers.layer({ privateKey: TestKey.make(algorithm), algorithm })
  }))

export const kits: ReadonlyArray<Kit> = [
  kit("kit/local", inProcess(LocalSigner)),
  kit("kit/noble", inProcess(NobleSigner)),
  kit(
    "kit/web-crypto",
    webCryptoSubjects.map((algorithm) => ({ algorithm, layer: webCryptoLayer(algorithm) }))
  ),
  kit("kit/aws/emulator", emulators.aws),
  kit("kit/vault/emulator", emulators.vault),
  kit("kit/azure/emulator", emulators.azure),
  kit("kit/gcp/emulator", emulators.gcp),
  kit("kit/gcp-rest/emulator", emulators.gcpRest),
  kit("kit/file", fileSubjects),
  kit("kit/ssh-agent/server", sshAgent)
]
