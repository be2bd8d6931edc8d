/**
 * A PKCS#11 module in this process: loaded through `pkcs11js`, initialised once, and
 * finalised when nobody uses it any more.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type { Problem } from "./Pkcs11Error.ts"
import { classify, Code, codeOf, mistaken } from "./Pkcs11Error.ts"

// ---------------------------------------------------------------------------
// pkcs11js
// ---------------------------------------------------------------------------

/** A slot, a session or an object: a `CK_ULONG` in the byte order of the machine. */
export type Handle = Uint8Array

/** A `CK_MECHANISM`. */
export interface Mechanism {
  readonly mechanism: number
  readonly parameter?: {
    readonly type: number
    readonly hashAlg: number
    readonly mgf: number
    readonly saltLen: number
  }
}

/** What is read of a `CK_TOKEN_INFO`. */
export interface TokenInfo {
  readonly label: string
  readonly manufacturerID: string
  readonly model: string
  readonly serialNumber: string
  readonly flags: number
  readonly maxSessionCount: number
}

/**
 * What is used of a `PKCS11` object of `pkcs11js`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cryptoki {
  load(path: string): void
  C_Initialize(options: { readonly flags: number }): void
  C_Finalize(): void
  C_GetSlotList(tokenPresent: boolean): ReadonlyArray<Uint8Array>
  C_GetTokenInfo(slot: Uint8Array): TokenInfo
  C_GetMechanismList(slot: Uint8Array): ReadonlyArray<number>
  C_OpenSession(slot: Uint8Array, flags: number): Uint8Array
  C_CloseSession(session: Uint8Array): void
  C_GetSessionInfo(session: Uint8Array): { readonly state: number }
  C_Login(session: Uint8Array, userType: number, pin: string): void
  C_FindObjectsInit(session: Uint8Array, template: Array<{ type: number; value: number | Uint8Array }>): void
  C_FindObjects(session: Uint8Array, maxObjectCount: number): ReadonlyArray<Uint8Array>
  C_FindObjectsFinal(session: Uint8Array): void
  C_GetAttributeValue(
    session: Uint8Array,
    object: Uint8Array,
    template: Array<{ type: number }>
  ): ReadonlyArray<{ readonly value: Uint8Array }>
  C_SignInit(session: Uint8Array, mechanism: Mechanism, key: Uint8Array): void
  C_SignAsync(session: Uint8Array, input: Uint8Array, output: Uint8Array): Promise<Uint8Array>
}

/**
 * What is used of the package `pkcs11js`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pkcs11Js {
  readonly PKCS11: new () => Cryptoki
}

/** A name that is no literal: compilers and bundlers then leave a package alone that need not be there. */
const packageName: string = "pkcs11js"

const importPackage: Effect.Effect<Pkcs11Js, Problem> = Effect.tryPromise({
  try: async () => {
    const loaded = (await import(packageName)) as Partial<Pkcs11Js> & { readonly default?: Pkcs11Js }
    const { PKCS11 } = loaded.PKCS11 === undefined ? loaded.default! : (loaded as Pkcs11Js)
    return { PKCS11 }
  },
  catch: (): Problem => (context) =>
    new InvalidConfiguration({
      ...context,
      field: "pkcs11js",
      problem:
        "the package is not installed, or was not compiled here (that needs Python 3, make and a C++ compiler); run: " +
        "npm install pkcs11js",
      absent: true
    })
})

// ---------------------------------------------------------------------------
// the process
// ---------------------------------------------------------------------------

/** One library that was loaded. */
interface Entry {
  readonly cryptoki: Cryptoki
  /** How many scopes use it. */
  users: number
  /** It was initialised here, so it is finalised here. */
  isOurs: boolean
}

/**
 * Every library that was loaded, by its path.
 *
 * The state that `C_Initialize` and `C_Finalize` change belongs to the library and
 * so to the process: two layers on one module, or two copies of this package, are
 * one application to it, and a `C_Finalize` by one would end the sessions of the
 * other. Therefore this is the one thing here that is global.
 */
const entries: Map<string, Entry> = ((globalThis as { [key: symbol]: unknown })[
  Symbol.for("effect-signer/Pkcs11Modules")
] ??= new Map()) as Map<string, Entry>

/** `CKF_OS_LOCKING_OK`: signatures are made on threads of libuv. */
const osLockingOk = 2

/** Initialises it. Somebody else may have done so: then it is shared, and theirs to finalise. */
const initialize = (entry: Entry): void => {
  try {
    entry.cryptoki.C_Initialize({ flags: osLockingOk })
    entry.isOurs = true
  } catch (error) {
    if (codeOf(error) !== Code.alreadyInitialized) throw error
    entry.isOurs = false
  }
}

const release = (entry: Entry): void => {
  entry.users--
  if (entry.users > 0 || !entry.isOurs) return
  entry.isOurs = false
  try {
    entry.cryptoki.C_Finalize()
  } catch {
    // somebody else was faster
  }
}

declare const process: { readonly getBuiltinModule?: (id: string) => unknown } | undefined

/** Links resolved, so that one library has one name. */
const canonical = (path: string): string => {
  try {
    const files = process?.getBuiltinModule?.("node:fs") as { readonly realpathSync?: (path: string) => string }
    return files.realpathSync?.(path) ?? path
  } catch {
    return path // loading it says what is wrong
  }
}

/** A library that is ready for use. */
export interface Module {
  readonly cryptoki: Cryptoki
  /** Initialises it again, after somebody else has finalised it. */
  readonly revive: () => void
}

/**
 * Loads and initialises the library, and does so once however many ask for it.
 * `release` says that this user is done, which may be after the scope it came from:
 * a library must not be finalised while a call is in it.
 */
export const acquire = Effect.fnUntraced(function* (
  path: string,
  given: Pkcs11Js | undefined
): Effect.fn.Return<Module & { readonly release: () => void }, Problem> {
  const { PKCS11 } = given ?? (yield* importPackage)
  return yield* Effect.suspend(() => {
    const name = canonical(path)
    let entry = entries.get(name)
    if (entry === undefined) {
      let cryptoki: Cryptoki
      try {
        cryptoki = new PKCS11()
        cryptoki.load(name)
      } catch {
        return Effect.fail(mistaken("module", "is no PKCS#11 module for this machine, or does not exist"))
      }
      entry = { cryptoki, users: 0, isOurs: false }
      entries.set(name, entry)
    }
    const loaded = entry
    try {
      if (loaded.users === 0) initialize(loaded)
    } catch (error) {
      return Effect.fail(classify(error))
    }
    loaded.users++
    let isReleased = false
    return Effect.succeed({
      cryptoki: loaded.cryptoki,
      revive: () => initialize(loaded),
      release: () => {
        if (isReleased) return
        isReleased = true
        release(loaded)
      }
    })
  })
})
