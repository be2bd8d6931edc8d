/**
 * Cloud KMS over gRPC, through the client of `@google-cloud/kms`: one attempt per
 * call, which interruption cancels.
 *
 * @category internal
 */
import type * as KMS from "@google-cloud/kms"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as GcpCredential from "./GcpCredential.ts"
import type { CredentialOptions } from "./GcpCredential.ts"
import * as GcpKmsApi from "./GcpKmsApi.ts"
import * as GcpKmsError from "./GcpKmsError.ts"
import { member } from "./GcpKmsError.ts"
import * as OptionalPeer from "../remote/OptionalPeer.ts"
import { hostOf, type Problem } from "../remote/Outcome.ts"

/**
 * What is used of a configured `KeyManagementServiceClient`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  initialize(): Promise<unknown>
  readonly innerApiCalls: { readonly [name: string]: unknown }
  /** Its credentials. */
  readonly auth?: unknown
}

export interface Options extends CredentialOptions {
  readonly endpoint: URL
  readonly client: Client | undefined
  /** Until one request is answered. */
  readonly requestTimeout: Duration.Duration
}

// ---------------------------------------------------------------------------
// the client
// ---------------------------------------------------------------------------

const importSdk = OptionalPeer.load("@google-cloud/kms", (): Promise<typeof KMS> => import("@google-cloud/kms"))

/** To a server on the loopback interface, which has no certificate and is given no credentials. */
const plaintext = Effect.map(
  Effect.all([OptionalPeer.load("@grpc/grpc-js", () => import("@grpc/grpc-js")), GcpCredential.importLibrary]),
  ([{ credentials }, { GoogleAuth, PassThroughClient }]) => ({
    sslCreds: credentials.createInsecure(),
    auth: new GoogleAuth({ authClient: new PassThroughClient() })
  })
)

type ClientOptions = NonNullable<ConstructorParameters<typeof KMS.KeyManagementServiceClient>[0]>

const open = Effect.fnUntraced(function* (
  sdk: typeof KMS,
  { credentials, endpoint }: Options
): Effect.fn.Return<KMS.KeyManagementServiceClient, Problem> {
  const isPlaintext = endpoint.protocol === "http:"
  const given = isPlaintext
    ? yield* plaintext
    : credentials === undefined
      ? {}
      : { auth: yield* GcpCredential.resolve({ credentials }) }
  const options = {
    apiEndpoint: endpoint.hostname,
    port: endpoint.port === "" ? (isPlaintext ? 80 : 443) : Number(endpoint.port),
    ...given
  }
  return yield* Effect.try({
    try: () => new sdk.KeyManagementServiceClient(options as ClientOptions),
    catch: GcpCredential.refusedCredential
  })
})

/** A client that is ready. One that could not become so remembers it for ever, and so is closed and thrown away. */
const connected = (
  sdk: typeof KMS,
  options: Options
): Effect.Effect<Client & { readonly close: () => Promise<void> }, Problem> =>
  Effect.flatMap(open(sdk, options), (client) =>
    Effect.tryPromise({ try: () => client.initialize(), catch: GcpCredential.refusedCredential }).pipe(
      Effect.as(client),
      // Also where nobody waits any more. It is closed when it has got what it waits for itself.
      Effect.onError(() => Effect.sync(() => void client.close().catch(() => {})))
    )
  )

// ---------------------------------------------------------------------------
// calls
// ---------------------------------------------------------------------------

/** A call of the SDK under way: its answer, the next page, and the answer as it came. */
interface Call extends Promise<ReadonlyArray<unknown>> {
  cancel(): void
}
type Method = (request: object, options: object) => Call

/** What a call ended with. */
interface Thrown {
  readonly error: unknown
}

/** What a gRPC client fails with. An error without a code is none of the service: credentials, most of all. */
const classify = (error: unknown, waited: Duration.Duration, from: string): Problem => {
  const code = member(error, "code")
  const status = typeof code === "number" ? GcpKmsError.statusNames[code] : undefined
  if (status === undefined) {
    return typeof code === "number"
      ? GcpKmsError.refused({ status: `CODE_${code}`, text: "", details: [] })
      : GcpCredential.refusedCredential(error)
  }
  const text = member(error, "details")
  const details = member(error, "statusDetails")
  return GcpKmsError.refused({
    status,
    text: typeof text === "string" ? text : "",
    details: [
      ...(Array.isArray(details) ? details : []),
      // taken out of the details by the SDK
      { reason: member(error, "reason") }
    ],
    waited,
    from
  })
}

