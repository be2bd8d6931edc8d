/**
 * Every way in which a request is good or bad, and what each verifier must say to it:
 * a table of what is signed, what is changed on the way, and the outcome, exactly.
 */
import * as ContentDigest from "../../../src/protocols/ContentDigest.ts"
import type { FieldLine, HttpRequest } from "../../../src/protocols/HttpMessage.ts"
import type { SignOptions } from "../../../src/protocols/HttpSignature.ts"
import { withField, without } from "../adcpParties.ts"
import type { Algorithm } from "./backendKeys.ts"
import type { Side } from "./guardedService.ts"
import { sides } from "./guardedService.ts"

/** `200`, or the status and why: `401 Replayed`, `401 request_signature_replayed, step 12`. */
export type Outcomes = { readonly [S in Side]: string }

/** What a change may need beside the message: another one of the same signer, and the key ids of others. */
export interface Surroundings {
  readonly another: HttpRequest
  /** Of a key of the same algorithm that somebody else has. */
  readonly otherKeyId: string
  readonly revokedKeyId: string
  readonly algorithm: Algorithm
}

type Change = (message: HttpRequest, surroundings: Surroundings) => HttpRequest

export interface Kind {
  readonly kind: string
  /** Only with keys of this algorithm. */
  readonly algorithm?: Algorithm
  /** What it is signed with. Default `"main"`. */
  readonly key?: "main" | "webhooks" | "responses" | "revoked"
  /** How the signature names the key, where it lies. */
  readonly named?: "main" | "nobody"
  /** How far the clock of who signs is off, in seconds. */
  readonly off?: { readonly rest: number; readonly adcp: number }
  /** Without content, which a webhook never is. */
  readonly method?: "GET"
  /** The host that it is signed for, and sent as if to it. */
  readonly host?: string
  readonly body?: string
  /** What the signature says in another way than it should. */
  readonly signed?: Omit<Partial<SignOptions>, "components" | "keyId">
  /** What is covered beside. */
  readonly covers?: string
  /** What happens on the way. The genuine request follows, unless it was sent before. */
  readonly change?: Change
  /** Whether the genuine request was sent before, and accepted. */
  readonly isAfter?: boolean
  /** Which other signed request the change needs: any, or one to the same target with the same nonce. */
  readonly another?: "any" | "same nonce"
  /** How often it is sent at once: one is accepted, and the outcome is that of the others. */
  readonly copies?: number
  readonly outcome: Outcomes
  /** Of the genuine request that follows. Default: it is accepted, as what is refused uses nothing up. */
  readonly then?: Outcomes
}

// ---------------------------------------------------------------------------
// outcomes
// ---------------------------------------------------------------------------

const accepted = "200"

const restRefusal = (reason: string) => (reason === accepted ? accepted : `401 ${reason}`)

/** A reason of `HttpSignature`; a code of AdCP without its prefix, and its step: of 3.1, and of others that differ. */
const outcome = (rest: string, adcp31: string, others: { adcp32?: string; webhook?: string } = {}): Outcomes => ({
  rest: restRefusal(rest),
  adcp31: adcpRefusal("request", adcp31),
  adcp32: adcpRefusal("request", others.adcp32 ?? adcp31),
  webhook: adcpRefusal("webhook", others.webhook ?? adcp31)
})

const adcpRefusal = (message: "request" | "webhook", reason: string): string => {
  const [code, step] = reason.split(" ") as [string, string]
  if (code === accepted) return accepted
  const isOfSignature = !code.startsWith("target_uri") && !code.startsWith("body")
  return `401 ${message}_${isOfSignature ? "signature_" : ""}${code}, step ${step}`
}

const good = outcome(accepted, accepted)

export const replayed = outcome("Replayed", "replayed 12")

/** After which no message counts any more, in seconds, and what is said of one that comes once more. */
export const lifetime = { rest: 330, adcp31: 360, adcp32: 360, webhook: 360 } as const

export const tooOld = outcome("TooOld", "window_invalid 5")

const invalid = outcome("SignatureInvalid", "invalid 10")

const malformed = outcome("Malformed", "header_malformed 1")

// ---------------------------------------------------------------------------
// changes
// ---------------------------------------------------------------------------

const utf8 = new TextEncoder()

const on =
  (name: string, change: (value: string, surroundings: Surroundings) => string): Change =>
  (message, surroundings) =>
    withField(message, name, (value) => change(value, surroundings))

const input = (change: (value: string, surroundings: Surroundings) => string) => on("signature-input", change)

