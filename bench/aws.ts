/**
 * `AwsKmsSigner` with the decorators of its `layer` except verification, against the
 * AWS SDK alone as one would tune it: no retries, 256 kept connections, middleware
 * resolved once, and no way to interrupt a call.
 */
import { KMSClient, SignCommand } from "@aws-sdk/client-kms"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { Decorator } from "effect-signer"
import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
import type { Comparison } from "./Remote.ts"
import { cpu, effects, promises, row, throughput } from "./Remote.ts"
import type { Row } from "./Row.ts"

const keyId = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const message = new Uint8Array(32).fill(7)

const comparison: Comparison = {
  server: "awsServer.ts",
  against: "@aws-sdk/client-kms",
  count: 1000,
  concurrency: 64,
  ours: (endpoint) =>
    Effect.map(
      AwsKmsSigner.make({
        endpoint,
        keyId,
        credentials: { accessKeyId: "AKID", secretAccessKey: Redacted.make("bench") }
      }),
      (bare) => {
        const signer = Decorator.observed()(Decorator.resilient()(bare))
        return effects(() => signer.sign(message))
      }
    ),
  reference: (endpoint) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(
          () =>
            new KMSClient({
              endpoint,
              region: "eu-central-1",
              credentials: { accessKeyId: "AKID", secretAccessKey: "bench" },
              maxAttempts: 1,
              cacheMiddleware: true,
              requestHandler: {
                connectionTimeout: 5000,
                requestTimeout: 10_000,
                throwOnRequestTimeout: true,
                httpAgent: { keepAlive: true, maxSockets: 256 }
              }
            })
        ),
        (client) => Effect.sync(() => client.destroy())
      ),
      (client) =>
        promises(() =>
          client.send(
            new SignCommand({
              KeyId: keyId,
              Message: message,
              MessageType: "RAW",
              SigningAlgorithm: "ED25519_SHA_512"
            })
          )
        )
    )
}

export const rows: ReadonlyArray<Row> = [
  row("aws/throughput/c64", "sign/s", throughput, comparison),
  row("aws/cpu/c64", "us", cpu, comparison)
]
