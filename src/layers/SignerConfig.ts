/**
 * A Signer by configuration: plain JSON or the environment names a backend, and
 * only that backend is loaded.
 *
 * **Details**
 *
 * `backend` is one of the names below; everything else is an option of that
 * backend's own `layer`, in JSON. Times are text (`"2 seconds"`), a public key is
 * PEM, an OpenSSH line or a JWK, and a secret may also be where it is kept:
 * `{ "env": "NAME" }` or `{ "file": "/path" }`, so that the file itself holds none.
 *
 * | `backend` | required | optional |
 * | --- | --- | --- |
 * | `aws-kms` | `keyId` | `region` `profile` `endpoint` `credentials` `concurrency` `connectionTimeout` `requestTimeout` |
 * | `azure-key-vault` | `vaultUrl` | `key` `version` `credential` `scope` `apiVersion` |
 * | `gcp-kms` | `key` | `version` `endpoint` `transport` `credentials` `credentialsFile` `token`, key cache |
 * | `vault` | `url` `token` `key` | `mount` `namespace` `redirectOrigins` `context` `maxMessageLength` `batch`, key cache |
 * | `pkcs11` | | `uri` `module` `token` `serial` `object` `pin` `sessions` `followSymlinks` `allowGroupRead` |
 * | `ssh-agent` | `key` | `socket` `keyId` `timeout` `allowUserAuthentication` |
 * | `keyring` | `service` `account` | `keyId` `prompt` `timeLimit` |
 * | `file` | `path` | `format` `keyType` `passphrase` `passphraseFile` `followSymlinks` `allowGroupRead` `keyId` |
 * | `env` | `variable` | `format` `keyType` `passphrase` `keyId` |
 * | `local` | `pem` | `passphrase` `keyId` |
 * | `watch-only` | `publicKey` | `keyId` |
 *
 * All of them take `algorithm` and `purpose`, and all but `ssh-agent`
 * `expectedPublicKey`. The first six also take `lazy`, `resilience` (`timeout`,
 * `times`, `budget`) and `observe` (`attributes`). The key cache is
 * `publicKeyTimeToLive`, `publicKeyStaleFor` and `publicKeyTimeout`. What an option
 * means is said where the backend has it, as `VaultSigner.Options`.
 *
 * | option | in JSON |
 * | --- | --- |
 * | a secret | `"text"`, `{ "env": "NAME" }`, `{ "file": "/path" }` |
 * | `token` of `vault` | a secret, `{ "appRole": { "roleId", "secretId", "mount" } }`, `{ "kubernetes": { "role", "jwtFile", "mount" } }` |
 * | `credential` of `azure-key-vault` | `{ "tenantId", "clientId", "clientSecret" }`, `{ "token": secret }` |
 * | `key` of `ssh-agent` | an object with one of `publicKey`, `fingerprint`, `id52`, `comment` |
 *
 * **Gotchas**
 *
 * The token of Vault as `{ "file": ... }` is the sink of Vault Agent: it is read
 * again when Vault refuses the token. Every other file is read once. A relative
 * path is relative to the working directory.
 *
 * Whoever writes the configuration says which files and variables are read, and
 * where to a token is sent: it is trusted as the program is. A bundler sees all
 * backends here, and leaves out what is marked as external; a program that knows its
 * backend takes that backend's module.
 *
 * **Example** (A key of Vault, by a configuration that holds no secret)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import * as SignerConfig from "effect-signer/SignerConfig"
 *
 * const SignerLive = SignerConfig.layer({
 *   backend: "vault",
 *   url: "https://vault.example.com:8200",
 *   token: { env: "VAULT_TOKEN" },
 *   key: "release",
 *   resilience: { timeout: "2 seconds" }
 * })
 *
 * const program = Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(SignerLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { attempt } from "../schemas/Malformed.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { isRecord } from "../schemas/StrictJson.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import type { Signer } from "../services/Signer.ts"
import { closest } from "./config/Closest.ts"
import type { Entry, Loaded } from "./config/SignerConfigBackends.ts"
import { builtIn, entry, remoteFields } from "./config/SignerConfigBackends.ts"
import { Bytes, Count, Key, Secret, Text, Time, variants } from "./config/SignerConfigField.ts"

export {
  /**
   * Bytes as base64.
   *
   * @category fields
   * @since 0.1.0
   */
  Bytes,
  /**
   * A whole number above zero.
   *
   * @category fields
   * @since 0.1.0
   */
  Count,
  /**
   * An entry for a backend of your own, whose module takes what its fields give.
   *
   * @category constructors
   * @since 0.1.0
   */
  entry,
  /**
   * A public key: PEM, an OpenSSH line, a JWK, or where one of the first two is.
   *
   * @category fields
   * @since 0.1.0
   */
  Key,
  /**
   * What every remote backend takes, for entries of your own.
   *
   * @category fields
   * @since 0.1.0
   */
  remoteFields,
  /**
   * A secret: text, `{ "env": "NAME" }` or `{ "file": "/path" }`.
   *
   * @category fields
   * @since 0.1.0
   */
  Secret,
  /**
   * Text that is not empty.
   *
   * @category fields
   * @since 0.1.0
   */
  Text,
  /**
   * A time: `"2 seconds"`.
   *
   * @category fields
   * @since 0.1.0
   */
  Time,
  /**
   * An object with one key, which says what it holds.
   *
   * @category fields
   * @since 0.1.0
   */
  variants
}

