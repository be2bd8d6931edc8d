/**
 * The one list of commands, in the groups that the help shows. A new command is a
 * file in `commands` and a word here.
 *
 * @category internal
 */
import { agent } from "./commands/Agent.ts"
import { check } from "./commands/Check.ts"
import { demo } from "./commands/Demo.ts"
import { emulate } from "./commands/Emulate.ts"
import { grade } from "./commands/Grade.ts"
import { http } from "./commands/Http.ts"
import { inspect } from "./commands/Inspect.ts"
import { key } from "./commands/Key.ts"
import { jwks } from "./commands/Jwks.ts"
import { jws } from "./commands/Jws.ts"
import { jwt } from "./commands/Jwt.ts"
import { keys } from "./commands/Keys.ts"
import { keygen } from "./commands/Keygen.ts"
import { publicKey } from "./commands/PublicKey.ts"
import { rotate } from "./commands/Rotate.ts"
import { sign } from "./commands/Sign.ts"
import { sshsig } from "./commands/Sshsig.ts"
import { vectors } from "./commands/Vectors.ts"
import { verify } from "./commands/Verify.ts"
import { webhook } from "./commands/Webhook.ts"
import * as Run from "./Run.ts"

/** `effect-signer` with all its commands. */
export const effectSigner = Run.root([
  { group: "Start here", commands: [demo] },
  { group: "Keys", commands: [keygen, key, keys, rotate, publicKey, inspect, jwks] },
  { group: "Signatures", commands: [sign, verify, jws, jwt, http, webhook, sshsig] },
  { group: "Backends", commands: [check, grade, vectors, agent, emulate] }
])
