/**
 * A file of many keys that is open: what it said last, read again where another
 * process has written, and written whole, one writer after the other.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import { primitives } from "#primitives"
import * as KeyMaterial from "../../schemas/KeyMaterial.ts"
import { KeyStoreError } from "../../schemas/KeyStoreError.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import * as PassphraseCipher from "../../schemas/PassphraseCipher.ts"
import type { Cost } from "../../schemas/PassphraseCipher.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import { VendorError } from "../../schemas/SignerError.ts"
import * as Wiped from "../../schemas/Wiped.ts"
import * as SecretFile from "../keyFile/SecretFile.ts"
import * as KeyCipher from "./KeyCipher.ts"
import { failure } from "./KeyStoreFile.ts"
import * as KeyStoreFile from "./KeyStoreFile.ts"

/** Which file, and what may be relaxed. */
export interface Place extends SecretFile.ReadOptions {
  readonly path: string
}

/** The cost of a new file: the second choice of RFC 9106 section 4. */
const defaultCost: Cost = { memory: 65_536, iterations: 3, parallelism: 4 }

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

const fromProblem = (problem: SecretFile.FileProblem): KeyStoreError => {
  const reason = (
    {
      NotFound: "NotFound",
      PermissionDenied: "PermissionDenied",
      AlreadyExists: "Locked",
      Refused: SecretFile.isLocked(problem) ? "Locked" : "PermissionDenied",
      Failed: "Unavailable"
    } as const
  )[problem.kind]
  return new KeyStoreError({
    store: "file",
    reason,
    problem: problem.problem,
    ...(problem.code === undefined ? {} : { cause: new VendorError({ code: problem.code }) })
  })
}

/** What a codec throws is ours to say; anything else is a bug. */
const attempt = <A>(codec: () => A): Effect.Effect<A, KeyStoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(codec())
    } catch (error) {
      if (error instanceof KeyStoreError) return Effect.fail(error)
      if (error instanceof Malformed) return Effect.fail(failure("Invalid", `${error.field}: ${error.problem}`))
      throw error
    }
  })

// ---------------------------------------------------------------------------
// keys of a file
// ---------------------------------------------------------------------------

/** The keys that a passphrase gives for one file. */
interface Unlocked {
  readonly derivation: KeyStoreFile.Derivation
  readonly cipher: KeyCipher.KeyCipher
  readonly check: Uint8Array
}

const utf8 = (text: string) => new TextEncoder().encode(text)

const unlock = (
  derivation: KeyStoreFile.Derivation,
  passphrase: Redacted.Redacted<string>,
  option = "passphrase"
): Effect.Effect<Unlocked, KeyStoreError> =>
  Wiped.withBytes(
    Effect.mapError(
      PassphraseCipher.deriveBytes(passphrase, { ...derivation.cost, salt: derivation.salt }),
      ({ field, problem }) => failure("Invalid", `${field === "passphrase" ? option : field}: ${problem}`)
    ),
    Effect.fnUntraced(function* (secret) {
      const cipher = yield* KeyCipher.make(secret)
      return { derivation, cipher, check: yield* KeyCipher.mac(cipher, utf8(KeyStoreFile.header(derivation))) }
    })
  )

const unlockNew = (
  passphrase: Redacted.Redacted<string>,
  cost: Cost = defaultCost,
  option?: string
): Effect.Effect<Unlocked, KeyStoreError> =>
  Effect.flatMap(
    attempt(() => {
      const { iterations, memory, parallelism } = PassphraseCipher.checkCost(cost, "cost")
      return { cost: { iterations, memory, parallelism }, salt: primitives.randomBytes(KeyStoreFile.saltLength) }
    }),
    (derivation) => unlock(derivation, passphrase, option)
  )

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/** What a file said when it was read, and how to tell that it still does. */
interface Read {
  readonly content: KeyStoreFile.Content
  readonly end: Uint8Array
}

const readBytes = (path: string, place: SecretFile.ReadOptions) =>
  SecretFile.read(path, { ...place, maxLength: KeyStoreFile.maxLength })

const isUnderOtherKeys = (file: KeyStoreFile.Unverified, { check, derivation }: Unlocked) =>
  KeyStoreFile.header(file.derivation) !== KeyStoreFile.header(derivation) || !KeyMaterial.sameBytes(file.check, check)

/** The keys of a file, where all of it is what was written. */
const verified = Effect.fnUntraced(function* (
  file: KeyStoreFile.Unverified,
  { cipher }: Unlocked
): Effect.fn.Return<KeyStoreFile.Content, KeyStoreError> {
  if (!(yield* KeyCipher.verifyMac(cipher, file.body, file.mac))) {
    return yield* failure(
      "Corrupt",
      "it was changed by something that does not know its passphrase, or was damaged; restore the file from a backup"
    )
  }
  return yield* attempt(() => KeyStoreFile.content(file))
})

