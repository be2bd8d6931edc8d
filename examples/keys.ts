import { Effect, Redacted } from "effect"
import { LocalSigner, PrivateKey, PublicKey } from "effect-signer"

const program = Effect.gen(function* () {
  const privateKey = yield* PrivateKey.generate("Ed25519")
  console.log(privateKey) // shows no secret
  const pem = PrivateKey.toPem(privateKey) // Redacted<string>: PKCS#8

  const { publicKey } = privateKey
  console.log(PublicKey.toPem(publicKey)) // SPKI
  console.log(PublicKey.toJwk(publicKey))
  console.log(PublicKey.toOpenSsh(publicKey, "me@example.com"))
  console.log(PublicKey.toId52(publicKey))
  console.log(PublicKey.thumbprint(publicKey)) // RFC 7638
  console.log(PublicKey.keyId(publicKey)) // urn:kms:ed25519:...

  // strict reading: exactly one block, exact label, DER, the public half recomputed
  const again = yield* PrivateKey.fromPem(pem)
  console.log(PublicKey.sameKey(again.publicKey, publicKey)) // true
  const refused = yield* Effect.flip(PrivateKey.fromPem(`${Redacted.value(pem)}trailing`))
  console.log(refused.message) // says what is wrong, shows nothing of the key

  return yield* LocalSigner.make({ privateKey: again })
})

await Effect.runPromise(program)
