/**
 * One request to a vendor and its answer: with a bearer token that goes to no
 * other host, shows in no span and in no error, and with an answer that ends.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as RetryAfter from "../schemas/RetryAfter.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

export interface Exchange {
  readonly method: "GET" | "POST"
  /** Without a query. */
  readonly url: URL
  readonly query: Readonly<Record<string, string>>
  readonly token: Redacted.Redacted<string>
  /** Text of JSON. */
  readonly body?: string | undefined
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Any answer of the server, also one that refuses. */
export interface Answer {
  readonly status: number
  /** `undefined` where the body is no object of JSON, and of a redirect. */
  readonly json: unknown
  readonly headers: Headers.Headers
  readonly retryAfter: Duration.Duration | undefined
}

/** Why there is no answer. */
export type Failure =
  | {
      readonly _tag: "Unreachable"
      /** The code of the runtime: `ECONNREFUSED`. */
      readonly code: string | undefined
      /** The certificate of the server. */
      readonly isUntrusted: boolean
    }
  | { readonly _tag: "TooLong"; readonly limit: number }
  /** The client has followed a redirect by itself, with the token. */
  | { readonly _tag: "Strayed" }

/** Sends in one attempt. */
export type Send = (exchange: Exchange) => Effect.Effect<Answer, Failure>

// ---------------------------------------------------------------------------
// failures
// ---------------------------------------------------------------------------

const isCode = (value: unknown): value is string => typeof value === "string" && /^[\w.-]{1,64}$/.test(value)

/** The code of the runtime somewhere below an error: `fetch` puts it two levels down. */
export const codeOf = (error: unknown): string | undefined => {
  let below = error
  for (let depth = 0; depth < 5 && typeof below === "object" && below !== null; depth++) {
    const { code } = below as { readonly code?: unknown }
    if (isCode(code)) return code
    below = (below as { readonly cause?: unknown }).cause
  }
}

/** Of OpenSSL, in which Node and Bun report that they do not trust a server. */
const untrusted = /CERT|^UNABLE_TO_|^ERR_TLS_|^ERR_SSL_/

const unreachable = (error: HttpClientError): Failure => {
  const code = codeOf(error)
  return { _tag: "Unreachable", code, isUntrusted: code !== undefined && untrusted.test(code) }
}

// ---------------------------------------------------------------------------
// bodies
// ---------------------------------------------------------------------------

/** Bytes of an answer at most. The answers here are a key or a signature. */
const maxBodyLength = 1024 * 1024

const tooLong: Failure = { _tag: "TooLong", limit: maxBodyLength }

const decoder = new TextDecoder()

const collect = (response: HttpClientResponse) =>
  Stream.runFoldEffect(
    response.stream,
    () => ({ text: "", length: 0, decoder: new TextDecoder() }),
    (state, chunk) => {
      state.length += chunk.length
      if (state.length > maxBodyLength) return Effect.fail(tooLong)
      state.text += state.decoder.decode(chunk, { stream: true })
      return Effect.succeed(state)
    }
  ).pipe(Effect.map((state) => state.text + state.decoder.decode()))

/** The body, whose length the transport holds to where it is stated. */
const bodyOf = (response: HttpClientResponse): Effect.Effect<string, HttpClientError | Failure> => {
  const { "content-encoding": encoding, "content-length": length } = response.headers
  return length !== undefined && encoding === undefined && /^\d{1,6}$/.test(length)
    ? Effect.map(response.arrayBuffer, (bytes) => decoder.decode(bytes))
    : collect(response)
}

const parse = (text: string): unknown => {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === "object" && json !== null ? json : undefined
  } catch {
    return undefined
  }
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const isFailure = (error: HttpClientError | Failure): error is Failure =>
  error._tag === "TooLong" || error._tag === "Strayed" || error._tag === "Unreachable"

/**
 * Sends with an `HttpClient`: no redirect is followed by it, and its spans are
 * off, because they keep requests, and so tokens.
 */
export const make: Effect.Effect<Send, never, HttpClient.HttpClient> = Effect.gen(function* () {
  const client = yield* HttpClient.HttpClient
  const context = yield* Effect.context<never>()
  const quiet = Context.empty().pipe(
    Context.add(FetchHttpClient.RequestInit, {
      ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
      redirect: "manual"
    }),
    Context.add(HttpClient.TracerDisabledWhen, () => true),
    Context.add(Headers.CurrentRedactedNames, [...Context.get(context, Headers.CurrentRedactedNames), "authorization"])
  )

  const execute = ({
    body,
    headers: more,
    method,
    query,
    token,
    url
  }: Exchange): Effect.Effect<Answer, HttpClientError | Failure> =>
    Effect.flatMap(
      client.execute(
        HttpClientRequest.make(method)(url, {
          headers: { ...more, accept: "application/json", authorization: `Bearer ${Redacted.value(token)}` },
          urlParams: query,
          ...(body === undefined ? {} : { body: HttpBody.text(body, "application/json") })
        })
      ),
      (response): Effect.Effect<Answer, HttpClientError | Failure> => {
        const { headers, status } = response
        // A client that shows where its answer is from.
        if (response.url !== "" && !response.url.startsWith(`${url.origin}/`)) {
          return Effect.fail<Failure>({ _tag: "Strayed" })
        }
        const retryAfter = headers["retry-after"]
        if (status < 200 || (status >= 300 && status < 400)) {
          return Effect.succeed({ status, json: undefined, headers, retryAfter: undefined })
        }
        return Effect.flatMap(bodyOf(response), (text) =>
          retryAfter === undefined
            ? Effect.succeed({ status, json: parse(text), headers, retryAfter: undefined })
            : Effect.map(Clock.currentTimeMillis, (now) => ({
                status,
                json: parse(text),
                headers,
                retryAfter: RetryAfter.parse(retryAfter, now)
              }))
        )
      }
    )

  return (exchange) =>
    Effect.mapError(
      Effect.provideContext(
        Effect.suspend(() => execute(exchange)),
        quiet
      ),
      (error) => (isFailure(error) ? error : unreachable(error))
    )
})
