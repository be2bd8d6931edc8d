/**
 * Cloud KMS over HTTP: two endpoints, and a third that lists versions.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as GcpCredential from "./GcpCredential.ts"
import type { CredentialOptions, Token, TokenSource } from "./GcpCredential.ts"
import * as GcpKmsApi from "./GcpKmsApi.ts"
import * as GcpKmsError from "./GcpKmsError.ts"
import { member } from "./GcpKmsError.ts"
import * as HttpExchange from "../remote/HttpExchange.ts"
import type { Answer } from "../remote/HttpExchange.ts"
import { identifier, type Problem } from "../remote/Outcome.ts"

export interface Options extends CredentialOptions {
  /** Without a path. */
  readonly endpoint: URL
  readonly tokens: TokenSource | undefined
  readonly httpClient: HttpClient.HttpClient | undefined
}

/** `{ error: { code, message, status, details } }`: https://cloud.google.com/apis/design/errors#http_mapping */
const refusal = ({ json, retryAfter, status }: Answer): Problem => {
  const error = member(json, "error")
  const text = member(error, "message")
  const details = member(error, "details")
  return GcpKmsError.refused({
    status: identifier(member(error, "status")),
    http: status,
    text: typeof text === "string" ? text : "",
    details: Array.isArray(details) ? details : [],
    retryAfter
  })
}

const encodings = { bytes: (bytes: Uint8Array) => Base64.encode(bytes), int64: String }

/** Asks with the token in use, and once more with another where it is refused and there is another. */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<GcpKmsApi.Transport, Problem> {
  const { endpoint, httpClient } = options
  const tokens = GcpCredential.make(options.tokens ?? (yield* GcpCredential.resolve(options)))
  const sending = HttpExchange.make({ url: endpoint, address: GcpKmsError.address, client: "httpClient" })
  const send = yield* httpClient === undefined
    ? Effect.provide(sending, FetchHttpClient.layer)
    : Effect.provideService(sending, HttpClient.HttpClient, httpClient)

  const exchange = (
    path: string,
    query: Readonly<Record<string, string>>,
    body: object | undefined
  ): Effect.Effect<unknown, Problem> => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const once = ({ quotaProject, token }: Token) =>
      send({
        method: text === undefined ? "GET" : "POST",
        path,
        query,
        token,
        body: text,
        headers: quotaProject === undefined ? undefined : { "x-goog-user-project": quotaProject }
      })
    const finish = (answer: Answer): Effect.Effect<unknown, Problem> =>
      answer.status === 200 && answer.json !== undefined ? Effect.succeed(answer.json) : Effect.fail(refusal(answer))
    return Effect.flatMap(tokens.current, (token) =>
      Effect.flatMap(once(token), (answer) =>
        answer.status !== 401
          ? finish(answer)
          : Effect.flatMap(tokens.instead(token), (other) =>
              other === undefined ? finish(answer) : Effect.flatMap(once(other), finish)
            )
      )
    )
  }

  return {
    getPublicKey: (name, format) =>
      exchange(`/v1/${name}/publicKey`, format === undefined ? {} : { publicKeyFormat: format }, undefined),
    asymmetricSign: (name, input) =>
      exchange(`/v1/${name}:asymmetricSign`, {}, GcpKmsApi.signRequest(input, encodings)),
    listVersions: (key, pageToken) =>
      exchange(
        `/v1/${key}/cryptoKeyVersions`,
        {
          filter: GcpKmsApi.listParameters.filter,
          pageSize: String(GcpKmsApi.listParameters.pageSize),
          ...(pageToken === undefined ? {} : { pageToken })
        },
        undefined
      )
  }
})
