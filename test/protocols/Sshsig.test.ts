import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { KeyId, KeyVersion, LocalSigner, PublicKey, Signature, Signer } from "../../src/index.ts"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as Sshsig from "../../src/protocols/Sshsig.ts"
import * as SshMessage from "../../src/schemas/SshMessage.ts"
import * as SshSignature from "../../src/schemas/SshSignature.ts"
import * as SshWire from "../../src/schemas/SshWire.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { seeded } from "../primitives/random.ts"
import { message, vectors } from "./sshsigVectors.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const algorithms = ["Ed25519", "ES256", "ES384", "ES512", "RS256", "RS512"] as const
const namespace = "file"

const signerOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, seed?: string) =>
  Effect.flatMap(TestKey.make(algorithm, seed), (privateKey) => LocalSigner.make({ privateKey, algorithm }))

const signed = Effect.fnUntraced(function* (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  options: { readonly namespace: string; readonly hash?: Sshsig.HashAlgorithm } = { namespace }
) {
  const signer = yield* signerOf(algorithm)
  const sshsig = yield* Effect.provideService(Sshsig.sign(message, options), Signer.Signer, signer)
  return { sshsig, publicKey: yield* signer.publicKey() }
})

/** The binary form with parts of the test's own. */
const blobWith = (parts: {
  readonly version?: number
  readonly key?: Uint8Array
  readonly namespace?: string | Uint8Array
  readonly reserved?: string
  readonly hash?: string
  readonly signature?: Uint8Array
  readonly magic?: string
}) =>
  SshWire.concat(
    bytes(parts.magic ?? "SSHSIG"),
    SshWire.uint32(parts.version ?? 1),
    SshWire.string(parts.key ?? SshWire.concat(SshWire.string("ssh-ed25519"), SshWire.string(new Uint8Array(32)))),
    SshWire.string(parts.namespace ?? namespace),
    SshWire.string(parts.reserved ?? ""),
    SshWire.string(parts.hash ?? "sha512"),
    SshWire.string(parts.signature ?? SshWire.concat(SshWire.string("ssh-ed25519"), SshWire.string(new Uint8Array(64))))
  )

describe("signatures of ssh-keygen", () => {
  it.effect.each(vectors)("$algorithm $namespace $hash verifies and is written again as it was", (vector) =>
    Effect.gen(function* () {
      const sshsig = yield* Sshsig.fromArmored(vector.signature)
      const publicKey = yield* PublicKey.fromOpenSsh(vector.line)
      assert.deepStrictEqual(
        [sshsig.algorithm, sshsig.namespace, sshsig.hash],
        [vector.algorithm, vector.namespace, vector.hash]
      )
      assert.isTrue(PublicKey.sameKey(sshsig.publicKey, publicKey))
      assert.strictEqual(Sshsig.toArmored(sshsig), vector.signature)
      const options = { publicKey, namespace: vector.namespace }
      for (const form of [
        sshsig,
        vector.signature,
        Sshsig.toBytes(sshsig),
        vector.signature.replaceAll("\n", "\r\n")
      ]) {
        assert.isTrue(yield* Sshsig.verify(message, form, options))
      }
      assert.isFalse(yield* Sshsig.verify(bytes("another"), sshsig, options))
      assert.isFalse(yield* Sshsig.verify(message, sshsig, { ...options, namespace: "other" }))
      const other = (yield* TestKey.make("Ed25519", "other")).publicKey
      assert.isFalse(yield* Sshsig.verify(message, sshsig, { ...options, publicKey: other }))
    })
  )
})

