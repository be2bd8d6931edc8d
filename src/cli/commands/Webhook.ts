/**
 * `effect-signer webhook sign` and `effect-signer webhook verify`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Option from "effect/Option"
import * as AdcpWebhookHmac from "../../protocols/AdcpWebhookHmac.ts"
import type { FieldLine, HttpRequest } from "../../protocols/HttpMessage.ts"
import * as StandardWebhooks from "../../protocols/StandardWebhooks.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import * as AdcpMessage from "../AdcpMessage.ts"
import * as DurationFlag from "../DurationFlag.ts"
import type { Failure } from "../Failure.ts"
import { fail, failure, ofSigner, shownPath } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as HttpFile from "../HttpFile.ts"
import * as JoseKeys from "../JoseKeys.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"
import * as SignedMessage from "../SignedMessage.ts"
import * as SignerSource from "../SignerSource.ts"
import * as WebhookKeys from "../WebhookKeys.ts"

// ---------------------------------------------------------------------------
// kinds
// ---------------------------------------------------------------------------

const flags = {
  kind: Flag.Literals("kind", ["standard", "adcp-hmac", ...AdcpMessage.names]).pipe(
    Flag.withDescription(
      "How it is signed. standard: Standard Webhooks. adcp-3.0, adcp-3.1, adcp-3.2: AdCP with a key, by the version that " +
        "the other side speaks. adcp-hmac: AdCP with a secret, as of old. Default: standard"
    ),
    Flag.withDefault("standard" as const)
  ),
  scheme: HttpFile.flags.scheme
}

type Kind = "standard" | "adcp-hmac" | AdcpMessage.Version

/** What goes with a key. */
const keyFlags = ["--key", "--config", "--signer-env", "--alg", "--passphrase", "--passphrase-file"]

/** What only some kinds have a use for. A flag without effect is a mistake. */
const uses: { readonly [kind in "standard" | "adcp-hmac" | "adcp"]: ReadonlySet<string> } = {
  standard: new Set([...keyFlags, "--secret-file", "--id", "--tolerance"]),
  "adcp-hmac": new Set(["--secret-file", "--tolerance"]),
  adcp: new Set([...keyFlags, "--keyid", "--jwks"])
}

/** Which of the flags of a key are stated. */
const keyFlagsIn = (stated: JoseKeys.SignSource): { readonly [flag: string]: boolean } => ({
  "--key": Option.isSome(stated.key),
  "--config": Option.isSome(stated.config),
  "--signer-env": Option.isSome(stated.signerEnv),
  "--alg": Option.isSome(stated.alg),
  "--passphrase": stated.passphrase,
  "--passphrase-file": Option.isSome(stated.passphraseFile)
})

const refuseUnused = (kind: Kind, stated: { readonly [flag: string]: boolean }) => {
  const used = uses[AdcpMessage.isVersion(kind) ? "adcp" : kind]
  const unused = Object.keys(stated).find((flag) => stated[flag] && !used.has(flag))
  return unused === undefined ? Effect.void : fail(`${unused} does not go with --kind ${kind}`)
}

const read = Effect.fnUntraced(function* (path: string, { scheme }: Pick<HttpFile.Source, "scheme">) {
  const file = yield* HttpFile.read(path, { scheme, request: Option.none() })
  return file.message._tag === "Request"
    ? { file, request: file.message }
    : yield* fail("a webhook is a request, and this is a response")
})

/** The sentence of what is wrong with what was stated, by its flag. */
const ofStated = (error: SignerError): Failure =>
  error._tag === "InvalidConfiguration" && error.operation === "verify" && error.field === "tolerance"
    ? failure(`--tolerance ${error.problem}`, error._tag)
    : ofSigner(error)

const noKey = "state --secret-file FILE, --key FILE, --config FILE or --signer-env PREFIX"

// ---------------------------------------------------------------------------
// sign
// ---------------------------------------------------------------------------

const { ed25519: _, kid: __, ...signerFlags } = JoseKeys.signFlags

/** What was made for a webhook. */
interface Signed {
  readonly file: HttpFile.HttpFile
  readonly fields: ReadonlyArray<FieldLine>
  readonly report: Output.Report
}

