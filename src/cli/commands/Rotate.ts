/**
 * `effect-signer rotate`: the rotation of a key of the store, bound to its
 * publication.
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as RotationState from "../../schemas/RotationState.ts"
import type { RefusalReason } from "../../schemas/RotationState.ts"
import type { Moved, Status } from "../../services/Rotation.ts"
import * as DurationFlag from "../DurationFlag.ts"
import type { Failure } from "../Failure.ts"
import { fail, plain, shownPath } from "../Failure.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"
import * as RotationFile from "../RotationFile.ts"
import * as StoredKeys from "../StoredKeys.ts"

const idArgument = Argument.String("id").pipe(
  Argument.withMetavar("ID"),
  Argument.withDescription("The id of a key in the store, as effect-signer keys list shows it")
)

const flags = { rotation: RotationFile.flag, ...StoredKeys.flags }

// ---------------------------------------------------------------------------
// what is shown
// ---------------------------------------------------------------------------

const isoOf = (millis: number) => new Date(millis).toISOString()

const keyOf = ({ algorithm, id, kid, since, state }: RotationState.RotationKey) => ({
  id,
  kid,
  algorithm,
  state,
  since: isoOf(since[state]!)
})

const pendingOf =
  (now: number) =>
  ({ dueAt, key, step }: RotationState.Pending) => ({ step, id: key.id, dueAt: isoOf(dueAt), isDue: dueAt <= now })

const moveOf = ({ at, from, id, to }: Moved) => ({ id, from, to, at: isoOf(at) })

/** When the next step is due, for a person. */
const nextOf = ([next]: ReadonlyArray<RotationState.Pending>, now: number): string =>
  next === undefined
    ? "nothing is due; the next key begins with effect-signer rotate start"
    : next.dueAt <= now
      ? `${next.step} of ${plain(next.key.id)} is due: effect-signer rotate advance`
      : `${next.step} of ${plain(next.key.id)} is due at ${isoOf(next.dueAt)}, in ${Duration.format(
          Duration.millis(Math.ceil((next.dueAt - now) / 1000) * 1000)
        )}`

/** What was done, and what is next. */
const printMoves = Effect.fnUntraced(function* (moves: ReadonlyArray<Moved>, { pending, revision }: Status) {
  const now = yield* Clock.currentTimeMillis
  if (yield* Output.Json) {
    return yield* Output.write(
      `${JSON.stringify({ moved: moves.map(moveOf), revision, pending: pending.map(pendingOf(now)) })}\n`
    )
  }
  const lines = moves.map(({ from, id, to }) => `${plain(id)}: ${from === undefined ? to : `${from} -> ${to}`}`)
  yield* Output.write([...lines, nextOf(pending, now)].map((line) => `${line}\n`).join(""))
})

// ---------------------------------------------------------------------------
// steps
// ---------------------------------------------------------------------------

/** The rotation, with the keys that it has sign. */
const openWithKeys = Effect.fnUntraced(function* (
  { rotation: stated, ...source }: { readonly rotation: Option.Option<string> } & StoredKeys.Source,
  policy?: RotationState.PolicyOptions
) {
  const path = yield* RotationFile.pathOf(stated)
  // What is wrong with the file is said before a passphrase is asked for
  if (policy === undefined) yield* RotationFile.open(path)
  const { keys } = yield* StoredKeys.open(source)
  return yield* RotationFile.open(path, { keys, policy })
})

const durationFlag = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar("TIME"), Flag.withDescription(description), Flag.optional)

const policyFlags = {
  propagation: durationFlag(
    "propagation",
    'How long a verifier may use a key set after it was sent, caches in between included: "15 minutes". Needed once'
  ),
  tokenLifetime: durationFlag(
    "token-lifetime",
    'From a signature to the last moment at which anybody accepts it: "1 hour". Needed once'
  )
}

