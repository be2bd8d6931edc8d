/**
 * The return values of PKCS#11, in our words.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type { ErrorContext, SignerError } from "../../schemas/SignerError.ts"
import {
  AuthenticationFailed,
  BackendUnavailable,
  InvalidConfiguration,
  KeyNotFound,
  KeyNotSigner,
  KeyUnavailable,
  PermissionDenied,
  RateLimited,
  Retryable,
  UnknownBackendError,
  UnsupportedAlgorithm,
  VendorError
} from "../../schemas/SignerError.ts"

/** What went wrong, before it is known where. */
export type Problem = (context: ErrorContext) => SignerError

interface Failure extends ErrorContext {
  readonly cause: VendorError
}

type Outcome = (failure: Failure) => SignerError

const unavailable: Outcome = (failure) => new Retryable({ ...failure, reason: new BackendUnavailable({}) })
const busy: Outcome = (failure) => new Retryable({ ...failure, reason: new RateLimited({}) })
const unauthenticated =
  (problem: string): Outcome =>
  (failure) =>
    new AuthenticationFailed({ ...failure, problem })
/** Which of them, the code says. */
const pinRefused = unauthenticated("the PIN was refused")
const denied: Outcome = (failure) => new PermissionDenied(failure)
const notSigner: Outcome = (failure) => new KeyNotSigner(failure)
const unsupported: Outcome = (failure) =>
  new UnsupportedAlgorithm({ ...failure, algorithm: "-", problem: "the token or the key cannot do it" })
const invalid =
  (problem: string, field?: string): Outcome =>
  (failure) =>
    new InvalidConfiguration({ ...failure, problem, ...(field === undefined ? {} : { field }) })

const refused = invalid("the token calls the request invalid")
const noThreads = invalid(
  "the module cannot be used by several threads, which signing off the main one needs",
  "module"
)

/**
 * Every return value of PKCS#11 2.40, 3.0 and 3.1 that a signing application can be
 * given, by number: https://docs.oasis-open.org/pkcs11/pkcs11-spec/v3.1/pkcs11-spec-v3.1.html
 * (section 5.1). Those about encrypting, wrapping, random numbers and one-time
 * passwords are not answers to anything that is asked here, but some modules give
 * them anyway.
 */