const readWith = (bytes: Uint8Array, unlocked: Unlocked): Effect.Effect<Read, KeyStoreError> =>
  Effect.flatMap(
    attempt(() => KeyStoreFile.decode(bytes)),
    Effect.fnUntraced(function* (file) {
      if (isUnderOtherKeys(file, unlocked)) {
        return yield* failure(
          "WrongPassphrase",
          "the passphrase was changed, or another file put in place, since the store was opened; open it again"
        )
      }
      return { content: yield* verified(file, unlocked), end: bytes.slice(-KeyStoreFile.endLength) }
    })
  )

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/** The text of a file as bytes, and its end. */
const encode = Effect.fnUntraced(function* (
  { check, cipher, derivation }: Unlocked,
  content: KeyStoreFile.Content
): Effect.fn.Return<{ readonly bytes: Uint8Array; readonly read: Read }, KeyStoreError> {
  const body = utf8(KeyStoreFile.body(derivation, check, content))
  const end = utf8(KeyStoreFile.end(yield* KeyCipher.mac(cipher, body)))
  if (body.length + end.length > KeyStoreFile.maxLength) {
    return yield* failure("Invalid", `the file would have more than ${KeyStoreFile.maxLength} bytes`)
  }
  const bytes = new Uint8Array(body.length + end.length)
  bytes.set(body)
  bytes.set(end, body.length)
  return { bytes, read: { content, end } }
})

/** Only who has the lock writes: a file that changed all the same was changed by somebody who took the lock over. */
const writeProblem = (problem: SecretFile.FileProblem): KeyStoreError =>
  problem.kind === "Refused" ? failure("Locked", problem.problem) : fromProblem(problem)

const withLock = <A, E>(
  place: Place,
  use: (target: string) => Effect.Effect<A, E | KeyStoreError>
): Effect.Effect<A, E | KeyStoreError> =>
  Effect.mapError(SecretFile.withLock(place.path, place, use), (error) =>
    error instanceof SecretFile.FileProblem ? fromProblem(error) : error
  )

// ---------------------------------------------------------------------------
// open files
// ---------------------------------------------------------------------------

/** A file that is open. */
export interface StoreFile {
  readonly cipher: KeyCipher.KeyCipher
  /** What it says now. */
  readonly read: Effect.Effect<KeyStoreFile.Content, KeyStoreError>
  /** What it says from now on: written whole, or not at all. */
  readonly modify: <E>(
    change: (content: KeyStoreFile.Content) => Effect.Effect<KeyStoreFile.Content, E>
  ) => Effect.Effect<void, E | KeyStoreError>
}

const openExisting = Effect.fnUntraced(function* (
  bytes: Uint8Array,
  passphrase: Redacted.Redacted<string>
): Effect.fn.Return<readonly [Unlocked, Read], KeyStoreError> {
  const file = yield* attempt(() => KeyStoreFile.decode(bytes))
  const unlocked = yield* unlock(file.derivation, passphrase)
  if (isUnderOtherKeys(file, unlocked)) {
    return yield* failure("WrongPassphrase", "the passphrase is wrong, or the beginning of the file was changed")
  }
  return [unlocked, { content: yield* verified(file, unlocked), end: bytes.slice(-KeyStoreFile.endLength) }] as const
})

const createNew = Effect.fnUntraced(function* (
  place: Place,
  passphrase: Redacted.Redacted<string>,
  cost: Cost | undefined
): Effect.fn.Return<readonly [Unlocked, Read] | undefined, KeyStoreError> {
  const unlocked = yield* unlockNew(passphrase, cost)
  const { bytes, read } = yield* encode(unlocked, { active: undefined, entries: new Map() })
  return yield* withLock(place, (target) =>
    SecretFile.create(target, bytes).pipe(
      Effect.as([unlocked, read] as const),
      Effect.catchIf(
        ({ kind }) => kind === "AlreadyExists",
        () => Effect.undefined // of another process, which was quicker
      ),
      Effect.mapError((problem) => (problem instanceof SecretFile.FileProblem ? fromProblem(problem) : problem))
    )
  )
})

const readExisting = (place: Place) =>
  readBytes(place.path, place).pipe(
    Effect.map(({ bytes }): Uint8Array | undefined => bytes),
    Effect.catchIf(
      ({ kind }) => kind === "NotFound",
      () => Effect.undefined
    ),
    Effect.mapError((problem) => (problem instanceof SecretFile.FileProblem ? fromProblem(problem) : problem))
  )

