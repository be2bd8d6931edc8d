/**
 * What must not run in production by accident: keys that die with the process,
 * and everything in `effect-signer/testing`.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { InvalidConfiguration } from "../schemas/SignerError.ts"

declare const process: { readonly env?: { readonly NODE_ENV?: string } } | undefined

/** Read from the process, not from `Config`: a replaced ConfigProvider must not switch it off. */
const isProduction = () => typeof process !== "undefined" && process.env?.NODE_ENV === "production"

/** @internal */
export const refuseInProduction = (
  backend: string,
  what: string,
  allowInProduction: boolean | undefined
): Effect.Effect<void, InvalidConfiguration> =>
  Effect.suspend(() =>
    isProduction() && allowInProduction !== true
      ? Effect.fail(
          new InvalidConfiguration({
            backend,
            keyId: "-",
            operation: "make",
            field: "allowInProduction",
            problem: `NODE_ENV is "production" and this is ${what}; use a real backend, or say allowInProduction: true`
          })
        )
      : Effect.void
  )
