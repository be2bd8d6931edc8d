/**
 * One request to a vendor and its answer: with a token that goes to no other
 * host, shows in no span and in no error, and with an answer that ends.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
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
import * as RetryAfter from "../../schemas/RetryAfter.ts"
import { InvalidConfiguration, VendorError } from "../../schemas/SignerError.ts"
import * as Outcome from "./Outcome.ts"
import { identifier, type Problem } from "./Outcome.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** A server that is asked, and how. */
export interface Options {
  /** An http or https URL, of which the origin counts. */
  readonly url: URL
  /** The option that states it. */
  readonly address: string
  /** What the caller names the `HttpClient` that sends. */
  readonly client: string
  /** The header that carries the token as it is. Absent: `authorization`, as a bearer token. */
  readonly tokenHeader?: string | undefined
  /** Of every request. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Other origins that may have the token, where the server redirects to the same path of one. */
  readonly redirectOrigins?: ReadonlyArray<string> | undefined
  /** Bytes of an answer at most. Default 1 MiB: the answers are a key or a signature. */
  readonly maxBodyLength?: number | undefined
}

export interface Exchange {
  readonly method: "GET" | "POST"
  /** From the root of the server, encoded. */
  readonly path: string
  /** What no log is to show is redacted. */
  readonly query?: Readonly<Record<string, string | Redacted.Redacted<string>>> | undefined
  /** Absent: the request needs none. */
  readonly token?: Redacted.Redacted<string> | undefined
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
  readonly retryAfter: Outcome.RetryAfter
}

/** Sends in one attempt. */
export type Send = (exchange: Exchange) => Effect.Effect<Answer, Problem>

// ---------------------------------------------------------------------------
// failures
// ---------------------------------------------------------------------------

/** The code of the runtime somewhere below an error: `fetch` puts it two levels down. */
export const codeOf = (error: unknown): string | undefined => {
  let below = error
  for (let depth = 0; depth < 5 && typeof below === "object" && below !== null; depth++) {
    const code = identifier((below as { readonly code?: unknown }).code)
    if (code !== undefined) {
      // `node:https` puts what OpenSSL says into the text alone
      const said = code === "EPROTO" ? String((below as { readonly message?: unknown }).message) : ""
      return said.includes("wrong version number") ? "ERR_SSL_WRONG_VERSION_NUMBER" : code
    }
    below = (below as { readonly cause?: unknown }).cause
  }
}

/**
 * Of OpenSSL, where what answers is no TLS record, or none of a version in use:
 * https://github.com/openssl/openssl/blob/master/include/openssl/sslerr.h
 */
const otherwise = /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_)/

/** Of OpenSSL, in which Node and Bun report that they do not trust a server. */
const untrusted = /CERT|^UNABLE_TO_|^ERR_TLS_|^ERR_SSL_/

/** What a failure of the connection means, by the code of the runtime. `from` is a host and port. */
const ofConnection = (code: string | undefined, address: string, from: string | undefined): Outcome.Outcome =>
  code !== undefined && otherwise.test(code)
    ? Outcome.notTls({ address })
    : code !== undefined && untrusted.test(code)
      ? Outcome.untrusted({ address })
      : Outcome.noAnswer(from, code)

/** No answer at all: what a client of a server at this address threw. `from` is the host and port that it asked. */
export const unreachable =
  (error: unknown, address: string, from?: string): Problem =>
  (context) => {
    const code = codeOf(error)
    return ofConnection(
      code,
      address,
      from
    )({ ...context, cause: new VendorError(code === undefined ? {} : { code }) }, undefined)
  }

/** The client has followed a redirect by itself, with the token. */
const strayed =
  (client: string): Problem =>
  (context) =>
    new InvalidConfiguration({
      ...context,
      field: client,
      problem:
        "it has followed a redirect to another host, with the token: give one without followRedirects, and revoke the " +
        "token where that can be done"
    })

const isProblem = (error: HttpClientError | Problem): error is Problem => typeof error === "function"

// ---------------------------------------------------------------------------
// bodies
// ---------------------------------------------------------------------------

const decoder = new TextDecoder()

const parse = (text: string): unknown => {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === "object" && json !== null ? json : undefined
  } catch {
    return undefined
  }
}