describe("sign", () => {
  it.effect.each(algorithms)("%s verifies, in each form and with each hash", (algorithm) =>
    Effect.gen(function* () {
      for (const hash of [undefined, "sha256", "sha512"] as const) {
        const { publicKey, sshsig } = yield* signed(algorithm, hash === undefined ? { namespace } : { namespace, hash })
        assert.strictEqual(sshsig.hash, hash ?? "sha512")
        assert.isTrue(yield* Sshsig.verify(message, sshsig, { publicKey, namespace }))
        const armored = Sshsig.toArmored(sshsig)
        assert.match(armored, /^-----BEGIN SSH SIGNATURE-----\n(.{70}\n)+.{1,70}\n-----END SSH SIGNATURE-----\n$/)
        assert.isTrue(yield* Sshsig.verify(message, armored, { publicKey, namespace }))
        assert.deepStrictEqual(Sshsig.toBytes(yield* Sshsig.fromArmored(armored)), Sshsig.toBytes(sshsig))
      }
    })
  )

  it.effect("gives the key the data of PROTOCOL.sshsig and nothing else", () =>
    Effect.gen(function* () {
      const inner = yield* signerOf("Ed25519")
      const seen: Array<Uint8Array> = []
      const signer = Signer.Signer.of({
        ...inner,
        sign: (data) => {
          seen.push(data)
          return inner.sign(data)
        }
      })
      yield* Effect.provideService(Sshsig.sign(new Uint8Array(1_000_000), { namespace: "git" }), Signer.Signer, signer)
      assert.lengthOf(seen, 1)
      assert.deepStrictEqual(SshMessage.kindOf(seen[0]!), { _tag: "Sshsig", namespace: "git" })
    })
  )

  it.effect("holds the key of the version that signed", () =>
    Effect.gen(function* () {
      const [current, previous] = [yield* signerOf("Ed25519"), yield* signerOf("Ed25519", "previous")]
      const keyVersion = KeyVersion.make("1")
      const signer = Signer.Signer.of({
        ...current,
        publicKey: (version) => (version === keyVersion ? previous : current).publicKey(),
        sign: (data) =>
          Effect.map(
            previous.sign(data),
            ({ algorithm, bytes }) => new Signature.Signature({ algorithm, bytes, keyId: KeyId.make("k"), keyVersion })
          )
      })
      const sshsig = yield* Effect.provideService(Sshsig.sign(message, { namespace }), Signer.Signer, signer)
      const publicKey = yield* previous.publicKey()
      assert.isTrue(yield* Sshsig.verify(message, sshsig, { publicKey, namespace }))
    })
  )

  it.effect("refuses an algorithm, a namespace and a hash that SSH does not have", () =>
    Effect.gen(function* () {
      const tagOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, options: object) =>
        Effect.map(Effect.flip(signed(algorithm, options as never)), ({ _tag }) => _tag)
      for (const algorithm of ["ES256K", "BIP340", "PS256", "RS384", "ML-DSA-44"] as const) {
        if (algorithm !== "ML-DSA-44")
          assert.strictEqual(yield* tagOf(algorithm, { namespace }), "UnsupportedAlgorithm")
      }
      for (const wrong of ["", "a\nb", "\0", "x".repeat(1025), "\ud800", undefined, 7]) {
        assert.strictEqual(yield* tagOf("Ed25519", { namespace: wrong }), "SshsigError")
      }
      for (const hash of ["sha1", "SHA-512", "", "constructor"]) {
        assert.strictEqual(yield* tagOf("Ed25519", { namespace, hash }), "SshsigError")
      }
    })
  )
})

describe("an RSA key", () => {
  it.effect("that states its algorithm accepts no other, and one that does not accepts both", () =>
    Effect.gen(function* () {
      const { publicKey, sshsig } = yield* signed("RS256")
      const bare = yield* PublicKey.fromPem(PublicKey.toPem(publicKey))
      const other = yield* PublicKey.withAlgorithm(bare, "RS512")
      const verdicts = yield* Effect.forEach([bare, publicKey, other], (publicKey) =>
        Sshsig.verify(message, sshsig, { publicKey, namespace })
      )
      assert.deepStrictEqual(verdicts, [true, true, false])
    })
  )
})

