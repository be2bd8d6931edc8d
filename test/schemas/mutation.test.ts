/**
 * Every key, changed everywhere: what comes of it is a typed failure, or the one
 * key that the changed input writes. Never a defect, and nothing secret in what
 * a failure says.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../../src/schemas/PrivateKeySecret.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { InvalidConfiguration } from "../../src/schemas/SignerError.ts"
import { seeded } from "../primitives/random.ts"
import { type NodeKey, nodeKey, nodeKeys } from "./keys.ts"

const masks = [0x01, 0x80, 0xff, 0x20]

/** Every byte changed; every bit of the headers and of a sample; lengths that are too short or too long; noise. */
function* mutantsOf(input: Uint8Array): Generator<Uint8Array> {
  const random = seeded(input.length)
  for (let i = 0; i < input.length; i++) {
    yield input.with(i, input[i]! ^ masks[i % 4]!)
    if (i < 40 || i % 32 === 0) yield input.subarray(0, i)
  }
  const sample = Array.from({ length: 8 }, () => random.below(input.length))
  for (const at of [...Array(Math.min(40, input.length)).keys(), ...sample]) {
    for (let bit = 0; bit < 8; bit++) yield input.with(at, input[at]! ^ (1 << bit))
    yield new Uint8Array([...input.subarray(0, at), ...input.subarray(at + 1)])
    yield new Uint8Array([...input.subarray(0, at), random.below(256), ...input.subarray(at)])
    yield random.bytes(random.below(200))
  }
  yield new Uint8Array([...input, 0])
  yield new Uint8Array([...input, ...input])
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "latin1"))

/** All that a program can see of a failure. */
const shown = (cause: Cause.Cause<unknown>) => {
  const error = Cause.squash(cause)
  return [
    Cause.pretty(cause),
    String(error),
    (error as Error).stack,
    JSON.stringify(error),
    inspect(error, { depth: 9, showHidden: true })
  ].join("\n")
}

/** 8-byte pieces of a secret in each text form that a leak could have. */
const formsOf = (secret: Uint8Array): ReadonlyArray<string> => {
  const forms: Array<string> = []
  for (let i = 0; i + 8 <= secret.length; i += 8) {
    const piece = secret.subarray(i, i + 8)
    const hex = Buffer.from(piece).toString("hex")
    forms.push(hex, hex.toUpperCase(), piece.join(","), BigInt(`0x${hex}`).toString())
    for (const shift of [0, 1, 2]) {
      const base64 = Buffer.from(piece)
        .subarray(shift, shift + 6)
        .toString("base64")
      forms.push(base64, base64.replaceAll("+", "-").replaceAll("/", "_"))
    }
  }
  return forms
}

/** Runs a decoder on every mutant. What it accepts must write the mutant again. */
const survive = <Input, Key>(
  mutants: Iterable<Input>,
  decode: (input: Input) => Effect.Effect<Key, InvalidConfiguration>,
  agrees: (key: Key, input: Input) => boolean,
  secret: Uint8Array
) =>
  Effect.gen(function* () {
    const failures = new Map<string, Cause.Cause<unknown>>()
    let accepted = 0
    for (const input of mutants) {
      const exit = yield* Effect.exit(decode(input))
      if (Exit.isSuccess(exit)) {
        accepted++
        if (!agrees(exit.value, input)) assert.fail(`accepted what it does not write: ${inspect(input)}`)
      } else {
        if (Cause.hasDies(exit.cause)) assert.fail(`a defect at ${inspect(input)}: ${Cause.pretty(exit.cause)}`)
        const error = Cause.squash(exit.cause)
        if (!(error instanceof InvalidConfiguration)) assert.fail(`another failure: ${Cause.pretty(exit.cause)}`)
        failures.set(JSON.stringify(error), exit.cause)
      }
    }
    const forms = formsOf(secret)
    for (const cause of failures.values()) {
      const text = shown(cause).replaceAll(/\s/g, "")
      const leak = forms.find((form) => text.includes(form))
      if (leak !== undefined) assert.fail(`a failure shows ${leak}: ${text}`)
    }
    assert.isAbove(failures.size, 0)
    return accepted
  })

const sameBytes = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0

const secretOf = ({ pkcs8 }: NodeKey) => Effect.map(PrivateKey.fromPkcs8(pkcs8), PrivateKeySecret.secretBytes)

