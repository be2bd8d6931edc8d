/**
 * The errors of managed keys in the words of a Signer, for whoever wants a Signer and
 * knows nothing of stores: a rotation, a configuration, a layer.
 *
 * @category internal
 */
import type { ActiveKeyNotSet } from "../schemas/KeyManagerError.ts"
import type { KeyStoreError } from "../schemas/KeyStoreError.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { BackendUnavailable, InvalidConfiguration, KeyNotFound, Retryable } from "../schemas/SignerError.ts"

/** The field that an error of the store is about. */
const fieldOf = ({ reason }: KeyStoreError): string =>
  reason === "WrongPassphrase" ? "passphrase" : reason === "Invalid" ? "store" : "path"

export const toSignerError =
  (backend: string, id: string | undefined) =>
  (error: SignerError | ActiveKeyNotSet | KeyStoreError): SignerError => {
    const context = { backend, keyId: id ?? "active", operation: "make" } as const
    switch (error._tag) {
      case "ActiveKeyNotSet":
        return new KeyNotFound({ ...context, problem: "no key is active: state its id" })
      case "KeyStoreError":
        return error.isRetryable
          ? new Retryable({ ...context, reason: new BackendUnavailable({ problem: error.problem }) })
          : new InvalidConfiguration({ ...context, field: fieldOf(error), problem: error.problem })
      default:
        return error
    }
  }