const start = Effect.fnUntraced(function* (
  place: Place,
  passphrase: Redacted.Redacted<string>,
  options: { readonly mustExist?: boolean | undefined; readonly cost?: Cost | undefined }
): Effect.fn.Return<readonly [Unlocked, Read], KeyStoreError> {
  const bytes = yield* readExisting(place)
  if (bytes !== undefined) return yield* openExisting(bytes, passphrase)
  if (options.mustExist === true) return yield* failure("NotFound", "there is no such file")
  const created = yield* createNew(place, passphrase, options.cost)
  if (created !== undefined) return created
  return yield* openExisting(
    (yield* readExisting(place)) ?? (yield* failure("NotFound", "the file was removed meanwhile")),
    passphrase
  )
})

/** Opens a file, or makes it. Argon2id runs once. */
export const open = Effect.fnUntraced(function* (
  place: Place,
  passphrase: Redacted.Redacted<string>,
  options: { readonly mustExist?: boolean | undefined; readonly cost?: Cost | undefined }
): Effect.fn.Return<StoreFile, KeyStoreError> {
  const [unlocked, first] = yield* start(place, passphrase, options)
  const turns = yield* Semaphore.make(1)
  let last = first

  const isCurrent = Effect.map(
    Effect.mapError(SecretFile.readEnd(place.path, KeyStoreFile.endLength, place), fromProblem),
    (end) => KeyMaterial.sameBytes(end, last.end)
  )

  const reload = (bytes: Uint8Array): Effect.Effect<Read, KeyStoreError> =>
    KeyMaterial.sameBytes(bytes.subarray(-KeyStoreFile.endLength), last.end)
      ? Effect.succeed(last)
      : Effect.map(readWith(bytes, unlocked), (read) => (last = read))

  // One reads what has changed, the others wait for it
  const refresh = turns.withPermits(1)(
    Effect.flatMap(isCurrent, (current) =>
      current
        ? Effect.succeed(last)
        : Effect.flatMap(Effect.mapError(readBytes(place.path, place), fromProblem), ({ bytes }) => reload(bytes))
    )
  )

  const rewrite = Effect.fnUntraced(function* <E>(
    target: string,
    change: (content: KeyStoreFile.Content) => Effect.Effect<KeyStoreFile.Content, E>
  ): Effect.fn.Return<void, E | KeyStoreError> {
    const { bytes, identity } = yield* Effect.mapError(
      readBytes(target, { ...place, followSymlinks: false }),
      fromProblem
    )
    const { content } = yield* reload(bytes)
    const next = yield* encode(unlocked, yield* change(content))
    yield* Effect.mapError(SecretFile.replace(target, next.bytes, identity), writeProblem)
    last = next.read
  })

  return {
    cipher: unlocked.cipher,
    read: Effect.map(
      Effect.flatMap(isCurrent, (current) => (current ? Effect.succeed(last) : refresh)),
      ({ content }) => content
    ),
    modify: (change) => turns.withPermits(1)(withLock(place, (target) => rewrite(target, change)))
  }
})

/** Seals all private halves anew, under keys of another passphrase. */
export const changePassphrase = Effect.fnUntraced(function* (
  place: Place,
  passphrase: Redacted.Redacted<string>,
  newPassphrase: Redacted.Redacted<string>,
  cost: Cost | undefined
): Effect.fn.Return<void, KeyStoreError> {
  const next = yield* unlockNew(newPassphrase, cost, "newPassphrase")
  yield* withLock(
    place,
    Effect.fnUntraced(function* (target) {
      const { bytes, identity } = yield* Effect.mapError(
        readBytes(target, { ...place, followSymlinks: false }),
        fromProblem
      )
      const [now, { content }] = yield* openExisting(bytes, passphrase)
      const entries = new Map<string, KeyStoreFile.Entry>()
      for (const [id, { sealed, shown }] of content.entries) {
        entries.set(id, {
          shown,
          sealed:
            sealed === undefined
              ? undefined
              : yield* Wiped.withWiped(
                  openEntry(now.cipher, { shown, sealed }),
                  (key) => sealEntry(next.cipher, shown, key),
                  PrivateKey.wipe
                )
        })
      }
      const text = yield* encode(next, { active: content.active, entries })
      yield* Effect.mapError(SecretFile.replace(target, text.bytes, identity), writeProblem)
    })
  )
})

// ---------------------------------------------------------------------------
// private halves
// ---------------------------------------------------------------------------

/** A private half as it stands in the file. */
export const sealEntry = (
  cipher: KeyCipher.KeyCipher,
  owner: KeyCipher.Owner,
  key: PrivateKey.PrivateKey
): Effect.Effect<string, KeyStoreError> => Effect.map(KeyCipher.seal("file", cipher, owner, key), KeyStoreFile.toText)

/** A private half, in a new key. */
export const openEntry = (
  cipher: KeyCipher.KeyCipher,
  { sealed, shown }: { readonly sealed: string } & Pick<KeyStoreFile.Entry, "shown">
): Effect.Effect<PrivateKey.PrivateKey, KeyStoreError> =>
  KeyCipher.open("file", cipher, shown, KeyStoreFile.fromText(sealed))
