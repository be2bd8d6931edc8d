/**
 * What a message may cost before anybody knows who sent it: every bound is a typed
 * error, and everything below it takes time in proportion to its length. The inputs
 * are as long as they may be, so that time with the square of the length would not
 * end within the time of a test.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as ContentDigest from "../../src/protocols/ContentDigest.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as StructuredFields from "../../src/schemas/StructuredFields.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"

/** Milliseconds, of which these tests need a few; with the square of the length they would need more. */
const timeout = 10_000

const reasonOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.result(effect), (outcome) => {
    if (Result.isSuccess(outcome)) return "accepted"
    return "reason" in outcome.failure ? String(outcome.failure.reason) : outcome.failure._tag
  })

const numbered = (count: number, text: (index: string) => string, separator = "") =>
  Array.from({ length: count }, (_, index) => text(String(index))).join(separator)

const long = 262_144 // characters, the most that is read of a structured field
const filled = (start: string, unit: string, end = "") =>
  start + unit.repeat(Math.floor((long - start.length - end.length) / unit.length)) + end

describe("structured fields of the greatest length", () => {
  it.each([
    ["keys", numbered(20_000, (index) => `key${index}`, ", "), "accepted"],
    ["one key again and again", filled("", "a, ", "a"), "accepted"],
    ["parameters", `a${numbered(20_000, (index) => `;p${index}`)}`, "accepted"],
    ["one parameter again and again", filled("a", ";b"), "accepted"],
    ["items of an inner list", filled("a=(", `"x" `, ")"), "accepted"],
    ["inner lists", filled("", "a=(), ", "a=()"), "accepted"],
    ["nesting, which there is none of", filled("a=", "("), "expected a value"],
    ["spaces in an inner list", filled("a=(", " ", ")"), "accepted"],
    ["spaces within", filled("a", " ", "b"), "expected a comma"],
    ["blanks at the end", filled("a,", " \t"), "expected a member after the comma"],
    ["a key", filled("", "k"), "accepted"],
    ["a token", filled("a=", "t"), "accepted"],
    ["a string", filled(`a="`, "s", `"`), "accepted"],
    ["a string that does not end", filled(`a="`, "s"), "the string does not end"],
    ["escapes", filled(`a="`, `\\"`, `"`), "accepted"],
    ["a byte sequence", filled("a=:", "AAAA", ":"), "accepted"],
    ["a byte sequence that does not end", filled("a=:", "A"), "the byte sequence does not end"],
    ["digits", filled("a=", "1"), "the number has too many digits"],
    ["digits before and after a point", `a=${"1".repeat(130_000)}.${"1".repeat(130_000)}`, "the number has too many"],
    ["a display string", filled(`a=%"`, "%41", `"`), "accepted"],
    ["commas", filled("", ","), "expected a key"]
  ])(
    "%s",
    (_, text, expected) => {
      assert.isAtMost(text.length, long)
      for (const duplicates of ["last", "refuse"] as const) {
        const read = StructuredFields.parseDictionary(text, { duplicates })
        const outcome = Result.isSuccess(read) ? "accepted" : read.failure.problem
        if (duplicates === "last" || !outcome.startsWith("a name that was there before")) {
          assert.include(outcome, expected)
        }
        if (Result.isSuccess(read)) assert.isTrue(Result.isSuccess(StructuredFields.serializeDictionary(read.success)))
      }
    },
    timeout
  )

  it("one character more is refused", () => {
    const read = StructuredFields.parseItem(`"${"s".repeat(long - 1)}"`)
    assert.isTrue(Result.isFailure(read) && read.failure.problem === "longer than 262144 characters")
  })
})

// ---------------------------------------------------------------------------

const Live = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))

