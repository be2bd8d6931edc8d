/**
 * What goes wrong with an answer over HTTP: the faults that look the same whoever the
 * vendor is, and those for which a vendor has words of its own.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type { Fault } from "./Fault.ts"
import * as LoopbackServer from "./LoopbackServer.ts"

/** How a vendor answers one request. */
export interface Answers {
  /** Rightly, or wrong in what it says, as the rest of the faults are. */
  readonly perform: (fault: Fault) => Effect.Effect<LoopbackServer.Response>
  /** That there were too many requests. */
  readonly throttled: () => LoopbackServer.Response
  /** With an error that was asked for. */
  readonly failed: (fault: Extract<Fault, { readonly _tag: "VendorError" }>) => LoopbackServer.Response
}

const withRetryAfter = (response: LoopbackServer.Response, seconds: number | undefined): LoopbackServer.Response =>
  seconds === undefined ? response : { ...response, headers: { ...response.headers, "retry-after": String(seconds) } }

/** Half of an answer, as if it were whole. */
const garble = (response: LoopbackServer.Response): LoopbackServer.Response => {
  const body = response.body.slice(0, response.body.length / 2)
  return { ...response, headers: { ...response.headers, "content-length": String(body.length) }, body }
}

/** Answers one request with one fault. */
export const make = (answers: Answers, fault: Fault): Effect.Effect<LoopbackServer.Response | LoopbackServer.Reset> => {
  switch (fault._tag) {
    case "Throttle":
      return Effect.succeed(withRetryAfter(answers.throttled(), fault.retryAfterSeconds))
    case "VendorError":
      return Effect.succeed(answers.failed(fault))
    case "HtmlPage": {
      const { retryAfterSeconds, status } = fault
      const body = `<html><head><title>${status}</title></head><body><h1>${status}</h1></body></html>`
      return Effect.succeed(
        withRetryAfter({ _tag: "Answered", status, headers: { "content-type": "text/html" }, body }, retryAfterSeconds)
      )
    }
    case "Reset":
      return Effect.succeed(LoopbackServer.reset)
    case "Hang":
      return Effect.never
    case "Slow":
      return Effect.delay(
        Effect.suspend(() => make(answers, fault.then)),
        fault.duration
      )
    case "Garbled":
      return Effect.map(answers.perform(fault), garble)
    default:
      return answers.perform(fault)
  }
}
