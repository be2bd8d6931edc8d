/**
 * Keys of the command `webhook`: shared secrets, one to a file, and public keys.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { InvalidConfiguration } from "../schemas/SignerError.ts"
import type * as Mac from "../services/Mac.ts"
import { failure, plain, shownPath } from "./Failure.ts"
import * as JoseKeys from "./JoseKeys.ts"
import * as KeyFile from "./KeyFile.ts"
import * as SecretLine from "./SecretLine.ts"
import * as SignerSource from "./SignerSource.ts"

/** The flag `--secret-file`, with what it is for. */
export const secretFile = (description: string) =>
  Flag.String("secret-file").pipe(Flag.withMetavar("FILE"), Flag.withDescription(description), Flag.atLeast(0))

/** How a scheme reads a secret. */
type Decode = (
  text: Redacted.Redacted<string>,
  options: { readonly keyId: string }
) => Effect.Effect<Mac.Service, InvalidConfiguration>

/** The secrets in files, each named by its place. */
export const readSecrets = (paths: ReadonlyArray<string>, decode: Decode) =>
  Effect.forEach(paths, (path, index) =>
    Effect.flatMap(SecretLine.read(path, "a secret"), (text) =>
      Effect.mapError(decode(text, { keyId: String(index) }), (error) =>
        failure(plain(`${shownPath(path)}: ${error.problem}`), error._tag)
      )
    )
  )

/** The public keys in files, and that of the signer that is stated. */
export const readPublicKeys = Effect.fnUntraced(function* (paths: ReadonlyArray<string>, source: SignerSource.Source) {
  const inFiles = yield* Effect.forEach(paths, (path) => Effect.flatMap(KeyFile.open(path), KeyFile.publicKey))
  return SignerSource.isStated(source) ? [...inFiles, (yield* JoseKeys.ofStatedSigner(source)).publicKey] : inFiles
})

/** All files of keys that are read. */
export const inputs = (source: {
  readonly secretFile: ReadonlyArray<string>
  readonly key: ReadonlyArray<string>
  readonly config: Option.Option<string>
}): ReadonlyArray<string> => [...source.secretFile, ...source.key, ...Option.toArray(source.config)]
