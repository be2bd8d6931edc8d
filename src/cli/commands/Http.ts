/**
 * `effect-signer http sign`, `effect-signer http verify` and `effect-signer http explain`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HttpMessage } from "../../protocols/HttpMessage.ts"
import * as HttpSignature from "../../protocols/HttpSignature.ts"
import * as HttpSignatureProfile from "../../protocols/HttpSignatureProfile.ts"
import { KeyResolver } from "../../services/KeyResolver.ts"
import { Signer } from "../../services/Signer.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import * as DurationFlag from "../DurationFlag.ts"
import { Concluded, exitCodes, fail, failure, ofSigner, plain } from "../Failure.ts"
import * as FileForm from "../FileForm.ts"
import * as Files from "../Files.ts"
import * as HttpFile from "../HttpFile.ts"
import * as JoseKeys from "../JoseKeys.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"
import * as OutputFile from "../OutputFile.ts"

// ---------------------------------------------------------------------------
// profiles
// ---------------------------------------------------------------------------

/** A response by the strict profile: its status and its content, and what it answers where that is known. */
const strictResponse = (message: HttpMessage): HttpSignatureProfile.Profile => ({
  ...HttpSignatureProfile.rfc9421Strict,
  messages: "response",
  components: [
    "@status",
    ...(message._tag === "Response" && message.request !== undefined ? ["@method;req", "@target-uri;req"] : [])
  ],
  presentComponents: []
})

const profiles = {
  strict: (message: HttpMessage) =>
    message._tag === "Response" ? strictResponse(message) : HttpSignatureProfile.rfc9421Strict,
  "web-bot-auth": () => HttpSignatureProfile.webBotAuth
} satisfies Record<string, (message: HttpMessage) => HttpSignatureProfile.Profile>

const flags = {
  profile: Flag.Literals("profile", Object.keys(profiles) as Array<keyof typeof profiles>).pipe(
    Flag.withDescription(
      "What is covered and stated. strict: method, URI, content, authorization, a nonce, five minutes at most. " +
        "web-bot-auth: the authority, and Signature-Agent where it is there. Default: strict"
    ),
    Flag.withDefault("strict" as const)
  ),
  component: Flag.String("component").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription(
      `What is covered, instead of what the profile says: @method, content-digest, "@query-param;name=\\"id\\"". May be stated several times`
    ),
    Flag.atLeast(0)
  ),
  tag: Flag.String("tag").pipe(
    Flag.withMetavar("TEXT"),
    Flag.withDescription("What the signature is for, instead of what the profile says"),
    Flag.optional
  ),
  ...HttpFile.flags
}

/** What these flags say, but for the files. */
interface Chosen {
  readonly profile: keyof typeof profiles
  readonly component: ReadonlyArray<string>
  readonly tag: Option.Option<string>
}

/** What the flags say instead of the profile. */
const overrides = ({ component, tag }: Chosen) => ({
  ...(component.length === 0 ? {} : { components: component }),
  ...(Option.isNone(tag) ? {} : { tag: tag.value })
})

const profileOf = Effect.fnUntraced(function* ({ profile }: Chosen, message: HttpMessage) {
  const chosen = profiles[profile](message)
  return chosen.messages === (message._tag === "Request" ? "request" : "response")
    ? chosen
    : yield* fail(`the profile ${profile} is for ${chosen.messages}s, and this is a ${message._tag.toLowerCase()}`)
})

// ---------------------------------------------------------------------------
// sign
// ---------------------------------------------------------------------------

const { ed25519: _, kid: __, ...signFlags } = JoseKeys.signFlags

