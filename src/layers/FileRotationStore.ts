/**
 * Keeps the state of a rotation in a file on this machine.
 *
 * **Details**
 *
 * The file is JSON, has mode 0600 and must belong to this user or to root: whoever
 * could change it could have a key of theirs published. It is replaced at once, under a
 * lock file, `NAME.lock`: a process that is killed leaves the old document or the new
 * one, whole, and its lock is taken over. A file of a newer version is refused.
 *
 * **Gotchas**
 *
 * For the processes of one machine, on its own disk: locks and renames of network file
 * systems keep other promises. `PostgresRotationStore` serves several machines.
 *
 * **Example** (A state that survives restarts)
 *
 * ```ts
 * import * as FileRotationStore from "effect-signer/FileRotationStore"
 *
 * const StoreLive = FileRotationStore.layer({ path: "/var/lib/app/rotation.json" })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { attempt, maxInputLength } from "../schemas/Malformed.ts"
import * as RotationStateJson from "../schemas/RotationStateJson.ts"
import { VendorError } from "../schemas/SignerError.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import type { Service, Stored } from "../services/RotationStore.ts"
import { RotationStore, RotationStoreError } from "../services/RotationStore.ts"
import * as SecretFile from "./keyFile/SecretFile.ts"

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The name of the file, relative to the working directory of the process. Its folder must exist. */
  readonly path: string
}

type Operation = RotationStoreError["operation"]

const reasons: { readonly [K in SecretFile.FileProblem["kind"]]: RotationStoreError["reason"] } = {
  NotFound: "Unavailable",
  PermissionDenied: "PermissionDenied",
  AlreadyExists: "Unavailable",
  Refused: "PermissionDenied",
  Failed: "Unavailable"
}

/** Of a lock that is not given up, too: the same call may succeed later. */
const failed = (operation: Operation) => (error: SecretFile.FileProblem) =>
  new RotationStoreError({
    store: "file",
    operation,
    reason: /another process|meanwhile/.test(error.problem) ? "Unavailable" : reasons[error.kind],
    problem: error.problem,
    ...(error.code === undefined ? {} : { cause: new VendorError({ code: error.code }) })
  })

/** The format of the file around the document, and the newest that is read. */
const format = 1

const parse = (operation: Operation, bytes: Uint8Array): Effect.Effect<Stored, RotationStoreError> => {
  const refused = (reason: "Corrupt" | "NewerFormat", problem: string) =>
    new RotationStoreError({ store: "file", operation, reason, problem })
  const corrupt = () => refused("Corrupt", "it is not the state of a rotation; restore it from a copy")
  const newer = refused("NewerFormat", "a newer version of effect-signer wrote it, and is needed to read it")
  return Effect.flatMap(
    Effect.mapError(
      attempt(() => StrictJson.parseBytes(bytes, "file")),
      corrupt
    ),
    (file) => {
      if (!StrictJson.isRecord(file)) return Effect.fail(corrupt())
      const { revision, state } = file
      if (typeof file["format"] === "number" && file["format"] > format) return Effect.fail(newer)
      if (RotationStateJson.isNewer(state)) return Effect.fail(newer)
      if (
        file["format"] !== format ||
        !Number.isSafeInteger(revision) ||
        (revision as number) < 1 ||
        Object.keys(file).length !== 3
      ) {
        return Effect.fail(corrupt())
      }
      return Effect.mapBoth(RotationStateJson.fromJson(state), {
        onFailure: corrupt,
        onSuccess: (state) => ({ revision: revision as number, state })
      })
    }
  )
}

const nothing: Stored = { revision: 0, state: undefined }

/** What the file holds, and which file that is; nothing where there is none. */
const readFile = Effect.fnUntraced(function* (path: string, operation: Operation) {
  const content = yield* SecretFile.read(path).pipe(
    Effect.catchIf(
      ({ kind }) => kind === "NotFound",
      () => Effect.void
    ),
    Effect.mapError(failed(operation))
  )
  return content === undefined
    ? { stored: nothing, identity: undefined }
    : { stored: yield* parse(operation, content.bytes), identity: content.identity }
})

/**
 * A store in a file. The file is made by the first step.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service> =>
  Effect.sync(() => {
    const { path } = options
    return RotationStore.of({
      name: "file",
      read: Effect.map(readFile(path, "read"), ({ stored }) => stored),
      compareAndSet: (revision, state) =>
        SecretFile.withLock(path, {}, (target) =>
          Effect.gen(function* () {
            const { identity, stored } = yield* readFile(target, "compareAndSet")
            if (stored.revision !== revision) return false
            const text = JSON.stringify({ format, revision: revision + 1, state: RotationStateJson.toJson(state) })
            const bytes = new TextEncoder().encode(`${text}\n`)
            if (bytes.length > maxInputLength) {
              return yield* new RotationStoreError({
                store: "file",
                operation: "compareAndSet",
                reason: "TooLarge",
                problem: `the state has more than the ${maxInputLength} bytes that a file may have; use PostgreSQL`
              })
            }
            yield* identity === undefined
              ? SecretFile.create(target, bytes)
              : SecretFile.replace(target, bytes, identity)
            return true
          })
        ).pipe(Effect.catchTag("FileProblem", (error) => Effect.fail(failed("compareAndSet")(error))))
    })
  })

/**
 * Provides a `RotationStore` in a file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<RotationStore> => Layer.effect(RotationStore, make(options))
