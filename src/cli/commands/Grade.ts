/**
 * `effect-signer grade`
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { primitives } from "#primitives"
import { timeoutSigner } from "../../decorators/timeout.ts"
import { verifiedSigner } from "../../decorators/verified.ts"
import * as RemoteSigner from "../../layers/RemoteSigner.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { Concluded, exitCodes, fail, failure, ofSigner, plain } from "../Failure.ts"
import * as JoseKeys from "../JoseKeys.ts"
import * as Output from "../Output.ts"
import * as SecretLine from "../SecretLine.ts"

/** What a case says of the service: `undefined` where it does what it should. */
type Verdict = string | undefined

interface Case {
  readonly name: string
  readonly run: Effect.Effect<Verdict, SignerError, HttpClient.HttpClient>
}

/** Bytes of every value, another text each time. */
const probe = (length: number): Uint8Array => {
  const bytes = primitives.randomBytes(Math.min(length, 32))
  return Uint8Array.from({ length }, (_, at) => bytes[at % 32]! ^ at)
}

/** A signature base as RFC 9421 makes them: what such a service is asked for most. */
const signatureBase = (kid: string): Uint8Array =>
  new TextEncoder().encode(
    `"@method": POST\n"@target-uri": https://grade.invalid/probe\n` +
      `"@signature-params": ("@method" "@target-uri");created=1;keyid=${JSON.stringify(kid)};tag="effect-signer grade"`
  )

/** A refusal that says something about us. That the service is down says nothing. */
const isRefusal = ({ _tag }: SignerError): boolean => _tag !== "Retryable" && _tag !== "InvalidResponse"

/** An algorithm that no key of the other has. */
const otherThan = (algorithm: SignatureAlgorithm): SignatureAlgorithm => (algorithm === "Ed25519" ? "ES256" : "Ed25519")

/** All cases, in the order in which they are run. */
const casesOf = Effect.fnUntraced(function* (
  options: RemoteSigner.Options & { readonly algorithm: SignatureAlgorithm }
) {
  const make = (changed: Partial<RemoteSigner.Options>) =>
    Effect.map(RemoteSigner.make({ ...options, ...changed }), timeoutSigner("10 seconds"))
  const bare = yield* make({})
  const verified = verifiedSigner(bare)
  const { publicKey: foreign } = yield* PrivateKey.generate(otherThan(options.algorithm))

  /** Whatever differs from what the service knows, it is to refuse. */
  const refuses = (name: string, changed: Partial<RemoteSigner.Options>): Case => ({
    name,
    run: Effect.flatMap(make(changed), (signer) =>
      Effect.matchEffect(signer.sign(probe(32)), {
        onSuccess: () => Effect.succeed("it signed"),
        onFailure: (error): Effect.Effect<Verdict, SignerError> =>
          isRefusal(error) ? Effect.undefined : Effect.fail(error)
      })
    )
  })
  const signs = (name: string, message: Uint8Array): Case => ({
    name,
    run: Effect.as(verified.sign(message), undefined)
  })

  return [
    signs("signs a signature base", signatureBase(options.keyId)),
    ...[0, 1, 32, 4096, 65_536].map((length) => signs(`signs ${length} bytes of any value`, probe(length))),
    {
      name: "signs what it is asked, each time",
      run: Effect.map(Effect.all([verified.sign(probe(32)), verified.sign(probe(32))]), ([a, b]) =>
        Buffer.compare(a.bytes, b.bytes) === 0 ? "two messages have one signature" : undefined
      )
    },
    {
      name: "signs 16 messages at once",
      run: Effect.as(
        Effect.forEach(Array.from({ length: 16 }), () => verified.sign(probe(64)), { concurrency: "unbounded" }),
        undefined
      )
    },
    refuses("refuses a key id that does not exist", { keyId: `effect-signer-grade-${Date.now().toString(36)}` }),
    refuses(`refuses ${RemoteSigner.algorithmName(otherThan(options.algorithm))}, which the key cannot do`, {
      algorithm: otherThan(options.algorithm),
      publicKey: foreign
    }),
    refuses("refuses who has no token", { token: undefined }),
    refuses("refuses another token", { token: Redacted.make("effect-signer-grade") })
  ] satisfies ReadonlyArray<Case>
})

const isLoopback = (url: string): boolean =>
  URL.canParse(url) && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(new URL(url).hostname)