export type {
  /**
   * A backend in a configuration.
   *
   * @category models
   * @since 0.1.0
   */
  Entry,
  /**
   * What the module of a backend gives to whoever configures it.
   *
   * @category models
   * @since 0.1.0
   */
  Loaded
}

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The JSON of the backends that are here.
 *
 * @category models
 * @since 0.1.0
 */
export type SignerConfig = {
  readonly [Name in keyof typeof builtIn]: { readonly backend: Name } & Schema.Struct.Encoded<
    (typeof builtIn)[Name]["fields"]
  >
}[keyof typeof builtIn]

/**
 * Options of {@link fromConfig} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Backends of your own, by name. One with the name of a backend here takes its place. */
  readonly backends?: { readonly [name: string]: Entry } | undefined
  /**
   * What is done about a field that another backend knows and this one does not.
   * Default `"guarded"`: a mistake where it names a key, a secret or a restriction
   * (`passphrase` beside a KMS), which somebody relies on, else a warning (`region`
   * beside `vault`). `"error"` and `"warn"` are one of the two for all.
   */
  readonly ignored?: "guarded" | "error" | "warn" | undefined
}

/**
 * Options of {@link fromEnvironment} and {@link layerConfig}.
 *
 * @category models
 * @since 0.1.0
 */
export interface EnvironmentOptions extends Options {
  /** `RELEASE`: every variable is `RELEASE_...`, and none is read without it. */
  readonly prefix?: string | undefined
}

/**
 * What a configuration without mistakes is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Chosen {
  readonly backend: string
  /** Fields that are for other backends, and have no effect. */
  readonly ignored: ReadonlyArray<string>
  /** The backend's own layer, resilient where it is remote. */
  readonly layer: Layer.Layer<Signer, SignerError>
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * One mistake: where, and what to do about it.
 *
 * @category models
 * @since 0.1.0
 */
export const Mistake = Schema.Struct({
  /** `resilience.timeout`, or the name of a variable. */
  path: Schema.String,
  problem: Schema.String
})

/**
 * The type of {@link Mistake}.
 *
 * @category models
 * @since 0.1.0
 */
export type Mistake = typeof Mistake.Type

/**
 * Everything that is wrong with a configuration, at once. It shows the names of
 * fields and never a value.
 *
 * @category errors
 * @since 0.1.0
 */