const table: { readonly [code: number]: readonly [name: string, outcome: Outcome] } = {
  0x001: ["CKR_CANCEL", unavailable],
  0x002: ["CKR_HOST_MEMORY", unavailable],
  0x003: ["CKR_SLOT_ID_INVALID", unavailable], // slots are numbered anew when a token comes back
  0x005: ["CKR_GENERAL_ERROR", unavailable],
  0x006: ["CKR_FUNCTION_FAILED", unavailable],
  0x007: ["CKR_ARGUMENTS_BAD", refused],
  0x008: ["CKR_NO_EVENT", refused],
  0x009: ["CKR_NEED_TO_CREATE_THREADS", noThreads],
  0x00a: ["CKR_CANT_LOCK", noThreads],
  0x010: ["CKR_ATTRIBUTE_READ_ONLY", refused],
  0x011: ["CKR_ATTRIBUTE_SENSITIVE", denied],
  0x012: ["CKR_ATTRIBUTE_TYPE_INVALID", refused],
  0x013: ["CKR_ATTRIBUTE_VALUE_INVALID", refused],
  0x01b: ["CKR_ACTION_PROHIBITED", denied],
  0x020: ["CKR_DATA_INVALID", refused],
  0x021: ["CKR_DATA_LEN_RANGE", invalid("the token does not take messages of this length", "message")],
  0x030: ["CKR_DEVICE_ERROR", unavailable],
  0x031: ["CKR_DEVICE_MEMORY", unavailable],
  0x032: ["CKR_DEVICE_REMOVED", unavailable],
  0x040: ["CKR_ENCRYPTED_DATA_INVALID", refused],
  0x041: ["CKR_ENCRYPTED_DATA_LEN_RANGE", refused],
  0x050: ["CKR_FUNCTION_CANCELED", unavailable],
  0x051: ["CKR_FUNCTION_NOT_PARALLEL", refused],
  0x054: ["CKR_FUNCTION_NOT_SUPPORTED", invalid("the module does not have a function that signing needs", "module")],
  0x060: ["CKR_KEY_HANDLE_INVALID", unavailable],
  0x062: ["CKR_KEY_SIZE_RANGE", unsupported],
  0x063: ["CKR_KEY_TYPE_INCONSISTENT", unsupported],
  0x064: ["CKR_KEY_NOT_NEEDED", refused],
  0x065: ["CKR_KEY_CHANGED", refused],
  0x066: ["CKR_KEY_NEEDED", refused],
  0x067: ["CKR_KEY_INDIGESTIBLE", refused],
  0x068: ["CKR_KEY_FUNCTION_NOT_PERMITTED", notSigner],
  0x069: ["CKR_KEY_NOT_WRAPPABLE", refused],
  0x06a: ["CKR_KEY_UNEXTRACTABLE", denied],
  0x070: ["CKR_MECHANISM_INVALID", unsupported],
  0x071: ["CKR_MECHANISM_PARAM_INVALID", unsupported],
  0x082: ["CKR_OBJECT_HANDLE_INVALID", unavailable],
  0x090: ["CKR_OPERATION_ACTIVE", unavailable],
  0x091: ["CKR_OPERATION_NOT_INITIALIZED", unavailable],
  0x0a0: ["CKR_PIN_INCORRECT", pinRefused],
  0x0a1: ["CKR_PIN_INVALID", pinRefused],
  0x0a2: ["CKR_PIN_LEN_RANGE", pinRefused],
  0x0a3: ["CKR_PIN_EXPIRED", unauthenticated("the PIN has expired")],
  0x0a4: ["CKR_PIN_LOCKED", unauthenticated("the PIN is locked")],
  0x0b0: ["CKR_SESSION_CLOSED", unavailable],
  0x0b1: ["CKR_SESSION_COUNT", busy],
  0x0b3: ["CKR_SESSION_HANDLE_INVALID", unavailable],
  0x0b4: ["CKR_SESSION_PARALLEL_NOT_SUPPORTED", refused],
  0x0b5: ["CKR_SESSION_READ_ONLY", refused],
  0x0b6: ["CKR_SESSION_EXISTS", refused],
  0x0b7: ["CKR_SESSION_READ_ONLY_EXISTS", refused],
  0x0b8: ["CKR_SESSION_READ_WRITE_SO_EXISTS", unavailable], // until the security officer is done
  0x0c0: ["CKR_SIGNATURE_INVALID", refused],
  0x0c1: ["CKR_SIGNATURE_LEN_RANGE", refused],
  0x0d0: ["CKR_TEMPLATE_INCOMPLETE", refused],
  0x0d1: ["CKR_TEMPLATE_INCONSISTENT", refused],
  0x0e0: ["CKR_TOKEN_NOT_PRESENT", unavailable],
  0x0e1: ["CKR_TOKEN_NOT_RECOGNIZED", unavailable],
  0x0e2: ["CKR_TOKEN_WRITE_PROTECTED", refused],
  0x0f0: ["CKR_UNWRAPPING_KEY_HANDLE_INVALID", refused],
  0x0f1: ["CKR_UNWRAPPING_KEY_SIZE_RANGE", refused],
  0x0f2: ["CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", refused],
  0x100: ["CKR_USER_ALREADY_LOGGED_IN", unavailable],
  0x101: ["CKR_USER_NOT_LOGGED_IN", unavailable], // a new session logs in again
  0x102: ["CKR_USER_PIN_NOT_INITIALIZED", invalid("the token has no user PIN yet", "token")],
  0x103: ["CKR_USER_TYPE_INVALID", refused],
  0x104: ["CKR_USER_ANOTHER_ALREADY_LOGGED_IN", unavailable],
  0x105: ["CKR_USER_TOO_MANY_TYPES", unavailable],
  0x110: ["CKR_WRAPPED_KEY_INVALID", refused],
  0x112: ["CKR_WRAPPED_KEY_LEN_RANGE", refused],
  0x113: ["CKR_WRAPPING_KEY_HANDLE_INVALID", refused],
  0x114: ["CKR_WRAPPING_KEY_SIZE_RANGE", refused],
  0x115: ["CKR_WRAPPING_KEY_TYPE_INCONSISTENT", refused],
  0x120: ["CKR_RANDOM_SEED_NOT_SUPPORTED", refused],
  0x121: ["CKR_RANDOM_NO_RNG", unavailable],
  0x130: ["CKR_DOMAIN_PARAMS_INVALID", unsupported],
  0x140: ["CKR_CURVE_NOT_SUPPORTED", unsupported],
  0x150: ["CKR_BUFFER_TOO_SMALL", invalid("the signature is longer than one by this key can be", "algorithm")],
  0x160: ["CKR_SAVED_STATE_INVALID", refused],
  0x170: ["CKR_INFORMATION_SENSITIVE", denied],
  0x180: ["CKR_STATE_UNSAVEABLE", refused],
  0x190: ["CKR_CRYPTOKI_NOT_INITIALIZED", unavailable], // it is initialised again
  0x191: ["CKR_CRYPTOKI_ALREADY_INITIALIZED", unavailable],
  0x1a0: ["CKR_MUTEX_BAD", unavailable],
  0x1a1: ["CKR_MUTEX_NOT_LOCKED", unavailable],
  0x1b0: ["CKR_NEW_PIN_MODE", pinRefused],
  0x1b1: ["CKR_NEXT_OTP", pinRefused],
  0x1b5: ["CKR_EXCEEDED_MAX_ITERATIONS", unavailable],
  0x1b6: [
    "CKR_FIPS_SELF_TEST_FAILED",
    (failure) => new KeyUnavailable({ ...failure, state: "on a token that fails its self-test" })
  ],
  0x1b7: ["CKR_LIBRARY_LOAD_FAILED", invalid("the module cannot load a library that it needs", "module")],
  0x1b8: ["CKR_PIN_TOO_WEAK", pinRefused],
  0x1b9: ["CKR_PUBLIC_KEY_INVALID", invalid("the token calls the public key invalid")],
  0x200: ["CKR_FUNCTION_REJECTED", denied], // a person said no on the device
  0x201: ["CKR_TOKEN_RESOURCE_EXCEEDED", busy],
  0x202: ["CKR_OPERATION_CANCEL_FAILED", unavailable],
  0x203: [
    "CKR_KEY_EXHAUSTED",
    (failure) => new KeyUnavailable({ ...failure, state: "exhausted: it has signed as often as it may" })
  ]
}

