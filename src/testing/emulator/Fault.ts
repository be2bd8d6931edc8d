/**
 * What goes wrong with one request to an emulator, as data.
 *
 * **Details**
 *
 * Faults of the connection and of the protocol are the same for every vendor.
 * What a throttled request, a wrong name or a wrong checksum looks like, each
 * emulator knows: as the vendor documents it.
 *
 * @category internal
 */
import * as Duration from "effect/Duration"

/**
 * A fault.
 *
 * | fault | what the caller sees |
 * | --- | --- |
 * | `None` | a right answer: a place in the script |
 * | `Throttle` | the vendor's error for too many requests |
 * | `VendorError` | the vendor's error with this code and status |
 * | `HtmlPage` | this status with the page of a proxy as body |
 * | `Garbled` | a right answer, cut off in the middle, as if it were whole |
 * | `Reset` | the connection is reset before the answer |
 * | `Hang` | no answer |
 * | `Slow` | an answer after `duration` of Effect's clock |
 * | `WrongChecksum` | a checksum that is not the answer's, where the vendor sends one |
 * | `Unverified` | an answer that does not say that the checksum of the request was checked, where the vendor says so |
 * | `WrongName` | an answer that names another key or version |
 * | `CorruptedSignature` | a signature with one bit flipped |
 * | `AnotherKey` | a signature by another key of the same kind |
 * | `HighS` | an `ES256K` signature with S above half the order; of other keys, any signature |
 * | `Rotate` | a right answer, just after the name began to mean another key or version |
 *
 * @category models
 * @since 0.1.0
 */
export type Fault =
  | { readonly _tag: "None" }
  | { readonly _tag: "Throttle"; readonly retryAfterSeconds?: number | undefined }
  | {
      readonly _tag: "VendorError"
      readonly code: string
      readonly status: number
      readonly message?: string | undefined
    }
  | { readonly _tag: "HtmlPage"; readonly status: number; readonly retryAfterSeconds?: number | undefined }
  | { readonly _tag: "Garbled" }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Slow"; readonly duration: Duration.Duration; readonly then: Fault }
  | { readonly _tag: "WrongChecksum" }
  | { readonly _tag: "Unverified" }
  | { readonly _tag: "WrongName" }
  | { readonly _tag: "CorruptedSignature" }
  | { readonly _tag: "AnotherKey" }
  | { readonly _tag: "HighS" }
  | { readonly _tag: "Rotate" }

/**
 * A right answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const none: Fault = { _tag: "None" }

/**
 * Too many requests, in the vendor's shape, with a `Retry-After` header where one
 * is given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const throttle = (options?: { readonly retryAfterSeconds?: number | undefined }): Fault => ({
  _tag: "Throttle",
  retryAfterSeconds: options?.retryAfterSeconds
})

/**
 * The vendor's error with this code and status.
 *
 * @category constructors
 * @since 0.1.0
 */
export const vendorError = (code: string, status: number, message?: string): Fault => ({
  _tag: "VendorError",
  code,
  status,
  message
})

/**
 * The page of a proxy in front of the vendor.
 *
 * @category constructors
 * @since 0.1.0
 */
export const htmlPage = (status: number, options?: { readonly retryAfterSeconds?: number | undefined }): Fault => ({
  _tag: "HtmlPage",
  status,
  retryAfterSeconds: options?.retryAfterSeconds
})

/**
 * A right answer without its second half.
 *
 * @category constructors
 * @since 0.1.0
 */
export const garbled: Fault = { _tag: "Garbled" }

/**
 * The connection is reset.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reset: Fault = { _tag: "Reset" }

/**
 * No answer, until the caller gives up.
 *
 * @category constructors
 * @since 0.1.0
 */
export const hang: Fault = { _tag: "Hang" }

/**
 * Waits, then does the next thing: by default, answers as it should.
 *
 * @category constructors
 * @since 0.1.0
 */
export const slow = (duration: Duration.Input, then: Fault = none): Fault => ({
  _tag: "Slow",
  duration: Duration.fromInputUnsafe(duration),
  then
})

/**
 * A checksum that does not belong to the answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const wrongChecksum: Fault = { _tag: "WrongChecksum" }

/**
 * The checksum of the request did not arrive, and so was not checked.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unverified: Fault = { _tag: "Unverified" }

/**
 * The name of another key or version in the answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const wrongName: Fault = { _tag: "WrongName" }

/**
 * A signature with one bit flipped.
 *
 * @category constructors
 * @since 0.1.0
 */
export const corruptedSignature: Fault = { _tag: "CorruptedSignature" }

/**
 * A signature by another key, under the name of the right one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const anotherKey: Fault = { _tag: "AnotherKey" }

/**
 * A signature with a high S.
 *
 * @category constructors
 * @since 0.1.0
 */
export const highS: Fault = { _tag: "HighS" }

/**
 * The name means another key, or the key has another version, from this request
 * on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rotate: Fault = { _tag: "Rotate" }