export class SignerConfigError extends Schema.TaggedError<SignerConfigError>("effect-signer/SignerConfigError")(
  "SignerConfigError",
  { mistakes: Schema.Array(Mistake) }
) {
  override get message() {
    return this.mistakes.map(({ path, problem }) => (path === "" ? problem : `${path}: ${problem}`)).join("; ")
  }
}

const failWith = (mistakes: ReadonlyArray<Mistake>) => Effect.fail(new SignerConfigError({ mistakes }))

/** What may be shown of a name that somebody typed: a token in the place of a name must not reach a log. */
const shown = (name: PropertyKey) =>
  /^(?:[A-Za-z][A-Za-z0-9_-]{0,31}|\d{1,6})$/.test(String(name)) ? String(name) : "(not shown)"

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) =>
    issue._tag === "MissingKey"
      ? "is missing"
      : issue._tag === "UnexpectedKey"
        ? "is not known here"
        : SchemaIssue.defaultLeafHook(issue)
})

/** `Expected "ES256" | "ES384"` as a person says it. */
const worded = (message: string): string =>
  message.startsWith('Expected "')
    ? `expected one of ${message.slice("Expected ".length).replaceAll('"', "").replaceAll(" | ", ", ")}`
    : `${message.charAt(0).toLowerCase()}${message.slice(1)}`

const mistakesOf = (issue: SchemaIssue.Issue): ReadonlyArray<Mistake> =>
  format(issue).issues.map(({ message, path = [] }) => ({
    path: path.map((key) => shown(typeof key === "object" ? key.key : key)).join("."),
    problem: worded(message)
  }))

const didYouMean = (word: string | undefined, of: ReadonlyArray<string>) => {
  const near = word === undefined ? undefined : closest(word, of)
  return near === undefined ? "" : `; did you mean ${near}?`
}

// ---------------------------------------------------------------------------
// fields
// ---------------------------------------------------------------------------

type Json = Readonly<Record<string, unknown>>
type Entries = { readonly [name: string]: Entry }

const has = (object: object, key: string) => Object.hasOwn(object, key)

const entriesOf = (options: Options): Entries => ({ ...builtIn, ...options.backends })

/** What somebody relies on. Words of a camel-case name. */
const relied = new Set(
  "algorithm allow context credential credentials expected namespace passphrase password pem pin private purpose redirect scope secret token version".split(
    " "
  )
)
const isRelied = (field: string): boolean => {
  const words = field.split(/(?=[A-Z])|[_-]/).map((word) => word.toLowerCase())
  return words.some((word) => relied.has(word)) || /^(?:key|id)$/.test(words.at(-1)!)
}

/** Decodes one field, in an object of its own, so that its mistakes are told from those of others. */
const decodeField = (entry: Entry, field: string, json: Json) =>
  Effect.result(
    Schema.decodeUnknownEffect(
      Schema.Struct({ [field]: entry.fields[field]! }) as unknown as Schema.Codec<Json, unknown>
    )(has(json, field) ? { [field]: json[field] } : {}, { errors: "all", onExcessProperty: "error" })
  )

interface Decoded {
  readonly values: Json
  readonly mistakes: ReadonlyArray<Mistake>
  /** Fields that have no value, because of a mistake. */
  readonly wrong: ReadonlySet<string>
}

const decodeFields = Effect.fnUntraced(function* (
  entry: Entry,
  json: Json,
  fields: ReadonlyArray<string>
): Effect.fn.Return<Decoded> {
  let values: Json = {}
  const mistakes: Array<Mistake> = []
  const wrong = new Set<string>()
  for (const field of fields) {
    const decoded = yield* decodeField(entry, field, json)
    if (decoded._tag === "Success") values = { ...values, ...decoded.success }
    else {
      mistakes.push(...mistakesOf(decoded.failure.issue))
      wrong.add(field)
    }
  }
  return { values, mistakes, wrong }
})

