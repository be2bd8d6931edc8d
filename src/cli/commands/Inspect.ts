/**
 * `effect-signer inspect`
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { Signature } from "../../schemas/Signature.ts"
import * as SignatureAlgorithm from "../../schemas/SignatureAlgorithm.ts"
import { Concluded, exitCodes, ofSigner } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"

const describeSignature = ({ algorithm, bytes, keyId, keyVersion }: Signature): Output.Report => ({
  algorithms: [algorithm],
  keyId,
  keyVersion,
  length: bytes.length
})

const describeKey = (key: PublicKey.PublicKey): Output.Report => ({
  keyType: key.type,
  algorithms: key.algorithm === undefined ? SignatureAlgorithm.forKeyType(key.type) : [key.algorithm],
  keyId: PublicKey.keyId(key),
  thumbprint: PublicKey.thumbprint(key),
  sshFingerprint: PublicKey.sshFingerprint(key)
})

/** What the file holds: the description, or the problem with it. */
const describe = Effect.fnUntraced(function* (file: KeyFile.KeyFile, source: Passphrase.Source) {
  if (file.signature !== undefined) return describeSignature(file.signature)
  if (file.kind === "key store") return { advice: "effect-signer keys list --store FILE shows its keys" }
  if (file.kind === "perhaps a signature") return { algorithms: file.algorithms, length: file.length }
  const isLocked =
    file.kind === "encrypted private key" &&
    !source.passphrase &&
    Option.isNone(source.passphraseFile) &&
    Option.isNone(yield* Passphrase.read(source, { twice: false }))
  return isLocked
    ? file.publicKey !== undefined
      ? describeKey(yield* Effect.mapError(file.publicKey, ofSigner))
      : { advice: `to see which key it is, ${Passphrase.advice}` }
    : describeKey((yield* KeyFile.anyKey(file, source)).publicKey)
})

/** Says what a file is. */
export const inspect = Command.make(
  "inspect",
  {
    file: Argument.String("file").pipe(
      Argument.withMetavar("FILE"),
      Argument.withDescription("Any file of a key or a signature, or - for standard input")
    ),
    ...Passphrase.flags
  },
  Effect.fnUntraced(function* ({ file: path, ...source }) {
    yield* Files.checkInputs([path, ...Passphrase.inputs(source)], { asksPassphrase: source.passphrase })
    const file = yield* KeyFile.open(path)
    const description = yield* Effect.catchTag(
      describe(file, source),
      "Failure",
      (error): Effect.Effect<Output.Report> => Effect.succeed({ problem: error.message })
    )
    yield* Output.print({ kind: file.kind, format: file.format, ...description })
    if ("problem" in description) return yield* new Concluded({ exitCode: exitCodes.error })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Say what a file is: a private, encrypted or public key, or a signature; which key it is, and what it can be used " +
      "for. A signature says whose it is in its JSON form only: in any other, its length says by which algorithms it may " +
      "be. A private key is described, never printed."
  ),
  Command.withShortDescription("Say what a file is"),
  Command.withExamples([
    { command: "effect-signer inspect release.pem", description: "Which key is this?" },
    {
      command: "effect-signer inspect release.pem --passphrase --json",
      description: "An encrypted key, for another program"
    }
  ])
)
