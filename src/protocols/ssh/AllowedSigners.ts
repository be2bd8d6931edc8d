/**
 * Files of allowed signers: who may sign with which key, for what and when
 * (ssh-keygen(1), ALLOWED SIGNERS; patterns as in ssh_config(5), PATTERNS).
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { SshsigError } from "./SshsigError.ts"

/** A line of a file of allowed signers. */
export interface AllowedSigner {
  /** Number of the line, from 1. */
  readonly line: number
  /** Patterns with commas between them, as they stand there. */
  readonly principals: string
  /** Patterns of namespaces, with commas between them. Absent: all. */
  readonly namespaces: string | undefined
  /** Milliseconds since 1970; the moment itself is valid. */
  readonly validAfter: number | undefined
  readonly validBefore: number | undefined
  readonly publicKey: PublicKey.PublicKey
}

/** Characters of a file at most. */
const maxLength = 1024 * 1024

// ---------------------------------------------------------------------------
// patterns
// ---------------------------------------------------------------------------

/** `*` and `?`, in time that grows with the product of the two lengths and no faster. */
const matchesPattern = (text: string, pattern: string): boolean => {
  let [at, star, mark] = [0, -1, 0]
  let position = 0
  while (position < text.length) {
    if (at < pattern.length && pattern[at] !== "*" && (pattern[at] === "?" || pattern[at] === text[position])) {
      at++
      position++
    } else if (pattern[at] === "*") {
      star = at++
      mark = position
    } else if (star >= 0) {
      at = star + 1
      position = ++mark
    } else {
      return false
    }
  }
  while (pattern[at] === "*") at++
  return at === pattern.length
}

/** A list matches by one of its patterns, unless one with a `!` before it does. */
const matchesList = (text: string, list: string): boolean => {
  let isMatched = false
  for (const pattern of list.split(",")) {
    const isNegated = pattern.startsWith("!")
    if (matchesPattern(text, isNegated ? pattern.slice(1) : pattern)) {
      if (isNegated) return false
      isMatched = true
    }
  }
  return isMatched
}

// ---------------------------------------------------------------------------
// lines
// ---------------------------------------------------------------------------

/** `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, and `Z` for UTC. */
const timeOf = (text: string): number | undefined => {
  const match = /^(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(Z?)$/.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((digits) => Number(digits ?? "0"))
  const parts = [year!, month! - 1, day!, hour!, minute!, second!] as const
  const isUtc = match[7] === "Z"
  const date = isUtc ? new Date(Date.UTC(...parts)) : new Date(...parts)
  const read = isUtc
    ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
    : [date.getFullYear(), date.getMonth(), date.getDate()]
  const isReal = read.every((part, index) => part === parts[index]) && hour! < 24 && minute! < 60 && second! < 60
  return isReal && year! >= 1970 ? date.getTime() : undefined
}

interface Options {
  namespaces?: string
  validAfter?: number
  validBefore?: number
}

const option = /^([a-z-]+)(?:="((?:[^"\\]|\\"|\\\\)*)")?(?:,(?=.)|$)/i

