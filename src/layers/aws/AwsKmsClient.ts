/**
 * How AWS KMS is reached: one request in one attempt, which interruption ends, through
 * a client of our own or one that was handed in.
 *
 * @category internal
 */
import type * as KMS from "@aws-sdk/client-kms"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ErrorContext, SignerError } from "../../schemas/SignerError.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import { classify } from "./AwsKmsError.ts"
import * as OptionalPeer from "../remote/OptionalPeer.ts"
import { hostOf } from "../remote/Outcome.ts"

const backend = "aws-kms"

/**
 * What is used of a configured `KMSClient`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  send(command: object, options?: { readonly abortSignal?: AbortSignal }): Promise<unknown>
}

/**
 * How to reach AWS KMS. What is absent, the SDK finds as it always does: region
 * and credentials in the environment, the shared files of the profile, the
 * container, the instance.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionOptions {
  /** Default: the one in the key's ARN, else as the SDK finds it. */
  readonly region?: string | undefined
  /** A profile of the shared configuration files. */
  readonly profile?: string | undefined
  /** A URL: of a VPC endpoint, or of an emulator. */
  readonly endpoint?: string | undefined
  /** Fixed credentials, for tests. Default: the SDK's chain of providers, which renews what expires. */
  readonly credentials?:
    | {
        readonly accessKeyId: string
        readonly secretAccessKey: Redacted.Redacted<string>
        readonly sessionToken?: Redacted.Redacted<string> | undefined
      }
    | undefined
  /** Connections at most, and so requests under way at once; they are kept alive. Default 256. */
  readonly concurrency?: number | undefined
  /** Until a connection stands. Default 5 seconds. */
  readonly connectionTimeout?: Duration.Input | undefined
  /**
   * Until one request is answered. Default 10 seconds; for {@link layer} one second
   * more than its timeout per attempt, which is to come first.
   */
  readonly requestTimeout?: Duration.Input | undefined
}

/** Options of {@link make}: `client` instead of all others. */
export interface Options extends ConnectionOptions {
  readonly client?: Client | undefined
}

const importSdk = Effect.mapError(
  OptionalPeer.load("@aws-sdk/client-kms", (): Promise<typeof KMS> => import("@aws-sdk/client-kms")),
  (problem) => problem({ backend, keyId: "-", operation: "make" })
)

type Command = KMS.SignCommand | KMS.GetPublicKeyCommand

/** A request under way. */
interface Call {
  readonly answer: Promise<unknown>
  /** Ends it: the connection is closed. */
  readonly abort: () => void
}

/** Sends one command, in one attempt. */
type Send = (command: Command) => Call

/** A middleware of the SDK, which types each by the commands it is for. */
type Handler = (args: { readonly input: object; readonly request?: unknown }) => Promise<unknown>
const middleware = (of: (next: Handler) => Handler) => of as never

interface Identity {
  readonly accessKeyId: string
  readonly sessionToken?: string | undefined
}

interface Connection {
  readonly send: Send
  /** The credentials in use; `forceRefresh` obtains them anew. Absent where the client does not show how. */
  readonly credentials: ((options?: { readonly forceRefresh?: boolean }) => Promise<Identity>) | undefined
}

/** As much of an `AbortSignal` as a request handler of the SDK uses, at a tenth of the cost. */
class Abort {
  aborted = false
  #listener: (() => void) | undefined
  addEventListener(_type: "abort", listener: () => void) {
    this.#listener = listener
  }
  removeEventListener() {
    this.#listener = undefined
  }
  abort() {
    this.aborted = true
    this.#listener?.()
  }
}

const aborts = Symbol("effect-signer/AwsKmsSigner/aborts")

/** What carries the {@link Abort} of a call: the input of its command, then its signed request. */
interface Carrier {
  [aborts]?: Abort | undefined
}

/**
 * `send` on a client of our own. The SDK resolves the middleware of a command anew for
 * each call that has options, at a sixth of the call's CPU: so what aborts it goes
 * around that, on the input and on the request.
 */
const sendOwn = (client: KMS.KMSClient): Send => {
  layOut(client.config)
  const handler = client.config.requestHandler
  const handle: typeof handler.handle = (request, options) =>
    handler.handle(request, { ...options, abortSignal: (request as Carrier)[aborts] as never })
  client.config.requestHandler = Object.assign(Object.create(handler), { handle })
  // Retries are the decorator's. Also with one attempt the middleware makes an error and its stack for each call.
  client.middlewareStack.add(
    middleware((next) => next),
    { name: "retryMiddleware", step: "finalizeRequest", priority: "high", override: true }
  )
  client.middlewareStack.addRelativeTo(
    middleware((next) => (args) => {
      const request = args.request as Carrier
      request[aborts] = (args.input as Carrier)[aborts]
      return next(args)
    }),
    { name: "effectSignerAbort", relation: "after", toMiddleware: "httpSigningMiddleware" }
  )
  return (command) => {
    const abort = new Abort()
    ;(command.input as Carrier)[aborts] = abort
    return { answer: client.send(command as KMS.SignCommand), abort: () => abort.abort() }
  }
}

/** An error in a form that no retry strategy of an SDK takes for a reason to try again. */
class FirstAttempt extends Error {
  readonly #error: unknown
  constructor(error: unknown) {
    super("effect-signer: one attempt only")
    this.#error = error
  }
  static unwrap(error: unknown): unknown {
    return error instanceof FirstAttempt ? error.#error : error
  }
}

