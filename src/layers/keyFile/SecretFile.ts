/**
 * A file with a secret in it, on the disk of this machine: read only where nobody
 * else could have read or changed it, and written whole or not at all.
 *
 * Reading opens the file once and asks the open file what it is, so that nobody
 * can exchange it in between: a regular file, no symbolic link, owned by this user
 * or by root, without permission bits for others, not too long. A pipe is refused
 * at once and never waited for. Windows has no such bits: there only the kind of
 * file and its length are checked.
 *
 * Writing makes a file with mode 0600 beside the old one, syncs it, gives it the
 * name, and syncs the folder. A process that is killed leaves the old file or the
 * new one. Writers take turns by a lock file, `NAME.lock`, with the process's id
 * and start time in it: one of a process that no longer runs is taken over. Should
 * two processes take over the same lock at the same moment, the later one notices
 * that the file has changed, and fails.
 *
 * @category internal
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { maxInputLength } from "../../schemas/Malformed.ts"

/** What went wrong with a file. It shows neither the name nor anything of the content. */
export class FileProblem extends Data.TaggedError("FileProblem")<{
  readonly kind: "NotFound" | "PermissionDenied" | "AlreadyExists" | "Refused" | "Failed"
  /** For a person, without the name. */
  readonly problem: string
  /** What the system says: `ENOENT`. */
  readonly code?: string | undefined
}> {
  override get message() {
    return this.problem
  }
}

/** What may be relaxed. */
export interface ReadOptions {
  /** Read what a symbolic link leads to, as where Kubernetes mounts a secret. */
  readonly followSymlinks?: boolean | undefined
  /** Read a file that its group may read, as where Kubernetes sets `fsGroup`. */
  readonly allowGroupRead?: boolean | undefined
}

// ---------------------------------------------------------------------------
// node
// ---------------------------------------------------------------------------

interface Stat {
  readonly dev: bigint
  readonly ino: bigint
  readonly mode: bigint
  readonly uid: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  readonly mtimeMs: bigint
  readonly isFile: () => boolean
  readonly isDirectory: () => boolean
  readonly isSymbolicLink: () => boolean
}

type BigInts = { readonly bigint: true }

interface Handle {
  readonly stat: (options: BigInts) => Promise<Stat>
  readonly read: (
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null
  ) => Promise<{ readonly bytesRead: number }>
  readonly writeFile: (bytes: Uint8Array | string) => Promise<void>
  readonly sync: () => Promise<void>
  readonly close: () => Promise<void>
}

interface Files {
  readonly open: (path: string, flags: number | string, mode?: number) => Promise<Handle>
  readonly lstat: (path: string, options: BigInts) => Promise<Stat>
  readonly readFile: (path: string, encoding: "utf8") => Promise<string>
  readonly readdir: (path: string) => Promise<ReadonlyArray<string>>
  readonly realpath: (path: string) => Promise<string>
  readonly rename: (from: string, to: string) => Promise<void>
  readonly link: (from: string, to: string) => Promise<void>
  readonly unlink: (path: string) => Promise<void>
}

interface Node {
  readonly files: Files
  readonly constants: { readonly [name: string]: number | undefined }
  readonly path: {
    readonly dirname: (path: string) => string
    readonly basename: (path: string) => string
    readonly join: (...parts: ReadonlyArray<string>) => string
  }
  readonly hostname: string
  readonly pid: number
  readonly isWindows: boolean
  readonly geteuid: (() => number) | undefined
  readonly kill: (pid: number, signal: 0) => void
}

declare const process:
  | {
      readonly getBuiltinModule?: (id: string) => unknown
      readonly platform: string
      readonly pid: number
      readonly geteuid?: () => number
      readonly kill: (pid: number, signal: 0) => void
    }
  | undefined

const load = (): Node | undefined => {
  if (typeof process === "undefined" || process.getBuiltinModule === undefined) return undefined
  const builtin = process.getBuiltinModule as (id: string) => unknown
  const { constants } = builtin("node:fs") as Pick<Node, "constants">
  const { hostname } = builtin("node:os") as { readonly hostname: () => string }
  return {
    files: builtin("node:fs/promises") as Files,
    constants,
    path: builtin("node:path") as Node["path"],
    hostname: hostname(),
    pid: process.pid,
    isWindows: process.platform === "win32",
    geteuid: process.geteuid,
    kill: process.kill
  }
}