/** The code of a credential that is refused. */
const unauthenticated = GcpKmsError.statusNames.indexOf("UNAUTHENTICATED")

const encodings = { bytes: (bytes: Uint8Array) => bytes, int64: (value: number) => ({ value }) }

/** A transport until the scope is closed. Imports the SDK, unless a client was handed in. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<GcpKmsApi.Transport, Problem, Scope.Scope> {
  const { client: handed, endpoint, requestTimeout: waited } = options
  const from = hostOf(endpoint)
  let own: { readonly close: () => Promise<void> } | undefined
  const client: Effect.Effect<Client, Problem> =
    handed === undefined
      ? // single flight; a failure is not remembered
        yield* Effect.cachedWithTTL(
          Effect.tap(connected(yield* importSdk, options), (client) => Effect.sync(() => (own = client))),
          (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
        )
      : Effect.as(Effect.tryPromise({ try: () => handed.initialize(), catch: GcpCredential.refusedCredential }), handed)
  yield* Effect.addFinalizer(() =>
    own === undefined ? Effect.void : Effect.ignore(Effect.tryPromise(async () => own?.close()))
  )

  const attempt = (
    { innerApiCalls }: Client,
    method: "getPublicKey" | "asymmetricSign" | "listCryptoKeyVersions",
    [parameter, resource]: readonly ["name" | "parent", string],
    request: object
  ): Effect.Effect<ReadonlyArray<unknown>, Thrown> =>
    Effect.callback((resume) => {
      const fail = (error: unknown) => resume(Effect.fail({ error }))
      try {
        // Not the public methods: their promises cannot be cancelled.
        const call = (innerApiCalls[method] as Method)(
          { ...request, [parameter]: resource },
          {
            timeout: Duration.toMillis(waited),
            retry: null,
            autoPaginate: false,
            // https://google.aip.dev/client-libraries/4222: the public methods set it, too
            otherArgs: { headers: { "x-goog-request-params": `${parameter}=${encodeURIComponent(resource)}` } }
          }
        )
        call.then((answer) => resume(Effect.succeed(answer)), fail)
        return Effect.sync(() => call.cancel())
      } catch (error) {
        fail(error)
      }
    })

  // Single flight: ten thousand refused calls, one renewal. What Cloud KMS said about the old token is what the caller hears.
  let generation = 0
  const renew = yield* Effect.cachedWithTTL(
    Effect.flatMap(client, ({ auth }) =>
      Effect.map(GcpCredential.renew(auth), (isOther) => {
        if (isOther) generation++
      })
    ).pipe(Effect.ignore),
    Duration.zero
  )

  const call = (
    method: Parameters<typeof attempt>[1],
    resource: Parameters<typeof attempt>[2],
    request: object
  ): Effect.Effect<ReadonlyArray<unknown>, Problem> =>
    Effect.flatMap(client, (client) => {
      const begun = generation
      const once = attempt(client, method, resource, request)
      return once.pipe(
        Effect.catchIf(
          ({ error }) => member(error, "code") === unauthenticated,
          (thrown) =>
            Effect.flatMap(generation === begun ? renew : Effect.void, () =>
              generation === begun ? Effect.fail(thrown) : once
            )
        ),
        Effect.mapError(({ error }) => classify(error, waited, from))
      )
    })

  return {
    getPublicKey: (name, format) =>
      Effect.map(
        call("getPublicKey", ["name", name], format === undefined ? {} : { publicKeyFormat: format }),
        ([answer]) => answer
      ),
    asymmetricSign: (name, input) =>
      Effect.map(call("asymmetricSign", ["name", name], GcpKmsApi.signRequest(input, encodings)), ([answer]) => answer),
    listVersions: (key, pageToken) =>
      Effect.map(
        call("listCryptoKeyVersions", ["parent", key], {
          ...GcpKmsApi.listParameters,
          ...(pageToken === undefined ? {} : { pageToken })
        }),
        ([, , page]) => page
      )
  }
})
