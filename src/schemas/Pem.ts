/**
 * PEM as the strict grammar of RFC 7468 (figure 3) has it: one block with equal
 * labels, lines of exactly 64 characters but the last, LF or CRLF, and nothing
 * else. Only the very last line end may be missing. OpenSSH writes lines of 70.
 *
 * @category internal
 */
import * as Base64 from "effect/encoding/Base64"
import { fromBase64 } from "./BaseEncoding.ts"
import { Malformed, maxInputLength } from "./Malformed.ts"

/** One PEM block. */
export interface Pem<Label extends string> {
  readonly label: Label
  readonly bytes: Uint8Array
}

const refuse = (problem: string): never => {
  throw new Malformed("pem", problem)
}

const beginOf = (text: string): { readonly label: string; readonly header: string; readonly eol: string } => {
  const begin = /^-----BEGIN ([A-Z0-9 ]{1,40})-----(\r?\n)/.exec(text)
  if (begin !== null) return { label: begin[1]!, header: begin[0], eol: begin[2]! }
  if (text.includes("\\n")) {
    return refuse(
      'it has the two characters \\n where a line must end; put line ends there: text.replaceAll("\\\\n", "\\n")'
    )
  }
  const at = text.indexOf("-----BEGIN ")
  if (at > 0) {
    const what = text.startsWith("\ufeff")
      ? "a byte order mark"
      : text.slice(0, at).trim() === ""
        ? "white space"
        : "text"
    return refuse(
      `there is text before -----BEGIN${what === "text" ? "" : ` (${what})`}; a key is one block and nothing else`
    )
  }
  if (at === 0 && !text.includes("\n"))
    return refuse("it does not start with a line -----BEGIN <label>-----: its line ends are missing")
  return refuse(
    text.length < 500 && !text.includes("\n") && /[/\\.]/.test(text)
      ? "it does not start with a line -----BEGIN <label>-----; is it the name of a file? pass its content"
      : "it does not start with a line -----BEGIN <label>-----"
  )
}

/** The lines between the two label lines. */
const bodyOf = (text: string, label: string, header: string, eol: string): ReadonlyArray<string> => {
  const ending = `-----END ${label}-----`
  const trimmed = text.endsWith(eol) ? text.slice(0, -eol.length) : text
  if (text.indexOf("-----BEGIN ", header.length) > 0) return refuse("it has several blocks; state one key")
  const at = text.indexOf(ending)
  if (at < 0) return refuse("the -----END----- line is missing, or its label differs from that of -----BEGIN-----")
  if (!trimmed.endsWith(`${eol}${ending}`)) {
    const rest = text.slice(at + ending.length)
    const what = rest.trim() !== "" ? "" : rest === "\r" ? " (a carriage return)" : " (white space)"
    return refuse(`there is text after -----END${what}; a key is one block and nothing else`)
  }
  return trimmed.slice(header.length, trimmed.length - ending.length - eol.length).split(eol)
}

/**
 * Reads one block. A label that is not in `accepted` is refused, with the
 * advice that `advice` has for it.
 */
export const decode = <Label extends string>(
  text: string,
  accepted: ReadonlyArray<Label>,
  advice: { readonly [label: string]: string } = {}
): Pem<Label> => {
  if (typeof text !== "string") return refuse("expected text")
  if (text.length > maxInputLength) return refuse(`longer than ${maxInputLength} characters`)
  const { eol, header, label } = beginOf(text)
  const known = accepted.find((candidate) => candidate === label)
  if (known === undefined) {
    return refuse(
      Object.hasOwn(advice, label)
        ? `a block with the label ${label}: ${advice[label]}`
        : `a block with another label than ${accepted.join(", ")}`
    )
  }
  const lines = bodyOf(text, label, header, eol)
  if (lines.some((line) => line.startsWith("Proc-Type:"))) {
    return refuse(
      "it is encrypted in the legacy way of OpenSSL (Proc-Type: 4,ENCRYPTED), whose key derivation is one round of " +
        "MD5; convert it with: openssl pkcs8 -topk8"
    )
  }
  if (lines.some((line) => line.includes(":"))) return refuse("it has header lines (RFC 1421); remove them")
  const last = lines.length - 1
  // OpenSSH PROTOCOL.key section 1
  const width = label === "OPENSSH PRIVATE KEY" ? 70 : 64
  if (lines.some((line, i) => (i === last ? line.length === 0 || line.length > width : line.length !== width))) {
    return refuse(`a line is not ${width} characters long; every line but the last must be, and the last not empty`)
  }
  const bytes = fromBase64(lines.join(""))
  if (bytes === undefined) return refuse("the lines are not base64 with its exact padding")
  return { label: known, bytes }
}

/** Writes one block, with LF line ends. */
export const encode = (label: string, bytes: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Base64.encode(bytes).replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`