const codeOf = (error: unknown): string | undefined => {
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === "string" && /^E[A-Z0-9_]{1,40}$/.test(code) ? code : undefined
}

const refused = (problem: string) => new FileProblem({ kind: "Refused", problem })

const isALink = "it is a symbolic link; name the file that it leads to, or allow links with followSymlinks"

/** The words for what the system says. */
const problems: { readonly [code: string]: readonly [kind: FileProblem["kind"], problem: string] } = {
  ENOENT: ["NotFound", "no such file or folder"],
  ENOTDIR: ["NotFound", "a part of its path is not a folder"],
  EACCES: ["PermissionDenied", "permission denied"],
  EPERM: ["PermissionDenied", "permission denied"],
  EROFS: ["PermissionDenied", "the file system cannot be written"],
  EEXIST: ["AlreadyExists", "it exists already, and is not overwritten"],
  EISDIR: ["Refused", "it is a folder"],
  ELOOP: ["Refused", isALink],
  EMLINK: ["Refused", isALink], // what FreeBSD says for O_NOFOLLOW
  ENXIO: ["Refused", "it is not a regular file"]
}

const toProblem = (error: unknown): FileProblem => {
  if (error instanceof FileProblem) return error
  const code = codeOf(error)
  const [kind, problem] =
    problems[code ?? ""] ?? (["Failed", `the system says ${code ?? "nothing that is known"}`] as const)
  return new FileProblem({ kind, problem, code })
}

/** Runs what needs files. */
const withNode = <A>(use: (node: Node, signal: AbortSignal) => Promise<A>): Effect.Effect<A, FileProblem> =>
  Effect.suspend(() => {
    const node = load()
    return node === undefined
      ? Effect.fail(refused("there are no files in this runtime"))
      : Effect.tryPromise({ try: (signal) => use(node, signal), catch: toProblem })
  })

/** A name that the system would cut short or that is not one. It may be a key in the wrong place. */
const checkName = (path: unknown): FileProblem | undefined =>
  typeof path !== "string" || path === ""
    ? refused("the name of a file is needed")
    : path.length > 4096 || /[\0\r\n]|-----/.test(path)
      ? refused("this is not the name of a file; is it a key?")
      : undefined

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/** What was read, and which file it was. */
export interface Content {
  readonly bytes: Uint8Array
  /** Another one after any change. */
  readonly identity: string
  /** Permission bits. */
  readonly mode: number
}

const identityOf = ({ dev, ino, mtimeNs, size }: Stat) => `${dev}:${ino}:${mtimeNs}:${size}`

const checkKind = (stat: Stat, maxLength = maxInputLength): FileProblem | undefined => {
  if (stat.isDirectory()) return refused("it is a folder")
  if (!stat.isFile()) return refused("it is not a regular file")
  return stat.size > maxLength ? refused(`longer than ${maxLength} bytes`) : undefined
}

const checkAccess = (stat: Stat, node: Node, options: ReadOptions): FileProblem | undefined => {
  if (node.isWindows) return undefined
  const user = node.geteuid?.()
  if (user !== undefined && stat.uid !== 0n && stat.uid !== BigInt(user)) {
    return refused("it belongs to another user, who could have changed it")
  }
  const mode = Number(stat.mode & 0o777n)
  return (mode & (options.allowGroupRead === true ? 0o037 : 0o077)) === 0
    ? undefined
    : refused(
        `others than its owner may read or change it (mode ${mode.toString(8).padStart(4, "0")}); ` +
          "take that from them with chmod 600, and think of the key as known if they were there before"
      )
}

const readWhole = async (file: Handle, capacity: number, signal: AbortSignal): Promise<Uint8Array> => {
  const buffer = new Uint8Array(capacity)
  let length = 0
  let read: number
  do {
    read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead
    length += read
  } while (read > 0 && length < buffer.length && !signal.aborted)
  const bytes = buffer.slice(0, length)
  buffer.fill(0)
  if (signal.aborted) bytes.fill(0)
  return bytes
}