describe("what is no signature", () => {
  const errorOf = <A>(self: Effect.Effect<A, Sshsig.SshsigError>) =>
    Effect.map(Effect.flip(self), (error) => {
      assert.strictEqual(error._tag, "SshsigError")
      return error.message
    })

  it.effect("has the error of the field that is wrong", () =>
    Effect.gen(function* () {
      const signature = (name: string, ...parts: ReadonlyArray<Uint8Array>) =>
        SshWire.concat(SshWire.string(name), SshWire.string(SshWire.concat(...parts)))
      const key = (name: string) => SshWire.concat(SshWire.string(name), SshWire.string(new Uint8Array(32)))
      const { publicKey } = yield* signed("RS256")
      const rsa = SshWire.encodePublicKey(publicKey)!
      for (const [blob, says] of [
        [blobWith({ magic: "SSHSIH" }), "does not begin with SSHSIG"],
        [blobWith({ version: 2 }), "version is not 1"],
        [blobWith({ namespace: "" }), "namespace: must be text that is not empty"],
        [blobWith({ namespace: Uint8Array.of(0xff) }), "not UTF-8"],
        [blobWith({ namespace: "a\0b" }), "control characters"],
        [blobWith({ hash: "sha1" }), "hash is not sha256 or sha512"],
        [blobWith({ key: key("sk-ssh-ed25519@openssh.com") }), "security key"],
        [blobWith({ key: key("ssh-ed25519-cert-v01@openssh.com") }), "certificate"],
        [blobWith({ key: key("ssh-dss") }), "not supported"],
        [blobWith({ signature: signature("ssh-ed25519", new Uint8Array(63)) }), "63 bytes"],
        [blobWith({ signature: signature("rsa-sha2-512", new Uint8Array(64)) }), "another algorithm"],
        [blobWith({ key: rsa, signature: signature("ssh-rsa", new Uint8Array(256)) }), "SHA-1"],
        [blobWith({ key: rsa, signature: signature("rsa-sha2-512", new Uint8Array(257)) }), "not as long"],
        [SshWire.concat(blobWith({}), Uint8Array.of(0)), "after the end"],
        [new Uint8Array(0), "cut off"],
        [new Uint8Array(70_000), "longer than"]
      ] as const) {
        assert.include(yield* errorOf(Sshsig.fromBytes(blob)), says)
      }
      yield* Sshsig.fromBytes(blobWith({}))
    })
  )

  it.effect("has no other armor than one block", () =>
    Effect.gen(function* () {
      const { sshsig } = yield* signed("Ed25519")
      const armored = Sshsig.toArmored(sshsig)
      for (const text of [
        "",
        ` ${armored}`,
        `${armored}\n`,
        `${armored}${armored}`,
        armored.replace("SSH SIGNATURE", "SSH SIGNATUR"),
        armored.replace("\nU1NI", "\n U1NI"),
        armored.replace("\nU1NI", "\n\nU1NI"),
        armored.replace("\nU1NI", "\nU1N\u0130"),
        armored.replace("\n-----END", "=\n-----END"),
        armored.replace("-----\n", "-----\nVersion: 1\n"),
        "x".repeat(70_000)
      ]) {
        yield* errorOf(Sshsig.fromArmored(text))
      }
      yield* errorOf(Sshsig.fromArmored(7 as never))
      yield* errorOf(Sshsig.fromBytes("text" as never))
    })
  )

  it.effect("is never a defect, and no change of a signature verifies", () =>
    Effect.gen(function* () {
      const random = seeded(31)
      for (const algorithm of ["Ed25519", "ES256", "RS512"] as const) {
        const { publicKey, sshsig } = yield* signed(algorithm)
        const original = Sshsig.toBytes(sshsig)
        const mutants = [
          ...Array.from(original, (byte, at) => original.with(at, byte ^ (1 << random.below(8)))),
          ...Array.from(original, (_, at) => original.subarray(0, at)),
          ...Array.from({ length: 300 }, () => {
            const at = random.below(original.length)
            return new Uint8Array([...original.subarray(0, at), random.below(256), ...original.subarray(at)])
          })
        ]
        for (const mutant of mutants) {
          const exit = yield* Effect.exit(Sshsig.verify(message, mutant, { publicKey, namespace }))
          if (Exit.isSuccess(exit)) assert.isFalse(exit.value)
          else assert.strictEqual((Cause.squash(exit.cause) as { readonly _tag: string })._tag, "SshsigError")
        }
      }
    })
  )

  it.effect("shows nothing of the message or of the input", () =>
    Effect.gen(function* () {
      const secret = bytes("canary in the namespace \0")
      const error = yield* Effect.flip(Sshsig.fromBytes(blobWith({ namespace: secret })))
      assert.isUndefined(Canary.search([{ name: "input", secret }])(Canary.show(error)))
    })
  )

  it.effect("a reserved field is taken as signed", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("Ed25519")
      const publicKey = yield* signer.publicKey()
      const digest = new Uint8Array(
        yield* Effect.promise(() => crypto.subtle.digest("SHA-512", new Uint8Array(message)))
      )
      const data = SshMessage.encodeSshsig(namespace, bytes("later"), "sha512", digest)
      const signature = SshSignature.encode("Ed25519", (yield* signer.sign(data)).bytes)
      const key = SshWire.encodePublicKey(publicKey)!
      const verify = (reserved: string) =>
        Sshsig.verify(message, blobWith({ key, reserved, signature }), { publicKey, namespace })
      assert.isTrue(yield* verify("later"))
      assert.isFalse(yield* verify(""))
    })
  )
})

