/**
 * Signers by an id: of a tenant, a customer, a chain. Each is built when it is first
 * used, shared by all who use it, and released when nobody has for a while.
 *
 * **Details**
 *
 * The first use builds the layer of the id, once for all who wait. One who is
 * interrupted leaves the build to the others. A build that fails is forgotten: the
 * next use builds again.
 *
 * A layer is built with the services of this layer, not of who asks first: what
 * tenants share, an HTTP client or a key store, is a requirement of their layers.
 * Nothing else is shared among ids.
 *
 * **Gotchas**
 *
 * An id is often somebody's input. Look it up before it becomes part of a path or of
 * a key's name, and let the lookup fail for an id that you do not know.
 *
 * **Example** (A key per tenant)
 *
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import * as Signers from "effect-signer/Signers"
 * import * as VaultSigner from "effect-signer/VaultSigner"
 *
 * const SignersLive = Signers.layer((tenant) =>
 *   VaultSigner.layer({ url: "https://vault.example:8200", token: Redacted.make("hvs.token"), key: `tenant-${tenant}` })
 * ).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const signFor = (tenant: string, message: Uint8Array) =>
 *   Signers.use(tenant, (signer) => signer.sign(message)).pipe(Effect.provide(SignersLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, RateLimited, Retryable } from "../schemas/SignerError.ts"
import * as Signer from "./Signer.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Signers by an id, whose layers fail with `E`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service<out E = SignerError> {
  /**
   * The Signer of an id, for as long as the scope is open.
   *
   * Fails with `InvalidConfiguration` where the id is none, with what the layer of the
   * id fails with, and with `Retryable` where as many ids are in use as there may be.
   */
  readonly get: (id: string) => Effect.Effect<Signer.Service, E | InvalidConfiguration | Retryable, Scope.Scope>
  /** Uses the Signer of an id, and gives it back when `f` has ended. */
  readonly use: <A, E2, R>(
    id: string,
    f: (signer: Signer.Service) => Effect.Effect<A, E2, R>
  ) => Effect.Effect<A, E | E2 | InvalidConfiguration | Retryable, R>
  /**
   * Has the next use of an id build its Signer anew: its settings have changed. Who
   * uses it now keeps it until they are done.
   */
  readonly invalidate: (id: string) => Effect.Effect<void>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How long a Signer that nobody uses is kept. Default 5 minutes, at most one day. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /**
   * Signers that are kept at the same time, at most. Where there are as many, the one
   * that was not used for the longest time makes room. Default: no limit.
   */
  readonly capacity?: number | undefined
}

// ---------------------------------------------------------------------------
// services
// ---------------------------------------------------------------------------

/**
 * Signers by an id.
 *
 * @category services
 * @since 0.1.0
 */
export class Signers extends Context.Service<Signers, Service>()("effect-signer/Signers") {}

/**
 * A key for Signers whose layers fail with other errors, too, than `SignerError`, or
 * for a second lookup in one application.
 *
 * **Example** (A lookup that may not know the tenant)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Signer } from "effect-signer"
 * import * as LocalSigner from "effect-signer/LocalSigner"
 * import * as Signers from "effect-signer/Signers"
 *
 * class TenantUnknown extends Schema.TaggedError<TenantUnknown>()("TenantUnknown", {}) {}
 *
 * class Tenants extends Signers.Tag<Tenants, TenantUnknown>()("app/Tenants") {}
 *
 * const TenantsLive = Layer.effect(
 *   Tenants,
 *   Signers.make((id) =>
 *     id === "acme" ? LocalSigner.layerGenerated("Ed25519") : Layer.effect(Signer.Signer, Effect.fail(new TenantUnknown()))
 *   )
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Tag =
  <Self, E = never>() =>
  <const Identifier extends string>(identifier: Identifier) =>
    Context.Service<Self, Service<SignerError | E>>()(identifier)

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const backend = "signers"

const invalid = (field: string, problem: string) =>
  new InvalidConfiguration({ backend, keyId: "-", operation: "make", field, problem })

const maxIdLength = 256

/** Text that is not empty and that a log only displays. What was given is not repeated. */
const isId = (id: unknown): id is string =>
  typeof id === "string" && id.length > 0 && id.length <= maxIdLength && !/\p{C}/u.test(id)

const oneDay = Duration.days(1)

const checkOptions = Effect.fnUntraced(function* ({ capacity, idleTimeToLive = "5 minutes" }: Options) {
  const timeToLive = Option.getOrUndefined(Duration.fromInput(idleTimeToLive))
  if (timeToLive === undefined || !Duration.between(timeToLive, { minimum: Duration.zero, maximum: oneDay })) {
    return yield* invalid("idleTimeToLive", "must be from 0 to 1 day")
  }
  if (capacity !== undefined && !(Number.isSafeInteger(capacity) && capacity >= 1)) {
    return yield* invalid("capacity", "must be a whole number from 1")
  }
  return { timeToLive, capacity: capacity ?? Infinity }
})

const entryOf = <E>(state: RcMap.State.Open<string, Signer.Service, E>, id: string) =>
  Option.getOrUndefined(MutableHashMap.get(state.map, id))

