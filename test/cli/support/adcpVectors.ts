/** Published vectors of AdCP as files that commands read. */

export interface AdcpVector {
  readonly reference_now: number
  readonly request: {
    readonly method: string
    readonly url: string
    readonly headers: { readonly [name: string]: string | ReadonlyArray<string> }
    readonly body?: string
  }
  readonly verifier_capability?: object
  readonly test_harness_state?: object
  readonly expected_outcome: {
    readonly success: boolean
    readonly error_code?: string
    readonly failed_step?: number | string
  }
}

/** The request as it is on the wire, with the whole URL in its first line. */
export const requestOf = ({ request: { body = "", headers, method, url } }: AdcpVector): string => {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === "string" ? [value] : value).map((line) => `${name}: ${line}\r\n`)
  )
  return `${method} ${url} HTTP/1.1\r\n${lines.join("")}\r\n${body}`
}
