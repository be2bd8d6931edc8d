/**
 * A gRPC server on the loopback interface for as long as a scope is open. It stands
 * behind a relay of bytes, which can reset a connection: the server itself cannot.
 *
 * @category internal
 */
import type * as Grpc from "@grpc/grpc-js"
import type * as ProtoLoader from "@grpc/proto-loader"
import * as net from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type { Ended } from "./Recorder.ts"

export interface Request {
  readonly method: string
  readonly message: Readonly<Record<string, unknown>>
  /** The first value of a header, by its name in lower case. */
  readonly header: (name: string) => string | undefined
}

export interface Answered extends Ended {
  readonly _tag: "Answered"
  /** 0, or the code of an error. */
  readonly status: number
  readonly message?: object | undefined
  readonly text?: string | undefined
  /** `google.rpc.Status`, encoded. */
  readonly statusDetails?: Uint8Array | undefined
  /** Cuts the message off in the middle. */
  readonly isGarbled?: boolean | undefined
}

/** The connection is reset. */
export interface Reset extends Ended {
  readonly _tag: "Dropped"
}

export interface GrpcServer {
  readonly port: number
  /** Closes the server and every connection. The scope does so, too. */
  readonly stop: Effect.Effect<void>
}

const missing = (field: string) =>
  new InvalidConfiguration({
    backend: "emulator",
    keyId: "-",
    operation: "make",
    field,
    problem: `the package is not installed, or is not usable here; run: npm install ${field}`
  })

const importing = <A>(name: string, load: () => Promise<A>) =>
  Effect.tryPromise({ try: load, catch: () => missing(name) })

/** Connections to a port, each through one of its own to another port. */
const relay = (target: number, port: number) =>
  Effect.acquireRelease(
    Effect.callback<
      { readonly port: number; readonly reset: (from: number) => void; readonly stop: Effect.Effect<void> },
      InvalidConfiguration
    >((resume) => {
      const clients = new Map<number, net.Socket>()
      const sockets = new Set<net.Socket>()
      const server = net.createServer((client) => {
        const upstream = net.connect(target, "127.0.0.1", () => clients.set(upstream.localPort!, client))
        for (const [socket, other] of [
          [client, upstream],
          [upstream, client]
        ] as const) {
          sockets.add(socket)
          socket.setNoDelay(true)
          socket.pipe(other)
          socket.on("error", () => other.destroy())
          socket.on("close", () => {
            sockets.delete(socket)
            other.destroy()
          })
        }
      })
      const stop = Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
      server.once("error", ({ message }) =>
        resume(
          Effect.fail(
            new InvalidConfiguration({
              backend: "emulator",
              keyId: "-",
              operation: "make",
              field: "grpcPort",
              problem: message
            })
          )
        )
      )
      server.listen(port, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            port: (server.address() as net.AddressInfo).port,
            reset: (from: number) => void clients.get(from)?.resetAndDestroy(),
            stop
          })
        )
      )
    }),
    ({ stop }) => stop
  )

/**
 * Serves the unary methods of a service until the scope is closed. A caller that
 * cancels, or whose connection ends, interrupts `handle`.
 */
export const make = Effect.fnUntraced(function* (options: {
  /** Definitions of protocol buffers, as `protobufjs` writes them to JSON. */
  readonly load: () => Promise<unknown>
  /** The package that has them. */
  readonly from: string
  readonly service: string
  readonly methods: ReadonlyArray<string>
  readonly port?: number | undefined
  readonly handle: (request: Request) => Effect.Effect<Answered | Reset>
}): Effect.fn.Return<GrpcServer, InvalidConfiguration, Scope.Scope> {
  const grpc: typeof Grpc = yield* importing("@grpc/grpc-js", () => import("@grpc/grpc-js"))
  const loader: typeof ProtoLoader = yield* importing("@grpc/proto-loader", () => import("@grpc/proto-loader"))
  const json = yield* importing(options.from, options.load)
  const run = Effect.runForkWith(yield* Effect.context<never>())

  const definitions = loader.fromJSON(json as never, { longs: String, enums: String, defaults: true, oneofs: true })
  const service = definitions[options.service] as Readonly<Record<string, Grpc.MethodDefinition<object, object>>>
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 })
  let reset: (port: number) => void = () => {}

  for (const method of options.methods) {
    const { responseSerialize, ...definition } = service[method]!
    const handler: Grpc.handleUnaryCall<object, Buffer> = (call, callback) => {
      const fiber = run(
        options
          .handle({
            method,
            message: call.request as Readonly<Record<string, unknown>>,
            header: (name) => call.metadata.get(name).map(String)[0]
          })
          .pipe(
            Effect.map((answer) => {
              if (answer._tag === "Dropped") return reset(Number(/:(\d+)$/.exec(call.getPeer())?.[1]))
              if (answer.status !== 0) {
                const metadata = new grpc.Metadata()
                if (answer.statusDetails !== undefined) {
                  metadata.set("grpc-status-details-bin", Buffer.from(answer.statusDetails))
                }
                return callback({ code: answer.status, details: answer.text ?? "", metadata })
              }
              const bytes = responseSerialize(answer.message ?? {})
              callback(null, answer.isGarbled === true ? bytes.subarray(0, bytes.length / 2) : bytes)
            })
          )
      )
      call.on("cancelled", () => fiber.interruptUnsafe())
    }
    server.addService(
      { [method]: { ...definition, responseSerialize: (bytes: Buffer) => bytes } } as never,
      { [method]: handler } as never
    )
  }

  const bound = yield* Effect.acquireRelease(
    Effect.callback<number, InvalidConfiguration>((resume) =>
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
        resume(error === null ? Effect.succeed(port) : Effect.fail(missing("@grpc/grpc-js")))
      )
    ),
    () => Effect.sync(() => server.forceShutdown())
  )
  const relayed = yield* relay(bound, options.port ?? 0)
  reset = relayed.reset
  return { port: relayed.port, stop: relayed.stop }
})