/** The numbers of a rotation that begins, or those that are raised. */
const policyOf = Effect.fnUntraced(function* (
  path: string,
  stated: { readonly propagation: Option.Option<string>; readonly tokenLifetime: Option.Option<string> }
) {
  const propagation = yield* DurationFlag.readOptional("propagation", stated.propagation)
  const tokenLifetime = yield* DurationFlag.readOptional("token-lifetime", stated.tokenLifetime)
  const { state } = yield* RotationFile.read(path)
  const kept: Partial<RotationState.Policy> = state?.policy ?? {}
  const policy = {
    ...kept,
    propagation: propagation ?? kept.propagation,
    tokenLifetime: tokenLifetime ?? kept.tokenLifetime
  }
  return policy.propagation === undefined || policy.tokenLifetime === undefined
    ? yield* fail(`${shownPath(path)}: a rotation begins here; state --propagation TIME and --token-lifetime TIME`)
    : (policy as RotationState.PolicyOptions)
})

const beginning = (
  name: "start" | "adopt",
  texts: { readonly description: string; readonly short: string; readonly example: string }
) =>
  Command.make(
    name,
    {
      id: idArgument,
      kid: Flag.String("kid").pipe(
        Flag.withMetavar("KID"),
        Flag.withDescription("How messages name the key. Default: its RFC 7638 thumbprint"),
        Flag.optional
      ),
      ...(name === "start"
        ? {
            allowAlgorithmChange: Flag.Boolean("allow-algorithm-change").pipe(
              Flag.withDescription("Take a key of another algorithm than the one before it: every verifier takes both"),
              Flag.withDefault(false),
              Flag.withoutNegation
            )
          }
        : {}),
      ...policyFlags,
      ...flags
    },
    Effect.fnUntraced(function* ({ id, kid, propagation, tokenLifetime, ...source }) {
      const policy = yield* policyOf(yield* RotationFile.pathOf(source.rotation), { propagation, tokenLifetime })
      const { ask, rotation } = yield* openWithKeys(source, policy)
      const allowAlgorithmChange = (source as { readonly allowAlgorithmChange?: boolean }).allowAlgorithmChange === true
      const options = { kid: Option.getOrUndefined(kid), allowAlgorithmChange }
      const moves = yield* ask(rotation[name](id, options))
      yield* printMoves(moves, yield* ask(rotation.status))
    }, Effect.scoped)
  ).pipe(
    Command.withDescription(texts.description),
    Command.withShortDescription(texts.short),
    Command.withExamples([{ command: texts.example, description: texts.short }])
  )

const start = beginning("start", {
  description:
    "Take a key of the store into the rotation: it proves that it signs. From then on effect-signer rotate advance takes it " +
    "through publication to activity, and the key before it out.",
  short: "Take the next key into the rotation",
  example: 'effect-signer rotate start 2026-11 --propagation "15 minutes" --token-lifetime "1 hour"'
})

const adopt = beginning("adopt", {
  description:
    "Take the first key in as active, at once: a key that every verifier has already, or that of a system without verifiers.",
  short: "Begin with a key that is in use already",
  example: 'effect-signer rotate adopt 2026-08 --propagation "15 minutes" --token-lifetime "1 hour"'
})

/** Refusals that time, or a new key, ends: nothing is wrong. */
const waiting: ReadonlyArray<RefusalReason> = ["PropagationNotOver", "CanaryNotOver", "TokensAlive", "NothingToDo"]

/** Steps of one call, at most. */
const maxSteps = 256

