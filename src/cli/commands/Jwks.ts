/**
 * `effect-signer jwks fetch`, `effect-signer jwks publish`
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as JwksFetch from "../../layers/jwks/JwksFetch.ts"
import * as PublishedSet from "../../protocols/Jwks.ts"
import * as Base64Url from "../../schemas/Base64Url.ts"
import * as Jwks from "../../schemas/Jwks.ts"
import { shownKeyId } from "../../schemas/KeyResolverError.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import type { Failure } from "../Failure.ts"
import { Concluded, exitCodes, fail, failure, ofSigner, plain, shownPath } from "../Failure.ts"
import * as FileForm from "../FileForm.ts"
import * as Files from "../Files.ts"
import * as Output from "../Output.ts"
import * as RotationFile from "../RotationFile.ts"
import * as StoredKeys from "../StoredKeys.ts"

/** What is wrong, with one key or with the set. */
interface Problem {
  readonly index?: number
  readonly keyId?: string
  readonly reason: string
  readonly problem: string
}

/** A key as its set describes it. Whoever publishes the set wrote all of it but the thumbprint. */
interface Row {
  readonly kid: string | undefined
  readonly kty: string | undefined
  readonly crv: string | undefined
  readonly bits: number | undefined
  readonly alg: string | undefined
  readonly use: string | undefined
  readonly thumbprint: string | undefined
}

const bitsOf = (n: unknown): number | undefined => {
  const modulus = typeof n === "string" ? Base64Url.decode(n) : undefined
  const first = modulus?.findIndex((byte) => byte !== 0) ?? -1
  return first < 0 ? undefined : (modulus!.length - first) * 8 - (Math.clz32(modulus![first]!) - 24)
}

const describe = Effect.fnUntraced(function* (jwk: unknown) {
  const member = (name: string): string | undefined => {
    const value = StrictJson.isRecord(jwk) ? jwk[name] : undefined
    return typeof value === "string" ? plain(shownKeyId(value)) : undefined
  }
  const key = yield* Effect.option(PublicKey.fromJwk(jwk))
  const row: Row = {
    kid: member("kid"),
    kty: member("kty"),
    crv: member("crv"),
    bits: StrictJson.isRecord(jwk) ? bitsOf(jwk["n"]) : undefined,
    alg: member("alg"),
    use: member("use"),
    thumbprint: Option.getOrUndefined(Option.map(key, PublicKey.thumbprint))
  }
  return row
})

const keysIn = (bytes: Uint8Array): ReadonlyArray<unknown> => {
  try {
    const set = StrictJson.parseBytes(bytes, "jwks")
    const keys = StrictJson.isRecord(set) ? set["keys"] : undefined
    return Array.isArray(keys) ? keys.slice(0, Jwks.maxKeys) : []
  } catch (error) {
    if (error instanceof Malformed) return []
    throw error
  }
}

/** Every key of a set, and everything that is wrong: a reader of the set stops at the first. */
const examine = Effect.fnUntraced(function* (bytes: Uint8Array, options: Jwks.Options) {
  const keys = keysIn(bytes)
  const rows = yield* Effect.forEach(keys, describe)
  const problems: Array<Problem> = []
  const seen = new Set<string>()
  for (const [index, jwk] of keys.entries()) {
    const kid = StrictJson.isRecord(jwk) && typeof jwk["kid"] === "string" ? jwk["kid"] : undefined
    const found = (reason: string, problem: string) => {
      problems.push({
        index,
        ...(kid === undefined ? {} : { keyId: plain(shownKeyId(kid)) }),
        reason,
        problem: plain(problem)
      })
    }
    const alone = yield* Effect.result(Jwks.read({ keys: [jwk] }, options))
    if (Result.isFailure(alone)) found(alone.failure.reason, alone.failure.problem)
    if (kid !== undefined && seen.has(kid)) found("DuplicateKeyId", "another key of the set has the same kid")
    if (kid !== undefined) seen.add(kid)
  }
  const whole = yield* Effect.result(Jwks.read(bytes, options))
  if (Result.isFailure(whole) && whole.failure.index === undefined) {
    problems.push({ reason: whole.failure.reason, problem: plain(whole.failure.problem) })
  }
  return { rows, problems, usable: Result.isSuccess(whole) }
})

const columns: ReadonlyArray<readonly [title: string, of: (row: Row, index: number) => string | number | undefined]> = [
  ["key", (_, index) => index],
  ["kid", ({ kid }) => kid],
  ["kty", ({ kty }) => kty],
  ["crv/bits", ({ bits, crv }) => crv ?? bits],
  ["alg", ({ alg }) => alg],
  ["use", ({ use }) => use],
  ["thumbprint", ({ thumbprint }) => thumbprint]
]