/** The body, whose length the transport holds to where it is stated. */
const bodyOf = (limit: number) => {
  const tooLong = Outcome.invalidResponse(`an answer of more than ${limit} bytes`)
  return (response: HttpClientResponse): Effect.Effect<string, HttpClientError | Problem> => {
    const { "content-encoding": encoding, "content-length": length } = response.headers
    if (length !== undefined && encoding === undefined && /^\d{1,9}$/.test(length) && Number(length) <= limit) {
      return Effect.map(response.arrayBuffer, (bytes) => decoder.decode(bytes))
    }
    return Effect.map(
      Stream.runFoldEffect(
        response.stream,
        () => ({ text: "", length: 0, decoder: new TextDecoder() }),
        (state, chunk) => {
          state.length += chunk.length
          if (state.length > limit) return Effect.fail(tooLong)
          state.text += state.decoder.decode(chunk, { stream: true })
          return Effect.succeed(state)
        }
      ),
      (state) => state.text + state.decoder.decode()
    )
  }
}

// ---------------------------------------------------------------------------
// redirects
// ---------------------------------------------------------------------------

/** Where a redirect leads, if to the same path of an origin that may have the token. */
const allowedOrigin = (
  location: string | undefined,
  from: string,
  query: Exchange["query"] = {},
  origins: ReadonlyArray<string>
): string | undefined => {
  const asked = new URL(from)
  for (const [name, value] of Object.entries(query)) {
    asked.searchParams.set(name, typeof value === "string" ? value : Redacted.value(value))
  }
  if (location === undefined || !URL.canParse(location, asked)) return undefined
  const to = new URL(location, asked)
  return to.pathname === asked.pathname && to.search === asked.search && origins.includes(to.origin)
    ? to.origin
    : undefined
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Sends with an `HttpClient`: no redirect is followed by it, and its spans are
 * off, because they keep requests, and so tokens.
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Send, never, HttpClient.HttpClient> {
  const { maxBodyLength = 1024 * 1024, redirectOrigins = [], tokenHeader = "authorization" } = options
  const client = yield* HttpClient.HttpClient
  const context = yield* Effect.context<never>()
  const quiet = Context.empty().pipe(
    Context.add(FetchHttpClient.RequestInit, {
      ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
      redirect: "manual"
    }),
    Context.add(HttpClient.TracerDisabledWhen, () => true),
    Context.add(Headers.CurrentRedactedNames, [...Context.get(context, Headers.CurrentRedactedNames), tokenHeader])
  )
  const common = Headers.fromInput({ ...options.headers, accept: "application/json" })
  const scheme = options.tokenHeader === undefined ? "Bearer " : ""
  const read = bodyOf(maxBodyLength)
  const astray = strayed(options.client)
  const from = Outcome.hostOf(options.url)

  const execute = (
    exchange: Exchange,
    origin: string,
    isRedirected: boolean
  ): Effect.Effect<Answer, HttpClientError | Problem> => {
    const { body, headers: more, method, path, query, token } = exchange
    const sent = more === undefined ? common : Headers.setAll(common, more)
    const url = `${origin}${path}`
    return Effect.flatMap(
      client.execute(
        HttpClientRequest.make(method)(url, {
          headers: token === undefined ? sent : Headers.set(sent, tokenHeader, `${scheme}${Redacted.value(token)}`),
          ...(query === undefined ? {} : { urlParams: query }),
          ...(body === undefined ? {} : { body: HttpBody.text(body, "application/json") })
        })
      ),
      (response): Effect.Effect<Answer, HttpClientError | Problem> => {
        const { headers, status } = response
        // A client that shows where its answer is from.
        if (response.url !== "" && !response.url.startsWith(`${origin}/`)) return Effect.fail(astray)
        if (status < 200 || (status >= 300 && status < 400)) {
          const to =
            isRedirected || (status !== 307 && status !== 308)
              ? undefined
              : allowedOrigin(headers["location"], url, query, redirectOrigins)
          return to === undefined
            ? Effect.succeed({ status, json: undefined, headers, retryAfter: undefined })
            : execute(exchange, to, true)
        }
        const retryAfter = headers["retry-after"]
        return Effect.flatMap(read(response), (text) =>
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
  }

  return (exchange) =>
    Effect.mapError(
      Effect.provideContext(
        Effect.suspend(() => execute(exchange, options.url.origin, false)),
        quiet
      ),
      (error) => (isProblem(error) ? error : unreachable(error, options.address, from))
    )
})
