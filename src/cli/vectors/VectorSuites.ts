/**
 * The list of all suites, the one place to add one to.
 */
import * as Effect from "effect/Effect"
import { stat } from "node:fs/promises"
import { join } from "node:path"
import * as Adcp from "./AdcpVectors.ts"
import { bip340 } from "./Bip340.ts"
import { dataIntegrityBip340 } from "./DataIntegrityBip340.ts"
import { jcs } from "./Jcs.ts"
import { joseCookbook, joseJwk, joseThumbprint } from "./JoseCookbook.ts"
import { rfc6979 } from "./Rfc6979.ts"
import { rfc8032 } from "./Rfc8032.ts"
import { httpSignaturePostQuantum, rfc9421 } from "./Rfc9421.ts"
import { rfc9530 } from "./Rfc9530.ts"
import { structuredFields } from "./StructuredFieldTests.ts"
import type { VectorError, VectorSuite } from "./VectorSuite.ts"
import * as Wycheproof from "./Wycheproof.ts"

/** The environment variable that names the folder of vectors. */
export const variable = "EFFECT_SIGNER_VECTORS"

/** That folder; `undefined` where the variable is not set, or empty. */
export const vectors = process.env[variable] || undefined

/** Where the vectors are published, for who has no such folder. */
export const originals = [
  "https://github.com/C2SP/wycheproof (testvectors_v1, into wycheproof/)",
  "https://github.com/bitcoin/bips (bip-0340/test-vectors.csv, into bip340/)",
  "RFC 8032 section 7 and RFC 6979 appendix A.2, as JSON in " +
    "https://github.com/paulmillr/acvp-vectors (rfc/, into rfc-extracted/)",
  "https://github.com/ietf-jose/cookbook (jws, jwk, rfc7797, curve25519, into jose-cookbook/)",
  "https://github.com/cloudflare/web-bot-auth (packages/jsonwebkey-thumbprint/test/fixtures, into jwk-thumbprint/)",
  "https://github.com/httpwg/structured-field-tests (into structured-field-tests/)",
  "RFC 9421 and RFC 9530, as JSON extracted from their text (into rfc9421/ and rfc9530/)",
  "https://github.com/C2SP/C2SP (httpsig-pq.md, its JSON block as httpsig-pq/vectors.json)",
  "https://github.com/cyberphone/json-canonicalization (testdata, into jcs/)",
  "https://github.com/dcdpr/data-integrity-schnorr-secp256k1 (TestVectors, into di-bip340/)",
  "https://github.com/adcontextprotocol/adcp (static/compliance/source/test-vectors/, " +
    "request-signing and webhook-signing, into adcp/)"
]

/** The suites whose cases are known without looking into the folder. */
export const suites: ReadonlyArray<VectorSuite> = [
  rfc8032,
  rfc6979,
  bip340,
  joseCookbook,
  joseJwk,
  joseThumbprint,
  structuredFields,
  rfc9530,
  rfc9421,
  httpSignaturePostQuantum,
  jcs,
  dataIntegrityBip340,
  Adcp.adcpRequest,
  Adcp.adcpWebhook,
  Adcp.adcpCanonicalization
]

/** The suites, one for each Wycheproof file that the folder holds, and those of files that not every copy has. */
export const allSuites = (folder: string): Effect.Effect<ReadonlyArray<VectorSuite>, VectorError> =>
  Effect.map(Effect.all([Wycheproof.discover(folder), Adcp.discover(folder)]), (found) => [...suites, ...found.flat()])

/** The suites whose folder is in the folder, and those whose folder is not. */
export const suitesIn = Effect.fnUntraced(function* (folder: string) {
  const wycheproof = yield* Effect.orElseSucceed(Wycheproof.discover(folder), () => [])
  const all = [...suites, ...wycheproof, ...(yield* Adcp.discover(folder))]
  const there = yield* Effect.promise(() =>
    Promise.all(
      all.map((suite) =>
        stat(join(folder, suite.folder)).then(
          (found) => found.isDirectory(),
          () => false
        )
      )
    )
  )
  return { present: all.filter((_, at) => there[at]), absent: all.filter((_, at) => !there[at]) }
})