/** Fields of the JSON that the entry does not know: those that another does, and mistakes. */
const unknownFields = (entries: Entries, entry: Entry, json: Json, policy: NonNullable<Options["ignored"]>) => {
  const ignored: Array<string> = []
  const mistakes: Array<Mistake> = []
  for (const field of Object.keys(json)) {
    if (field === "backend" || has(entry.fields, field)) continue
    const owners = Object.keys(entries).filter((name) => has(entries[name]!.fields, field))
    if (owners.length === 0) {
      // { "backend": "file", "file": ... } means what the example of that backend states first
      const [first] = Object.keys(entry.example)
      const near =
        field === json["backend"] && first !== undefined
          ? `; did you mean ${first}?`
          : didYouMean(field, Object.keys(entry.fields))
      mistakes.push({ path: shown(field), problem: `no backend knows this field${near}` })
    } else if (policy === "error" || (policy === "guarded" && isRelied(field))) {
      mistakes.push({
        path: field,
        problem: `has no effect with this backend, and is for ${owners.join(", ")}; leave it out`
      })
    } else ignored.push(field)
  }
  return { ignored, mistakes }
}

/**
 * What the backend itself says about the options, without asking anybody. It stops
 * at the first mistake: what is wrong is replaced by what is right until it has
 * nothing more to say.
 */
const ownMistakes = Effect.fnUntraced(function* (
  entry: Entry,
  loaded: Loaded<never>,
  { values, wrong }: Decoded
): Effect.fn.Return<ReadonlyArray<Mistake>> {
  const { mistake } = loaded
  if (mistake === undefined) return []
  const example = (yield* decodeFields(entry, entry.example, Object.keys(entry.fields))).values
  const repaired: Record<string, unknown> = { ...values }
  const repair = (field: string) => {
    if (has(example, field)) Object.assign(repaired, { ...example, ...repaired, [field]: example[field] })
    else delete repaired[field]
  }
  const mistakes: Array<Mistake> = []
  const seen = new Set<string>()
  for (const field of wrong) repair(field)
  for (;;) {
    const found = mistake(repaired as never)
    if (found === undefined || seen.has(found[0])) return mistakes
    const [path, problem] = found
    seen.add(path)
    if (!wrong.has(path)) mistakes.push({ path, problem })
    repair(path)
  }
})

const load = (entry: Entry): Effect.Effect<Loaded<never>, SignerConfigError> =>
  Effect.catch(Effect.tryPromise({ try: () => entry.load(), catch: (error) => error }), (error) => {
    const code = (error as { readonly code?: unknown } | null)?.code
    const shownCode = typeof code === "string" && /^\w{1,40}$/.test(code) ? ` (${code})` : ""
    return failWith([{ path: "backend", problem: `the module of this backend cannot be loaded${shownCode}` }])
  })

