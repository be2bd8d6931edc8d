/**
 * Reading and writing of files with the care that keys need: nothing is half
 * written, nothing is overwritten unasked, nothing is briefly readable by others.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs/promises"
import { maxInputLength } from "../schemas/Malformed.ts"
import type { Failure } from "./Failure.ts"
import {
  fail,
  failure,
  maxMessageLength,
  messageTooLong,
  ofPlatform,
  shownPath,
  systemErrors,
  unopened
} from "./Failure.ts"

/** The content of a small file. */
export interface Content {
  readonly bytes: Uint8Array
  /** Permission bits; absent where there are none, as for a pipe. */
  readonly mode?: number | undefined
}

const tooLong = (path: string) => failure(`${shownPath(path)}: longer than ${maxInputLength} bytes`, "FileError")

/**
 * Reads at most as much as the longest key has. `node:fs`, because effect's
 * `File.read` states a position, which a pipe (`--key <(pass show key)`) has not.
 */
const readSmallFile = (path: string): Effect.Effect<Content, Failure> =>
  Effect.tryPromise({
    try: async () => {
      const file = await Fs.open(path)
      try {
        const stat = await file.stat()
        const buffer = new Uint8Array(maxInputLength + 1)
        let length = 0
        let read: number
        do {
          read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead
          length += read
        } while (read > 0 && length < buffer.length)
        return { bytes: buffer.subarray(0, length), mode: stat.isFile() ? stat.mode & 0o777 : undefined }
      } finally {
        await file.close()
      }
    },
    catch: (error) => {
      const { code } = error as NodeJS.ErrnoException
      const words: { readonly [code: string]: string } = {
        EACCES: systemErrors.PermissionDenied,
        EISDIR: systemErrors.BadResource,
        ENOENT: systemErrors.NotFound,
        ENOTDIR: systemErrors.BadResource
      }
      return unopened(path, words[code ?? ""] ?? `cannot be read (${code ?? "unknown"})`)
    }
  })

const collect = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<Uint8Array, E> =>
  Effect.map(Stream.runCollect(stream), (chunks) => {
    const bytes = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
    let offset = 0
    for (const chunk of chunks) {
      bytes.set(chunk, offset)
      offset += chunk.length
    }
    return bytes
  })

const readStdin = Stdio.Stdio.use(({ stdin }) => {
  let length = 0
  return stdin.pipe(
    Stream.mapError(ofPlatform("-")),
    Stream.tap((chunk) =>
      (length += chunk.length) > maxMessageLength
        ? Effect.fail(failure(`${shownPath("-")}: ${messageTooLong}`, "FileError"))
        : Effect.void
    ),
    collect
  )
})

const readSmallStdin: Effect.Effect<Content, Failure, Stdio.Stdio> = Stdio.Stdio.use(({ stdin }) => {
  let length = 0
  const bounded = Stream.takeUntil(stdin, (chunk) => (length += chunk.length) > maxInputLength)
  return Effect.map(Effect.mapError(collect(bounded), ofPlatform("-")), (bytes) => ({ bytes }))
})

/** Reads a key or a signature: from a file, or from standard input where the name is `-`. */
export const readSmall = (path: string): Effect.Effect<Content, Failure, Stdio.Stdio> =>
  Effect.filterOrFail(
    path === "-" ? readSmallStdin : readSmallFile(path),
    ({ bytes }) => bytes.length <= maxInputLength,
    () => tooLong(path)
  )

/** Reads all of a file, or of standard input where the name is `-`. */
export const readAll = (path: string): Effect.Effect<Uint8Array, Failure, FileSystem.FileSystem | Stdio.Stdio> =>
  path === "-" ? readStdin : FileSystem.FileSystem.use((fs) => Effect.mapError(fs.readFile(path), ofPlatform(path)))

/**
 * Checks the names of all inputs before any is read: standard input can be one of
 * them, and none where it must answer a question.
 */
export const checkInputs = (
  names: ReadonlyArray<string>,
  options: { readonly asksPassphrase: boolean }
): Effect.Effect<void, Failure> => {
  const fromStdin = names.filter((name) => name === "-").length
  return fromStdin > 1
    ? fail("only one of the inputs can be standard input; name a file for the others")
    : fromStdin > 0 && options.asksPassphrase
      ? fail("--passphrase asks on the terminal; name files for everything else, or use --passphrase-file FILE")
      : Effect.void
}

/** Text of UTF-8 bytes, or `undefined`. */
export const toText = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/** A file that shall exist. */
export interface NewFile {
  readonly path: string
  readonly bytes: Uint8Array
  /** Permission bits from the first byte on. The process's umask can only take more away. */
  readonly mode: number
}

