import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Mac from "../../src/services/Mac.ts"

/** Deterministic, so that a failure can be run again: mulberry32. */
const randomFrom = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

type Random = () => number

const below = (random: Random, limit: number) => Math.floor(random() * limit)
const pick = <A>(random: Random, values: ReadonlyArray<A>): A => values[below(random, values.length)]!

const fragments = [
  ...`ab01"\\:;,=()?@% \t\r\n\0\u0080\u00ff`,
  `"@method"`,
  `;sf`,
  `;bs`,
  `;tr`,
  `;req`,
  `;key="a"`,
  `;name="q"`,
  `;created=0`,
  `;alg="hmac-sha256"`,
  `, sig2=("@method");created=0`,
  `, sig1=()`,
  `%00`,
  `%zz`,
  `//`,
  `\r\n `
]

const mutateText = (random: Random, text: string): string => {
  const at = below(random, text.length + 1)
  const length = 1 + below(random, 4)
  return pick(random, [
    () => text.slice(0, at) + text.slice(at + length),
    () => text.slice(0, at) + pick(random, fragments) + text.slice(at),
    () => text.slice(0, at) + pick(random, fragments) + text.slice(at + 1),
    () => text.slice(0, at),
    () => text.slice(0, at) + text.slice(Math.max(0, at - length)),
    () => text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << below(random, 8))) + text.slice(at + 1)
  ])()
}

interface Source {
  readonly method: string
  readonly target: string
  readonly fields: ReadonlyArray<HttpMessage.FieldLine>
  readonly trailers: ReadonlyArray<HttpMessage.FieldLine>
  readonly body: Uint8Array
}

const messageOf = (source: Source) => HttpMessage.request({ ...source, scheme: "https" })

const original: Source = {
  method: "POST",
  target: "/orders/7?q=a%20b&other=1",
  fields: [
    ["Host", "api.example:8443"],
    ["X-List", "a, b"],
    ["X-List", "c"],
    ["Priority", "u=1, i"],
    ["Content-Type", "application/json"]
  ],
  trailers: [["X-End", "done"]],
  body: new TextEncoder().encode(`{"item":7}`)
}

const components = [
  "@method",
  "@target-uri",
  "@authority",
  "@request-target",
  "@path",
  "@query",
  `@query-param;name="q"`,
  "@scheme",
  "x-list",
  "x-list;bs",
  "priority;sf",
  `priority;key="u"`,
  "x-end;tr",
  "content-type",
  "content-digest"
]

const policy: HttpSignature.Policy = {
  components: ["@method", "content-digest"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: "orders"
}

const mutateLines = (random: Random, lines: ReadonlyArray<HttpMessage.FieldLine>) => {
  const index = below(random, lines.length)
  const line = lines[index] ?? (["X-End", ""] as const)
  return pick<() => ReadonlyArray<HttpMessage.FieldLine>>(random, [
    () => lines.toSpliced(index, 1, [line[0], mutateText(random, line[1])]),
    () => lines.toSpliced(index, 1, [line[0], mutateText(random, line[1])]),
    () => lines.toSpliced(index, 1, [line[0], mutateText(random, line[1])]),
    () => lines.toSpliced(index, 1, [mutateText(random, line[0]), line[1]]),
    () => lines.toSpliced(index, 1),
    () => lines.toSpliced(index, 0, line),
    () => lines.toSpliced(below(random, lines.length), 1, line)
  ])()
}

const mutate = (random: Random, source: Source): Source =>
  pick<() => Source>(random, [
    () => ({ ...source, fields: mutateLines(random, source.fields) }),
    () => ({ ...source, fields: mutateLines(random, source.fields) }),
    () => ({ ...source, fields: mutateLines(random, source.fields) }),
    () => ({ ...source, fields: mutateLines(random, source.fields) }),
    () => ({ ...source, target: mutateText(random, source.target) }),
    () => ({ ...source, method: mutateText(random, source.method) }),
    () => ({ ...source, trailers: mutateLines(random, source.trailers) }),
    () => ({ ...source, body: new TextEncoder().encode(mutateText(random, new TextDecoder().decode(source.body))) })
  ])()

const Live = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))

const options = { components, tag: "orders", nonce: true } as const

/** A signed message, and what verifies it. */
interface Subject<R> {
  /** What is changed: the message, or the request that it answers. */
  readonly signed: Source
  readonly build: (source: Source) => HttpMessage.HttpMessage
  readonly base: string
  readonly body: Uint8Array
  readonly verify: (
    message: HttpMessage.HttpMessage
  ) => Effect.Effect<{ readonly body: Uint8Array | undefined }, HttpSignature.VerifyError, R>
}

const subjectOf = Effect.fnUntraced(function* <R>(
  message: HttpMessage.HttpMessage,
  verify: Subject<R>["verify"]
): Effect.fn.Return<Subject<R>, HttpSignature.HttpSignatureInvalid> {
  const { base } = yield* HttpSignature.explain(message)
  const signed = { ...original, fields: message.fields }
  return { signed, build: messageOf, base, body: signed.body, verify }
})

const byKey = Effect.gen(function* () {
  const { message } = yield* HttpSignature.sign(messageOf(original), options)
  return yield* subjectOf(message, (changed) => HttpSignature.verify(changed, policy))
})

