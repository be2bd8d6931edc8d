/**
 * One token of a module: its slot, the login, and the objects on it.
 *
 * @category internal
 */
import * as Redacted from "effect/Redacted"
import { AuthenticationFailed, KeyUnavailable, VendorError } from "../../schemas/SignerError.ts"
import type { Problem } from "./Pkcs11Error.ts"
import { classify, Code, codeOf, isAboutPin, isStale, mistaken, Refused } from "./Pkcs11Error.ts"
import type { Cryptoki, Handle, Module, TokenInfo } from "./Pkcs11Module.ts"

// ---------------------------------------------------------------------------
// slot
// ---------------------------------------------------------------------------

/** Which token, by what it says of itself. */
export interface TokenFilter {
  readonly token?: string | undefined
  readonly serial?: string | undefined
  readonly manufacturer?: string | undefined
  readonly model?: string | undefined
}

/** https://docs.oasis-open.org/pkcs11/pkcs11-spec/v3.1/pkcs11-spec-v3.1.html, table 6 */
const Flag = {
  loginRequired: 0x4,
  tokenInitialized: 0x400,
  pinCountLow: 0x10000,
  pinFinalTry: 0x20000,
  pinLocked: 0x40000
} as const

const has = ({ flags }: TokenInfo, flag: number) => (flags & flag) !== 0

/** The fields of a token are padded with blanks. */
const unpadded = (text: string) => text.replace(/[ \0]+$/, "")

const matches = (info: TokenInfo, filter: TokenFilter): boolean => {
  const isSame = (wanted: string | undefined, actual: string) => wanted === undefined || wanted === unpadded(actual)
  return (
    has(info, Flag.tokenInitialized) &&
    isSame(filter.token, info.label) &&
    isSame(filter.serial, info.serialNumber) &&
    isSame(filter.manufacturer, info.manufacturerID) &&
    isSame(filter.model, info.model)
  )
}

interface Slot {
  readonly handle: Handle
  readonly info: TokenInfo
}

/** The labels of the tokens that are there, as far as they can be shown. */
const labelsOf = (slots: ReadonlyArray<Slot>): string => {
  const labels = slots.filter(({ info }) => has(info, Flag.tokenInitialized)).map(({ info }) => unpadded(info.label))
  const shown = labels.slice(0, 8).map((label) => JSON.stringify(label.slice(0, 32)))
  return shown.length === 0 ? "" : `; there are ${shown.join(", ")}${labels.length > 8 ? " and others" : ""}`
}

/** The slot of the one token that fits. */
const findSlot = (cryptoki: Cryptoki, filter: TokenFilter): Slot => {
  const present: Array<Slot> = []
  for (const handle of cryptoki.C_GetSlotList(true)) {
    try {
      present.push({ handle, info: cryptoki.C_GetTokenInfo(handle) })
    } catch (error) {
      // One that was taken out this very moment, or speaks no PKCS#11, is not the one that is looked for.
      if (codeOf(error) === undefined) throw error
    }
  }
  const found = present.filter(({ info }) => matches(info, filter))
  const [slot] = found
  if (slot !== undefined && found.length === 1) return slot
  throw new Refused(
    mistaken(
      "token",
      slot === undefined
        ? `none of the ${present.length} tokens that the module shows is this one${labelsOf(present)}`
        : `${found.length} tokens are this one; state the serial number, too`
    )
  )
}

// ---------------------------------------------------------------------------
// token
// ---------------------------------------------------------------------------

/** `CK_USER_TYPE`: `CKU_USER`, and `CKU_CONTEXT_SPECIFIC` for a key that wants the PIN for each signature. */
const User = { normal: 1, contextSpecific: 2 } as const

/** `CKF_SERIAL_SESSION`, read-only. */
const serialSession = 0x4

/** `CKS_RO_USER_FUNCTIONS` and `CKS_RW_USER_FUNCTIONS`. */
const isUserState = (state: number) => state === 1 || state === 3

const lastTry: Problem = (context) =>
  new KeyUnavailable({
    ...context,
    state: "on a token that one more wrong PIN locks; log in once with a tool of the token, which resets its counter"
  })

const locked: Problem = (context) =>
  new AuthenticationFailed({
    ...context,
    problem: "the PIN is locked",
    cause: new VendorError({ vendorName: "PKCS#11", code: "CKF_USER_PIN_LOCKED" })
  })

const countedAsWrong =
  (error: unknown): Problem =>
  (context) => {
    const { cause } = classify(error)(context)
    return new AuthenticationFailed({
      ...context,
      problem: "the PIN was refused",
      ...(cause instanceof VendorError ? { cause } : {})
    })
  }

export interface Token {
  readonly info: () => TokenInfo
  readonly mechanisms: () => ReadonlyArray<number>
  /** A new session, logged in where there is a PIN. */
  readonly openSession: () => Handle
  readonly closeSession: (session: Handle) => void
  /** The PIN once more, for one signature by a key with `CKA_ALWAYS_AUTHENTICATE`. */
  readonly authenticate: (session: Handle) => void
  /** Whether this session can see and use private objects. */
  readonly isLoggedIn: (session: Handle) => boolean
  readonly isLoginRequired: () => boolean
}