interface SignStated extends JoseKeys.SignSource {
  readonly secretFile: ReadonlyArray<string>
  readonly scheme: HttpFile.Source["scheme"]
  readonly id: Option.Option<string>
  readonly keyid: Option.Option<string>
  readonly fields: boolean
}

const randomId = Effect.sync(() => `msg_${Base64Url.encode(globalThis.crypto.getRandomValues(new Uint8Array(16)))}`)

const signStandard = Effect.fnUntraced(function* (path: string, stated: SignStated) {
  const hasSigner = Option.isSome(stated.key) || SignerSource.isStated(stated)
  const keyFlags = keyFlagsIn(stated)
  const unused = Object.keys(keyFlags).find((flag) => keyFlags[flag])
  if (!hasSigner && unused !== undefined) return yield* fail(`${unused} goes with --key FILE`)
  if (!hasSigner && stated.secretFile.length === 0) return yield* fail(noKey)
  const secrets = yield* WebhookKeys.readSecrets(stated.secretFile, StandardWebhooks.secret)
  const signers = hasSigner ? [yield* JoseKeys.openSigner(stated, path)] : []
  const { file, request } = yield* read(path, stated)
  const id = Option.isSome(stated.id) ? stated.id.value : yield* randomId
  const { fields, timestamp } = yield* Effect.mapError(
    StandardWebhooks.sign({ id, body: file.body }, { secrets, signers }),
    ofStated
  )
  yield* refuseSigned(request, fields)
  return { file, fields, report: { id, timestamp } } satisfies Signed
})

const signHmac = Effect.fnUntraced(function* (path: string, stated: SignStated) {
  const [secretFile, ...others] = stated.secretFile
  if (secretFile === undefined || others.length > 0) return yield* fail("state one secret, with --secret-file FILE")
  const [secret] = yield* WebhookKeys.readSecrets([secretFile], AdcpWebhookHmac.secret)
  const { file, request } = yield* read(path, stated)
  const { fields, timestamp } = yield* Effect.mapError(AdcpWebhookHmac.sign(file.body, secret!), ofStated)
  yield* refuseSigned(request, fields)
  return { file, fields, report: { timestamp } } satisfies Signed
})

const signAdcp = Effect.fnUntraced(function* (path: string, version: AdcpMessage.Version, stated: SignStated) {
  const signer = yield* JoseKeys.openSigner(stated, path, AdcpMessage.purposeOf("webhook"))
  const { file, request } = yield* read(path, stated)
  const signed = yield* AdcpMessage.sign("webhook", file, request, {
    version,
    signer,
    keyId: Option.getOrUndefined(stated.keyid),
    fieldsOnly: stated.fields
  })
  const { fields, label } = signed
  return { file: signed.file, fields, report: { label, algorithm: signer.algorithm } } satisfies Signed
})

/** A line that is there twice is refused by whoever verifies. */
const refuseSigned = ({ fields }: HttpRequest, made: ReadonlyArray<FieldLine>) => {
  const present = new Set(fields.map(([name]) => name.toLowerCase()))
  const twice = made.find(([name]) => present.has(name.toLowerCase()))
  return twice === undefined
    ? Effect.void
    : fail(`the message has a line ${twice[0]} already; sign it again without the lines of its signature`)
}

