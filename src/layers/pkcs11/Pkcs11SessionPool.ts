/**
 * Sessions with one token, each of which does one operation at a time, and the calls
 * that wait for one.
 *
 * The pool is a state machine of this thread and not a fiber: a call that is
 * interrupted leaves it at once, but the session it had stays taken until the native
 * call has returned, which nothing can stop.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type { ErrorContext, SignerError } from "../../schemas/SignerError.ts"
import { InvalidResponse, KeyUnavailable } from "../../schemas/SignerError.ts"
import type { Problem } from "./Pkcs11Error.ts"
import { Code, codeOf, isStale, problemOf } from "./Pkcs11Error.ts"

/** What the pool does with sessions. All but `sign` return quickly; what they throw, {@link problemOf} reads. */
export interface Sessions<Session> {
  /** Logged in, and with the key at hand. */
  readonly open: () => Session
  readonly close: (session: Session) => void
  /** Begins on this thread and goes on on another one, which reads `input` and writes `output`. */
  readonly sign: (session: Session, input: Uint8Array, output: Uint8Array) => Promise<Uint8Array>
  /** The last session is closed, after `close`. */
  readonly drained: () => void
}

export interface Pool {
  readonly sign: (context: ErrorContext, input: Uint8Array) => Effect.Effect<Uint8Array, SignerError>
  /** Now: calls that wait fail. Those under way end as they do, and `drained` follows the last. */
  readonly close: () => void
}

/** One call. Its buffers belong to the native call from `C_Sign` until that has returned. */
interface Job {
  readonly context: ErrorContext
  readonly input: Uint8Array
  readonly output: Uint8Array
  readonly settle: (outcome: Effect.Effect<Uint8Array, SignerError>) => void
  isRepeated: boolean
  isAbandoned: boolean
}

/**
 * Bytes outside the heap of the engine, where the collector moves nothing. There is
 * one more of them: an empty message must not be a null pointer, which modules refuse.
 */
const bytes = (length: number): Uint8Array => new Uint8Array(new ArrayBuffer(length + 1), 0, length)

const closed: Problem = (context) =>
  new KeyUnavailable({ ...context, state: "out of reach: the layer that provides this Signer was released" })

/**
 * A pool of up to `capacity` sessions, beginning with one that is open.
 *
 * **Details**
 *
 * Waiting calls are served in the order in which they came. A session that was in any
 * error, or in a call that was interrupted, is closed and another one is opened in its
 * place. Where the session or its login was gone before anything was signed, the call
 * is repeated once, on a new session.
 *
 * `capacity` bounds the native calls under way, those of interrupted calls too: a
 * token that hangs holds so many threads and not one more.
 */
export const make = <Session>(
  sessions: Sessions<Session>,
  first: Session,
  { capacity, signatureLength }: { readonly capacity: number; readonly signatureLength: number }
): Pool => {
  const idle: Array<Session> = [first]
  /** In order of arrival. */
  const waiting = new Set<Job>()
  /** Those in a native call. `pkcs11js` does not keep `input` from the collector: this set does. */
  const running = new Set<Job>()
  let limit = capacity
  let isClosed = false

  const fail = (job: Job, problem: Problem) => job.settle(Effect.fail(problem(job.context)))

  const closeIdle = () => {
    for (const session of idle.splice(0)) sessions.close(session)
  }

  const run = (job: Job): void => {
    let session: Session
    try {
      session = idle.pop() ?? sessions.open()
    } catch (error) {
      return unopened(job, error)
    }
    running.add(job)
    let answer: Promise<Uint8Array>
    try {
      answer = sessions.sign(session, job.input, job.output)
    } catch (error) {
      return broken(job, session, error)
    }
    answer.then(
      (signature) => {
        running.delete(job)
        if (job.isAbandoned || isClosed) sessions.close(session)
        else idle.push(session)
        next()
        if (job.isAbandoned) return
        job.settle(
          signature.length === signatureLength
            ? Effect.succeed(new Uint8Array(signature))
            : Effect.fail(
                new InvalidResponse({
                  ...job.context,
                  problem: `a signature of ${signature.length} bytes, expected ${signatureLength}`
                })
              )
        )
      },
      (error) => broken(job, session, error)
    )
  }

  /** One session that cannot be opened speaks for all: each attempt holds up this thread. */
  const unopened = (job: Job, error: unknown): void => {
    const others = [...waiting]
    waiting.clear()
    if (running.size > 0 && codeOf(error) === Code.sessionCount) {
      limit = running.size // the token has no more, and these come back
      for (const each of [job, ...others]) waiting.add(each)
      return
    }
    for (const each of [job, ...others]) {
      if (!each.isAbandoned) fail(each, problemOf(error))
    }
  }

  const broken = (job: Job, session: Session, error: unknown): void => {
    running.delete(job)
    sessions.close(session)
    if (isStale(error) && !job.isRepeated && !job.isAbandoned && !isClosed) {
      closeIdle() // what ended this session has mostly ended the others
      job.isRepeated = true
      return run(job)
    }
    next()
    if (!job.isAbandoned) fail(job, problemOf(error))
  }

  const next = (): void => {
    while (running.size < limit) {
      const [job] = waiting
      if (job === undefined || isClosed) break
      waiting.delete(job)
      run(job)
    }
    if (running.size > 0) return
    limit = capacity // the token may have more again
    if (isClosed) sessions.drained()
  }

  return {
    sign: (context, input) =>
      Effect.callback((resume) => {
        const job: Job = {
          context,
          input: bytes(input.length),
          output: bytes(signatureLength),
          settle: resume,
          isRepeated: false,
          isAbandoned: false
        }
        job.input.set(input)
        if (isClosed) return fail(job, closed)
        waiting.add(job)
        next()
        return Effect.sync(() => {
          job.isAbandoned = true
          waiting.delete(job)
        })
      }),
    close: () => {
      if (isClosed) return
      isClosed = true
      closeIdle()
      const left = [...waiting]
      waiting.clear()
      next()
      for (const job of left) fail(job, closed)
    }
  }
}