const findEntry = (entries: Entries, name: unknown, path: string): Effect.Effect<Entry, SignerConfigError> => {
  const entry = typeof name === "string" && has(entries, name) ? entries[name] : undefined
  if (entry !== undefined) return Effect.succeed(entry)
  const known = Object.keys(entries).toSorted()
  const near = didYouMean(typeof name === "string" ? name : undefined, known)
  const problem = name === undefined ? "is missing" : "is no backend that is known here"
  return failWith([{ path, problem: `${problem}; known are ${known.join(", ")}${near}` }])
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * The backend that a configuration names, checked and not yet built.
 *
 * **Details**
 *
 * Imports the module of that backend and of no other. All mistakes are reported at
 * once: fields that are missing, unknown or of the wrong type, values that the
 * backend refuses without asking anybody, and references that lead nowhere.
 *
 * Where the backend speaks HTTP it uses the `HttpClient` of whoever builds the
 * layer, if there is one, and `FetchHttpClient` otherwise.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig = Effect.fnUntraced(function* (
  config: unknown,
  options: Options = {}
): Effect.fn.Return<Chosen, SignerConfigError> {
  if (!isRecord(config)) {
    return yield* failWith([{ path: "", problem: `the configuration is no object: { "backend": "vault", ... }` }])
  }
  const entries = entriesOf(options)
  const name = has(config, "backend") ? config["backend"] : undefined
  const entry = yield* findEntry(entries, name, "backend")
  const unknown = unknownFields(entries, entry, config, options.ignored ?? "guarded")
  const decoded = yield* decodeFields(entry, config, Object.keys(entry.fields))
  const loaded = yield* load(entry)
  const mistakes = [...decoded.mistakes, ...unknown.mistakes, ...(yield* ownMistakes(entry, loaded, decoded))]
  if (mistakes.length > 0) return yield* failWith(mistakes)
  return { backend: name as string, ignored: unknown.ignored, layer: loaded.layer(decoded.values as never) }
})

/** Where text stops being JSON. The error that knows it quotes the text. */
const placeOf = (text: string): string | undefined => {
  try {
    JSON.parse(text)
  } catch (error) {
    return /line \d+ column \d+/.exec(error instanceof Error ? error.message : "")?.[0]
  }
}

/**
 * {@link fromConfig} of the text of a JSON file, in which no member may be there
 * twice.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromText = (text: string, options?: Options): Effect.Effect<Chosen, SignerConfigError> =>
  Effect.matchEffect(
    attempt(() => StrictJson.parse(text, "")),
    {
      onFailure: ({ problem }) => {
        const place = placeOf(text)
        return failWith([
          { path: "", problem: `the configuration: ${problem}${place === undefined ? "" : `, see ${place}`}` }
        ])
      },
      onSuccess: (json) => fromConfig(json, options)
    }
  )

// ---------------------------------------------------------------------------
// environment
// ---------------------------------------------------------------------------

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

/** What is no backend's own, and the fields that they are. */
const shared = Config.all({
  purpose: optional(Config.NonEmptyString("SIGNER_PURPOSE")),
  expectedPublicKey: optional(Config.NonEmptyString("SIGNER_EXPECTED_PUBLIC_KEY")),
  lazy: optional(Config.Boolean("SIGNER_LAZY")),
  timeout: optional(Config.NonEmptyString("SIGNER_TIMEOUT")),
  times: optional(Config.Int("SIGNER_RETRIES")),
  budget: optional(Config.NonEmptyString("SIGNER_BUDGET"))
})

const variables: { readonly [path: string]: string } = {
  purpose: "SIGNER_PURPOSE",
  expectedPublicKey: "SIGNER_EXPECTED_PUBLIC_KEY",
  lazy: "SIGNER_LAZY",
  "resilience.timeout": "SIGNER_TIMEOUT",
  "resilience.times": "SIGNER_RETRIES",
  "resilience.budget": "SIGNER_BUDGET"
}

const present = (object: Json): Json =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))

/**
 * Reads a `Config`, which stops at its first mistake: a variable that is wrong is
 * taken for absent, and one that is missing for there, until it has nothing more
 * to say.
 */