const covering = (change: (identifiers: ReadonlyArray<string>) => ReadonlyArray<string>) =>
  input((value) => value.replace(/\(([^)]*)\)/, (_, list: string) => `(${change(list.split(" ")).join(" ")})`))

const uncovered = (name: string) => covering((all) => all.filter((one) => one !== `"${name}"`))

const parameter = (name: string, change: (value: string, surroundings: Surroundings) => string) =>
  input((value, surroundings) => {
    const form = new RegExp(`;${name}=("[^"]*"|[0-9]+)`)
    const found = form.exec(value)?.[1] ?? ""
    const changed = change(found, surroundings)
    return `${value.replace(form, "")}${changed === "" ? "" : `;${name}=${changed}`}`
  })

const renamed = (label: string) => (value: string) => value.replace(/^sig1=/, `${label}=`)

/** 64 bytes: with padding in the standard alphabet, without in the other. */
const alphabetOf = (value: string) => (value.endsWith("==:") ? "base64" : "base64url")

const bytesOf = (value: string) => Buffer.from(/^sig1=:([^:]*):$/.exec(value)![1]!, "base64")

const signature = (change: (bytes: Uint8Array) => Uint8Array) =>
  on("signature", (value) => `sig1=:${Buffer.from(change(bytesOf(value))).toString(alphabetOf(value))}:`)

const otherAlphabet = on("signature", (value) => {
  const other = alphabetOf(value) === "base64" ? "base64url" : "base64"
  return `sig1=:${bytesOf(value).toString(other)}:`
})

