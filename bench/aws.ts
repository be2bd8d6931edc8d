/**
 * `AwsKmsSigner` with the decorators of its `layer` except verification, against the
 * AWS SDK alone. The server is a process of its own and answers at once.
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

const ours = (endpoint: string) =>
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
  )

/** The SDK, tuned: no retries, 256 kept connections, a limit on each request. */
const client = (endpoint: string, options: { readonly cacheMiddleware: boolean }) =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new KMSClient({
          endpoint,
          region: "eu-central-1",
          credentials: { accessKeyId: "AKID", secretAccessKey: "bench" },
          maxAttempts: 1,
          requestHandler: {
            connectionTimeout: 5000,
            requestTimeout: 10_000,
            throwOnRequestTimeout: true,
            httpAgent: { keepAlive: true, maxSockets: 256 }
          },
          ...options
        })
    ),
    (client) => Effect.sync(() => client.destroy())
  )

const command = () =>
  new SignCommand({ KeyId: keyId, Message: message, MessageType: "RAW", SigningAlgorithm: "ED25519_SHA_512" })

const measured = { server: "awsServer.ts", count: 1000, concurrency: 64, ours }

/** As fast as the SDK can be: its middleware resolved once, which it does only for calls that cannot be interrupted. */
const fastest: Comparison = {
  ...measured,
  against: "@aws-sdk/client-kms, middleware cached",
  reference: (endpoint) =>
    Effect.map(client(endpoint, { cacheMiddleware: true }), (client) => promises(() => client.send(command())))
}

/** The SDK doing as much as we do: each call can be interrupted. */
const interruptible: Comparison = {
  ...measured,
  against: "@aws-sdk/client-kms, with an AbortSignal",
  reference: (endpoint) =>
    Effect.map(client(endpoint, { cacheMiddleware: false }), (client) =>
      promises(() => client.send(command(), { abortSignal: new AbortController().signal }))
    )
}

export const rows: ReadonlyArray<Row> = [
  row("aws/throughput/c64", "sign/s", throughput, fastest),
  row("aws/cpu/c64", "us", cpu, fastest),
  row("aws/throughput/c64/interruptible", "sign/s", throughput, interruptible),
  row("aws/cpu/c64/interruptible", "us", cpu, interruptible)
]