const sign = Command.make(
  "sign",
  {
    message: Message.argument,
    ...flags,
    secretFile: WebhookKeys.secretFile(
      "A file with the shared secret on one line: whsec_... (standard), or the text that was agreed (adcp-hmac). " +
        "standard: may be stated several times, while a secret is replaced"
    ),
    ...signerFlags,
    id: Flag.String("id").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("standard: the event, the same for each delivery. Default: msg_ and random characters"),
      Flag.optional
    ),
    keyid: Flag.String("keyid").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("AdCP: kid of the published JWK. Default: the RFC 7638 thumbprint of the key"),
      Flag.optional
    ),
    ...SignedMessage.flags
  },
  Effect.fnUntraced(function* (stated) {
    const { kind, secretFile } = stated
    const path = Message.pathOf(stated.message)
    yield* refuseUnused(kind, {
      "--secret-file": secretFile.length > 0,
      ...keyFlagsIn(stated),
      "--id": Option.isSome(stated.id),
      "--keyid": Option.isSome(stated.keyid)
    })
    const keyFiles = WebhookKeys.inputs({ ...stated, key: Option.toArray(stated.key) })
    yield* Files.checkInputs([path, ...keyFiles, ...Passphrase.inputs(stated)], { asksPassphrase: stated.passphrase })
    yield* SignedMessage.check(stated, {
      "the message file": path,
      "--key": Option.getOrUndefined(stated.key),
      "--config": Option.getOrUndefined(stated.config),
      "--passphrase-file": Option.getOrUndefined(stated.passphraseFile),
      ...Object.fromEntries(secretFile.map((secret, index) => [`--secret-file (${index + 1})`, secret]))
    })
    const signed: Signed = yield* AdcpMessage.isVersion(kind)
      ? signAdcp(path, kind, stated)
      : kind === "standard"
        ? signStandard(path, stated)
        : signHmac(path, stated)
    yield* SignedMessage.write(stated, signed.file, { ...signed, shown: signed.report })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Sign a webhook that is in a file, as an HTTP request, and write it with its signature: at the time of now, so sign " +
      "again for each delivery. With standard, a secret makes a v1 signature and an Ed25519 key one of v1a; both may be " +
      "stated. With AdCP, the target is written in its canonical form, and a key in a file is one for webhook-signing."
  ),
  Command.withShortDescription("Sign a webhook"),
  Command.withExamples([
    {
      command: "effect-signer webhook sign --secret-file webhook.secret event.http",
      description: "Standard Webhooks; the message with the new lines goes to standard output"
    },
    {
      command:
        "effect-signer webhook sign --secret-file new.secret --secret-file old.secret --id msg_7 --fields event.http",
      description: "While a secret is replaced; only the new lines"
    },
    {
      command:
        "effect-signer webhook sign --kind adcp-3.1 --keyid acme-2026 --key agent.pem --out signed.http event.http",
      description: "A webhook of AdCP, with a key"
    }
  ])
)

// ---------------------------------------------------------------------------
// verify
// ---------------------------------------------------------------------------

interface VerifyStated extends SignerSource.Source {
  readonly secretFile: ReadonlyArray<string>
  readonly key: ReadonlyArray<string>
  readonly jwks: Option.Option<string>
  readonly tolerance: Option.Option<string>
  readonly scheme: HttpFile.Source["scheme"]
}

/** What is said of a webhook that is valid. The place of a secret among those stated is its key id. */
const accept = Effect.fnUntraced(function* (
  { secretFile }: VerifyStated,
  { id, keyId, timestamp }: { readonly id?: string; readonly keyId: string | undefined; readonly timestamp: number }
) {
  if (!(yield* Output.Json)) return yield* Output.write("valid\n")
  const file = keyId === undefined ? undefined : secretFile[Number(keyId)]
  yield* Output.print({
    valid: true,
    id,
    timestamp,
    ...(file === undefined ? { keyId } : { secretFile: shownPath(file) })
  })
})

const conclude = (error: AdcpWebhookHmac.WebhookInvalid | SignerError) =>
  error._tag === "WebhookInvalid"
    ? JoseKeys.refuse({ reason: error.reason, field: error.field }, error.message)
    : Effect.fail(ofStated(error))

const verifyStandard = Effect.fnUntraced(function* (path: string, stated: VerifyStated) {
  if (stated.secretFile.length + stated.key.length === 0 && !SignerSource.isStated(stated)) return yield* fail(noKey)
  const secrets = yield* WebhookKeys.readSecrets(stated.secretFile, StandardWebhooks.secret)
  const publicKeys = yield* WebhookKeys.readPublicKeys(stated.key, stated)
  const tolerance = yield* DurationFlag.readOptional("tolerance", stated.tolerance)
  const { request } = yield* read(path, stated)
  const verified = yield* Effect.catch(StandardWebhooks.verify(request, { secrets, publicKeys, tolerance }), conclude)
  yield* accept(stated, verified)
})