/** Grades a service that signs over HTTP. */
export const grade = Command.make(
  "grade",
  {
    url: Argument.String("url").pipe(
      Argument.withMetavar("URL"),
      Argument.withDescription("Where the service is asked: POST of JSON to this URL")
    ),
    kid: Flag.String("kid").pipe(Flag.withMetavar("TEXT"), Flag.withDescription("How the service names the key")),
    key: JoseKeys.verifyFlags.key.pipe(Flag.withDescription("The public key: PEM, JWK, DER or an OpenSSH line")),
    jwks: JoseKeys.verifyFlags.jwks.pipe(Flag.withDescription("The public keys, as a JWK Set with that key id")),
    alg: JoseKeys.verifyFlags.alg,
    tokenFile: Flag.String("token-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The token of the service, in a file: sent as Authorization: Bearer"),
      Flag.optional
    )
  },
  Effect.fnUntraced(
    function* ({ alg, jwks, key, kid, tokenFile, url }) {
      const json = yield* Output.Json
      const source = { alg, jwks, key, config: Option.none(), signerEnv: Option.none() }
      const resolver = yield* JoseKeys.openResolver(source, Option.toArray(tokenFile))
      const token = Option.isNone(tokenFile) ? undefined : yield* SecretLine.read(tokenFile.value, "a token")
      const { publicKey } = yield* Effect.mapError(resolver.resolve({ keyId: kid }), (error) =>
        error._tag === "KeyUnknown"
          ? failure("the key set has no key with the id of --kid", error._tag)
          : failure(plain(error.message), error._tag)
      )
      if (token !== undefined && /^http:/i.test(url) && !isLoopback(url)) {
        yield* Output.warn("the token goes over http, which others can read on the way")
      }
      const { algorithm } = publicKey
      if (algorithm === undefined) return yield* fail("the algorithm of the key is not certain: state it with --alg")

      const cases = yield* Effect.mapError(casesOf({ url, keyId: kid, publicKey, algorithm, token }), ofSigner)
      const results: Array<{ readonly case: string; readonly ok: boolean; readonly problem?: string }> = []
      let isUnknown = false
      for (const { name, run } of cases) {
        const outcome = yield* Effect.result(run)
        const error = outcome._tag === "Failure" ? outcome.failure : undefined
        if (results.length === 0) {
          // Nobody is there, or we are nobody: the other cases would say the same
          if (error?._tag === "Retryable") return yield* ofSigner(error)
          if (error?._tag === "AuthenticationFailed" && token === undefined) {
            return yield* fail("the service wants a token: give --token-file FILE")
          }
        }
        const problem = outcome._tag === "Success" ? outcome.success : plain(ofSigner(outcome.failure).message)
        isUnknown ||= error?._tag === "Retryable"
        results.push(problem === undefined ? { case: name, ok: true } : { case: name, ok: false, problem })
        if (!json) {
          yield* Output.write(
            `${problem === undefined ? "ok    " : "failed"}  ${plain(name)}${problem ? `: ${problem}` : ""}\n`
          )
        }
      }
      const passed = results.filter(({ ok }) => ok).length
      yield* json
        ? Output.print({ ok: passed === results.length, passed, cases: results })
        : Output.write(`${passed} of ${results.length} passed\n`)
      if (passed < results.length) {
        return yield* new Concluded({ exitCode: isUnknown ? exitCodes.error : exitCodes.invalidSignature })
      }
    },
    Effect.scoped,
    Effect.provide(FetchHttpClient.layer)
  )
).pipe(
  Command.withDescription(
    'Grade a service that signs over HTTP, POST {"payload_b64", "kid", "alg"} for {"signature_b64"}: does it sign what it is ' +
      "asked with the key that is published, in the form of the algorithm, and refuse everybody and everything else? Both are " +
      "padded base64; alg is that of RFC 9421 (ed25519, ecdsa-p256-sha256, rsa-pss-sha512...), else that of JOSE. Exits with " +
      "0 where all cases pass, 1 where one does not, and 2 where the service cannot be reached. It signs about 25 probes."
  ),
  Command.withShortDescription("Grade a service that signs over HTTP"),
  Command.withExamples([
    {
      command:
        "effect-signer grade https://signer.internal/sign --kid release --key release.pub.pem --token-file token",
      description: "Before a program relies on it"
    },
    {
      command: "effect-signer grade https://signer.example/sign --kid release --jwks jwks.json --json",
      description: "Against the keys that are published"
    }
  ])
)