const readAll = Effect.fnUntraced(function* <A>(
  config: Config.Config<A>,
  prefix: string | undefined,
  alternatives: Loaded<never>["alternatives"] = {}
) {
  const provider = yield* ConfigProvider.ConfigProvider
  const nested = prefix === undefined ? config : Config.nested(config, prefix)
  const replaced = new Map<string, ConfigProvider.Node | undefined>()
  const repaired = ConfigProvider.make((path) =>
    replaced.has(path.join("_")) ? Effect.succeed(replaced.get(path.join("_"))) : provider.load(path)
  )
  const variable = (name: string) => (prefix === undefined ? name : `${prefix}_${name}`)
  const missing = (path: string) => {
    const others = Object.entries(alternatives).find(([name]) => variable(name) === path)?.[1] ?? []
    return others.length === 0 ? "is missing" : `is missing; it, or one of ${others.map(variable).join(", ")}`
  }
  const mistakes: Array<Mistake> = []
  for (;;) {
    const exit = yield* Effect.exit(nested.parse(repaired))
    if (Exit.isSuccess(exit)) return { value: mistakes.length === 0 ? exit.value : undefined, mistakes }
    const error = Exit.findErrorOption(exit)
    const cause = error._tag === "Some" ? error.value.cause : undefined
    const issue = cause?._tag === "SchemaError" ? format(cause.issue).issues[0] : undefined
    const segments = (issue?.path ?? []).map(String)
    const path = segments.join("_")
    if (issue === undefined || path === "") {
      return { value: undefined, mistakes: [...mistakes, { path: "", problem: "the environment cannot be read" }] }
    }
    const wasReplaced = replaced.has(path)
    const isAbsent =
      wasReplaced || (yield* Effect.orElseSucceed(provider.load(segments), () => undefined)) === undefined
    if (!wasReplaced || replaced.get(path) !== undefined) {
      mistakes.push({ path: shown(path), problem: isAbsent ? missing(path) : worded(issue.message) })
    }
    if (wasReplaced && replaced.get(path) !== undefined) return { value: undefined, mistakes }
    replaced.set(path, isAbsent ? ConfigProvider.makeValue("1") : undefined)
  }
})

