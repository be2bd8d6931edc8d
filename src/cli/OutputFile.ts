/**
 * Where a command that signs writes the signature.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"

export const flags = {
  out: Flag.String("out").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Where the signature goes. Default: standard output"),
    Flag.optional
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withDescription("Replace the file of --out where it exists, unless it is a private key or one of the inputs"),
    Flag.withDefault(false),
    Flag.withoutNegation
  )
}
