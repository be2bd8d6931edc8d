/**
 * `effect-signer check`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import { primitives } from "#primitives"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as Verifier from "../../services/Verifier.ts"
import type { Failure } from "../Failure.ts"
import { Concluded, exitCodes, ofSigner, plain } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as Output from "../Output.ts"
import * as SignerSource from "../SignerSource.ts"

/** One step, as it is reported. */
interface Step {
  readonly step: string
  readonly ok: boolean
  readonly detail: string
  readonly error?: string
}

/** A message that means nothing to anybody else, and is another one each time. */
const probe = () =>
  new TextEncoder().encode(`effect-signer check, no statement of anybody: ${Hex.encode(primitives.randomBytes(16))}\n`)

/** Finds out whether a signer works: configuration, public key, a signature, its verification. */
export const check = Command.make(
  "check",
  SignerSource.flags,
  Effect.fnUntraced(function* (source) {
    const json = yield* Output.Json
    yield* SignerSource.checkOne(source, Option.none())
    yield* Files.checkInputs(SignerSource.inputs(source), { asksPassphrase: false })
    const steps: Array<Step> = []
    const report = (step: Step) => {
      steps.push(step)
      return json
        ? Effect.void
        : Output.write(`${step.ok ? "ok    " : "failed"}  ${`${step.step}:`.padEnd(15)}${plain(step.detail)}\n`)
    }
    /** Runs a step and reports it; the first that fails is the last. */
    const run = <A, R>(step: string, effect: Effect.Effect<A, Failure, R>, detail: (value: A) => string) =>
      effect.pipe(
        Effect.tapError(({ message, tag }) => report({ step, ok: false, detail: message, error: tag })),
        Effect.tap((value) => report({ step, ok: true, detail: detail(value) }))
      )

    const outcome = yield* Effect.gen(function* () {
      const chosen = yield* run("configuration", SignerSource.choose(source), ({ backend }) => backend)
      const signer = yield* run("signer", SignerSource.build(chosen), ({ algorithm, keyId }) => `${algorithm} ${keyId}`)
      yield* run(
        "public key",
        Effect.mapError(signer.publicKey(), ofSigner),
        (key) => `${key.type} ${PublicKey.fingerprint(key)}`
      )
      const message = probe()
      const signature = yield* run(
        "signature",
        Effect.mapError(signer.sign(message), ofSigner),
        ({ bytes, keyVersion }) => `${bytes.length} bytes${keyVersion === undefined ? "" : `, version ${keyVersion}`}`
      )
      // Again, and here: also a layer that verifies by itself is not taken at its word
      const isValid = yield* Effect.mapError(
        Effect.flatMap(
          Effect.flatMap(signer.publicKey(signature.keyVersion), (key) =>
            Verifier.make(key, { algorithm: signer.algorithm })
          ),
          (verifier) => verifier.verify(message, signature)
        ),
        ofSigner
      ).pipe(
        Effect.tapError(({ message, tag }) => report({ step: "verification", ok: false, detail: message, error: tag }))
      )
      yield* report({
        step: "verification",
        ok: isValid,
        detail: isValid ? "valid" : "the signature is not by this key over this message"
      })
      return isValid ? exitCodes.success : exitCodes.invalidSignature
    }).pipe(Effect.catchTag("Failure", () => Effect.succeed(exitCodes.error)))

    if (json) yield* Output.print({ ok: outcome === exitCodes.success, steps })
    if (outcome !== exitCodes.success) return yield* new Concluded({ exitCode: outcome })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Find out whether a signer works, step by step: read its configuration, reach the backend, read the public key, sign a " +
      "probe and verify it. Exits with 0 where all of it works, 1 where the signature is invalid, and 2 where a step fails. " +
      "The probe is a line of text with random digits, and is one signature more in the log of the backend."
  ),
  Command.withShortDescription("Find out whether a signer works"),
  Command.withExamples([
    { command: "effect-signer check --config release.json", description: "Whatever backend the file names" },
    {
      command:
        "RELEASE_SIGNER_BACKEND=aws-kms RELEASE_A1_KMS_KEY_ID=alias/release effect-signer check --signer-env RELEASE",
      description: "A signer in the environment"
    }
  ])
)