/**
 * The token that fits the filter. It is looked for when the first session is opened,
 * and again when its slot is gone.
 *
 * A PIN that the token has refused is never sent again, whoever asks: each attempt
 * counts, and the last one locks the token.
 */
export const make = (
  { cryptoki, revive }: Module,
  filter: TokenFilter,
  pin: Redacted.Redacted<string> | undefined
): Token => {
  let slot: Slot | undefined
  let refused: Problem | undefined

  const login = (session: Handle, userType: number): void => {
    if (pin === undefined) return
    if (refused !== undefined) throw new Refused(refused)
    try {
      cryptoki.C_Login(session, userType, Redacted.value(pin))
    } catch (error) {
      if (codeOf(error) === Code.userAlreadyLoggedIn) return
      if (isAboutPin(error)) refused = classify(error)
      else if (!isStale(error) && isCounted()) refused = countedAsWrong(error)
      throw refused === undefined ? error : new Refused(refused)
    }
  }

  /** Whether the token says that a PIN was wrong: some modules answer to one with whatever they have. */
  const isCounted = (): boolean => {
    try {
      return slot !== undefined && has(cryptoki.C_GetTokenInfo(slot.handle), Flag.pinCountLow)
    } catch {
      return false // it is gone, and says nothing
    }
  }

  const isLoggedIn = (session: Handle) => isUserState(cryptoki.C_GetSessionInfo(session).state)

  /** The PIN counter as it is now, before a PIN is sent. */
  const demandAttempt = ({ handle }: Slot): void => {
    const info = cryptoki.C_GetTokenInfo(handle)
    if (has(info, Flag.pinLocked)) throw new Refused((refused = locked))
    if (has(info, Flag.pinFinalTry)) throw new Refused(lastTry)
  }

  const openIn = (slot: Slot): Handle => {
    const session = cryptoki.C_OpenSession(slot.handle, serialSession)
    try {
      if (pin !== undefined && !isLoggedIn(session)) {
        if (refused !== undefined) throw new Refused(refused)
        demandAttempt(slot)
        login(session, User.normal)
      }
      return session
    } catch (error) {
      closeSession(session)
      throw error
    }
  }

  const closeSession = (session: Handle): void => {
    try {
      cryptoki.C_CloseSession(session)
    } catch {
      // it was closed already
    }
  }

  const found = (): Slot => (slot ??= findSlot(cryptoki, filter))

  return {
    info: () => found().info,
    mechanisms: () => cryptoki.C_GetMechanismList(found().handle),
    openSession: () => {
      try {
        return openIn(found())
      } catch (error) {
        if (!isStale(error)) throw error
        // The token was put in again, perhaps into another slot, or somebody finalised the module.
        slot = undefined
        if (codeOf(error) === Code.notInitialized) revive()
        return openIn(found())
      }
    },
    closeSession,
    authenticate: (session) => login(session, User.contextSpecific),
    isLoggedIn,
    isLoginRequired: () => has(found().info, Flag.loginRequired)
  }
}

// ---------------------------------------------------------------------------
// objects
// ---------------------------------------------------------------------------

/** `CK_ATTRIBUTE_TYPE`. */
export const Attribute = {
  class: 0x000,
  label: 0x003,
  keyType: 0x100,
  id: 0x102,
  sign: 0x108,
  modulus: 0x120,
  publicExponent: 0x122,
  publicKeyInfo: 0x129,
  ecParams: 0x180,
  ecPoint: 0x181,
  alwaysAuthenticate: 0x202
} as const

/** Objects that are looked at. More than one is a mistake already. */
const maxObjects = 64

/** Objects with these attributes. */
export const findObjects = (
  cryptoki: Cryptoki,
  session: Handle,
  attributes: ReadonlyArray<readonly [type: number, value: number | Uint8Array]>
): ReadonlyArray<Handle> => {
  cryptoki.C_FindObjectsInit(
    session,
    attributes.map(([type, value]) => ({ type, value }))
  )
  try {
    const found: Array<Handle> = []
    while (found.length < maxObjects) {
      const more = cryptoki.C_FindObjects(session, maxObjects - found.length)
      if (more.length === 0) break
      found.push(...more)
    }
    return found
  } finally {
    cryptoki.C_FindObjectsFinal(session)
  }
}

/** One attribute, copied. `undefined` where the object does not have it or does not show it. */
export const readAttribute = (
  cryptoki: Cryptoki,
  session: Handle,
  object: Handle,
  type: number
): Uint8Array | undefined => {
  try {
    const [attribute] = cryptoki.C_GetAttributeValue(session, object, [{ type }])
    return attribute === undefined ? undefined : new Uint8Array(attribute.value)
  } catch (error) {
    // CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID
    if (codeOf(error) === 0x11 || codeOf(error) === 0x12) return undefined
    throw error
  }
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** A `CK_ULONG`: 4 or 8 bytes, in the byte order of the machine. */
export const toNumber = (bytes: Uint8Array | undefined): number | undefined =>
  bytes === undefined || (bytes.length !== 4 && bytes.length !== 8)
    ? undefined
    : (isLittleEndian ? bytes : bytes.toReversed()).reduceRight((sum, byte) => sum * 256 + byte, 0)
