/**
 * Sends a request line by line over connections that are kept open: nothing between
 * adds, joins or normalizes what was signed, or what was changed afterwards.
 */
import { Effect } from "effect"
import { Agent, request as httpRequest } from "node:http"
import type { HttpRequest } from "../../../src/protocols/HttpMessage.ts"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: string
}

/** A client with so many connections to each port, at most. */
export const make = (connections: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Agent({ keepAlive: true, maxSockets: connections })),
      (agent) => Effect.sync(() => agent.destroy())
    ),
    (agent) =>
      (port: number, message: HttpRequest, number: number): Effect.Effect<Answer> =>
        Effect.callback<Answer>((resume) => {
          const fields = message.fields.filter(([name]) => name.toLowerCase() !== "host")
          const sent = httpRequest(
            {
              agent,
              host: "127.0.0.1",
              port,
              method: message.method,
              path: `${message.path}${message.query === undefined ? "" : `?${message.query}`}`,
              setHost: false,
              headers: [
                "Host",
                message.authority!,
                "X-Number",
                `${number}`,
                "Content-Length",
                `${message.body!.length}`,
                ...fields.flat()
              ]
            },
            (response) => {
              const chunks: Array<Buffer> = []
              response.on("data", (chunk: Buffer) => chunks.push(chunk))
              response.on("error", (error) => resume(Effect.die(error)))
              response.on("end", () =>
                resume(
                  Effect.succeed({
                    status: response.statusCode!,
                    headers: response.headers,
                    body: Buffer.concat(chunks).toString()
                  })
                )
              )
            }
          )
          sent.on("error", (error) => resume(Effect.die(error)))
          sent.end(message.body)
          return Effect.sync(() => sent.destroy())
        })
  )
