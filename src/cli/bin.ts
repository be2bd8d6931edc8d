#!/usr/bin/env node
/**
 * The entry of `effect-signer`. It imports nothing statically, so that it can
 * still say in a sentence what is missing: a newer Node, or a package.
 *
 * @category internal
 */
export {}

const oldest = [22, 19] as const

const refuse = (sentence: string): never => {
  process.stderr.write(`effect-signer: ${sentence}\n`)
  process.exit(2)
}

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  refuse(`Node ${oldest.join(".")} or newer is needed, and this is ${process.versions.node}`)
}

try {
  await import("./main.ts")
} catch (error) {
  // The message names what cannot be found and who imports it: "Cannot find package 'effect' imported from ..."
  const { code, message } = error as NodeJS.ErrnoException
  const missing =
    code === "ERR_MODULE_NOT_FOUND" ? /^Cannot find package '((?:@[^/']+\/)?[^/']+)/.exec(message)?.[1] : undefined
  if (missing === undefined) throw error
  refuse(
    `the package ${missing} is not installed; the command line needs: npm install effect @effect/platform-node-shared`
  )
}