/** The order of P-256 (SEC 2 section 2.4.2). */
const orderOfP256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** Of two values of `s` that verify, the other. */
const otherS = (bytes: Uint8Array): Uint8Array => {
  const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).toString("hex")}`)
  const other = (orderOfP256 - s).toString(16).padStart(64, "0")
  return new Uint8Array([...bytes.subarray(0, 32), ...Buffer.from(other, "hex")])
}

const flipped = (bytes: Uint8Array) => bytes.map((byte, index) => (index === 40 ? byte ^ 1 : byte))

const otherBody = utf8.encode(`{"plan_id":"plan_0","budget":1000000}`)

const digestOf = (body: Uint8Array, message: HttpRequest): FieldLine => {
  const [, value] = message.fields.find(([name]) => name === "Content-Digest")!
  const alphabet = value.includes("=:") ? "base64" : "base64url"
  const digest = ContentDigest.makeResult(body, ["sha-256"], { alphabet })
  return ["Content-Digest", digest._tag === "Success" ? digest.success : ""]
}

const withBody: (body: Uint8Array) => Change = (body) => (message) => ({ ...message, body })

const withDigest: (body: Uint8Array) => Change = (body) => (message) => ({
  ...message,
  body,
  fields: [digestOf(body, message), ...message.fields.filter(([name]) => name !== "Content-Digest")]
})

const fieldsOf = (message: HttpRequest, ...names: ReadonlyArray<string>) =>
  message.fields.filter(([name]) => names.includes(name))

const from = (another: HttpRequest, message: HttpRequest, ...names: ReadonlyArray<string>): HttpRequest => ({
  ...message,
  fields: [...message.fields.filter(([name]) => !names.includes(name)), ...fieldsOf(another, ...names)]
})

const otherAlgorithm = { Ed25519: `"ecdsa-p256-sha256"`, ES256: `"ed25519"` } as const

// ---------------------------------------------------------------------------
// the table
// ---------------------------------------------------------------------------

export const goodRequest: Kind = { kind: "good", outcome: good }

export const kinds: ReadonlyArray<Kind> = [
  goodRequest,
  { kind: "good, without content", method: "GET", outcome: good },
  { kind: "good, at the last moment", off: { rest: -330, adcp: -360 }, outcome: good },
  { kind: "good, of a clock as far ahead as allowed", off: { rest: 30, adcp: 60 }, outcome: good },

  // It came before
  { kind: "replayed", isAfter: true, change: (message) => message, outcome: replayed },
  { kind: "replayed at once, four times", copies: 4, outcome: replayed },
  {
    kind: "replayed under another label",
    isAfter: true,
    change: (message, all) => on("signature", renamed("sig9"))(input(renamed("sig9"))(message, all), all),
    outcome: outcome("Replayed", "header_malformed 1")
  },
  {
    kind: "replayed with the other s",
    algorithm: "ES256",
    isAfter: true,
    change: signature(otherS),
    outcome: replayed
  },
  {
    kind: "replayed in the other alphabet",
    isAfter: true,
    change: otherAlphabet,
    outcome: outcome("Malformed", "replayed 12", { adcp32: "header_malformed 1" })
  },
  {
    kind: "replayed with fields that nobody signed",
    isAfter: true,
    change: (message) => ({ ...message, fields: [...message.fields, ["X-Retry", "1"]] }),
    outcome: replayed
  },

  {
    kind: "a nonce that was used before",
    another: "same nonce",
    isAfter: true,
    change: (_, { another }) => another,
    outcome: replayed
  },

  // At another time
  { kind: "stale", off: { rest: -331, adcp: -361 }, outcome: tooOld },
  {
    kind: "from the future",
    off: { rest: 31, adcp: 61 },
    outcome: outcome("NotYetValid", "window_invalid 5")
  },
  {
    kind: "expired",
    off: { rest: -90, adcp: -121 },
    signed: { expiresIn: "1 minute" },
    outcome: outcome("Expired", "window_invalid 5")
  },
  {
    kind: "good, about to expire",
    off: { rest: -89, adcp: -120 },
    signed: { expiresIn: "1 minute" },
    outcome: good
  },
  {
    kind: "for too long",
    signed: { expiresIn: "301 seconds", maxLifetime: undefined },
    outcome: outcome("ParameterInvalid", "window_invalid 5")
  },

  // Changed on the way: the message
  {
    kind: "another body",
    change: withBody(otherBody),
    outcome: outcome("DigestInvalid", "digest_mismatch 11")
  },
  { kind: "another body, and its digest", change: withDigest(otherBody), outcome: invalid },
  {
    kind: "no body",
    change: withBody(new Uint8Array()),
    outcome: outcome("DigestInvalid", "digest_mismatch 11")
  },
  {
    kind: "no digest",
    change: (message) => without(message, "content-digest"),
    outcome: outcome("ComponentUnavailable", "components_incomplete 6")
  },
  { kind: "another content type", change: on("content-type", () => "text/plain"), outcome: invalid },
  {
    kind: "another query",
    change: (message) => ({ ...message, query: message.query!.replace("page=1", "page=2") }),
    outcome: invalid
  },
  { kind: "no query", change: (message) => ({ ...message, query: undefined }), outcome: invalid },
  { kind: "another path", change: (message) => ({ ...message, path: `${message.path}/all` }), outcome: invalid },
  { kind: "another method", change: (message) => ({ ...message, method: "PUT" }), outcome: invalid },
  {
    kind: "for another host",
    host: "other.example",
    outcome: outcome("SignatureInvalid", "target_uri_malformed 10")
  },

  // Changed on the way: the signature
  {
    kind: "no signature",
    change: (message) => without(without(message, "signature"), "signature-input"),
    outcome: outcome("NoSignature", "required 0")
  },
  { kind: "no Signature", change: (message) => without(message, "signature"), outcome: malformed },
  {
    kind: "no Signature-Input",
    change: (message) => without(message, "signature-input"),
    outcome: outcome("NoSignature", "header_malformed 1")
  },
  { kind: "a signature with one bit changed", change: signature(flipped), outcome: invalid },
  { kind: "a signature that is cut", change: signature((bytes) => bytes.slice(0, 63)), outcome: invalid },
  {
    kind: "the signature of another request",
    another: "any",
    change: (message, { another }) => from(another, message, "Signature"),
    outcome: invalid
  },
  {
    kind: "both signature fields of another request",
    another: "any",
    change: (message, { another }) => from(another, message, "Signature", "Signature-Input"),
    outcome: invalid
  },
  {
    kind: "all of another request but its target",
    another: "any",
    change: (message, { another }) => ({ ...another, query: message.query }),
    outcome: invalid
  },
  {
    kind: "another label in both fields",
    change: (message, all) => on("signature", renamed("sig9"))(input(renamed("sig9"))(message, all), all),
    // No signature covers its label: the request is the same
    outcome: outcome(accepted, "header_malformed 1"),
    then: { ...good, rest: replayed.rest }
  },
  { kind: "another label in one field", change: input(renamed("sig9")), outcome: malformed },
  { kind: "a label twice", change: input((value) => `${value}, ${value}`), outcome: malformed },
  {
    kind: "the other alphabet",
    change: otherAlphabet,
    outcome: outcome("Malformed", accepted, { adcp32: "header_malformed 1" }),
    then: { ...replayed, rest: accepted, adcp32: accepted }
  },

  // Changed on the way: what is covered
  {
    kind: "the digest uncovered",
    change: uncovered("content-digest"),
    outcome: outcome("NotCovered", "invalid 10", {
      adcp32: "components_incomplete 6",
      webhook: "components_incomplete 6"
    })
  },
  {
    kind: "the target uncovered",
    change: uncovered("@target-uri"),
    outcome: outcome("NotCovered", "components_incomplete 6")
  },
  {
    kind: "the content type uncovered",
    change: uncovered("content-type"),
    outcome: outcome("SignatureInvalid", "components_incomplete 6")
  },
  {
    kind: "nothing covered",
    change: covering(() => []),
    outcome: outcome("NotCovered", "components_incomplete 6")
  },
  {
    kind: "more covered",
    change: covering((all) => [...all, `"@path"`]),
    outcome: outcome("SignatureInvalid", "components_unexpected 6")
  },
  {
    kind: "a component twice",
    change: covering((all) => [...all, `"@method"`]),
    outcome: outcome("ComponentInvalid", "header_malformed 1")
  },

  // Changed on the way: parameters
  {
    kind: "stale, and dated anew",
    off: { rest: -331, adcp: -361 },
    change: input((value) =>
      value.replace(/;(created|expires)=([0-9]+)/g, (_, name: string, at: string) => `;${name}=${Number(at) + 331}`)
    ),
    outcome: invalid,
    then: tooOld
  },
  {
    kind: "another nonce",
    change: parameter("nonce", () => `"AAAAAAAAAAAAAAAAAAAAAA"`),
    outcome: invalid
  },
  { kind: "the keyid of another", change: parameter("keyid", (_, all) => `"${all.otherKeyId}"`), outcome: invalid },
  {
    kind: "the keyid of one that is revoked",
    change: parameter("keyid", (_, all) => `"${all.revokedKeyId}"`),
    outcome: outcome("KeyRevoked", "key_revoked 9")
  },
  {
    kind: "another tag",
    change: parameter("tag", () => `"invoices"`),
    outcome: outcome("NoSignature", "tag_invalid 3")
  },
  {
    kind: "the alg of another key",
    change: parameter("alg", (_, { algorithm }) => otherAlgorithm[algorithm]),
    outcome: outcome("AlgorithmMismatch", "key_purpose_invalid 8")
  },
  {
    kind: "an alg that is not allowed",
    change: parameter("alg", () => `"rsa-pss-sha512"`),
    outcome: outcome("AlgorithmNotAllowed", "alg_not_allowed 4")
  },
  {
    kind: "the alg of a shared secret",
    change: parameter("alg", () => `"hmac-sha256"`),
    outcome: outcome("AlgorithmUnsupported", "alg_not_allowed 4")
  },

  // Signed wrongly
  {
    kind: "by a key for webhooks",
    key: "webhooks",
    outcome: outcome("KeyUnknown", "key_purpose_invalid 8", { webhook: accepted })
  },
  { kind: "by a key for responses", key: "responses", outcome: outcome("KeyUnknown", "key_purpose_invalid 8") },
  { kind: "by a key that nobody knows", named: "nobody", outcome: outcome("KeyUnknown", "key_unknown 7") },
  { kind: "by a key under the name of another", key: "webhooks", named: "main", outcome: invalid },
  { kind: "by a key that is revoked", key: "revoked", outcome: outcome("KeyRevoked", "key_revoked 9") },
  {
    kind: "without a nonce",
    signed: { nonce: undefined },
    outcome: outcome("ParameterMissing", "params_incomplete 2")
  },
  {
    kind: "with a short nonce",
    signed: { nonce: "AAAAAAAAAAAAAAAAAAAA" },
    outcome: outcome("ParameterInvalid", "params_incomplete 2")
  },
  {
    kind: "for something else",
    signed: { tag: "adcp/response-signing/v1" },
    outcome: outcome("NoSignature", "tag_invalid 3")
  },
  {
    kind: "over more than it should",
    covers: "@path",
    outcome: outcome(accepted, "components_unexpected 6")
  },
  {
    kind: "over a body with two meanings",
    body: `{"plan_id":"plan_1","budget":1,"budget":1000000}`,
    outcome: outcome(accepted, "body_malformed 14")
  }
]

/** Which sides it is sent to. */
export const sidesOf = ({ method }: Kind): ReadonlyArray<Side> =>
  method === "GET" ? sides.filter((side) => side !== "webhook") : sides