/** `send` on a client that was handed in: its retries would multiply with ours, so its first error is its last. */
const sendForeign =
  (client: Client): Send =>
  (command) => {
    let failed: FirstAttempt | undefined
    command.middlewareStack.addRelativeTo(
      middleware((next) => async (args) => {
        if (failed !== undefined) throw failed
        try {
          return await next(args)
        } catch (error) {
          failed = new FirstAttempt(error)
          throw failed
        }
      }),
      { name: "effectSignerFirstAttempt", relation: "after", toMiddleware: "retryMiddleware" }
    )
    const controller = new AbortController()
    return {
      answer: client.send(command, { abortSignal: controller.signal }).catch((error: unknown) => {
        throw FirstAttempt.unwrap(error)
      }),
      abort: () => controller.abort()
    }
  }

/**
 * The SDK copies the configuration of its client five times for each call, and builds it in a
 * way that leaves V8 with a hash table: 6 us a copy. V8 lays the prototype of an object that
 * is read often out anew: 0.8 us.
 */
const layOut = (config: object): void => {
  const heir = Object.create(config) as { readonly region?: unknown }
  for (let reads = 0; reads < 100 && heir.region !== undefined; reads++);
}

const millis = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))

const makeClient = Effect.fnUntraced(function* (
  { KMSClient }: typeof KMS,
  options: Options
): Effect.fn.Return<KMS.KMSClient, SignerError, Scope.Scope> {
  const { credentials, endpoint, profile, region } = options
  const sockets = { keepAlive: true, maxSockets: options.concurrency ?? 256 }
  const client = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new KMSClient({
          ...(region === undefined ? {} : { region }),
          ...(profile === undefined ? {} : { profile }),
          ...(endpoint === undefined ? {} : { endpoint }),
          ...(credentials === undefined
            ? {}
            : {
                // a function: the configuration of the client then shows no secret
                credentials: () =>
                  Promise.resolve({
                    accessKeyId: credentials.accessKeyId,
                    secretAccessKey: Redacted.value(credentials.secretAccessKey),
                    ...(credentials.sessionToken === undefined
                      ? {}
                      : { sessionToken: Redacted.value(credentials.sessionToken) })
                  })
              }),
          // Retries are the decorator's. Stated, because the environment could ask for others.
          maxAttempts: 1,
          retryMode: "standard",
          cacheMiddleware: true,
          requestHandler: {
            connectionTimeout: millis(options.connectionTimeout ?? "5 seconds"),
            requestTimeout: millis(options.requestTimeout ?? "10 seconds"),
            throwOnRequestTimeout: true, // without it, the SDK logs a warning and waits on
            httpAgent: sockets,
            httpsAgent: sockets
          }
        })
    ),
    (client) => Effect.sync(() => client.destroy())
  )
  yield* Effect.tryPromise({
    try: () => client.config.region(),
    catch: () =>
      new InvalidConfiguration({
        backend,
        keyId: "-",
        operation: "make",
        field: "region",
        problem: "is not known: state it, set AWS_REGION, or name the key by its ARN"
      })
  })
  return client
})

const connect = Effect.fnUntraced(function* (
  sdk: typeof KMS,
  options: Options
): Effect.fn.Return<Connection, SignerError, Scope.Scope> {
  if (options.client === undefined) {
    const client = yield* makeClient(sdk, options)
    return { send: sendOwn(client), credentials: client.config.credentials }
  }
  const { config } = options.client as { readonly config?: { readonly credentials?: unknown } }
  return {
    send: sendForeign(options.client),
    credentials:
      typeof config?.credentials === "function" ? (config.credentials as Connection["credentials"]) : undefined
  }
})

/**
 * Repeats a request once where new credentials could be had after AWS refused the
 * old. The same ones again are not tried again.
 */
const renewing = Effect.fnUntraced(function* (credentials: Connection["credentials"]) {
  let generation = 0
  const isSame = (a: Identity, b: Identity) => a.accessKeyId === b.accessKeyId && a.sessionToken === b.sessionToken
  // single flight: ten thousand refused requests, one renewal
  const renew = yield* Effect.cachedWithTTL(
    Effect.promise(async () => {
      try {
        const before = await credentials!()
        if (!isSame(before, await credentials!({ forceRefresh: true }))) generation++
      } catch {
        // what AWS said about the old ones is what the caller hears
      }
    }),
    Duration.zero
  )
  return <A>(request: Effect.Effect<A, SignerError>): Effect.Effect<A, SignerError> =>
    credentials === undefined
      ? request
      : Effect.suspend(() => {
          const begun = generation
          return Effect.catchTag(request, "AuthenticationFailed", (error) =>
            Effect.flatMap(generation === begun ? renew : Effect.void, () =>
              generation === begun ? Effect.fail(error) : request
            )
          )
        })
})

/** Sends one command, in one attempt; interruption aborts it. */
export type Request = (
  context: ErrorContext,
  command: (sdk: typeof KMS) => Command
) => Effect.Effect<unknown, SignerError>

/** How to send commands, until the scope is closed. Imports the SDK. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Request, SignerError, Scope.Scope> {
  const sdk = yield* importSdk
  const { credentials, send } = yield* connect(sdk, options)
  const renewed = yield* renewing(credentials)
  const endpoint = options.endpoint === undefined ? undefined : hostOf(new URL(options.endpoint))
  return (context, command) =>
    renewed(
      Effect.callback((resume) => {
        const fail = (error: unknown) =>
          resume(
            Effect.clockWith((clock) =>
              Effect.fail(classify(context, error, clock.currentTimeMillisUnsafe(), endpoint))
            )
          )
        try {
          const { abort, answer } = send(command(sdk))
          answer.then((response) => resume(Effect.succeed(response)), fail)
          return Effect.sync(abort)
        } catch (error) {
          fail(error)
        }
      })
    )
})