/** Each member changed at each character, exchanged with each other, dropped, or of another type. */
function* jwkMutants(jwk: Record<string, string>): Generator<Record<string, unknown>> {
  for (const [name, value] of Object.entries(jwk)) {
    const step = Math.max(1, Math.floor(value.length / 12))
    for (let i = 0; i < value.length; i += i > value.length - 4 ? 1 : step) {
      for (const other of ["A", "_", "=", "+", "\n", "", "AA", "\u00e9"]) {
        yield { ...jwk, [name]: value.slice(0, i) + other + value.slice(i + 1) }
      }
    }
    for (const other of Object.values(jwk)) yield { ...jwk, [name]: other }
    for (const other of [
      undefined,
      null,
      0,
      true,
      "",
      [],
      {},
      [value],
      { value },
      new Uint8Array(32),
      "A".repeat(9000)
    ]) {
      yield { ...jwk, [name]: other }
    }
  }
}

const jwkOf = (key: { export(options: { format: "jwk" }): object }) =>
  key.export({ format: "jwk" }) as Record<string, string>

const sameMembers = (written: object, read: object) => {
  const sorted = (jwk: object) =>
    JSON.stringify(
      Object.entries(jwk)
        .filter(([, value]) => value !== undefined)
        .sort()
    )
  return sorted(written) === sorted(read)
}

describe("this test itself", () => {
  const secret = seeded(7).bytes(32)
  const failing = (problem: string) => () => Effect.fail(InvalidConfiguration.of({ problem }))
  const found = (decode: () => Effect.Effect<null, InvalidConfiguration>, agrees: boolean) =>
    Effect.map(Effect.exit(survive([1], decode, () => agrees, secret)), Exit.isFailure)

  it.effect("finds leaks in each form, defects, and keys that are not what was read", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from(secret)
      for (const leak of [
        bytes.toString("hex"),
        bytes.toString("hex").toUpperCase(),
        bytes.toString("base64"),
        bytes.toString("base64url"),
        `x${bytes.subarray(5).toString("base64")}`,
        bytes.subarray(3, 20).toString("hex"),
        inspect(secret),
        secret.join()
      ]) {
        assert.isTrue(yield* found(failing(`cannot read ${leak}`), true), leak)
      }
      assert.isTrue(yield* found(() => Effect.die("a bug"), true))
      assert.isTrue(yield* found(() => Effect.succeed(null), false))
      assert.isFalse(yield* found(failing("cannot read it"), true))
    })
  )
})

describe.each(nodeKeys)("$type", (node) => {
  it.effect("SPKI", () =>
    survive(
      mutantsOf(new Uint8Array(node.spki)),
      PublicKey.fromSpki,
      (key, der) => sameBytes(PublicKey.toSpki(key), der),
      new Uint8Array(0)
    )
  )

  it.effect("public PEM", () => {
    const pem = bytesOf(node.publicKey.export({ format: "pem", type: "spki" }) as string)
    return survive(
      mutantsOf(pem),
      (mutant) => PublicKey.fromPem(textOf(mutant)),
      (key, mutant) => [PublicKey.toPem(key), PublicKey.toPem(key).trimEnd()].includes(textOf(mutant)),
      new Uint8Array(0)
    )
  })

  it.effect("public JWK", () =>
    survive(
      jwkMutants(jwkOf(node.publicKey)),
      PublicKey.fromJwk,
      (key, jwk) => sameMembers(PublicKey.toJwk(key), jwk),
      new Uint8Array(0)
    )
  )

  it.effect("PKCS#8", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(node.pkcs8)
      const pkcs8 = Redacted.value(PrivateKey.toPkcs8(key))
      const accepted = yield* survive(
        mutantsOf(pkcs8),
        (mutant) => PrivateKey.fromPkcs8(mutant),
        (key, der) => sameBytes(Redacted.value(PrivateKey.toPkcs8(key)), der),
        PrivateKeySecret.secretBytes(key)
      )
      // a changed seed is another seed; curves and RSA notice every change
      if (node.type !== "Ed25519" && !node.type.startsWith("ML-DSA")) assert.strictEqual(accepted, 0)
    })
  )

  it.effect("private PEM", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(node.pkcs8)
      yield* survive(
        mutantsOf(bytesOf(Redacted.value(PrivateKey.toPem(key)))),
        (mutant) => PrivateKey.fromPem(textOf(mutant)),
        (key, mutant) => {
          const pem = Redacted.value(PrivateKey.toPem(key))
          return [pem, pem.trimEnd()].includes(textOf(mutant))
        },
        PrivateKeySecret.secretBytes(key)
      )
    })
  )

  it.effect("private JWK", () =>
    Effect.gen(function* () {
      yield* survive(
        jwkMutants(jwkOf(node.privateKey)),
        (jwk) => PrivateKey.fromJwk(jwk),
        (key, jwk) => sameMembers(Redacted.value(PrivateKey.toJwk(key)), jwk),
        yield* secretOf(node)
      )
    })
  )

  it.effect("private keys where public ones belong", () =>
    Effect.gen(function* () {
      const { pkcs8, privateKey } = node
      const accepted = yield* survive(
        [
          PublicKey.fromSpki(pkcs8),
          PublicKey.fromPkcs1(pkcs8),
          PublicKey.fromPem(privateKey.export({ format: "pem", type: "pkcs8" }) as string),
          PublicKey.fromJwk(privateKey.export({ format: "jwk" })),
          PublicKey.fromHex("Ed25519", pkcs8.toString("hex")),
          PublicKey.fromHex("P-256", pkcs8.toString("base64")),
          PublicKey.fromOpenSsh(pkcs8.toString("base64")),
          PublicKey.fromOpenSsh(`ssh-ed25519 ${pkcs8.toString("base64")}`),
          PublicKey.fromId52(pkcs8.toString("base64"))
        ],
        (effect) => effect,
        () => false,
        yield* secretOf(node)
      )
      assert.strictEqual(accepted, 0)
    })
  )
})