const readWith = (
  path: string,
  follow: boolean,
  check: (stat: Stat, node: Node) => FileProblem | undefined,
  maxLength = maxInputLength
): Effect.Effect<Content, FileProblem> =>
  withNode(async (node, signal) => {
    const wrong = checkName(path)
    if (wrong !== undefined) throw wrong
    const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_NOCTTY = 0, O_RDONLY = 0 } = node.constants
    if (!follow && O_NOFOLLOW === 0 && (await node.files.lstat(path, { bigint: true })).isSymbolicLink()) {
      throw refused(isALink)
    }
    // O_NONBLOCK: a pipe nobody writes to is opened at once
    const file = await node.files.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (follow ? 0 : O_NOFOLLOW))
    try {
      const stat = await file.stat({ bigint: true })
      const problem = check(stat, node)
      if (problem !== undefined) throw problem
      // a file of many keys is read at the length it has, not at the most it could have
      const limit = Math.min(maxLength, Math.max(Number(stat.size), maxInputLength))
      const bytes = await readWhole(file, limit + 1, signal)
      if (bytes.length > limit) {
        bytes.fill(0)
        throw refused(`longer than ${limit} bytes`)
      }
      return { bytes, identity: identityOf(stat), mode: Number(stat.mode & 0o777n) }
    } finally {
      await file.close()
    }
  })

/** The content of a file, of at most so many bytes as any key needs, or `maxLength`. The caller wipes the bytes. */
export const read = (
  path: string,
  options: ReadOptions & { readonly maxLength?: number | undefined } = {}
): Effect.Effect<Content, FileProblem> =>
  readWith(
    path,
    options.followSymlinks === true,
    (stat, node) => checkKind(stat, options.maxLength) ?? checkAccess(stat, node, options),
    options.maxLength
  )

/** The last bytes of a file: whether it is still the one that was read, where its end says so. */
export const readEnd = (
  path: string,
  length: number,
  options: Pick<ReadOptions, "followSymlinks"> = {}
): Effect.Effect<Uint8Array, FileProblem> =>
  withNode(async ({ constants, files }) => {
    const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_NOCTTY = 0, O_RDONLY = 0 } = constants
    const follow = options.followSymlinks === true
    const file = await files.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (follow ? 0 : O_NOFOLLOW))
    try {
      const { size } = await file.stat({ bigint: true })
      const end = new Uint8Array(length)
      const { bytesRead } = await file.read(end, 0, length, Math.max(0, Number(size) - length))
      return end.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  })

/** The one line of text in a file, without its end: a passphrase, or a PIN. */
export const readLine = (
  path: string,
  options: ReadOptions = {}
): Effect.Effect<Redacted.Redacted<string>, FileProblem> =>
  Effect.flatMap(read(path, options), ({ bytes }) => {
    let text = ""
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, "")
    } catch {
      // not text
    }
    bytes.fill(0)
    return text === "" || /[\r\n]/.test(text)
      ? Effect.fail(refused("it must be one line of UTF-8 text"))
      : Effect.succeed(Redacted.make(text))
  })

/** As {@link read}, whoever may read or change the file: to say what it is, or to remove it. */
export const readAny = (path: string): Effect.Effect<Content, FileProblem> =>
  readWith(path, false, (stat) => checkKind(stat))

/** Whether anything has a name, a link that leads nowhere included. */
export const exists = (path: string): Effect.Effect<boolean, FileProblem> =>
  withNode(async ({ files }) => {
    await files.lstat(path, { bigint: true })
    return true
  }).pipe(
    Effect.catchIf(
      ({ kind }) => kind === "NotFound",
      () => Effect.succeed(false)
    )
  )

/** The path of a file in a folder. */
export const inFolder = (folder: string, name: string): string => load()?.path.join(folder, name) ?? `${folder}/${name}`

/** The names in a folder, in order. */
export const list = (folder: string): Effect.Effect<ReadonlyArray<string>, FileProblem> =>
  withNode(async ({ files }) => [...(await files.readdir(folder))].sort())

// ---------------------------------------------------------------------------
// the lock
// ---------------------------------------------------------------------------

/** Milliseconds between two looks at a lock that somebody has, and for how long there are any. */
const lockInterval = 50
const lockPatience = 10_000

/** A lock file without a process in it was left by one that ended while it made it: after so many milliseconds. */
const unwrittenLockAge = 5_000

const maxLockLength = 4096

const locked = "another process is changing it; if none is, remove the file of the same name with .lock after it"

