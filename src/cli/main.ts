/**
 * Starts the command line on Node.
 *
 * @category internal
 */
import * as NodeChildProcessSpawner from "@effect/platform-node-shared/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import * as NodeRuntime from "@effect/platform-node-shared/NodeRuntime"
import * as NodeStdio from "@effect/platform-node-shared/NodeStdio"
import * as NodeTerminal from "@effect/platform-node-shared/NodeTerminal"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { effectSigner } from "./Commands.ts"
import { exitCodes } from "./Failure.ts"
import * as Run from "./Run.ts"

/** What `NodeServices` of `@effect/platform-node` is, from the smaller package that has no HTTP. */
const services = Layer.provideMerge(
  NodeChildProcessSpawner.layer,
  Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeStdio.layer, NodeTerminal.layer)
)

/** A variable that is set and empty was meant to hold something: it is an error, not an absence. */
const environment = Layer.succeed(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ preserveEmptyStrings: true }))

/** What was written is not yet read by the other side of a pipe. */
const flushed = (stream: NodeJS.WriteStream) =>
  Effect.callback<void>((resume) => {
    stream.write("", () => resume(Effect.void))
  })

/** The signal that ends us; Ctrl-C at a question is none, and is meant as one. */
let received: NodeJS.Signals | undefined
process.once("SIGTERM", () => {
  received ??= "SIGTERM"
})
// A closed terminal ends us as the others do: through the finalizers that remove temporary files
process.once("SIGHUP", () => {
  received ??= "SIGHUP"
  process.emit("SIGTERM", "SIGTERM")
})

/**
 * Ends by the signal itself, once its handlers are gone: the shell sees what
 * happened, and nothing waits for a prime that is still being looked for.
 */
const die = () => {
  const signal = received ?? "SIGINT"
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}

Run.run(effectSigner)(process.argv.slice(2)).pipe(
  Effect.provide(Layer.merge(services, environment)),
  Effect.tap(Effect.all([flushed(process.stdout), flushed(process.stderr)])),
  // Standard input may still be open, and would keep the process alive
  Effect.flatMap((exitCode) => Effect.sync(() => process.exit(exitCode))),
  NodeRuntime.runMain({
    disableErrorReporting: true,
    teardown: (exit) => (Exit.hasInterrupts(exit) ? die() : process.exit(exitCodes.error))
  })
)