const verifyHmac = Effect.fnUntraced(function* (path: string, stated: VerifyStated) {
  if (stated.secretFile.length === 0) return yield* fail("state the secret, with --secret-file FILE")
  const secrets = yield* WebhookKeys.readSecrets(stated.secretFile, AdcpWebhookHmac.secret)
  const tolerance = yield* DurationFlag.readOptional("tolerance", stated.tolerance)
  const { request } = yield* read(path, stated)
  const verified = yield* Effect.catch(AdcpWebhookHmac.verify(request, { secrets, tolerance }), conclude)
  yield* accept(stated, verified)
})

const verifyAdcp = Effect.fnUntraced(function* (path: string, version: AdcpMessage.Version, stated: VerifyStated) {
  const [key, ...others] = stated.key
  if (others.length > 0) return yield* fail("state one --key; several keys of AdCP are a set, for --jwks FILE")
  const source = { ...stated, key: Option.fromUndefinedOr(key), alg: Option.none() }
  const keys = yield* AdcpMessage.openKeys(source, "webhook", [path])
  const { request } = yield* read(path, stated)
  yield* AdcpMessage.verifyWebhook(request, version, keys)
})

const verify = Command.make(
  "verify",
  {
    message: Message.argument,
    ...flags,
    secretFile: WebhookKeys.secretFile(
      "A file with the shared secret on one line: whsec_... (standard), or the text that was agreed (adcp-hmac). May be " +
        "stated several times: any of them counts"
    ),
    key: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "The public key: PEM, JWK, DER, an OpenSSH line or whpk_.... standard: may be stated several times, and any counts"
      ),
      Flag.atLeast(0)
    ),
    ...SignerSource.flags,
    jwks: Flag.String("jwks").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("AdCP: the public keys of the sender, as a JWK Set with adcp_use: webhook-signing"),
      Flag.optional
    ),
    tolerance: Flag.String("tolerance").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "How far its time may be from now, a day at most. Default: 5 minutes. AdCP with a key has its own"
      ),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* (stated) {
    const { kind } = stated
    const path = Message.pathOf(stated.message)
    yield* refuseUnused(kind, {
      "--secret-file": stated.secretFile.length > 0,
      "--key": stated.key.length > 0,
      "--config": Option.isSome(stated.config),
      "--signer-env": Option.isSome(stated.signerEnv),
      "--jwks": Option.isSome(stated.jwks),
      "--tolerance": Option.isSome(stated.tolerance)
    })
    yield* Files.checkInputs([path, ...WebhookKeys.inputs(stated), ...Option.toArray(stated.jwks)], {
      asksPassphrase: false
    })
    yield* AdcpMessage.isVersion(kind)
      ? verifyAdcp(path, kind, stated)
      : kind === "standard"
        ? verifyStandard(path, stated)
        : verifyHmac(path, stated)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Verify a webhook that is in a file, as an HTTP request with the bytes that were received. Prints valid or invalid; " +
      "exits with 0 where it is valid, 1 where it is not, and 2 where that could not be found out. The reason is on " +
      "standard error: of AdCP with a key its code and the step of its checklist. Whether it was seen before, and whether " +
      "the key is revoked, is not checked."
  ),
  Command.withShortDescription("Verify a webhook"),
  Command.withExamples([
    {
      command: "effect-signer webhook verify --secret-file new.secret --secret-file old.secret event.http",
      description: "Standard Webhooks, while a secret is replaced"
    },
    {
      command: "effect-signer webhook verify --key sender.whpk --tolerance '1 day' --json event.http",
      description: "By the sender's public key; an event of some hours ago"
    },
    {
      command: "effect-signer webhook verify --kind adcp-3.1 --jwks jwks.json event.http",
      description: "A webhook of AdCP, by the keys that its sender publishes"
    }
  ])
)

/** Webhooks. */
export const webhook = Command.make("webhook").pipe(
  Command.withDescription("Sign and verify webhooks that are in files (Standard Webhooks, AdCP)."),
  Command.withShortDescription("Webhooks"),
  Command.withSubcommands([sign, verify])
)