/** Whether somebody else had the lock for too long. */
export const isLocked = ({ problem }: FileProblem): boolean => problem === locked

interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process began, where that can be known: ids are used again. */
  readonly start: string
  /** No two are alike. */
  readonly token: string
}

/** When a process began, in the clock ticks of Linux (proc_pid_stat(5), field 22); elsewhere empty. */
const startOf = async (node: Node, pid: number): Promise<string> => {
  try {
    const stat = await node.files.readFile(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""
  } catch {
    return ""
  }
}

const parseHolder = (text: string): Holder | undefined => {
  const [pid, host, start, token] = text.trimEnd().split(" ")
  return pid !== undefined && /^\d{1,10}$/.test(pid) && host !== undefined && start !== undefined && token !== undefined
    ? { pid: Number(pid), host, start, token }
    : undefined
}

const isRunning = async (node: Node, { pid, start }: Holder): Promise<boolean> => {
  try {
    node.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false
  }
  const now = await startOf(node, pid)
  return start === "" || now === "" || start === now
}

/** Whether whoever made this lock is gone. Of another machine nobody here can tell. */
const isAbandoned = async (node: Node, path: string, text: string): Promise<boolean> => {
  const holder = parseHolder(text)
  if (holder !== undefined) return holder.host === hostOf(node) && !(await isRunning(node, holder))
  const { mtimeMs } = await node.files.lstat(path, { bigint: true })
  return Date.now() - Number(mtimeMs) > unwrittenLockAge
}

const hostOf = ({ hostname }: Node) => hostname.replace(/\s/g, "_") || "-"

/** Takes a lock of somebody who is gone out of the way. */
const takeOver = async ({ files }: Node, path: string, text: string): Promise<void> => {
  const aside = `${path}.${globalThis.crypto.randomUUID()}`
  await files.rename(path, aside)
  // Whoever was quicker may have put a lock of their own there: it goes back
  if ((await files.readFile(aside, "utf8")) !== text) await files.link(aside, path).catch(() => {})
  await files.unlink(aside)
}

/** The text of a lock that is ours now, or `undefined`. */
const tryLock = (path: string): Effect.Effect<string | undefined, FileProblem> =>
  withNode(async (node) => {
    const { files, pid } = node
    let file: Handle
    try {
      file = await files.open(path, "wx", 0o600)
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error
      try {
        const stat = await files.lstat(path, { bigint: true })
        if (!stat.isFile() || stat.size > maxLockLength) return undefined // not ours: nobody here made it
        const text = await files.readFile(path, "utf8")
        if (await isAbandoned(node, path, text)) await takeOver(node, path, text)
      } catch (problem) {
        if (codeOf(problem) !== "ENOENT") throw problem // released meanwhile
      }
      return undefined
    }
    try {
      const start = await startOf(node, pid)
      const text = `${pid} ${hostOf(node)} ${start} ${globalThis.crypto.randomUUID()}\n`
      await file.writeFile(text)
      return text
    } catch (error) {
      await files.unlink(path).catch(() => {})
      throw error
    } finally {
      await file.close()
    }
  })

const unlock = (path: string, text: string): Effect.Effect<void> =>
  Effect.ignore(
    withNode(async ({ files }) => {
      if ((await files.readFile(path, "utf8")) === text) await files.unlink(path)
    })
  )

/** The file itself, where links may be followed: it is what gets a new content, not the link. */
const targetOf = (path: string, options: ReadOptions): Effect.Effect<string, FileProblem> =>
  Effect.suspend(() => {
    const wrong = checkName(path)
    if (wrong !== undefined) return Effect.fail(wrong)
    return options.followSymlinks !== true
      ? Effect.succeed(path)
      : withNode(({ files }) => files.realpath(path)).pipe(
          Effect.catchIf(
            ({ kind }) => kind === "NotFound",
            () => Effect.succeed(path)
          )
        )
  })

/** Removes what writers left who were killed. Only who has the lock writes. */
const removeLeftovers = (path: string): Effect.Effect<void> =>
  Effect.ignore(
    withNode(async (node) => {
      const folder = node.path.dirname(path)
      if (node.path.basename(path).length > shownLength) return // others may begin alike
      const prefix = asidePrefix(node, path)
      for (const name of await node.files.readdir(folder)) {
        if (name.startsWith(prefix) && /^[0-9a-f-]{36}\.new$/.test(name.slice(prefix.length))) {
          await node.files.unlink(node.path.join(folder, name))
        }
      }
    })
  )

/**
 * Runs something while nobody else who asks for this lock does: one after the
 * other, in this process and in others. Waits ten seconds for its turn.
 */
export const withLock = <A, E, R>(
  path: string,
  options: ReadOptions,
  use: (target: string) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | FileProblem, R> =>
  Effect.flatMap(targetOf(path, options), (target) =>
    Effect.uninterruptibleMask((restore) => {
      const lock = `${target}.lock`
      const acquire = (patience: number): Effect.Effect<string, FileProblem> =>
        Effect.flatMap(tryLock(lock), (text) =>
          text !== undefined
            ? Effect.succeed(text)
            : patience <= 0
              ? Effect.fail(refused(locked))
              : Effect.andThen(
                  restore(Effect.sleep(lockInterval)),
                  Effect.suspend(() => acquire(patience - lockInterval))
                )
        )
      return Effect.flatMap(acquire(lockPatience), (text) =>
        Effect.ensuring(restore(Effect.andThen(removeLeftovers(target), use(target))), unlock(lock, text))
      )
    })
  )

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/** Characters of a name that its other name shows: with what follows it stays short enough for any file system. */
const shownLength = 100

const asidePrefix = ({ path }: Node, target: string) => `.${path.basename(target).slice(0, shownLength)}.`

/** Writes a file under another name in the same folder, to the disk. */
const writeAside = async (node: Node, target: string, bytes: Uint8Array): Promise<string> => {
  const name = `${asidePrefix(node, target)}${globalThis.crypto.randomUUID()}.new`
  const aside = node.path.join(node.path.dirname(target), name)
  const file = await node.files.open(aside, "wx", 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } catch (error) {
    await node.files.unlink(aside).catch(() => {})
    throw error
  } finally {
    await file.close()
  }
  return aside
}

/** Makes a new name survive a power failure. Not every system lets a folder be opened. */
const syncFolder = async ({ files, path }: Node, target: string): Promise<void> => {
  try {
    const folder = await files.open(path.dirname(target), "r")
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch {
    // the file is whole in either case
  }
}

const publish = (target: string, bytes: Uint8Array, give: (node: Node, aside: string) => Promise<void>) =>
  Effect.uninterruptible(
    withNode(async (node) => {
      const aside = await writeAside(node, target, bytes)
      try {
        await give(node, aside)
      } finally {
        await node.files.unlink(aside).catch(() => {}) // gone where it was renamed
      }
      await syncFolder(node, target)
    })
  )

/** What file systems say that have no hard links. */
const withoutLinks = ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"]

/** Writes a file that did not exist, with mode 0600. To be called with the lock of it. */
export const create = (target: string, bytes: Uint8Array): Effect.Effect<void, FileProblem> =>
  publish(target, bytes, async ({ files }, aside) => {
    try {
      await files.link(aside, target) // link(2) is atomic and never replaces
    } catch (error) {
      if (!withoutLinks.includes(codeOf(error) ?? "")) throw error
      const isTaken = await files.lstat(target, { bigint: true }).then(
        () => true,
        (error) => codeOf(error) !== "ENOENT"
      )
      if (isTaken) throw new FileProblem({ kind: "AlreadyExists", problem: problems["EEXIST"]![1] })
      await files.rename(aside, target)
    }
  })

/** Writes a file in place of the one that was read, with mode 0600. To be called with the lock of it. */
export const replace = (target: string, bytes: Uint8Array, identity: string): Effect.Effect<void, FileProblem> =>
  publish(target, bytes, async ({ files }, aside) => {
    if (identityOf(await files.lstat(target, { bigint: true })) !== identity) {
      throw refused("somebody else has changed it meanwhile; it was left as it is")
    }
    await files.rename(aside, target)
  })

/** Removes the file that was read. To be called with the lock of it. */
export const remove = (target: string, identity: string): Effect.Effect<void, FileProblem> =>
  Effect.uninterruptible(
    withNode(async (node) => {
      if (identityOf(await node.files.lstat(target, { bigint: true })) !== identity) {
        throw refused("somebody else has changed it meanwhile; it was left as it is")
      }
      await node.files.unlink(target)
      await syncFolder(node, target)
    })
  )
