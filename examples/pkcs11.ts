import { Console, Effect } from "effect"
import { Signer } from "effect-signer"
import * as Pkcs11Signer from "effect-signer/Pkcs11Signer"

// PKCS11_MODULE=/usr/lib/softhsm/libsofthsm2.so
// PKCS11_URI="pkcs11:token=release;object=ed25519"
// PKCS11_PIN_FILE=/run/secrets/pin
const SignerLive = Pkcs11Signer.layerConfig()

const program = Effect.gen(function* () {
  const { algorithm, bytes, keyId } = yield* Signer.sign(new TextEncoder().encode("hello"))
  yield* Console.log(`${keyId} ${algorithm} ${bytes.length} bytes`)
}).pipe(
  Effect.provide(SignerLive),
  Effect.catchTags({
    // the token has seen one wrong PIN, and sees no other until someone looks
    AuthenticationFailed: (error) => Console.error(error.message),
    ConfigError: () => Console.log("set PKCS11_MODULE, PKCS11_URI and PKCS11_PIN_FILE")
  })
)

await Effect.runPromise(program)