/**
 * The backend that the environment names, checked and not yet built.
 *
 * **Details**
 *
 * `SIGNER_BACKEND` names it. What it reads is what the `layerConfig` of that backend
 * reads by itself: its `environment` says which variables. For all backends there
 * are `SIGNER_PURPOSE`, `SIGNER_EXPECTED_PUBLIC_KEY`, `SIGNER_LAZY`,
 * `SIGNER_TIMEOUT`, `SIGNER_RETRIES` and `SIGNER_BUDGET`, all optional. `local` reads
 * `SIGNING_KEY` (PEM), `SIGNING_KEY_PASSPHRASE` and `SIGNING_KEY_ALGORITHM`; `gcp-kms`
 * also `GCP_KMS_ENDPOINT` and `GCP_ACCESS_TOKEN`, and `azure-key-vault` also
 * `AZURE_ACCESS_TOKEN` and `A1_AZURE_SCOPE`, as for an emulator.
 *
 * With `prefix` all of them begin with it, also the address and the token: nothing
 * of one signer is ever taken for another. Vendors' packages read more of the
 * environment by themselves, as their credentials, without it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEnvironment = Effect.fnUntraced(function* (
  options: EnvironmentOptions = {}
): Effect.fn.Return<Chosen, SignerConfigError> {
  const { prefix } = options
  const variable = (name: string) => (prefix === undefined ? name : `${prefix}_${name}`)
  if (prefix !== undefined && !/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(prefix)) {
    return yield* failWith([{ path: "prefix", problem: "must be letters, digits and _" }])
  }
  const entries = entriesOf(options)
  const named = yield* readAll(optional(Config.String("SIGNER_BACKEND")), prefix)
  const name = named.value
  const entry = yield* findEntry(entries, name, variable("SIGNER_BACKEND"))
  const loaded = yield* load(entry)
  if (loaded.environment === undefined) {
    return yield* failWith([
      { path: variable("SIGNER_BACKEND"), problem: "this backend cannot be configured by the environment; use JSON" }
    ])
  }
  const own = yield* readAll(loaded.environment, prefix, loaded.alternatives)
  const common = yield* readAll(shared, prefix)
  const { budget, times, timeout, ...rest } = common.value ?? {}
  const resilience = present({ timeout, times, budget })
  const json = present({ ...rest, resilience: Object.keys(resilience).length === 0 ? undefined : resilience })
  const unknown = unknownFields(entries, entry, json, options.ignored ?? "guarded")
  const decoded = yield* decodeFields(
    entry,
    json,
    Object.keys(json).filter((field) => has(entry.fields, field))
  )
  const values = { ...present((own.value ?? {}) as Json), ...decoded.values }
  const refused = own.value === undefined ? [] : yield* ownMistakes(entry, loaded, { ...decoded, values })
  const mistakes = [
    ...own.mistakes,
    ...common.mistakes,
    ...[...decoded.mistakes, ...unknown.mistakes].map(({ path, problem }) => ({
      path: has(variables, path) ? variable(variables[path]!) : path,
      problem
    })),
    ...refused
  ]
  if (mistakes.length > 0) return yield* failWith(mistakes)
  return { backend: name!, ignored: unknown.ignored, layer: loaded.layer(values as never) }
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

const build = (chosen: Effect.Effect<Chosen, SignerConfigError>) =>
  Layer.unwrap(
    Effect.flatMap(chosen, ({ backend, ignored, layer }) =>
      Effect.as(
        ignored.length === 0
          ? Effect.void
          : Effect.logWarning(`effect-signer: ${ignored.join(", ")} in the configuration: no effect with ${backend}`),
        layer
      )
    )
  )

/**
 * Provides the `Signer` that a configuration describes: plain JSON, also of a
 * backend of your own.
 *
 * **Details**
 *
 * A field that this backend ignores is a warning in the log, or a mistake: see
 * {@link Options}.
 *
 * @see {@link fromConfig}
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: unknown, options?: Options): Layer.Layer<Signer, SignerError | SignerConfigError> =>
  build(fromConfig(config, options))

/**
 * Provides the `Signer` that the text of a JSON file describes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerText = (text: string, options?: Options): Layer.Layer<Signer, SignerError | SignerConfigError> =>
  build(fromText(text, options))

/**
 * Provides the `Signer` that the environment describes.
 *
 * **Example** (Two signers in one environment)
 *
 * ```ts
 * import { Signer } from "effect-signer"
 * import * as SignerConfig from "effect-signer/SignerConfig"
 *
 * class RootSigner extends Signer.Tag<RootSigner>()("app/RootSigner") {}
 *
 * // RELEASE_SIGNER_BACKEND, RELEASE_VAULT_ADDR...
 * const ReleaseLive = SignerConfig.layerConfig({ prefix: "RELEASE" })
 * // ROOT_SIGNER_BACKEND, ROOT_A1_KMS_KEY_ID...
 * const RootLive = SignerConfig.layerConfig({ prefix: "ROOT" }).pipe(Signer.as(RootSigner))
 * ```
 *
 * @see {@link fromEnvironment}
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options?: EnvironmentOptions): Layer.Layer<Signer, SignerError | SignerConfigError> =>
  build(fromEnvironment(options))

// ---------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------

const issueOf = ({ path, problem }: Mistake): SchemaIssue.Issue => {
  const issue = new SchemaIssue.InvalidValue({ message: problem })
  return path === "" ? issue : new SchemaIssue.Pointer(path.split("."), issue)
}

/**
 * A configuration as a schema: JSON of one of the backends, decoded to what is
 * checked and not yet built.
 *
 * **Details**
 *
 * For configurations inside larger ones. It decodes as {@link fromConfig} does, each
 * mistake at its path, and does not encode: secrets stay where they are.
 *
 * @category schemas
 * @since 0.1.0
 */
export const schema = (options?: Options): Schema.Codec<Chosen, SignerConfig> =>
  Schema.Unknown.pipe(
    Schema.decodeTo(
      Schema.declare((value: unknown): value is Chosen => isRecord(value) && Layer.isLayer(value["layer"])),
      SchemaTransformation.transformEffect({
        decode: (json: unknown) =>
          Effect.mapError(
            fromConfig(json, options),
            ({ mistakes: [first, ...rest] }) =>
              new SchemaIssue.Composite(Schema.Unknown.ast, [issueOf(first!), ...rest.map(issueOf)])
          ),
        encode: (): Effect.Effect<unknown, SchemaIssue.Issue> =>
          Effect.fail(new SchemaIssue.Forbidden({ message: "a configuration is read and not written" }))
      })
    )
  ) as Schema.Codec<unknown, unknown> as Schema.Codec<Chosen, SignerConfig>