/** The sentence of an error about a file that is written: what is missing then is its folder. */
const ofNewFile = (path: string) =>
  Effect.fnUntraced(function* (error: PlatformError) {
    const paths = yield* Path.Path
    return yield* error.reason._tag === "NotFound"
      ? failure(`the folder ${shownPath(paths.dirname(path))} does not exist`, "FileError")
      : ofPlatform(path)(error)
  })

/** Writes a file under another name in the same folder, to the disk. Its scope removes what is left of it. */
const writeAside = Effect.fnUntraced(function* ({ bytes, mode, path }: NewFile) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const aside = paths.join(
    paths.dirname(path),
    `.${paths.basename(path).slice(0, 100)}.${globalThis.crypto.randomUUID()}.tmp`
  )
  const file = yield* fs.open(aside, { flag: "wx", mode })
  yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(aside)))
  yield* file.writeAll(bytes)
  yield* file.sync
  return aside
})

/** Gives a finished file its name, unless the name is taken: link(2) is atomic and never replaces. */
const publish = Effect.fnUntraced(function* (aside: string, { bytes, mode, path }: NewFile) {
  const fs = yield* FileSystem.FileSystem
  const withoutLink = Effect.scoped(
    Effect.flatMap(fs.open(path, { flag: "wx", mode }), (file) =>
      Effect.andThen(file.writeAll(bytes), file.sync).pipe(Effect.onError(() => Effect.ignore(fs.remove(path))))
    )
  )
  const hasNoLinks = (error: PlatformError) =>
    error.reason._tag === "PermissionDenied" || error.reason._tag === "Unknown"
  return yield* Effect.catchIf(fs.link(aside, path), hasNoLinks, () => withoutLink)
})

/** Makes the new name survive a power failure. Not every system lets a folder be opened. */
const syncFolder = (path: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const folder = yield* fs.open(paths.dirname(path))
    yield* folder.sync
  }).pipe(Effect.scoped, Effect.ignore)

/**
 * Writes new files: all of them, or none. An existing file fails it and stays as
 * it is, also when it appears at the same moment.
 */
export const writeNew = (
  files: ReadonlyArray<NewFile>
): Effect.Effect<void, Failure, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const asides = yield* Effect.forEach(files, (file) => Effect.catch(writeAside(file), ofNewFile(file.path)))
    for (const [index, file] of files.entries()) {
      yield* publish(asides[index]!, file).pipe(
        Effect.mapError(ofPlatform(file.path)),
        Effect.onError(() => Effect.forEach(files.slice(0, index), ({ path }) => Effect.ignore(fs.remove(path))))
      )
    }
    yield* Effect.forEach(files, ({ path }) => syncFolder(path))
  }).pipe(Effect.scoped, Effect.uninterruptible)

/** A file by what it is and not by its name; `undefined` where there is none. */
const identity = (path: string): Effect.Effect<string | undefined, Failure> =>
  Effect.tryPromise({
    try: async () => {
      const { dev, ino } = await Fs.stat(path, { bigint: true })
      return `${dev}:${ino}`
    },
    catch: (error) => (error as NodeJS.ErrnoException).code ?? "unknown"
  }).pipe(
    Effect.catch((code) =>
      code === "ENOENT" || code === "ENOTDIR"
        ? Effect.as(Effect.void, undefined)
        : fail(`${shownPath(path)}: it cannot be told which file this is (${code})`)
    )
  )

/**
 * Checks that a file to be replaced is none of the inputs, under whatever name,
 * and no private key: there may be no other copy of it.
 */
export const checkReplaceable = Effect.fnUntraced(function* (
  path: string,
  inputs: { readonly [name: string]: string | undefined },
  isPrivateKey: (bytes: Uint8Array) => boolean
) {
  const target = yield* identity(path)
  if (target === undefined) return
  for (const [name, input] of Object.entries(inputs)) {
    if (input === undefined || input === "-") continue
    if ((yield* identity(input)) === target) {
      return yield* fail(`--out is the same file as ${name}, and would destroy it; name another file`)
    }
  }
  const isFile = yield* Effect.promise(() =>
    Fs.stat(path).then(
      (stat) => stat.isFile(),
      () => false
    )
  )
  if (!isFile) return
  const { bytes } = yield* readSmallFile(path)
  const isSecret = isPrivateKey(bytes)
  bytes.fill(0)
  if (isSecret) {
    return yield* fail(
      `${shownPath(path)}: this is a private key, and is not replaced even with --force; name another file`
    )
  }
})

/** Writes a file in place of whatever has its name, at once. */
export const replace = (file: NewFile): Effect.Effect<void, Failure, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* fs.rename(yield* writeAside(file), file.path)
    yield* syncFolder(file.path)
  }).pipe(Effect.catch(ofNewFile(file.path)), Effect.scoped, Effect.uninterruptible)
