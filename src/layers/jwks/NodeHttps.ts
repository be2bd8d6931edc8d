/**
 * What is used of `node:https` and `node:dns`: one request at a time, with the
 * addresses of its host already looked up.
 *
 * @category internal
 */

/** An error of the runtime. */
export interface SystemError {
  readonly code?: unknown
}

/** An answer whose body is on its way. */
export interface Incoming {
  readonly statusCode?: number | undefined
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  on(event: "data", listener: (chunk: Uint8Array) => void): this
  on(event: "end", listener: () => void): this
  on(event: "error", listener: (error: SystemError) => void): this
}

/** A request on its way. */
export interface Outgoing {
  on(event: "response", listener: (incoming: Incoming) => void): this
  on(event: "error", listener: (error: SystemError) => void): this
  on(event: "close", listener: () => void): this
  end(): void
  destroy(): void
}

/** An address as the runtime wants it. */
export interface Resolved {
  readonly address: string
  readonly family: number
}

/** How the runtime asks for the addresses of a host: for all of them, or for one. */
export type Lookup = (
  hostname: string,
  options: { readonly all?: boolean | undefined },
  callback: (error: null, address: string | ReadonlyArray<Resolved>, family?: number) => void
) => void

/** Options of a request. */
export interface RequestOptions {
  readonly method: "GET"
  readonly host: string
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly agent: unknown
  readonly lookup: Lookup
  readonly ca: ReadonlyArray<string> | undefined
  readonly rejectUnauthorized: true
  readonly minVersion: "TLSv1.2"
  readonly insecureHTTPParser: false
  readonly maxHeaderSize: number
}

interface Https {
  readonly request: (options: RequestOptions) => Outgoing
  readonly Agent: new (options: { readonly keepAlive: boolean; readonly maxCachedSessions: number }) => unknown
}

interface Dns {
  readonly lookup: (hostname: string, options: { readonly all: true }) => Promise<ReadonlyArray<Resolved>>
}

interface Process {
  readonly getBuiltinModule?: (id: string) => unknown
}

const runtime = (globalThis as { readonly process?: Process }).process

/** `node:https`. */
export const https = (): Https | undefined => runtime?.getBuiltinModule?.("node:https") as Https | undefined

/** `node:dns/promises`. */
export const dns = (): Dns | undefined => runtime?.getBuiltinModule?.("node:dns/promises") as Dns | undefined