const makeOf = Effect.fnUntraced(function* <E, R>(
  lookup: (id: string) => Layer.Layer<Signer.Signer, E, R>,
  options: Options = {}
): Effect.fn.Return<Service<E>, InvalidConfiguration, R | Scope.Scope> {
  const { capacity, timeToLive } = yield* checkOptions(options)
  const context = yield* Effect.context<R>()

  /**
   * With the services of the layer: a map would add those of who asks first. And with
   * nothing that the application has built: two ids would have that in common.
   */
  const build = (id: string): Effect.Effect<Signer.Service, E, Scope.Scope> =>
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.suspend(() => Layer.buildWithMemoMap(lookup(id), Layer.makeMemoMapUnsafe(), scope)).pipe(
        Effect.map((services) => Context.get(services, Signer.Signer)),
        Effect.updateContext(() => context as Context.Context<R>)
      )
    )

  const map = yield* RcMap.make({ lookup: build, idleTimeToLive: timeToLive })

  /** A map keeps a failure as it keeps a value. */
  const forgetFailure = (id: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const deferred = map.state._tag === "Closed" ? undefined : entryOf(map.state, id)?.deferred
      return deferred === undefined || !Deferred.isDoneUnsafe(deferred)
        ? Effect.void
        : Effect.catchCause(Effect.asVoid(Deferred.await(deferred)), () => RcMap.invalidate(map, id))
    })

  /** Where there is no room, releases the Signer that nobody has used for the longest time. */
  const acquire = (id: string): Effect.Effect<Signer.Service, E | Retryable, Scope.Scope> =>
    Effect.suspend(() => {
      const { state } = map
      if (state._tag === "Closed" || MutableHashMap.size(state.map) < capacity || entryOf(state, id) !== undefined) {
        return RcMap.get(map, id)
      }
      let oldest: { readonly id: string; readonly expiresAt: number } | undefined
      for (const [id, { expiresAt, refCount }] of state.map) {
        if (refCount === 0 && (oldest === undefined || expiresAt < oldest.expiresAt)) oldest = { id, expiresAt }
      }
      return oldest === undefined
        ? Effect.fail(new Retryable({ backend, keyId: id, operation: "make", reason: new RateLimited({}) }))
        : Effect.andThen(RcMap.invalidate(map, oldest.id), acquire(id))
    })

  const get: Service<E>["get"] = (id) =>
    isId(id)
      ? forgetFailure(id).pipe(
          Effect.andThen(acquire(id)),
          Effect.onError(() => forgetFailure(id))
        )
      : Effect.fail(invalid("id", `must be text of 1 to ${maxIdLength} characters without control characters`))

  return {
    get,
    use: (id, f) => Effect.scoped(Effect.flatMap(get(id), f)),
    invalidate: (id) => RcMap.invalidate(map, id)
  }
})

/**
 * Signers by an id, for as long as the scope is open: then all of them are released,
 * in use or not.
 *
 * **Details**
 *
 * `lookup` is called for each build, with an id of 1 to 256 characters without control
 * characters, and with nothing else checked.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <L extends Layer.Layer<Signer.Signer, unknown, unknown>>(
  lookup: (id: string) => L,
  options?: Options
): Effect.Effect<Service<Layer.Error<L>>, InvalidConfiguration, Layer.Services<L> | Scope.Scope> =>
  // What one layer of a union fails with and needs, the union does
  makeOf(lookup as unknown as (id: string) => Layer.Layer<Signer.Signer, Layer.Error<L>, Layer.Services<L>>, options)

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides Signers by an id.
 *
 * **Gotchas**
 *
 * Keep the layer in a `const`: two calls of `layer(lookup)` are two sets of Signers.
 *
 * @see {@link Tag} where layers fail with errors of your own
 * @category layers
 * @since 0.1.0
 */
export const layer = <L extends Layer.Layer<Signer.Signer, SignerError, unknown>>(
  lookup: (id: string) => L,
  options?: Options
): Layer.Layer<Signers, InvalidConfiguration, Exclude<Layer.Services<L>, Scope.Scope>> =>
  Layer.effect(Signers, make(lookup, options))

// ---------------------------------------------------------------------------
// accessors
// ---------------------------------------------------------------------------

/**
 * The Signer of an id, for as long as the scope is open.
 *
 * @category accessors
 * @since 0.1.0
 */
export const get = (id: string): Effect.Effect<Signer.Service, SignerError, Signers | Scope.Scope> =>
  Effect.flatMap(Signers, (signers) => signers.get(id))

/**
 * Uses the Signer of an id, and gives it back when `f` has ended.
 *
 * @category accessors
 * @since 0.1.0
 */
export const use = <A, E, R>(
  id: string,
  f: (signer: Signer.Service) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | SignerError, R | Signers> => Effect.flatMap(Signers, (signers) => signers.use(id, f))

/**
 * Runs a program that needs a Signer, a protocol for one, with that of an id.
 *
 * **Example** (A JWS by the key of a tenant)
 *
 * ```ts
 * import * as Jws from "effect-signer/Jws"
 * import * as Signers from "effect-signer/Signers"
 *
 * const signed = Jws.sign(new TextEncoder().encode("paid")).pipe(Signers.provide("acme"))
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const provide =
  (id: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | SignerError, Exclude<R, Signer.Signer> | Signers> =>
    use(id, (signer) => Effect.provideService(self, Signer.Signer, signer))