const advance = Command.make(
  "advance",
  flags,
  Effect.fnUntraced(function* (source) {
    const { ask, rotation } = yield* openWithKeys(source)
    const moves: Array<Moved> = []
    let failed: Failure | undefined
    for (let steps = 0; steps < maxSteps; steps++) {
      const step = yield* Effect.result(rotation.advance)
      if (Result.isFailure(step)) {
        const { failure } = step
        if (failure._tag === "RotationRefused" && waiting.includes(failure.reason)) break
        failed = yield* Effect.flip(ask(Effect.fail(failure)))
        break
      }
      moves.push(...step.success)
    }
    if (failed === undefined || moves.length > 0) yield* printMoves(moves, yield* ask(rotation.status))
    if (failed !== undefined) return yield* failed
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Take the steps that are due, and say when the next one is. Run it from time to time: it does nothing where nothing is " +
      "due, and ends with 0 then, too. It fails where a key does not sign as it must."
  ),
  Command.withShortDescription("Take the steps that are due"),
  Command.withExamples([{ command: "effect-signer rotate advance --json", description: "Once a minute, from cron" }])
)

const rollback = Command.make(
  "rollback",
  flags,
  Effect.fnUntraced(function* (source) {
    const { ask, rotation } = yield* openWithKeys(source)
    const moves = yield* ask(rotation.rollback)
    yield* printMoves(moves, yield* ask(rotation.status))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Make the key before active again, at once, where it is still published and still signs. The key that was active stays " +
      "published until nothing that it signed is accepted any more."
  ),
  Command.withShortDescription("Make the key before active again"),
  Command.withExamples([{ command: "effect-signer rotate rollback", description: "The new key makes trouble" }])
)

const disable = Command.make(
  "disable",
  {
    id: idArgument,
    compromised: Flag.Boolean("compromised").pipe(
      Flag.withDescription("At once, whatever needs it: what it signed stops to verify"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDescription("Do not ask whether a key that is still to sign, or signs, is meant"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    rotation: RotationFile.flag
  },
  Effect.fnUntraced(function* ({ compromised, id, rotation: stated, yes }) {
    const { ask, rotation } = yield* RotationFile.open(yield* RotationFile.pathOf(stated))
    const key = (yield* ask(rotation.status)).state.keys.find((key) => key.id === id)
    if (!yes && key !== undefined && key.state !== "retiring" && key.state !== "retired") {
      yield* Passphrase.confirm(`Be done with ${plain(id)}, the ${key.state} key?`, "--yes")
    }
    const moves = yield* ask(rotation.disable(id, { compromised }))
    yield* printMoves(moves, yield* ask(rotation.status))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Be done with a key of the rotation that nothing needs; with --compromised at once. The store still has it: see " +
      "effect-signer keys disable."
  ),
  Command.withShortDescription("Be done with a key of the rotation"),
  Command.withExamples([
    { command: "effect-signer rotate disable 2026-08 --compromised --yes", description: "Somebody else has the key" }
  ])
)

// ---------------------------------------------------------------------------
// status
// ---------------------------------------------------------------------------

const status = Command.make(
  "status",
  { rotation: RotationFile.flag },
  Effect.fnUntraced(function* ({ rotation: stated }) {
    const { ask, rotation } = yield* RotationFile.open(yield* RotationFile.pathOf(stated))
    const { pending, revision, state } = yield* ask(rotation.status)
    const now = yield* Clock.currentTimeMillis
    const keys = state.keys.map(keyOf)
    if (yield* Output.Json) {
      const { canarySignatures, ...times } = state.policy
      const policy = Object.fromEntries(Object.entries(times).map(([name, millis]) => [name, millis / 1000]))
      return yield* Output.write(
        `${JSON.stringify({
          revision,
          active: RotationState.active(state)?.id,
          keys,
          pending: pending.map(pendingOf(now)),
          policySeconds: policy,
          canarySignatures
        })}\n`
      )
    }
    const lines = keys.map(({ algorithm, id, kid, since, state }) =>
      [plain(id), algorithm, state, `since ${since}`, ...(kid === id ? [] : [`kid ${plain(kid)}`])].join("  ")
    )
    yield* Output.write([...lines, nextOf(pending, now)].map((line) => `${line}\n`).join(""))
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Show the keys of a rotation, and when the next step is due. Needs no passphrase: nothing in the file is secret."
  ),
  Command.withShortDescription("Show the keys of a rotation, and what is next"),
  Command.withExamples([{ command: "effect-signer rotate status --json", description: "One line of JSON" }])
)

/** The rotation of a key. */
export const rotate = Command.make("rotate").pipe(
  Command.withDescription(
    "Replace a signing key by the next one so that everything verifies all the time: a key signs only when every verifier " +
      "has it, and stays published while something by it may be alive. The keys are in the store of effect-signer keys; " +
      "effect-signer jwks publish writes the set."
  ),
  Command.withShortDescription("Rotate keys, bound to their publication"),
  Command.withSubcommands([start, adopt, status, advance, rollback, disable])
)