const table = (rows: ReadonlyArray<Row>): string => {
  const cells = rows.map((row, index) => columns.map(([, of]) => String(of(row, index) ?? "-")))
  const lines = [columns.map(([title]) => title), ...cells]
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join("  ")
          .trimEnd()}\n`
    )
    .join("")
}

const sentenceOf = ({ index, keyId, problem, reason }: Problem): string =>
  `${index === undefined ? "the set" : `key ${index}`}${keyId === undefined ? "" : ` (${keyId})`}: ${reason}: ${problem}\n`

/** The certificates of `--ca`. */
const certificatesIn = Effect.fnUntraced(function* (path: string) {
  const text = Files.toText((yield* Files.readSmall(path)).bytes)
  return text?.includes("-----BEGIN CERTIFICATE-----") === true
    ? text
    : yield* fail(`${shownPath(path)}: there is no certificate in PEM in it`)
})

const fetch = Command.make(
  "fetch",
  {
    url: Argument.String("url").pipe(
      Argument.withMetavar("URL"),
      Argument.withDescription("The https URL of a JWK Set"),
      Argument.optional
    ),
    issuer: Flag.String("issuer").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription("An OpenID provider, as its tokens name it in iss; it says where its set is"),
      Flag.optional
    ),
    alg: AlgorithmFlag.make("The one algorithm to accept; needed for RSA and secp256k1 keys that state none").pipe(
      Flag.optional
    ),
    foreignKeys: Flag.Literals("foreign-keys", ["refuse", "ignore"]).pipe(
      Flag.withDescription(
        "What becomes of keys that are plainly for something else: encryption, unknown kinds. Default: refuse"
      ),
      Flag.withDefault("refuse" as const)
    ),
    allow: Flag.String("allow").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "An address or network (10.1.0.0/16) that may be reached though it is not public. May be stated several times"
      ),
      Flag.atLeast(0)
    ),
    ca: Flag.String("ca").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Certificates in PEM that are trusted, and no others"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ alg, allow, ca: caFile, foreignKeys, issuer, url: stated }) {
    if (Option.isSome(stated) === Option.isSome(issuer)) {
      return yield* fail("state the URL of a set, or --issuer URL; one of them")
    }
    const algorithm = yield* AlgorithmFlag.readOptional(alg)
    const ca = Option.isSome(caFile) ? yield* certificatesIn(caFile.value) : undefined
    const origin = { url: Option.getOrUndefined(stated), issuer: Option.getOrUndefined(issuer) }
    // A port that somebody typed is one that is meant
    const typed = origin.url ?? origin.issuer ?? ""
    const port = URL.canParse(typed) ? Number(new URL(typed).port) : 0
    const ports = port === 0 ? [443] : [443, port]
    const fetch = yield* Effect.mapError(JwksFetch.make(origin, { allow, ca, ports }), ofSigner)
    const { body, url } = yield* Effect.flatMap(fetch.find, (url) =>
      Effect.map(fetch.get(url), ({ body }) => ({ body, url: url.href }))
    ).pipe(Effect.mapError((error) => failure(plain(error.message), error._tag)))
    const algorithms = algorithm === undefined ? undefined : [algorithm]
    const { problems, rows, usable } = yield* examine(body ?? new Uint8Array(), { algorithms, foreignKeys })
    yield* (yield* Output.Json)
      ? Output.print({ url, usable, keys: rows, problems })
      : Output.write(
          (rows.length === 0 ? "there are no keys\n" : table(rows)) +
            (problems.length === 0 ? "" : `\n${problems.map(sentenceOf).join("")}`)
        )
    if (!usable) return yield* new Concluded({ exitCode: exitCodes.invalidSignature })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Fetch a JWK Set as a program with RemoteJwks does, print its keys and everything that is wrong with them. Exits with 0 " +
      "where the set is accepted, 1 where it is refused, and 2 where it could not be fetched. Public addresses only, no " +
      "redirects, five seconds, 64 KiB and 100 keys at most."
  ),
  Command.withShortDescription("Fetch a JWK Set and say what is wrong with it"),
  Command.withExamples([
    {
      command: "effect-signer jwks fetch https://id.example/jwks.json",
      description: "What is published, and is it sound?"
    },
    {
      command: "effect-signer jwks fetch --issuer https://id.example --json",
      description: "The keys of an OpenID provider"
    },
    {
      command: "effect-signer jwks fetch https://10.1.2.3/jwks.json --allow 10.1.2.3 --ca intranet.pem",
      description: "Inside of a network of your own"
    }
  ])
)

// ---------------------------------------------------------------------------
// publish
// ---------------------------------------------------------------------------

/** A key to be published, and what a person calls it. */
interface Named extends PublishedSet.PublishedKey {
  readonly id: string
}

/** What is wrong with a set, with the name of the key instead of its place. */
const ofSet =
  (keys: ReadonlyArray<Named>) =>
  ({ _tag, field = "", problem }: InvalidConfiguration) => {
    const index = /^keys\[(\d+)\]/.exec(field)?.[1]
    const id = index === undefined ? undefined : keys[Number(index)]?.id
    return failure(plain(`${id === undefined ? field : shownKeyId(id)}: ${problem}`), _tag)
  }

/** `adcp_use=request-signing`. */
const purposeOf = (text: string): Effect.Effect<readonly [member: string, value: string], Failure> => {
  const at = text.indexOf("=")
  return at < 1 || at === text.length - 1
    ? fail("--purpose is MEMBER=VALUE, such as adcp_use=request-signing")
    : Effect.succeed([text.slice(0, at), text.slice(at + 1)])
}

const publish = Command.make(
  "publish",
  {
    rotation: Flag.String("rotation").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The keys that this rotation publishes now. Default: the keys of the store"),
      Flag.optional
    ),
    tag: StoredKeys.tagFlag("Only keys of the store that have this tag"),
    purpose: Flag.String("purpose").pipe(
      Flag.withMetavar("MEMBER=VALUE"),
      Flag.withDescription("State what all of them sign for, as AdCP does: adcp_use=request-signing"),
      Flag.optional
    ),
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where the set goes, whole or not at all. Default: standard output"),
      Flag.optional
    ),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription(
        "Replace the file of --out where it exists, unless it is a private key or one of the inputs"
      ),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    ...StoredKeys.flags
  },
  Effect.fnUntraced(function* ({ force, out, purpose: statedPurpose, rotation: stated, tag, ...source }) {
    const ofRotation = Option.isSome(stated)
    if (ofRotation && (tag.length > 0 || Option.isSome(source.store))) {
      return yield* fail("a rotation says which keys are published; leave --tag and --store out")
    }
    const tags = yield* StoredKeys.readTags(tag)
    const purpose = yield* Effect.transposeOption(Option.map(statedPurpose, purposeOf))
    const path = ofRotation ? yield* RotationFile.pathOf(stated) : yield* StoredKeys.pathOf(source)
    const target = Option.getOrElse(out, () => "-")
    if (target !== "-" && force) {
      const inputs = { "the keys": path, "--passphrase-file": Option.getOrUndefined(source.passphraseFile) }
      yield* Files.checkReplaceable(target, inputs, (bytes) => FileForm.isPrecious(FileForm.of(bytes)))
    }
    const found: ReadonlyArray<Named> = ofRotation
      ? yield* Effect.flatMap(RotationFile.open(path), ({ ask, rotation }) =>
          Effect.map(ask(rotation.published), (keys) =>
            keys.map((key) => ({ ...key, id: key.keyId ?? PublicKey.thumbprint(key.publicKey) }))
          )
        )
      : yield* Effect.flatMap(StoredKeys.open(source), ({ ask }) =>
          ask((keys) => keys.list({ tags, kind: "private", state: "enabled" }))
        ).pipe(Effect.map((entries) => entries.map(({ id, publicKey }) => ({ id, publicKey }))))
    const [purposeMember, value] = Option.getOrElse(purpose, () => [undefined, undefined])
    const keys = found.map((key) => ({ ...key, purpose: value }))
    const set = yield* Effect.mapError(PublishedSet.make(keys, { purposeMember }), ofSet(keys))
    const text = `${set.text}\n`
    if (target === "-") return yield* Output.write(text)
    const file = { path: target, bytes: new TextEncoder().encode(text), mode: 0o644 }
    yield* force ? Files.replace(file) : Files.writeNew([file])
    yield* Output.print({ jwksFile: target, keys: set.keys.map(({ kid }) => kid) })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Write the JWK Set that others verify with: the keys that a rotation publishes now, which needs no passphrase, or the " +
      "keys of the store that can sign and are enabled. Never a private member. Serve a rotation's set with a max-age of at " +
      "most its propagation, less the time between two runs of this command."
  ),
  Command.withShortDescription("Write the JWK Set of a rotation or of a key store"),
  Command.withExamples([
    {
      command: "effect-signer jwks publish --rotation rotation.json --out public/jwks.json --force",
      description: "After each effect-signer rotate advance"
    },
    {
      command: "effect-signer jwks publish --tag use=requests --purpose adcp_use=request-signing",
      description: "Keys of the store, for AdCP"
    }
  ])
)

/** JWK Sets. */
export const jwks = Command.make("jwks").pipe(
  Command.withDescription("Publish keys for others to verify with, and look at those that others publish (RFC 7517)."),
  Command.withShortDescription("JWK Sets"),
  Command.withSubcommands([fetch, publish])
)
