/**
 * An HTTP server on the loopback interface for as long as a scope is open.
 *
 * @category internal
 */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type { Ended } from "./Recorder.ts"

export interface Request {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: Uint8Array
}

export interface Response extends Ended {
  readonly _tag: "Answered"
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

/** The connection is reset. */
export interface Reset extends Ended {
  readonly _tag: "Dropped"
}

export const reset: Reset = { _tag: "Dropped", status: 0 }

export interface LoopbackServer {
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** Closes the server and every connection. The scope does so, too. */
  readonly stop: Effect.Effect<void>
}

/** More than any request of the vendors here may have. */
const maxBodyLength = 34 * 1024 * 1024

/** Why a port cannot be had, and what to do. */
const taken: { readonly [code: string]: string } = {
  EADDRINUSE: "is in use by another program; name another one, or 0 for any that is free",
  EACCES: "is not for everybody; name one above 1023, or 0 for any that is free"
}

const readBody = (incoming: http.IncomingMessage) =>
  new Promise<Uint8Array | undefined>((resolve) => {
    const chunks: Array<Uint8Array> = []
    let length = 0
    incoming.on("data", (chunk: Uint8Array) => {
      length += chunk.length
      if (length > maxBodyLength) resolve(undefined)
      else chunks.push(chunk)
    })
    incoming.on("end", () => {
      const body = new Uint8Array(length)
      let offset = 0
      for (const chunk of chunks) {
        body.set(chunk, offset)
        offset += chunk.length
      }
      resolve(body)
    })
    incoming.on("close", () => resolve(undefined))
  })

/** The object of JSON in a body, if there is one. */
export const objectIn = (body: Uint8Array): Readonly<Record<string, unknown>> | undefined => {
  try {
    const input: unknown = JSON.parse(new TextDecoder().decode(body))
    return typeof input === "object" && input !== null && !Array.isArray(input)
      ? (input as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}

/**
 * Serves until the scope is closed, on any free port where `port` is 0. A caller
 * that closes its connection before the answer is out interrupts `handle`.
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly port?: number | undefined
  readonly handle: (request: Request) => Effect.Effect<Response | Reset>
}): Effect.fn.Return<LoopbackServer, InvalidConfiguration, Scope.Scope> {
  const context = yield* Effect.context<never>()
  const run = Effect.runForkWith(context)

  const server = http.createServer((incoming, outgoing) => {
    void readBody(incoming).then((body) => {
      if (body === undefined) {
        incoming.socket.destroy()
        return
      }
      const fiber = run(
        Effect.suspend(() =>
          options.handle({ method: incoming.method ?? "", path: incoming.url ?? "/", headers: incoming.headers, body })
        ).pipe(
          Effect.map((answer) => {
            if (answer._tag === "Dropped") {
              incoming.socket.resetAndDestroy()
              return
            }
            outgoing.writeHead(answer.status, answer.headers as http.OutgoingHttpHeaders | undefined)
            outgoing.end(answer.body)
          }),
          // What no handler expects (a path as "//") ends the connection, not the process, and leaves nobody waiting
          Effect.catchDefect(() => Effect.sync(() => incoming.socket.resetAndDestroy()))
        )
      )
      outgoing.on("close", () => {
        if (!outgoing.writableFinished) fiber.interruptUnsafe()
      })
    })
  })
  // A client of ours keeps its connections; the default of 5 seconds makes for resets between two tests.
  server.keepAliveTimeout = 60_000

  const stop = Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
  yield* Effect.acquireRelease(
    Effect.callback<void, InvalidConfiguration>((resume) => {
      server.once("error", ({ code, message }: NodeJS.ErrnoException) =>
        resume(
          Effect.fail(
            new InvalidConfiguration({
              backend: "emulator",
              keyId: "-",
              operation: "make",
              field: "port",
              problem: (code === undefined ? undefined : taken[code]) ?? message
            })
          )
        )
      )
      server.listen(options.port ?? 0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => stop
  )
  const { port } = server.address() as AddressInfo
  return { port, url: `http://127.0.0.1:${port}`, stop }
})
