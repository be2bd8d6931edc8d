/**
 * A client of AdCP sellers that signs what each of them wants signed.
 *
 * @category internal
 */
import * as Cache from "effect/Cache"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type * as Signer from "../../services/Signer.ts"
import { withFields } from "../http/HttpClientFields.ts"
import type { HttpRequest } from "../HttpMessage.ts"
import * as HttpMessage from "../HttpMessage.ts"
import type { RequestSigning, SigningMode } from "./AdcpCapability.ts"
import { modeOf, parseCapability } from "./AdcpCapability.ts"
import type { AdcpOperation } from "./AdcpOperation.ts"
import { allIn, carriesWebhookCredentials, inspect, operationOf } from "./AdcpOperation.ts"
import type { SignFailure, SignRequestOptions } from "./AdcpSign.ts"
import { signRequest } from "./AdcpSign.ts"

// ---------------------------------------------------------------------------
// capabilities
// ---------------------------------------------------------------------------

const allowed = { minimum: Duration.seconds(1), maximum: Duration.days(1) }

/**
 * What a seller says of itself, kept for a while: read when it is first needed, and
 * again when its time has passed.
 *
 * **Details**
 *
 * `load` gives the answer to `get_adcp_capabilities`, or its block `request_signing`:
 * JSON, already parsed. One read serves all who wait for it. A failure is not kept,
 * and it is the failure of the request that needs it: nothing is sent unsigned
 * because a seller could not be asked.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const cachedCapability = <E, R>(
  load: Effect.Effect<unknown, E, R>,
  options: {
    /** Default 5 minutes. */
    readonly timeToLive?: Duration.Input | undefined
  } = {}
): Effect.Effect<Effect.Effect<RequestSigning, E | InvalidConfiguration>, InvalidConfiguration, R> =>
  Effect.suspend(() => {
    const timeToLive = Option.getOrUndefined(Duration.fromInput(options.timeToLive ?? "5 minutes"))
    if (timeToLive === undefined || !Duration.between(timeToLive, allowed)) {
      const problem = "must be from 1 second to 1 day"
      return Effect.fail(InvalidConfiguration.of({ operation: "make", field: "timeToLive", problem }))
    }
    const cache = Cache.makeWith((_: "capability") => Effect.flatMap(load, parseCapability), {
      capacity: 1,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? timeToLive : Duration.zero)
    })
    return Effect.map(cache, (cache) => Cache.get(cache, "capability"))
  })

// ---------------------------------------------------------------------------
// decisions
// ---------------------------------------------------------------------------

/** What tells how to sign cannot wait for its own answer. */
const discovery = "get_adcp_capabilities"

/** From the strictest. */
const modes: ReadonlyArray<SigningMode> = ["required", "warn", "supported"]

const strictest = (found: ReadonlyArray<SigningMode>): SigningMode =>
  modes.find((mode) => found.includes(mode)) ?? "none"

/**
 * What the seller wants of a request: the strictest list that names what it asks
 * for. A request that registers credentials for webhooks, or of which two readers may
 * say that it asks for different things, is `"required"` wherever signatures are
 * supported.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const requestMode = (
  capability: RequestSigning,
  request: HttpRequest,
  operation?: AdcpOperation | undefined
): SigningMode => {
  // Read as a verifier reads it
  const body = inspect(request)
  const asked = operation === undefined ? allIn(request.path, body) : { operations: [operation], problem: undefined }
  const isStrict = carriesWebhookCredentials(body) || asked.problem !== undefined
  return capability.supported && isStrict
    ? "required"
    : strictest(asked.operations.map((one) => modeOf(capability, one)))
}

// ---------------------------------------------------------------------------
// client
// ---------------------------------------------------------------------------

/**
 * Options of {@link client}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions<E = never, R = never> extends Omit<SignRequestOptions, "coverDigest" | "nonce"> {
  /** What the seller says of itself: {@link parseCapability}, or an effect such as {@link cachedCapability}. */
  readonly capability: RequestSigning | Effect.Effect<RequestSigning, E, R>
  /** What a request asks for. Default: as its path and its body say. */
  readonly operation?: ((request: HttpRequest) => AdcpOperation) | undefined
  /** Whether to sign where the seller only says that it can verify. Default `true`. */
  readonly signSupported?: boolean | undefined
}

/**
 * A client of one seller, which signs the requests that this seller wants signed:
 * those of `required_for`, `warn_for` and `supported_for`, and of the lists of
 * protocol methods. Others are sent as they are.
 *
 * **Details**
 *
 * `get_adcp_capabilities` is sent as it is. A request that is to be signed and cannot
 * be fails, and is not sent: a key for another purpose, or a body that is a stream.
 * The digest of the content is covered unless the seller forbids it.
 *
 * **Gotchas**
 *
 * Apply it last, closest to the transport: what is changed after it is not what is
 * signed. A redirect that the client follows carries the signature of the first URL.
 *
 * What reads the capability needs a client without this one around it: the handshake
 * of an MCP session would wait for the capability, and so for itself.
 *
 * @category clients
 * @since 0.1.0
 */
export const client =
  <E2 = never, R2 = never>(options: ClientOptions<E2, R2>) =>
  <E, R>(
    self: HttpClient.HttpClient.With<E, R>
  ): HttpClient.HttpClient.With<E | E2 | SignFailure, R | R2 | Signer.Signer> =>
    HttpClient.mapRequestEffect(
      self,
      Effect.fnUntraced(function* (
        source: HttpClientRequest.HttpClientRequest
      ): Effect.fn.Return<HttpClientRequest.HttpClientRequest, E2 | SignFailure, R2 | Signer.Signer> {
        const request = HttpMessage.fromClientRequest(source)
        const operation = options.operation?.(request)
        if ((operation ?? operationOf(request)).name === discovery) return source
        const capability = Effect.isEffect(options.capability) ? yield* options.capability : options.capability
        const mode = requestMode(capability, request, operation)
        if (mode === "none" || (mode === "supported" && options.signSupported === false)) return source
        const { expiresIn, keyId, profile } = options
        const coverDigest = capability.coversContentDigest !== "forbidden"
        if (!coverDigest && profile.request.contentDigest === "required") {
          return yield* InvalidConfiguration.of({
            operation: "sign",
            field: "capability",
            problem: `the seller forbids what ${profile.request.name} demands: that the digest of the content is covered`
          })
        }
        const { fields } = yield* signRequest(request, { profile, keyId, expiresIn, coverDigest })
        return withFields(source, fields)
      })
    )