it.effect("SEC1", () =>
  Effect.gen(function* () {
    const node = nodeKey("P-384")
    const der = new Uint8Array(node.privateKey.export({ format: "der", type: "sec1" }))
    yield* survive(
      mutantsOf(der),
      (mutant) => PrivateKey.fromSec1(mutant),
      () => false,
      yield* secretOf(node)
    )
  })
)

it.effect("PKCS#1", () =>
  Effect.gen(function* () {
    const node = nodeKey("RSA")
    const secret = yield* secretOf(node)
    yield* survive(
      mutantsOf(secret),
      (mutant) => PrivateKey.fromPkcs1(mutant),
      () => false,
      secret
    )
    const der = new Uint8Array(node.publicKey.export({ format: "der", type: "pkcs1" }))
    yield* survive(
      mutantsOf(der),
      PublicKey.fromPkcs1,
      (key, mutant) => sameBytes(key.bytes, mutant),
      new Uint8Array(0)
    )
  })
)

it.effect("OpenSSH lines", () =>
  Effect.gen(function* () {
    for (const type of ["Ed25519", "P-256", "RSA"] as const) {
      const line = PublicKey.toOpenSsh(yield* PublicKey.fromSpki(nodeKey(type).spki))!
      yield* survive(
        mutantsOf(bytesOf(line)),
        (mutant) => PublicKey.fromOpenSsh(textOf(mutant)),
        (key, mutant) => `${textOf(mutant)} `.startsWith(`${PublicKey.toOpenSsh(key)} `),
        new Uint8Array(0)
      )
    }
  })
)

it.effect("ID52 and hex", () =>
  Effect.gen(function* () {
    const node = nodeKey("Ed25519")
    const key = yield* PublicKey.fromSpki(node.spki)
    yield* survive(
      mutantsOf(bytesOf(PublicKey.toId52(key)!)),
      (mutant) => PublicKey.fromId52(textOf(mutant)),
      (key, mutant) => PublicKey.toId52(key) === textOf(mutant),
      new Uint8Array(0)
    )
    const secret = yield* secretOf(node)
    yield* survive(
      mutantsOf(bytesOf(Buffer.from(secret).toString("hex"))),
      (mutant) => PrivateKey.fromHex("Ed25519", textOf(mutant)),
      (key, mutant) => Buffer.from(PrivateKeySecret.secretBytes(key)).toString("hex") === textOf(mutant).toLowerCase(),
      secret
    )
  })
)

it.effect("encrypted PKCS#8", () =>
  Effect.gen(function* () {
    const node = nodeKey("P-256")
    const passphrase = "a passphrase to find"
    const der = new Uint8Array(
      node.privateKey.export({ format: "der", type: "pkcs8", cipher: "aes-256-cbc", passphrase })
    )
    const planted = new Uint8Array([...(yield* secretOf(node)), ...new TextEncoder().encode(passphrase)])
    const accepted = yield* survive(
      mutantsOf(der),
      (mutant) => PrivateKey.fromPkcs8(mutant, { passphrase: Redacted.make(passphrase) }),
      () => false,
      planted
    )
    assert.strictEqual(accepted, 0)
    const error = yield* Effect.flip(PrivateKey.fromPkcs8(der, { passphrase: Redacted.make(`${passphrase}!`) }))
    assert.notInclude(inspect(error), passphrase)
  })
)