const sign = Command.make(
  "sign",
  {
    message: Message.argument,
    ...signFlags,
    ...flags,
    keyid: Flag.String("keyid").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("How the message names the key. Default: its RFC 7638 thumbprint"),
      Flag.optional
    ),
    label: Flag.String("label").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The label of the signature; it must be new in the message. Default: sig1"),
      Flag.optional
    ),
    expiresIn: Flag.String("expires-in").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(`How long it is valid: "1 minute". Default: as the profile says`),
      Flag.optional
    ),
    fields: Flag.Boolean("fields").pipe(
      Flag.withDescription("Write the new field lines alone, not the whole message"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    ...OutputFile.flags
  },
  Effect.fnUntraced(function* (stated) {
    const { expiresIn, fields: fieldsOnly, force, keyid, label, message: messageFile, out } = stated
    const path = Message.pathOf(messageFile)
    const toStdout = Option.isNone(out) || out.value === "-"
    if (!toStdout && force) {
      yield* Files.checkReplaceable(
        out.value,
        {
          "--key": Option.getOrUndefined(stated.key),
          "--config": Option.getOrUndefined(stated.config),
          "the message file": path,
          "--request": Option.getOrUndefined(stated.request)
        },
        (bytes) => FileForm.isPrecious(FileForm.of(bytes))
      )
    }
    const signer = yield* JoseKeys.openSigner(stated, path)
    const file = yield* HttpFile.read(path, stated)
    const profile = yield* profileOf(stated, file.message)
    const lifetime = yield* DurationFlag.readOptional("expires-in", expiresIn)
    const made = yield* HttpSignatureProfile.signOptions(profile, file.message, {
      keyId: Option.getOrUndefined(keyid),
      label: Option.getOrUndefined(label),
      expiresIn: lifetime
    })
    const signed = yield* HttpSignature.sign(file.message, { ...made, ...overrides(stated) }).pipe(
      Effect.provideService(Signer, signer),
      Effect.mapError((error) =>
        error._tag === "HttpSignatureInvalid" ? failure(plain(error.message), error._tag) : ofSigner(error)
      )
    )
    const json = yield* Output.Json
    const bytes = fieldsOnly
      ? Buffer.from(HttpFile.format(signed.fields), "latin1")
      : HttpFile.withFields(file, signed.fields)
    if (!toStdout) {
      const written = { path: out.value, bytes, mode: 0o644 }
      yield* force ? Files.replace(written) : Files.writeNew([written])
    }
    const report = { label: signed.label, algorithm: signer.algorithm, fields: signed.fields }
    if (json) return yield* Output.print(toStdout ? report : { file: out.value, ...report })
    yield* toStdout ? Output.write(bytes) : Output.print({ file: out.value, label: signed.label })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Sign an HTTP request or response that is in a file, and write it with its signature. A Content-Digest that is " +
      "covered and absent is added."
  ),
  Command.withShortDescription("Sign a request or a response"),
  Command.withExamples([
    {
      command: "effect-signer http sign --key client.pem request.http",
      description: "By the strict profile; the message with the new lines goes to standard output"
    },
    {
      command: "effect-signer http sign --config server.json --request request.http --out signed.http response.http",
      description: "A response, bound to the request that it answers"
    },
    {
      command:
        "effect-signer http sign --key client.pem --component @method --component @path --tag app --fields request.http",
      description: "Covering something else, and only the new lines"
    }
  ])
)

// ---------------------------------------------------------------------------
// verify
// ---------------------------------------------------------------------------

const verify = Command.make(
  "verify",
  {
    message: Message.argument,
    ...JoseKeys.verifyFlags,
    ...flags,
    label: Flag.String("label").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only the signature with this label counts. Default: all with the tag"),
      Flag.optional
    ),
    maxAge: Flag.String("max-age").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("How long ago the signature may have been made. Default: as the profile says"),
      Flag.optional
    ),
    skew: Flag.String("skew").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("How far clocks may differ. Default: as the profile says"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* (stated) {
    const path = Message.pathOf(stated.message)
    const resolver = yield* JoseKeys.openResolver(stated, [path, ...HttpFile.inputs(stated)])
    const { message } = yield* HttpFile.read(path, stated)
    const profile = yield* profileOf(stated, message)
    const algorithm = yield* AlgorithmFlag.readOptional(stated.alg)
    const base = HttpSignatureProfile.policy(profile, message)
    const { signatures } = yield* HttpSignature.verify(message, {
      ...base,
      ...overrides(stated),
      algorithms: algorithm === undefined ? base.algorithms : [algorithm],
      label: Option.getOrElse(stated.label, () => base.label),
      maxAge: (yield* DurationFlag.readOptional("max-age", stated.maxAge)) ?? base.maxAge,
      skew: (yield* DurationFlag.readOptional("skew", stated.skew)) ?? base.skew
    }).pipe(Effect.provideService(KeyResolver, resolver), Effect.catch(JoseKeys.conclude))
    yield* (yield* Output.Json)
      ? Output.print({
          valid: true,
          signatures: signatures.map(({ algorithm, components, created, expires, key, label }) => ({
            label,
            algorithm,
            keyId: key.keyId,
            created,
            expires,
            covered: components
          }))
        })
      : Output.write("valid\n")
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Verify the signatures of an HTTP request or response that is in a file. Prints valid or invalid; exits with 0 where " +
      "it is valid, 1 where it is not, and 2 where that could not be found out. Whether it was seen before is not checked."
  ),
  Command.withShortDescription("Verify a request or a response"),
  Command.withExamples([
    {
      command: "effect-signer http verify --key client.pub.pem request.http",
      description: "By the strict profile"
    },
    {
      command: "effect-signer http verify --jwks jwks.json --max-age '100 years' --json old.http",
      description: "A message of long ago; what it covers is shown"
    }
  ])
)

// ---------------------------------------------------------------------------
// explain
// ---------------------------------------------------------------------------

const explain = Command.make(
  "explain",
  {
    message: Message.argument,
    ...HttpFile.flags,
    label: Flag.String("label").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Which signature. Default: the first"),
      Flag.optional
    ),
    base: Flag.String("base").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The signature base of the other side: the first line that differs is shown"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ base: baseFile, label, message: messageFile, ...source }) {
    const path = Message.pathOf(messageFile)
    yield* Files.checkInputs([path, ...HttpFile.inputs(source), ...Option.toArray(baseFile)], { asksPassphrase: false })
    const { message } = yield* HttpFile.read(path, source)
    const theirs = Option.isNone(baseFile)
      ? undefined
      : Buffer.from(yield* Files.readAll(baseFile.value))
          .toString("latin1")
          .replace(/\r?\n$/, "")
    const explained = yield* Effect.mapError(
      HttpSignature.explain(message, { label: Option.getOrUndefined(label), theirs }),
      (error) => failure(plain(error.message), error._tag)
    )
    const { base, difference } = explained
    if (yield* Output.Json) yield* Output.print({ ...explained })
    else if (difference === undefined) {
      yield* Output.write(
        base
          .split("\n")
          .map((line) => `${plain(line)}\n`)
          .join("")
      )
      if (theirs !== undefined) yield* Output.note("the other side has the same")
    } else {
      const shown = (line: string | undefined) => (line === undefined ? "(no such line)" : plain(line))
      yield* Output.write(
        `line ${difference.line} differs\nours:   ${shown(difference.ours)}\ntheirs: ${shown(difference.theirs)}\n`
      )
    }
    if (difference !== undefined) return yield* new Concluded({ exitCode: exitCodes.invalidSignature })
  })
).pipe(
  Command.withDescription(
    "Show what a signature of an HTTP message signs (its signature base, RFC 9421 section 2.5) and, next to what the other " +
      "side says that it signed, the first line that differs: exits with 1 then. Nothing is verified, and no key is needed."
  ),
  Command.withShortDescription("Show what a signature signs"),
  Command.withExamples([
    { command: "effect-signer http explain request.http", description: "The signature base" },
    {
      command: "effect-signer http explain --base theirs.txt request.http",
      description: "Why a signature does not verify"
    }
  ])
)

/** HTTP message signatures. */
export const http = Command.make("http").pipe(
  Command.withDescription("Sign and verify HTTP messages that are in files (RFC 9421)."),
  Command.withShortDescription("HTTP message signatures"),
  Command.withSubcommands([sign, verify, explain])
)
