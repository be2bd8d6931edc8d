/**
 * One connection to an ssh-agent for all callers: requests go out as they come,
 * and answers belong to them in the order in which they went out (RFC 9987
 * section 3).
 *
 * **Details**
 *
 * The connection is opened by the first request, and anew by the first one after
 * it broke. Nothing is sent twice: what was under way on a connection that broke
 * fails.
 *
 * Who is interrupted leaves its place in the order behind, and the answer that
 * arrives there is dropped. Where nobody waits any more for the answer that is
 * due, the agent may hang: that connection takes no new request, and ends when
 * the last of its callers is served or gone.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Malformed } from "../../schemas/Malformed.ts"
import * as SshAgentFrame from "../../schemas/SshAgentFrame.ts"
import type { Socket } from "./NodeNet.ts"
import * as NodeNet from "./NodeNet.ts"

/** Why there is no answer. */
export type Failure =
  /** This runtime has no unix sockets. */
  | { readonly _tag: "NoSockets" }
  /** The agent cannot be reached, or has closed the connection. */
  | { readonly _tag: "Unreachable"; readonly code: string | undefined }
  /** What came is not the protocol. */
  | { readonly _tag: "Malformed"; readonly problem: string }

export interface Connection {
  /** Sends a frame; its answer. */
  readonly request: (frame: Uint8Array) => Effect.Effect<SshAgentFrame.Answer, Failure>
}

interface Waiting {
  /** `undefined` when nobody waits any more. */
  resume: ((answer: Effect.Effect<SshAgentFrame.Answer, Failure>) => void) | undefined
}

interface Pipe {
  readonly socket: Socket
  readonly frames: SshAgentFrame.Frames
  readonly waiting: Array<Waiting>
}

/** A connection that is open for as long as the scope is. `path` is a socket, or a named pipe on Windows. */
export const make = Effect.fnUntraced(function* (path: string): Effect.fn.Return<Connection, never, Scope.Scope> {
  const pipes = new Set<Pipe>()
  let current: Pipe | undefined
  let isClosed = false

  /** Ends a pipe: `first` to whom the next answer was due, `others` to those behind. */
  const end = (pipe: Pipe, first: Failure, others: Failure) => {
    if (!pipes.delete(pipe)) return
    if (current === pipe) current = undefined
    pipe.socket.destroy()
    for (const [index, { resume }] of pipe.waiting.splice(0).entries())
      resume?.(Effect.fail(index === 0 ? first : others))
  }

  const broken = (pipe: Pipe, code?: string) => {
    const failure: Failure = { _tag: "Unreachable", code }
    end(pipe, failure, failure)
  }

  /** After an answer came or a caller left: whether the pipe takes more, and whether it is still needed. */
  const settle = (pipe: Pipe) => {
    const isAbandoned = pipe.waiting[0] !== undefined && pipe.waiting[0].resume === undefined
    if (isAbandoned && current === pipe) current = undefined
    if (current !== pipe && pipe.waiting.every(({ resume }) => resume === undefined)) broken(pipe)
    // An idle connection keeps no process alive
    else if (pipe.waiting.length === 0) pipe.socket.unref()
  }

  const receive = (pipe: Pipe, chunk: Uint8Array) => {
    pipe.frames.push(chunk)
    try {
      for (let frame = pipe.frames.next(); frame !== undefined; frame = pipe.frames.next()) {
        if (pipe.waiting.length === 0) throw new Malformed("ssh-agent", "an answer that nobody asked for")
        const answer = SshAgentFrame.decodeAnswer(frame)
        pipe.waiting.shift()?.resume?.(Effect.succeed(answer))
      }
      settle(pipe)
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      end(pipe, { _tag: "Malformed", problem: error.problem }, { _tag: "Unreachable", code: undefined })
    }
  }

  const open = (net: NonNullable<ReturnType<typeof NodeNet.net>>): Pipe => {
    const socket = net.connect({ path })
    const pipe: Pipe = { socket, frames: new SshAgentFrame.Frames(), waiting: [] }
    socket.on("data", (chunk) => receive(pipe, chunk))
    socket.on("error", (error) => broken(pipe, NodeNet.codeOf(error)))
    socket.on("close", () => broken(pipe))
    pipes.add(pipe)
    return pipe
  }

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      isClosed = true
      for (const pipe of pipes) broken(pipe)
    })
  )

  return {
    request: (frame) =>
      Effect.callback<SshAgentFrame.Answer, Failure>((resume) => {
        const net = NodeNet.net()
        if (net === undefined) return resume(Effect.fail({ _tag: "NoSockets" }))
        // Nobody would close what was opened after the scope
        if (isClosed) return resume(Effect.fail({ _tag: "Unreachable", code: undefined }))
        const pipe = (current ??= open(net))
        const waiting: Waiting = { resume }
        pipe.waiting.push(waiting)
        pipe.socket.ref()
        pipe.socket.write(frame)
        return Effect.sync(() => {
          waiting.resume = undefined
          settle(pipe)
        })
      })
  }
})
