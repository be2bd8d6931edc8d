/** The folder of public test vectors, where `EFFECT_SIGNER_VECTORS` names one. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export const folder = process.env.EFFECT_SIGNER_VECTORS

export const readJson = (path: string): unknown => JSON.parse(readFileSync(join(folder!, path), "utf8"))
