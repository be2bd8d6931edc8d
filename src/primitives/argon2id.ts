/**
 * Argon2id (RFC 9106), off the thread that asks for it: some hundred milliseconds
 * of work must not stop everything else.
 *
 * Node's own where there is one (24.7 and newer; it runs on the libuv pool), else
 * `@noble/hashes` in a worker thread. Runtimes without either, as browsers, do the
 * work in slices of this thread: slower, and timers still run.
 *
 * @category internal
 */

/** What a key is derived from, and at what cost. The caller has checked all limits. */
export interface Argon2idInput {
  readonly passphrase: Uint8Array
  readonly salt: Uint8Array
  /** KiB. */
  readonly memory: number
  readonly iterations: number
  readonly parallelism: number
}

/** Bytes of a derived key. */
export const keyLength = 32

interface NodeCrypto {
  readonly argon2?: (
    algorithm: "argon2id",
    parameters: {
      readonly message: Uint8Array
      readonly nonce: Uint8Array
      readonly memory: number
      readonly passes: number
      readonly parallelism: number
      readonly tagLength: number
    },
    callback: (error: Error | null, key: Uint8Array) => void
  ) => void
}

interface NodeWorker {
  readonly on: (event: "message" | "error" | "exit", listener: (value: unknown) => void) => void
  readonly terminate: () => Promise<unknown>
}

interface NodeThreads {
  readonly Worker: new (
    code: string,
    options: { readonly eval: true; readonly workerData: unknown; readonly execArgv: ReadonlyArray<string> }
  ) => NodeWorker
}

declare const process: { readonly getBuiltinModule?: (id: string) => unknown } | undefined

const builtin = <A>(id: string): A | undefined =>
  typeof process === "undefined" ? undefined : (process.getBuiltinModule?.(id) as A | undefined)

/** A way to derive a key; `undefined` where this runtime has it not. */
type Way = ((input: Argon2idInput, signal?: AbortSignal) => Promise<Uint8Array>) | undefined

/** Node's own. It cannot be stopped: what comes after an abort is wiped. */
export const native = (): Way => {
  const argon2 = builtin<NodeCrypto>("node:crypto")?.argon2
  return argon2 === undefined
    ? undefined
    : ({ iterations, memory, parallelism, passphrase, salt }, signal) =>
        new Promise((resolve, reject) => {
          const parameters = { message: passphrase, nonce: salt, memory, passes: iterations, parallelism }
          argon2("argon2id", { ...parameters, tagLength: keyLength }, (error, key) => {
            if (error !== null) return reject(error)
            const bytes = new Uint8Array(key)
            key.fill(0)
            if (signal?.aborted === true) bytes.fill(0)
            resolve(bytes)
          })
        })
}

/** CommonJS, because that is what `eval` means to a worker. */
const workerCode = `
const { parentPort, workerData } = require("node:worker_threads")
const { module, passphrase, salt, options } = workerData
import(module).then(({ argon2id }) => {
  const key = argon2id(passphrase, salt, options)
  passphrase.fill(0)
  parentPort.postMessage(key)
  key.fill(0)
})
`

const nobleOptions = ({ iterations, memory, parallelism }: Argon2idInput) => ({
  t: iterations,
  m: memory,
  p: parallelism,
  dkLen: keyLength
})

/** `@noble/hashes` in a worker thread, which an abort ends. */
export const inWorker = (): Way => {
  const threads = builtin<NodeThreads>("node:worker_threads")
  let module: string
  try {
    module = (import.meta as { readonly resolve: (specifier: string) => string }).resolve("@noble/hashes/argon2.js")
  } catch {
    return undefined // in one file with everything else: a worker could not find it
  }
  return threads === undefined
    ? undefined
    : (input, signal) =>
        new Promise((resolve, reject) => {
          const { passphrase, salt } = input
          const workerData = { module, passphrase, salt, options: nobleOptions(input) }
          const worker = new threads.Worker(workerCode, { eval: true, workerData, execArgv: [] })
          const end = () => void worker.terminate()
          signal?.addEventListener("abort", end, { once: true })
          worker.on("message", (key) => resolve(key as Uint8Array))
          worker.on("error", reject)
          worker.on("exit", () => {
            signal?.removeEventListener("abort", end)
            reject(new Error("the worker ended"))
          })
        })
}

/** `@noble/hashes` in this thread, ten milliseconds at a time, until an abort. */
export const inSlices = async (input: Argon2idInput, signal?: AbortSignal): Promise<Uint8Array> => {
  const { argon2idAsync } = await import("@noble/hashes/argon2.js")
  const onProgress = () => signal?.throwIfAborted()
  return argon2idAsync(input.passphrase, input.salt, { ...nobleOptions(input), asyncTick: 10, onProgress })
}

/** A 32-byte key, in a buffer that the caller wipes. */
export const argon2id = (input: Argon2idInput, signal?: AbortSignal): Promise<Uint8Array> =>
  (native() ?? inWorker() ?? inSlices)(input, signal)