/** The options of a line, or what is wrong with them. */
const readOptions = (text: string): Options | string => {
  const options: Options = {}
  for (let rest = text; rest !== "";) {
    const match = option.exec(rest)
    if (match === null) return "an option cannot be read"
    rest = rest.slice(match[0].length)
    const name = match[1]!.toLowerCase()
    const value = match[2]?.replace(/\\(["\\])/g, "$1")
    if (name === "cert-authority") return "cert-authority is not supported: certificates are not verified here"
    if (value === undefined) return "an option is not known, or has no value in quotes"
    if (name === "namespaces") {
      if (options.namespaces !== undefined || value === "") return "namespaces must be stated once and not be empty"
      options.namespaces = value
    } else if (name === "valid-after" || name === "valid-before") {
      const field = name === "valid-after" ? "validAfter" : "validBefore"
      const time = timeOf(value)
      if (time === undefined || options[field] !== undefined) {
        return `${name} must be stated once, as YYYYMMDD or YYYYMMDDHHMM[SS], with Z for UTC`
      }
      options[field] = time
    } else {
      return "an option is not known"
    }
  }
  const { validAfter, validBefore } = options
  return validAfter !== undefined && validBefore !== undefined && validBefore <= validAfter
    ? "valid-before is not after valid-after"
    : options
}

const principalsWord = /^(?:"([^"]+)"|([^\s"]+))[ \t]+/
/** Up to the next space that is in no quotes. */
const word = /^((?:[^\s"]|"(?:[^"\\]|\\.)*")+)[ \t]+/
const keyType = /^(?:ssh-|ecdsa-sha2-|sk-|[\w.-]+@)[\w@.-]*$/
const supported = /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))$/
const certified = /-cert-v\d+@/

/** A line: a signer, `undefined` where it allows nothing, or what is wrong with it. */
const readLine = Effect.fnUntraced(function* (
  text: string,
  line: number
): Effect.fn.Return<AllowedSigner | string | undefined> {
  const principals = principalsWord.exec(text)
  if (principals === null) return "expected principals, options if any, a kind of key and a key"
  let rest = text.slice(principals[0].length)
  let options: Options | string = {}
  const first = word.exec(rest)
  if (first !== null && !keyType.test(first[1]!)) {
    options = readOptions(first[1]!)
    rest = rest.slice(first[0].length)
  }
  if (typeof options === "string") return options
  const key = /^(\S+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]|$)/.exec(rest)
  if (key === null || !keyType.test(key[1]!)) return "expected a kind of key and a key"
  if (certified.test(key[1]!)) return "a certificate is no key; state the key that it certifies"
  if (!supported.test(key[1]!)) return undefined
  const publicKey = yield* Effect.result(PublicKey.fromOpenSsh(`${key[1]} ${key[2]}`))
  if (publicKey._tag === "Failure") return `the key cannot be read: ${publicKey.failure.problem}`
  return {
    line,
    principals: (principals[1] ?? principals[2])!,
    namespaces: options.namespaces,
    validAfter: options.validAfter,
    validBefore: options.validBefore,
    publicKey: publicKey.success
  }
})

/** Reads a whole file. */
export const parse = Effect.fnUntraced(function* (
  text: string
): Effect.fn.Return<ReadonlyArray<AllowedSigner>, SshsigError> {
  if (typeof text !== "string" || text.length > maxLength) {
    return yield* new SshsigError({
      field: "allowedSigners",
      problem: `expected text of ${maxLength} characters at most`
    })
  }
  const signers: Array<AllowedSigner> = []
  for (const [index, full] of text.split("\n").entries()) {
    const content = full.replace(/\r$/, "").trim()
    if (content === "" || content.startsWith("#")) continue
    const read = yield* readLine(content, index + 1)
    if (typeof read === "string") {
      return yield* new SshsigError({ field: `allowedSigners, line ${index + 1}`, problem: read })
    }
    if (read !== undefined) signers.push(read)
  }
  return signers
})

// ---------------------------------------------------------------------------
// asking
// ---------------------------------------------------------------------------

/** Whether a line gives this key the right to sign for a namespace at a time. */
export const permits = (
  { namespaces, publicKey, validAfter, validBefore }: AllowedSigner,
  key: PublicKey.PublicKey,
  namespace: string,
  at: number
): boolean =>
  PublicKey.sameKey(publicKey, key) &&
  (namespaces === undefined || matchesList(namespace, namespaces)) &&
  !(validAfter !== undefined && at < validAfter) &&
  !(validBefore !== undefined && at > validBefore)

/** Whether a line is about somebody. */
export const isPrincipal = ({ principals }: AllowedSigner, principal: string): boolean =>
  principal !== "" && matchesList(principal, principals)