/** A MAC costs less than a signature, and is checked by the same code before and after. */
const byMac = Effect.gen(function* () {
  const mac = yield* Mac.generate("HS256")
  const { message } = yield* HttpSignature.signMac(messageOf(original), mac, { ...options, alg: true })
  return yield* subjectOf(message, (changed) => HttpSignature.verifyMac(changed, mac, policy))
})

const answered = new TextEncoder().encode("done")

/** A response that covers all of the signed request that it answers, which is what changes. */
const byAnswer = Effect.gen(function* () {
  const { message: request } = yield* HttpSignature.sign(messageOf(original), options)
  const asked = [...components.filter((text) => text !== "content-digest"), `signature;key="sig1"`]
  const response = HttpMessage.response({ status: 200, fields: [["X-Answer", "1"]], body: answered, request })
  const { message } = yield* HttpSignature.sign(response, {
    ...options,
    components: ["@status", "x-answer", "content-digest", ...asked.map((text) => `${text};req`)]
  })
  const { base } = yield* HttpSignature.explain(message)
  const subject: Subject<KeyResolver.KeyResolver> = {
    signed: { ...original, fields: request.fields },
    build: (source) => ({ ...message, request: messageOf(source) }),
    base,
    body: answered,
    verify: (changed) => HttpSignature.verify(changed, { ...policy, components: ["@status", "@method;req"] })
  }
  return subject
})

/** What the verifier says; what it accepts must be what was signed, byte for byte. */
const outcomeOf = Effect.fnUntraced(function* <R>(source: Source, { base, body, build, verify }: Subject<R>) {
  const message = build(source)
  const outcome = yield* Effect.result(verify(message))
  if (Result.isFailure(outcome)) {
    return "reason" in outcome.failure ? String(outcome.failure.reason) : outcome.failure._tag
  }
  const explained = yield* HttpSignature.explain(message)
  assert.strictEqual(explained.base, base, JSON.stringify(source))
  assert.deepStrictEqual(outcome.success.body, body)
  return "verified"
})

const countOutcomes = Effect.fnUntraced(function* <R>(
  subject: Subject<R>,
  options: { readonly seed: number; readonly times: number },
  counts: Map<string, number>
) {
  const random = randomFrom(options.seed)
  for (let i = 0; i < options.times; i++) {
    const once = mutate(random, subject.signed)
    const outcome = yield* outcomeOf(random() < 0.8 ? once : mutate(random, once), subject)
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
})

describe("mutations", () => {
  it.effect(
    "100,000 changed messages are refused with a typed error, unless nothing that is covered changed",
    () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_600_000_000_000)
        const counts = new Map<string, number>()
        yield* countOutcomes(yield* byKey, { seed: 9421, times: 20_000 }, counts)
        yield* countOutcomes(yield* byMac, { seed: 9530, times: 80_000 }, counts)
        // Every kind of refusal that a change can lead to was seen, so the changes reach every check
        for (const reason of [
          "Malformed",
          "NoSignature",
          "ComponentInvalid",
          "ComponentUnavailable",
          "NotCovered",
          "ParameterMissing",
          "ParameterInvalid",
          "NotYetValid",
          "TooOld",
          "DigestInvalid",
          "SignatureInvalid",
          "AlgorithmUnsupported",
          "KeyUnknown"
        ]) {
          assert.isAbove(counts.get(reason) ?? 0, 0, `${reason} of ${[...counts.keys()].join()}`)
        }
        assert.isBelow(counts.get("verified") ?? 0, 10_000)
      }).pipe(Effect.provide(Live)),
    180_000
  )

  it.effect(
    "20,000 responses to another request than the one that is covered are refused",
    () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_600_000_000_000)
        const counts = new Map<string, number>()
        yield* countOutcomes(yield* byAnswer, { seed: 9110, times: 20_000 }, counts)
        for (const reason of ["ComponentUnavailable", "SignatureInvalid"]) {
          assert.isAbove(counts.get(reason) ?? 0, 1000, [...counts].join())
        }
        // The body of the request is not covered here, nor how its signature describes itself
        assert.isBelow(counts.get("verified") ?? 0, 10_000, [...counts].join())
      }).pipe(Effect.provide(Live)),
    180_000
  )

  it.effect("no bit of a covered value, a parameter or the signature can change", () =>
    Effect.gen(function* () {
      const subject = yield* byKey
      const { signed } = subject
      const flips = (text: string) =>
        Array.from({ length: text.length }, (_, at) =>
          [0, 1, 2, 3, 4, 5, 6].map(
            (bit) => text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1)
          )
        ).flat()
      const changed: ReadonlyArray<Source> = [
        ...flips(signed.method).map((method) => ({ ...signed, method })),
        ...flips(signed.target).map((target) => ({ ...signed, target })),
        ...signed.fields.flatMap(([name, value], index) =>
          flips(value).map((text) => ({ ...signed, fields: signed.fields.with(index, [name, text]) }))
        ),
        ...flips("done").map((text) => ({ ...signed, trailers: [["X-End", text] as const] })),
        ...flips(`{"item":7}`).map((text) => ({ ...signed, body: new TextEncoder().encode(text) }))
      ]
      let verified = 0
      for (const source of changed) {
        if ((yield* outcomeOf(source, subject)) === "verified") verified++
      }
      assert.isAbove(changed.length, 2000)
      // The letter case of the host is not covered: 10 letters of `api.example`, one bit each
      assert.strictEqual(verified, 10)
    }).pipe(Effect.provide(Live))
  )
})