const policy: HttpSignature.Policy = {
  components: ["@method"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: undefined
}

const size = 131_072

const messageOf = (options: Partial<HttpMessage.RequestOptions>) =>
  HttpMessage.request({ method: "GET", target: "/", scheme: "https", fields: [["Host", "api.example"]], ...options })

/** A message with signatures that nobody made, which is verified up to the key. */
const claimed = (
  inputs: ReadonlyArray<string>,
  options: Partial<HttpMessage.RequestOptions> = {}
): HttpMessage.HttpRequest => {
  const message = messageOf(options)
  const signatures = inputs.map((_, index) => `s${index}=:${"A".repeat(86)}==:`)
  return {
    ...message,
    fields: [
      ...message.fields,
      ["Signature-Input", inputs.map((input, index) => `s${index}=${input}`).join(", ")],
      ["Signature", signatures.join(", ")]
    ]
  }
}

const covering = (components: ReadonlyArray<string>, parameters = "") =>
  `(${["@method", ...components].map((text) => (text.startsWith(`"`) ? text : `"${text}"`)).join(" ")});created=0${parameters}`

const verdict = (message: HttpMessage.HttpMessage) => reasonOf(HttpSignature.verify(message, policy))

describe("bounds", () => {
  it.effect.each([
    [16, 127, 0, "SignatureInvalid"],
    [17, 0, 0, "TooLarge"],
    [1, 128, 0, "TooLarge"],
    [1, 0, 130_000, "SignatureInvalid"],
    [1, 0, 131_072, "Malformed"]
  ] as const)(
    "%i signatures of %i components and a nonce of %i characters: %s",
    ([count, components, nonce, expected]) =>
      Effect.gen(function* () {
        const fields = Array.from({ length: components }, (_, index) => [`x-${index}`, "v"] as const)
        const input = covering(
          fields.map(([name]) => name),
          nonce === 0 ? "" : `;nonce="${"n".repeat(nonce)}"`
        )
        const message = claimed(Array<string>(count).fill(input), { fields: [["Host", "api.example"], ...fields] })
        assert.strictEqual(yield* verdict(message), expected)
      }).pipe(Effect.provide(Live))
  )
})

describe("messages of 131,072 characters", () => {
  const fields = (lines: ReadonlyArray<HttpMessage.FieldLine>) => ({ fields: [["Host", "a"] as const, ...lines] })
  const field = (name: string, value: string) => fields([[name, value]])
  const repeated = (name: string, value: string, count: number): ReadonlyArray<HttpMessage.FieldLine> =>
    Array.from({ length: count }, () => [name, value] as const)

  it.effect.each([
    [
      "a target whose authority does not end",
      () => claimed([covering([])], { target: `https://${"a".repeat(size)}#` })
    ],
    ["a target whose scheme does not end", () => claimed([covering([])], { target: `${"a".repeat(size)}:` })],
    ["a path that does not end", () => claimed([covering([])], { target: `/${"a".repeat(size)}#` })],
    ["a target of slashes", () => claimed([covering([])], { target: `https://${"/".repeat(size)}#` })],
    ["host lines", () => claimed([covering([])], { fields: repeated("Host", "a", size / 8) })],
    ["an authority", () => claimed([covering(["@authority"])], { authority: `${"a".repeat(size)}/` })],
    ["a query", () => claimed([covering([`"@query-param";name="x"`])], { target: `/?${"a&".repeat(size / 2)}x=1` })],
    ["an escaped query", () => claimed([covering([`"@query-param";name="x"`])], { target: `/?x=${"%".repeat(size)}` })],
    ["blanks within a value", () => claimed([covering(["x-a"])], field("x-a", `a${" ".repeat(size)}b`))],
    ["blanks around a value", () => claimed([covering(["x-a"])], field("x-a", " \t".repeat(size / 2)))],
    ["a folded line", () => claimed([covering(["x-a"])], field("x-a", `a${"\r\n b".repeat(size / 4)}`))],
    ["line breaks", () => claimed([covering(["x-a"])], field("x-a", "\r\n".repeat(size / 2)))],
    ["lines of one field", () => claimed([covering(["x-a"])], fields(repeated("x-a", "b", size / 8)))],
    ["binary lines", () => claimed([covering([`"x-a";bs`])], fields(repeated("x-a", "b", size / 8)))],
    ["a list", () => claimed([covering([`"cache-status";sf`])], field("cache-status", filled("", "a, ", "a")))],
    ["a control character at the end", () => claimed([covering(["x-a"])], field("x-a", `${"a".repeat(size)}\0`))]
  ] as const)(
    "%s",
    ([, make]) =>
      Effect.gen(function* () {
        const outcome = yield* verdict(make())
        assert.include(["SignatureInvalid", "ComponentUnavailable"], outcome)
      }).pipe(Effect.provide(Live)),
    timeout
  )

  it.effect("16 signatures that each cover all members of one dictionary cost as one does", () =>
    Effect.gen(function* () {
      const members = Array.from({ length: 127 }, (_, index) => `k${index}`)
      const dictionary = members.map((key) => `${key}="${"v".repeat(2000)}"`).join(", ")
      const input = covering(members.map((key) => `"priority";key="${key}"`))
      const message = claimed(Array<string>(16).fill(input), field("priority", dictionary))
      assert.strictEqual(yield* verdict(message), "SignatureInvalid")
    }).pipe(Effect.provide(Live))
  )
})

describe("digests", () => {
  it.effect("of the greatest length are read or refused", () =>
    Effect.gen(function* () {
      const body = new Uint8Array(3)
      const other = filled("other=:", "AAAA", ":")
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(body, other)), "Unsupported")
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(body, `${other}AAAA`)), "Malformed")
      const many = numbered(10_000, (index) => `h${index}=:AA==:`, ", ")
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(body, many)), "Unsupported")
    })
  )
})
