/**
 * The conformance cases against Google Cloud KMS itself, over both transports.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `EFFECT_SIGNER_GCP_KEY` | the name of a key, or of a version, of a real project to sign about 360 messages with; credentials as Application Default Credentials finds them |
 * | `EFFECT_SIGNER_GCP_ENDPOINT` | an endpoint of one region or of a private network |
 */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { Signer } from "../../src/index.ts"
import * as GcpKmsSigner from "../../src/layers/GcpKmsSigner.ts"
import { Conformance } from "../../src/testing.ts"

const key = process.env["EFFECT_SIGNER_GCP_KEY"]

if (key === undefined) {
  // oxlint-disable-next-line no-restricted-properties -- what is missing here is the name
  it.skip("Google Cloud KMS: EFFECT_SIGNER_GCP_KEY names no key; needs npm install @google-cloud/kms google-auth-library", () => {})
} else {
  for (const transport of ["rest", "grpc"] as const) {
    const layer = GcpKmsSigner.layer({ key, transport, endpoint: process.env["EFFECT_SIGNER_GCP_ENDPOINT"] })
    const signer = await Effect.runPromise(Effect.provide(Signer.Signer, layer))
    const isData = signer.algorithm === "Ed25519" || signer.algorithm.startsWith("ML-DSA")
    Conformance.suite(it, `kit/gcp/live/${transport}/${signer.algorithm}`, layer, {
      timeout: 120_000,
      ...(isData ? { maxMessageLength: 65_536 } : {})
    })
  }
}
