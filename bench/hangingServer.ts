/**
 * The emulator of a cloud, in a process of its own, that reads keys and never
 * signs. Tells its parent where it is, when it was asked to sign and when it saw
 * that call end: on the clock that all processes of the machine share.
 */
import { subscribe } from "node:diagnostics_channel"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Http2Stream, IncomingHttpHeaders } from "node:http2"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Scope } from "effect/Scope"
import type { SignerError } from "effect-signer/SignerError"
import * as AwsKmsEmulator from "effect-signer/testing/AwsKmsEmulator"
import * as AzureKeyVaultEmulator from "effect-signer/testing/AzureKeyVaultEmulator"
import * as GcpKmsEmulator from "effect-signer/testing/GcpKmsEmulator"
import * as VaultEmulator from "effect-signer/testing/VaultEmulator"

/** Where an emulator is, and what opens it. */
export interface Address {
  readonly url: string
  readonly key: string
  readonly token: string
}

export type Event =
  | { readonly _tag: "Listening"; readonly address: Address; readonly silent: string }
  | { readonly _tag: "Asked" }
  /** Nanoseconds of `process.hrtime.bigint()`. */
  | { readonly _tag: "Ended"; readonly at: string }

const emulators: Readonly<Record<string, Effect.Effect<Address, SignerError, Scope>>> = {
  aws: Effect.gen(function* () {
    const kms = yield* AwsKmsEmulator.make()
    const { arn } = yield* kms.createKey("ECC_NIST_P256")
    yield* kms.sign.always(AwsKmsEmulator.Fault.hang)
    return { url: kms.url, key: arn, token: "" }
  }),
  azure: Effect.gen(function* () {
    const vault = yield* AzureKeyVaultEmulator.make()
    yield* vault.createKey("release", "P-256")
    yield* vault.sign.always(AzureKeyVaultEmulator.Fault.hang)
    const { token } = yield* Effect.promise(() => vault.credential.getToken(vault.connection.scope))
    return { url: vault.url, key: "release", token }
  }),
  "gcp/rest": Effect.gen(function* () {
    const kms = yield* GcpKmsEmulator.make({ transports: ["rest"] })
    const { version } = yield* kms.createKey("release", "EC_SIGN_P256_SHA256")
    yield* kms.sign.always(GcpKmsEmulator.Fault.hang)
    const token = yield* Effect.promise(() => kms.tokens.getAccessToken())
    return { url: kms.rest.endpoint, key: yield* version, token }
  }),
  "gcp/grpc": Effect.gen(function* () {
    const kms = yield* GcpKmsEmulator.make({ transports: ["grpc"] })
    const { version } = yield* kms.createKey("release", "EC_SIGN_P256_SHA256")
    yield* kms.sign.always(GcpKmsEmulator.Fault.hang)
    return { url: kms.grpc.endpoint, key: yield* version, token: "" }
  }),
  vault: Effect.gen(function* () {
    const vault = yield* VaultEmulator.make()
    yield* vault.createKey("release", "ecdsa-p256")
    yield* vault.sign.always(VaultEmulator.Fault.hang)
    return { url: vault.url, key: "release", token: Redacted.value(vault.connection.token) }
  })
}

const tell = (event: Event) => process.send!(event)

const watch = (call: ServerResponse | Http2Stream) => {
  call.once("close", () => tell({ _tag: "Ended", at: String(process.hrtime.bigint()) }))
  tell({ _tag: "Asked" })
}

/** AWS names the operation in a header, the others in the path; `/silent` is the server that does nothing else. */
const isSign = ({ headers, method, url = "" }: IncomingMessage) =>
  method === "POST" && (headers["x-amz-target"] === "TrentService.Sign" || /sign|silent/i.test(url))

subscribe("http.server.request.start", (message) => {
  const { request, response } = message as { readonly request: IncomingMessage; readonly response: ServerResponse }
  if (isSign(request)) watch(response)
})

subscribe("http2.server.stream.start", (message) => {
  const { headers, stream } = message as { readonly headers: IncomingHttpHeaders; readonly stream: Http2Stream }
  if (headers[":path"]?.endsWith("/AsymmetricSign") === true) watch(stream)
})

const silent = createServer((request) => request.resume())
silent.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/silent`
  void Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        tell({ _tag: "Listening", address: yield* emulators[process.argv[2]!]!, silent: url })
        return yield* Effect.never
      })
    )
  )
})
process.on("disconnect", () => process.exit())