// ---------------------------------------------------------------------------
// allowed signers
// ---------------------------------------------------------------------------

describe("allowed signers", () => {
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzOy9qZ5ntyQiCbl6e+JN9mRW1+h1u9LBTN+csxqmro"
  const parse = Sshsig.parseAllowedSigners

  it.effect("are lines with principals, options, a key and a comment", () =>
    Effect.gen(function* () {
      const signers = yield* parse(
        [
          "# who may sign",
          "",
          `me@example.com ${key}`,
          `  *@example.com,!root@example.com\tnamespaces="git,file",valid-after="20260101Z" ${key} a comment, with "quotes"  `,
          `"with space" VALID-BEFORE="20260102030405Z" ${key}\r`,
          "token@example.com sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t"
        ].join("\n")
      )
      assert.deepStrictEqual(
        signers.map(({ line, namespaces, principals, validAfter, validBefore }) => [
          line,
          principals,
          namespaces,
          validAfter,
          validBefore
        ]),
        [
          [3, "me@example.com", undefined, undefined, undefined],
          [4, "*@example.com,!root@example.com", "git,file", Date.UTC(2026, 0, 1), undefined],
          [5, "with space", undefined, undefined, Date.UTC(2026, 0, 2, 3, 4, 5)]
        ]
      )
    })
  )

  it.effect("without Z are in the time zone of this machine", () =>
    Effect.gen(function* () {
      const [signer] = yield* parse(`me valid-after="202607010930" ${key}`)
      assert.strictEqual(signer!.validAfter, new Date(2026, 6, 1, 9, 30).getTime())
    })
  )

  it.effect.each([
    { line: `me@example.com`, says: "expected principals" },
    { line: `${key}`, says: "expected a kind of key" },
    { line: `me ${key.replace("AAAA", "AAAB")}`, says: "the key cannot be read" },
    { line: `me cert-authority ${key}`, says: "cert-authority is not supported" },
    { line: `me namespaces="git",cert-authority ${key}`, says: "cert-authority is not supported" },
    { line: `me ssh-ed25519-cert-v01@openssh.com AAAA`, says: "a certificate is no key" },
    { line: `me namespaces=git ${key}`, says: "an option" },
    { line: `me namespaces="" ${key}`, says: "namespaces" },
    { line: `me namespaces="a",namespaces="b" ${key}`, says: "namespaces" },
    { line: `me namespaces="a", ${key}`, says: "an option" },
    { line: `me no-touch-required ${key}`, says: "an option" },
    { line: `me expires="20260101" ${key}`, says: "an option is not known" },
    { line: `me valid-after="20260230" ${key}`, says: "valid-after" },
    { line: `me valid-after="2026010124" ${key}`, says: "valid-after" },
    { line: `me valid-after="202601012400" ${key}`, says: "valid-after" },
    { line: `me valid-after="20260102",valid-before="20260101" ${key}`, says: "valid-before is not after" },
    { line: `"me ${key}`, says: "expected principals" }
  ])("$line is refused with its number", ({ line, says }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(parse(`# first\n${line}\n`))
      assert.include(error.message, "line 2")
      assert.include(error.message, says)
    })
  )

  it.effect("say who may sign what, and when", () =>
    Effect.gen(function* () {
      const { publicKey, sshsig } = yield* signed("Ed25519", { namespace: "git" })
      const line = PublicKey.toOpenSsh(publicKey)!
      const verdict = (text: string, principal: string, namespace = "git", at?: number) =>
        Effect.flatMap(parse(text), (allowedSigners) =>
          Sshsig.verifyPrincipal(message, sshsig, {
            allowedSigners,
            principal,
            namespace,
            ...(at === undefined ? {} : { at })
          })
        )
      const patterns = `*@example.com,!root@example.com ${line}`
      assert.isTrue(yield* verdict(patterns, "me@example.com"))
      assert.isFalse(yield* verdict(patterns, "root@example.com"))
      assert.isFalse(yield* verdict(patterns, "me@example.org"))
      assert.isFalse(yield* verdict(patterns, ""))
      assert.isFalse(yield* verdict("", "me@example.com"))
      assert.isFalse(yield* verdict(`me ${key}`, "me"))
      assert.isTrue(yield* verdict(`me ${key}\nm? ${line}`, "me"))
      assert.isTrue(yield* verdict(`me namespaces="g*,!file" ${line}`, "me"))
      assert.isFalse(yield* verdict(`me namespaces="file" ${line}`, "me"))
      assert.isFalse(yield* verdict(`me ${line}`, "me", "file"))
      const window = `me valid-after="20260101Z",valid-before="20260201Z" ${line}`
      const [start, end] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 1, 1)]
      for (const [at, expected] of [
        [start - 1, false],
        [start, true],
        [end, true],
        [end + 1, false]
      ] as const) {
        assert.strictEqual(yield* verdict(window, "me", "git", at), expected)
      }
      // no time is no answer: it is not within any limit
      assert.strictEqual((yield* Effect.flip(verdict(window, "me", "git", Number.NaN))).field, "at")
      // by Effect's clock, where no time is stated
      assert.isFalse(yield* verdict(window, "me"))
      yield* TestClock.setTime(start)
      assert.isTrue(yield* verdict(window, "me"))
      assert.deepStrictEqual(
        yield* Sshsig.findPrincipals(sshsig, { allowedSigners: yield* parse(`${window}\nyou ${key}\n*@x ${line}`) }),
        ["me", "*@x"]
      )
    })
  )

  it.effect("match patterns in reasonable time", () =>
    Effect.gen(function* () {
      const { publicKey, sshsig } = yield* signed("Ed25519")
      const allowedSigners = yield* parse(`${"*a".repeat(500)}b ${PublicKey.toOpenSsh(publicKey)}`)
      const principal = "a".repeat(5000)
      assert.isFalse(yield* Sshsig.verifyPrincipal(message, sshsig, { allowedSigners, principal, namespace }))
    })
  )
})