/** Codes that this backend acts on itself. */
export const Code = {
  sessionCount: 0xb1,
  userAlreadyLoggedIn: 0x100,
  notInitialized: 0x190,
  alreadyInitialized: 0x191
} as const

/** What is said about a PIN, and not about anything else: after any of these no PIN is sent again. */
const pinCodes: ReadonlySet<number> = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x1b0, 0x1b1, 0x1b8])

/**
 * The session, the login or a handle is gone, and with it nothing but what a new
 * session brings back.
 */
const staleCodes: ReadonlySet<number> = new Set([
  0x003, 0x032, 0x060, 0x082, 0x090, 0x091, 0x0b0, 0x0b3, 0x0e0, 0x101, 0x190
])

/** The return value in what `pkcs11js` threw. `undefined`: it is no return value of a module. */
export const codeOf = (error: unknown): number | undefined => {
  const { code, message } = (typeof error === "object" && error !== null ? error : {}) as {
    readonly code?: unknown
    readonly message?: unknown
  }
  return typeof code === "number" && Number.isInteger(code) && code > 0
    ? code
    : typeof message === "string" && /^CKR_\w+:\d+$/.test(message) // of a call that pkcs11js leaves as it is
      ? Number(message.slice(message.indexOf(":") + 1))
      : undefined
}

export const isAboutPin = (error: unknown): boolean => pinCodes.has(codeOf(error) ?? 0)

export const isStale = (error: unknown): boolean => staleCodes.has(codeOf(error) ?? 0)

/** What `pkcs11js` threw, in our words. Its text is never shown, and neither is its stack. */
export const classify =
  (error: unknown): Problem =>
  (context) => {
    const code = codeOf(error)
    if (code === undefined) {
      return new UnknownBackendError({ ...context, cause: new VendorError({ vendorName: "pkcs11js" }) })
    }
    const row = Object.hasOwn(table, code) ? table[code] : undefined
    const cause = new VendorError({ vendorName: "PKCS#11", code: row?.[0] ?? `0x${code.toString(16)}` })
    return row === undefined ? new UnknownBackendError({ ...context, cause }) : row[1]({ ...context, cause })
  }

/** A problem with one option. */
export const mistaken =
  (field: string, problem: string): Problem =>
  (context) =>
    new InvalidConfiguration({ ...context, field, problem })

export const keyNotFound: Problem = (context) => new KeyNotFound(context)

/** A problem on its way through code that throws what `pkcs11js` throws. */
export class Refused extends Error {
  override readonly name = "Refused"
  readonly problem: Problem
  constructor(problem: Problem) {
    super("refused")
    this.problem = problem
  }
}

/** The problem that was thrown. Anything else that is no error of a module is a bug, which `classify` does not know. */
export const problemOf = (error: unknown): Problem => (error instanceof Refused ? error.problem : classify(error))

/** Runs calls of a module. What they throw is a problem. */
export const attemptCalls = <A>(calls: () => A): Effect.Effect<A, Problem> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(calls())
    } catch (error) {
      return Effect.fail(problemOf(error))
    }
  })
