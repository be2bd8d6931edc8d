import { Effect } from "effect"
import { KeyId, PublicKey, Signer, SignerError } from "effect-signer"

/** A key holder of your own: two calls, and errors with a status. */
interface Vendor {
  readonly sign: (key: string, message: Uint8Array) => Promise<Uint8Array>
  readonly publicKey: (key: string) => Promise<{ readonly spki: Uint8Array }>
}

/** The vendor's errors in the toolkit's words. Only `Retryable` is tried again. */
const classify = (context: SignerError.ErrorContext) => (error: unknown) => {
  const { status } = error as { readonly status?: number }
  const cause = new SignerError.VendorError(status === undefined ? {} : { status }) // never the raw error
  if (status === 401) return new SignerError.AuthenticationFailed({ ...context, cause })
  if (status === 404) return new SignerError.KeyNotFound({ ...context, cause })
  if (status === 429) return new SignerError.Retryable({ ...context, reason: new SignerError.RateLimited({}), cause })
  if (status === 503) {
    return new SignerError.Retryable({ ...context, reason: new SignerError.BackendUnavailable({}), cause })
  }
  return new SignerError.UnknownBackendError({ ...context, cause })
}

const make = (vendor: Vendor, key: string) => {
  const context = { backend: "acme", keyId: KeyId.make(key) }
  const backend: Signer.Backend = {
    name: context.backend,
    keyId: context.keyId,
    algorithm: "Ed25519",
    input: "message",
    publicKey: (version) =>
      version !== undefined // this vendor has no versions
        ? Effect.fail(new SignerError.KeyNotFound({ ...context, operation: "publicKey" }))
        : Effect.tryPromise({
            try: () => vendor.publicKey(key),
            catch: classify({ ...context, operation: "publicKey" })
          }).pipe(Effect.flatMap(({ spki }) => PublicKey.fromSpki(spki))),
    sign: (message) =>
      Effect.tryPromise({
        try: () => vendor.sign(key, message), // one request, no retry of its own
        catch: classify({ ...context, operation: "sign" })
      }).pipe(Effect.map((bytes) => ({ bytes })))
  }
  // lazy: layerRemote reads the public key itself, with the timeout and the retries of `sign`
  return Signer.make(backend, { lazy: true })
}

export const layer = (vendor: Vendor, key: string) =>
  Signer.layerRemote({ backend: "acme", keyId: key }, make(vendor, key))

// a vendor that answers, to show it running
const { privateKey, publicKey } = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, [
  "sign",
  "verify"
])) as CryptoKeyPair
export const vendor: Vendor = {
  sign: async (_, message) => new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, new Uint8Array(message))),
  publicKey: async () => ({ spki: new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)) })
}

const signature = await Effect.runPromise(
  Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(layer(vendor, "release")))
)
console.log(signature.keyId, signature.algorithm, `${signature.bytes.length} bytes`) // verified before it got here
