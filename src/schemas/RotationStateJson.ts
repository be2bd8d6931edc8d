/**
 * A `RotationState` as JSON: what stores keep, and what the command line prints.
 *
 * **Details**
 *
 * Public keys are JWKs, times are milliseconds since the Unix epoch. `format` is 1; a
 * document with a higher one was written by a newer version of this library, and is
 * refused rather than read in part. Members that are not known are refused, a private
 * JWK is, and so is a document that no steps lead to: two active keys, two candidates,
 * a name twice, a state without its time.
 *
 * **Example** (The state as text)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as RotationState from "effect-signer/RotationState"
 * import * as RotationStateJson from "effect-signer/RotationStateJson"
 *
 * const program = Effect.gen(function*() {
 *   const policy = yield* RotationState.makePolicy({ propagation: "10 minutes", tokenLifetime: "1 hour" })
 *   const text = RotationStateJson.toText(RotationState.empty(policy))
 *   return yield* RotationStateJson.fromText(text)
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { attempt, Malformed } from "./Malformed.ts"
import * as PublicKey from "./PublicKey.ts"
import { KeyState, maxKeys } from "./RotationModel.ts"
import type { RotationKey, RotationState } from "./RotationModel.ts"
import { maxWait } from "./RotationPolicy.ts"
import { facts, SignatureAlgorithm } from "./SignatureAlgorithm.ts"
import { InvalidConfiguration } from "./SignerError.ts"
import * as StrictJson from "./StrictJson.ts"

/** The format that is written. */
const format = 1

/** Until the year 9999, which every date has. */
const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 253_402_300_799_999 }))

const Wait = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: maxWait }))

const Name = Schema.NonEmptyString.check(Schema.isMaxLength(2048))

const PolicyJson = Schema.Struct({
  propagation: Wait,
  tokenLifetime: Wait,
  refresh: Wait,
  outage: Wait,
  clockSkew: Wait,
  canarySignatures: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  canaryLength: Wait
})

const Since = Schema.Struct({
  created: Schema.optionalKey(Millis),
  published: Schema.optionalKey(Millis),
  canary: Schema.optionalKey(Millis),
  active: Schema.optionalKey(Millis),
  retiring: Schema.optionalKey(Millis),
  retired: Schema.optionalKey(Millis),
  disabled: Schema.optionalKey(Millis)
})

const KeyJson = Schema.Struct({
  id: Name,
  kid: Name,
  algorithm: SignatureAlgorithm,
  state: KeyState,
  since: Since,
  publicKey: Schema.JsonObject
})

const DocumentJson = Schema.Struct({
  format: Schema.Literal(format),
  updatedAt: Millis,
  policy: PolicyJson,
  keys: Schema.Array(KeyJson).check(Schema.isMaxLength(maxKeys))
})

type DocumentJson = typeof DocumentJson.Type

/** The JWK of a key, without `kid`: the document has that beside it. */
const jwkOf = (key: RotationKey): Schema.JsonObject => ({ ...PublicKey.toJwk(key.publicKey) })

const keyOf = Effect.fnUntraced(function* (json: typeof KeyJson.Type) {
  const { algorithm, publicKey: jwk, ...rest } = json
  const publicKey = yield* PublicKey.fromJwk(jwk, { algorithm })
  const key: RotationKey = { ...rest, algorithm, publicKey }
  yield* attempt(() => {
    const written: { readonly [name: string]: unknown } = jwkOf(key)
    // Equal to what is written here: members that are not known would be lost with the next step.
    const names = new Set([...Object.keys(written), ...Object.keys(jwk)])
    for (const name of names) {
      if (written[name] !== jwk[name] && !(name === "alg" && jwk[name] === undefined))
        throw new Malformed("publicKey", "the JWK has members that do not belong here")
    }
    if (facts[algorithm].keyType !== publicKey.type) throw new Malformed("algorithm", "is not one of the public key")
    if (key.since[key.state] === undefined)
      throw new Malformed("since", "does not say since when the key is in its state")
  })
  return key
})

const distinct = (state: RotationState, of: (key: RotationKey) => string) =>
  new Set(state.keys.map(of)).size === state.keys.length

const consistent = (state: RotationState) =>
  attempt(() => {
    const count = (...states: ReadonlyArray<KeyState>) => state.keys.filter((key) => states.includes(key.state)).length
    if (count("active") > 1) throw new Malformed("keys", "two keys are active")
    if (count("created", "published", "canary") > 1) throw new Malformed("keys", "two keys are on their way")
    if (!distinct(state, ({ id }) => id)) throw new Malformed("keys", "two keys have one name")
    if (!distinct(state, ({ kid }) => kid)) throw new Malformed("keys", "two keys have one kid")
    if (!distinct(state, ({ publicKey }) => PublicKey.thumbprint(publicKey))) {
      throw new Malformed("keys", "one public key is there under two names")
    }
    for (const { since } of state.keys) {
      if (Object.values(since).some((time) => time > state.updatedAt)) {
        throw new Malformed("updatedAt", "lies before the time of a key")
      }
    }
    return state
  })

const stateOf = ({ keys, policy, updatedAt }: DocumentJson) =>
  Effect.flatMap(Effect.forEach(keys, keyOf), (keys) => consistent({ policy, updatedAt, keys }))

const documentOf = ({ keys, policy, updatedAt }: RotationState): DocumentJson => ({
  format,
  updatedAt,
  policy,
  keys: keys.map((key) => {
    const { algorithm, id, kid, since, state } = key
    return { id, kid, algorithm, state, since, publicKey: jwkOf(key) }
  })
})

/**
 * A `RotationState` in memory, its document in JSON.
 *
 * **Gotchas**
 *
 * Decode with `onExcessProperty: "error"`, or with {@link fromText}, which does.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RotationStateJson: Schema.Codec<RotationState, typeof DocumentJson.Encoded> = DocumentJson.pipe(
  Schema.decodeTo(
    Schema.declare((u: unknown): u is RotationState => StrictJson.isRecord(u) && Array.isArray(u["keys"]), {
      identifier: "effect-signer/RotationState",
      expected: "RotationState"
    }),
    SchemaTransformation.transformEffect({
      decode: (document: DocumentJson) =>
        Effect.mapError(stateOf(document), (error) => new SchemaIssue.InvalidValue({ message: error.message })),
      encode: (state: RotationState): Effect.Effect<DocumentJson> => Effect.sync(() => documentOf(state))
    })
  )
)

const decode = Schema.decodeUnknownEffect(RotationStateJson)

const invalid = (problem: string) => InvalidConfiguration.of({ field: "rotation", problem })

/** Whether a document says that a newer version of this library wrote it. */
export const isNewer = (document: unknown): boolean => {
  const found = StrictJson.isRecord(document) ? document["format"] : undefined
  return typeof found === "number" && found > format
}

/**
 * Reads a document that was parsed from JSON.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromJson = (document: unknown): Effect.Effect<RotationState, InvalidConfiguration> =>
  isNewer(document)
    ? Effect.fail(invalid("was written by a newer version of effect-signer, which is needed to read it"))
    : Effect.mapError(decode(document, { onExcessProperty: "error" }), () =>
        invalid("it is not the state of a rotation, as this version writes it")
      )

/**
 * Reads the text of a document.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromText = (text: string): Effect.Effect<RotationState, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => StrictJson.parse(text, "rotation")),
    fromJson
  )

/**
 * The document as JSON.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toJson = (state: RotationState): typeof DocumentJson.Encoded => documentOf(state)

/**
 * The document as text, in one line.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toText = (state: RotationState): string => JSON.stringify(documentOf(state))
