/**
 * `effect-signer http sign`, `effect-signer http verify` and `effect-signer http explain`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HttpMessage, HttpRequest } from "../../protocols/HttpMessage.ts"
import * as HttpSignature from "../../protocols/HttpSignature.ts"
import * as HttpSignatureProfile from "../../protocols/HttpSignatureProfile.ts"
import { KeyResolver } from "../../services/KeyResolver.ts"
import type { Service } from "../../services/Signer.ts"
import { Signer } from "../../services/Signer.ts"
import * as AdcpMessage from "../AdcpMessage.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import * as DurationFlag from "../DurationFlag.ts"
import type { Failure } from "../Failure.ts"
import { Concluded, exitCodes, fail, failure, ofSigner, plain } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as HttpFile from "../HttpFile.ts"
import * as JoseKeys from "../JoseKeys.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"
import * as SignedMessage from "../SignedMessage.ts"

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

type OpenProfile = keyof typeof profiles

const flags = {
  profile: Flag.Literals("profile", [...(Object.keys(profiles) as Array<OpenProfile>), ...AdcpMessage.names]).pipe(
    Flag.withDescription(
      "What is covered and stated. strict: method, URI, content, authorization, a nonce, five minutes at most. " +
        "web-bot-auth: the authority, and Signature-Agent where it is there. adcp-3.0, adcp-3.1, adcp-3.2: a request to " +
        "an agent of AdCP that speaks this version. Default: strict"
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
  readonly profile: OpenProfile
  readonly component: ReadonlyArray<string>
  readonly tag: Option.Option<string>
}

/** What the flags say instead of the profile. */
const overrides = ({ component, tag }: Chosen) => ({
  ...(component.length === 0 ? {} : { components: component }),
  ...(Option.isNone(tag) ? {} : { tag: tag.value })
})

const mismatch = (profile: string, messages: string, message: HttpMessage) =>
  fail(`the profile ${profile} is for ${messages}s, and this is a ${message._tag.toLowerCase()}`)

const profileOf = Effect.fnUntraced(function* (profile: OpenProfile, message: HttpMessage) {
  const chosen = profiles[profile](message)
  return chosen.messages === (message._tag === "Request" ? "request" : "response")
    ? chosen
    : yield* mismatch(profile, chosen.messages, message)
})

/** Fails where a flag is stated that a profile of AdCP leaves no choice for. */
const refuseFlags = (profile: string, stated: { readonly [flag: string]: boolean }) => {
  const flag = Object.keys(stated).find((name) => stated[name])
  return flag === undefined
    ? Effect.void
    : fail(`${flag} does not go with --profile ${profile}, which leaves no choice`)
}

const adcpRequest = (profile: string, message: HttpMessage): Effect.Effect<HttpRequest, Failure> =>
  message._tag === "Request" ? Effect.succeed(message) : mismatch(profile, "request", message)

// ---------------------------------------------------------------------------
// sign
// ---------------------------------------------------------------------------

const { ed25519: _, kid: __, ...signFlags } = JoseKeys.signFlags

