/**
 * A service on a loopback port that signs for whoever has its token: what
 * `RemoteSigner` asks.
 */
import { Effect } from "effect"
import type { IncomingMessage } from "node:http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Signer } from "../../../src/index.ts"
import * as Signature from "../../../src/schemas/Signature.ts"
import { algorithmName } from "../../../src/layers/RemoteSigner.ts"

/** An answer instead of a signature. Status 0: the connection is cut. */
export interface Answering {
  readonly status: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Request {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

interface Asked {
  readonly payload_b64: string
  readonly kid: string
  readonly alg: string
}

/** The answer to a request, and what is wrong with it that a test wants to be. */
const answerOf = Effect.fnUntraced(function* (
  signer: Signer.Service,
  options: { readonly token: string; readonly flaw?: string | undefined },
  { body, headers }: Request
) {
  const { flaw, token } = options
  if (flaw !== "open" && headers.authorization !== `Bearer ${token}`) return { status: 401 }
  let asked: Asked
  try {
    asked = JSON.parse(body) as Asked
  } catch {
    return { status: 400 }
  }
  if (flaw !== "any-key" && asked.kid !== "k1") return { status: 404 }
  if (flaw !== "any-algorithm" && asked.alg !== algorithmName(signer.algorithm)) return { status: 400 }
  if (typeof asked.payload_b64 !== "string") return { status: 400 }
  const message = Buffer.from(asked.payload_b64, "base64")
  if (flaw !== "lenient" && message.toString("base64") !== asked.payload_b64) return { status: 400 }
  const signature = yield* Effect.orDie(signer.sign(message))
  const bytes = flaw === "der" ? Signature.toDer(signature) : signature.bytes
  return { status: 200, body: JSON.stringify({ signature_b64: Buffer.from(bytes ?? []).toString("base64") }) }
})

export const signingService = (
  signer: Signer.Service,
  options: { readonly token: string; readonly answer?: Answering | undefined; readonly flaw?: string | undefined }
) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly url: string
      readonly requests: () => ReadonlyArray<Request>
      readonly close: () => void
    }>((resume) => {
      const requests: Array<Request> = []
      const server = createServer(async (incoming, outgoing) => {
        const chunks: Array<Buffer> = []
        for await (const chunk of incoming) chunks.push(chunk as Buffer)
        const request = {
          method: incoming.method,
          url: incoming.url,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString()
        }
        requests.push(request)
        const answer: Answering = options.answer ?? (await Effect.runPromise(answerOf(signer, options, request)))
        if (answer.status === 0) return incoming.socket.destroy()
        outgoing.writeHead(answer.status, { "content-type": "application/json", ...answer.headers })
        outgoing.end(answer.body)
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}/sign`, requests: () => requests, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )
