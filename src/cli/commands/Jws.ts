/**
 * `effect-signer jws sign` and `effect-signer jws verify`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Jws from "../../protocols/Jws.ts"
import * as Base64Url from "../../schemas/Base64Url.ts"
import { KeyResolver } from "../../services/KeyResolver.ts"
import { Signer } from "../../services/Signer.ts"
import { fail, ofSigner } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as JoseKeys from "../JoseKeys.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"

const typ = Flag.String("typ").pipe(Flag.withMetavar("TYPE"), Flag.optional)

const sign = Command.make(
  "sign",
  {
    message: Message.argument,
    ...JoseKeys.signFlags,
    typ: typ.pipe(Flag.withDescription("What the message is, for the header")),
    form: Flag.Literals("form", ["compact", "flattened"]).pipe(
      Flag.withDescription("Text of three parts, or JSON. Default: compact"),
      Flag.withDefault("compact" as const)
    ),
    detached: Flag.Boolean("detached").pipe(
      Flag.withDescription("Leave the payload out; who verifies must have it"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    unencoded: Flag.Boolean("unencoded").pipe(
      Flag.withDescription("Sign the payload as it is, not its base64url (RFC 7797)"),
      Flag.withDefault(false),
      Flag.withoutNegation
    )
  },
  Effect.fnUntraced(function* ({ detached, ed25519, form, kid, message: messageFile, typ, unencoded, ...source }) {
    const signer = yield* JoseKeys.openSigner(source, Message.pathOf(messageFile))
    const payload = yield* Message.read(messageFile, source.passphrase)
    const options = {
      typ: Option.getOrUndefined(typ),
      kid: Option.getOrUndefined(kid),
      ed25519: Option.getOrUndefined(ed25519),
      detached,
      unencoded
    }
    const signed = yield* (
      form === "compact" ? Jws.sign(payload, options) : Effect.map(Jws.signFlattened(payload, options), JSON.stringify)
    ).pipe(Effect.provideService(Signer, signer), Effect.mapError(ofSigner))
    yield* (yield* Output.Json)
      ? Output.print({ jws: form === "compact" ? signed : JSON.parse(signed), algorithm: signer.algorithm })
      : Output.write(`${signed}\n`)
  }, Effect.scoped)
).pipe(
  Command.withDescription("Sign a file, or what comes on standard input, as a JSON Web Signature."),
  Command.withShortDescription("Sign as a JSON Web Signature"),
  Command.withExamples([
    { command: "effect-signer jws sign --key release.pem manifest.json", description: "One line of text" },
    {
      command: "effect-signer jws sign --config release.json --detached app.tar.gz > app.tar.gz.jws",
      description: "A key of any backend, and the payload left out"
    }
  ])
)

/** Whether a token has no payload in it: an empty second part, or no such member. */
const isDetached = (token: string): boolean => {
  if (!/^\s*\{/.test(token)) return /^[^.]*\.\.[^.]*$/.test(token)
  try {
    return !Object.hasOwn(JSON.parse(token) as object, "payload")
  } catch {
    return false
  }
}

const verify = Command.make(
  "verify",
  {
    token: Message.token,
    ...JoseKeys.verifyFlags,
    typ: typ.pipe(Flag.withDescription("What the message must be. Default: anything")),
    payload: Flag.String("payload").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The payload of a detached signature"),
      Flag.optional
    ),
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where the verified payload goes; it must not exist"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ out, payload: payloadFile, token: tokenFile, typ, ...source }) {
    const resolver = yield* JoseKeys.openResolver(source, [Message.pathOf(tokenFile), ...Option.toArray(payloadFile)])
    const token = yield* Effect.flatMap(Message.readToken(tokenFile), JoseKeys.tokenIn)
    const detached = Option.isSome(payloadFile) ? yield* Files.readAll(payloadFile.value) : undefined
    const lacksPayload = detached === undefined && isDetached(token)
    const options = { typ: Option.getOrUndefined(typ), payload: detached }
    if (/^\s*\{/.test(token) && /"signatures"\s*:/.test(token)) {
      return yield* fail("this is a JWS with several signatures; which of them must be valid is for a program to say")
    }
    // A compact JWS begins with base64url, JSON with a brace
    const verified = yield* (
      /^\s*\{/.test(token) ? Jws.verifyFlattened(token, options) : Jws.verify(token, options)
    ).pipe(
      Effect.provideService(KeyResolver, resolver),
      // A token of an empty payload looks the same, and was valid
      Effect.catch((error) =>
        lacksPayload && JoseKeys.isRefusal(error)
          ? fail("the payload is not in the token: give --payload FILE")
          : JoseKeys.conclude(error)
      )
    )
    if (Option.isSome(out)) yield* Files.writeNew([{ path: out.value, bytes: verified.payload, mode: 0o644 }])
    yield* (yield* Output.Json)
      ? Output.print({
          valid: true,
          algorithm: verified.key.publicKey.algorithm,
          keyId: verified.key.keyId,
          header: verified.protectedHeader,
          payload: Base64Url.encode(verified.payload)
        })
      : Output.write("valid\n")
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Verify a JSON Web Signature. Prints valid or invalid; exits with 0 where it is valid, 1 where it is not, and 2 " +
      "where that could not be found out."
  ),
  Command.withShortDescription("Verify a JSON Web Signature"),
  Command.withExamples([
    {
      command: "effect-signer jws verify --key release.pub.pem manifest.jws --out manifest.json",
      description: "The payload is written where it is valid, and only there"
    },
    {
      command: "effect-signer jws verify --jwks jwks.json --payload app.tar.gz app.tar.gz.jws",
      description: "One of several keys, and a detached payload"
    }
  ])
)

/** JSON Web Signatures. */
export const jws = Command.make("jws").pipe(
  Command.withDescription("Sign and verify JSON Web Signatures (RFC 7515)."),
  Command.withShortDescription("JSON Web Signatures"),
  Command.withSubcommands([sign, verify])
)