/** Signs by a profile that leaves choices, with what is chosen. */
const signOpen = Effect.fnUntraced(function* (
  file: HttpFile.HttpFile,
  signer: Service,
  chosen: Chosen,
  options: HttpSignatureProfile.ProfileSignOptions
) {
  const profile = yield* profileOf(chosen.profile, file.message)
  const made = yield* HttpSignatureProfile.signOptions(profile, file.message, options)
  const { fields, label } = yield* HttpSignature.sign(file.message, { ...made, ...overrides(chosen) }).pipe(
    Effect.provideService(Signer, signer),
    Effect.mapError((error) =>
      error._tag === "HttpSignatureInvalid" ? failure(plain(error.message), error._tag) : ofSigner(error)
    )
  )
  return { file, fields, label }
})

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
    ...SignedMessage.flags
  },
  Effect.fnUntraced(function* (stated) {
    const { component, expiresIn, keyid, label, message: messageFile, profile, tag } = stated
    const path = Message.pathOf(messageFile)
    const isAdcp = AdcpMessage.isVersion(profile)
    if (isAdcp) {
      yield* refuseFlags(profile, {
        "--component": component.length > 0,
        "--tag": Option.isSome(tag),
        "--label": Option.isSome(label)
      })
    }
    yield* SignedMessage.check(stated, {
      "--key": Option.getOrUndefined(stated.key),
      "--config": Option.getOrUndefined(stated.config),
      "the message file": path,
      "--request": Option.getOrUndefined(stated.request),
      "--passphrase-file": Option.getOrUndefined(stated.passphraseFile)
    })
    const signer = yield* JoseKeys.openSigner(stated, path, isAdcp ? AdcpMessage.purposeOf("request") : undefined)
    const file = yield* HttpFile.read(path, stated)
    const lifetime = yield* DurationFlag.readOptional("expires-in", expiresIn)
    const keyId = Option.getOrUndefined(keyid)
    const signed = isAdcp
      ? yield* AdcpMessage.sign("request", file, yield* adcpRequest(profile, file.message), {
          version: profile,
          signer,
          keyId,
          expiresIn: lifetime,
          fieldsOnly: stated.fields
        })
      : yield* signOpen(
          file,
          signer,
          { ...stated, profile },
          { keyId, label: Option.getOrUndefined(label), expiresIn: lifetime }
        )
    yield* SignedMessage.write(stated, signed.file, {
      fields: signed.fields,
      report: { label: signed.label, algorithm: signer.algorithm },
      shown: { label: signed.label }
    })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Sign an HTTP request or response that is in a file, and write it with its signature. A Content-Digest that is " +
      "covered and absent is added. By a profile of AdCP the target is signed and written in its canonical form, and a key " +
      "in a file is one for request-signing."
  ),
  Command.withShortDescription("Sign a request or a response"),
  Command.withExamples([
    {
      command: "effect-signer http sign --key client.pem request.http",
      description: "By the strict profile; the message with the new lines goes to standard output"
    },
    {
      command: "effect-signer http sign --profile adcp-3.1 --keyid acme-2026 --config agent.json request.http",
      description: `A request of AdCP; agent.json names the backend and says "purpose": "request-signing"`
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

interface AdcpSource extends JoseKeys.VerifySource, HttpFile.Source {
  readonly capability: Option.Option<string>
  readonly component: ReadonlyArray<string>
  readonly tag: Option.Option<string>
  readonly label: Option.Option<string>
  readonly maxAge: Option.Option<string>
  readonly skew: Option.Option<string>
}

const verifyAdcp = Effect.fnUntraced(function* (path: string, version: AdcpMessage.Version, stated: AdcpSource) {
  yield* refuseFlags(version, {
    "--component": stated.component.length > 0,
    "--tag": Option.isSome(stated.tag),
    "--label": Option.isSome(stated.label),
    "--alg": Option.isSome(stated.alg),
    "--max-age": Option.isSome(stated.maxAge),
    "--skew": Option.isSome(stated.skew)
  })
  const others = [path, ...HttpFile.inputs(stated), ...Option.toArray(stated.capability)]
  const keys = yield* AdcpMessage.openKeys(stated, "request", others)
  const capability = Option.isSome(stated.capability)
    ? yield* AdcpMessage.readCapability(stated.capability.value)
    : undefined
  const { message } = yield* HttpFile.read(path, stated)
  yield* AdcpMessage.verifyRequest(yield* adcpRequest(version, message), version, keys, capability)
})

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
    ),
    capability: Flag.String("capability").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "AdCP: what the agent says of signatures, as JSON of request_signing. Default: a signature is required"
      ),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* (stated) {
    const path = Message.pathOf(stated.message)
    const { profile: name } = stated
    if (AdcpMessage.isVersion(name)) return yield* verifyAdcp(path, name, stated)
    if (Option.isSome(stated.capability)) return yield* fail("--capability goes with a profile of AdCP")
    const resolver = yield* JoseKeys.openResolver(stated, [path, ...HttpFile.inputs(stated)])
    const { message } = yield* HttpFile.read(path, stated)
    const profile = yield* profileOf(name, message)
    const algorithm = yield* AlgorithmFlag.readOptional(stated.alg)
    const base = HttpSignatureProfile.policy(profile, message)
    const { signatures } = yield* HttpSignature.verify(message, {
      ...base,
      ...overrides({ ...stated, profile: name }),
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
      "it is valid, 1 where it is not, and 2 where that could not be found out. Whether it was seen before, and whether the " +
      "key is revoked, is not checked. By a profile of AdCP the reason is its code and the step of its " +
      "checklist, and the keys of --jwks must say adcp_use, as jwks publish --purpose adcp_use=request-signing writes " +
      "them. A request without a signature that the capability lets pass is unsigned, and ends with 1."
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
    },
    {
      command:
        "effect-signer http verify --profile adcp-3.1 --jwks jwks.json --capability capability.json request.http",
      description: "A request of AdCP, as the agent with this capability takes it"
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
