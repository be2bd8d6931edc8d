/**
 * The one list of commands, in the groups that the help shows. A new command is a
 * file in `commands` and a word here.
 *
 * @category internal
 */
import { demo } from "./commands/Demo.ts"
import { inspect } from "./commands/Inspect.ts"
import { keygen } from "./commands/Keygen.ts"
import { publicKey } from "./commands/PublicKey.ts"
import { sign } from "./commands/Sign.ts"
import { verify } from "./commands/Verify.ts"
import * as Run from "./Run.ts"

/** `effect-signer` with all its commands. */
export const effectSigner = Run.root([
  { group: "Start here", commands: [demo] },
  { group: "Keys", commands: [keygen, publicKey, inspect] },
  { group: "Signatures", commands: [sign, verify] }
])
