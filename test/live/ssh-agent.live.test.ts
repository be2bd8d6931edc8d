/**
 * Our ssh-agent client over OpenSSH's agent, OpenSSH's tools and git over our
 * agent, and each other's signatures.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `EFFECT_SIGNER_LIVE` | names of programs, with commas, without which the run fails: `openssh` |
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { FetchHttpClient } from "effect/http"
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises"
import * as openssh from "../../scripts/live/openssh.ts"
import * as Software from "../../scripts/live/Software.ts"
import { LocalSigner, PrivateKey, PublicKey, Signer, Verifier } from "../../src/index.ts"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as SshAgentServer from "../../src/layers/SshAgentServer.ts"
import * as SshAgentSigner from "../../src/layers/SshAgentSigner.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import * as Sshsig from "../../src/protocols/Sshsig.ts"
import { Conformance } from "../../src/testing.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"
import { key, opensshAgent } from "../conformance/openssh.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const message = bytes("message")
const algorithms = ["Ed25519", "ES256", "ES384", "ES512", "RS256", "RS512"] as const

/** An agent of OpenSSH with one key. */
const withKey = Effect.fnUntraced(function* (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  env: Readonly<Record<string, string>> = {},
  flags: ReadonlyArray<string> = []
) {
  const folder = yield* openssh.folder
  const socket = `${folder}/agent`
  const made = yield* key(folder, algorithm)
  const agent = yield* openssh.agent(socket, env)
  yield* openssh.add(socket, ...flags, made.path)
  return { folder, socket, agent, ...made }
})

const file = (path: string, data: string | Uint8Array) => Effect.promise(() => writeFile(path, data))
const textOf = (path: string) => Effect.promise(() => readFile(path, "utf8"))

/** What `ssh-keygen -Y verify` says of a signature. */
const verdict = Effect.fnUntraced(function* (folder: string, line: string, signature: string, namespace: string) {
  yield* file(`${folder}/allowed`, `me@example.com ${line}\n`)
  yield* file(`${folder}/signature`, signature)
  const args = ["-f", `${folder}/allowed`, "-I", "me@example.com", "-n", namespace, "-s", `${folder}/signature`]
  return yield* openssh.run("ssh-keygen", ["-Y", "verify", ...args], { stdin: message })
})

const suite = () => {
  for (const { algorithm, layer, maxMessageLength } of opensshAgent) {
    Conformance.suite(it, `kit/ssh-agent/openssh/${algorithm}`, layer, { maxMessageLength, timeout: 120_000 })
  }

  describe("openssh: an agent", () => {
    it.live("that is killed and started anew among 1,000 calls makes no wrong signature and hangs none", () =>
      Effect.gen(function* () {
        const { agent, path, publicKey, socket } = yield* withKey("Ed25519")
        const layer = SshAgentSigner.layer({
          socket,
          key: { publicKey },
          resilience: { timeout: "5 seconds", times: 50, schedule: Schedule.spaced("50 millis"), budget: "30 seconds" }
        })
        const signer = Context.get(yield* Layer.build(layer), Signer.Signer)
        const count = { done: 0, failed: 0 }
        const bare = yield* SshAgentSigner.make({ socket, key: { publicKey } })
        // of those without repetition each is answered or fails as one that may be repeated
        const call = (index: number) => {
          const input = bytes(`message ${index}`)
          const sign = index % 4 === 0 ? bare.sign(input) : signer.sign(input)
          return sign.pipe(
            Effect.tap((signature) => Effect.map(Verifier.verify(publicKey, input, signature), assert.isTrue)),
            Effect.tap(() => Effect.sync(() => void count.done++)),
            Effect.catchTag("Retryable", ({ reason }) => {
              assert.strictEqual(reason._tag, "BackendUnavailable")
              assert.strictEqual(index % 4, 0, "with repetition it succeeds")
              return Effect.sync(() => void count.failed++)
            })
          )
        }
        const restart = Effect.gen(function* () {
          while (count.done < 100) yield* Effect.sleep("1 millis")
          yield* agent.kill
          const before = count.done
          // It takes the place when it has its key: an agent without keys is another case
          yield* openssh.agent(`${socket}-next`)
          yield* openssh.add(`${socket}-next`, path)
          yield* Effect.promise(() => rename(`${socket}-next`, socket))
          return before
        })
        const [before] = yield* Effect.all(
          [
            restart,
            Effect.forEach(
              Array.from({ length: 1000 }, (_, index) => index),
              call,
              { concurrency: "unbounded" }
            )
          ],
          { concurrency: "unbounded" }
        ).pipe(Effect.timeout("60 seconds"))
        assert.isBelow(before, 1000, "the agent had not done all when it was killed")
        assert.strictEqual(count.done + count.failed, 1000)
        assert.isAtLeast(count.done, 750)
        assert.isAbove(count.failed, 0, "it was killed in the middle")
      })
    )

    it.live("that is locked is KeyUnavailable, and signs when it is unlocked", () =>
      Effect.gen(function* () {
        const { folder, publicKey, socket } = yield* withKey("Ed25519")
        yield* file(`${folder}/askpass`, "#!/bin/sh\necho secret\n")
        yield* Effect.promise(() => chmod(`${folder}/askpass`, 0o700))
        const env = { SSH_AUTH_SOCK: socket, SSH_ASKPASS: `${folder}/askpass`, SSH_ASKPASS_REQUIRE: "force" }
        const signer = yield* SshAgentSigner.make({ socket, key: { publicKey } })
        yield* openssh.ok("ssh-add", ["-x"], { env })
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "KeyUnavailable")
        assert.deepStrictEqual(yield* SshAgentSigner.list({ socket }), [])
        yield* openssh.ok("ssh-add", ["-X"], { env })
        yield* signer.sign(message)
      })
    )

    it.live("whose owner says no is PermissionDenied, and a key that was removed KeyNotFound", () =>
      Effect.gen(function* () {
        const env = { SSH_ASKPASS: "/bin/false", SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":0" }
        const { folder, path, publicKey, socket } = yield* withKey("ES256", env, ["-c"])
        const other = yield* key(folder, "Ed25519", "other")
        yield* openssh.add(socket, other.path)
        const signer = yield* SshAgentSigner.make({ socket, key: { publicKey } })
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "PermissionDenied")
        yield* openssh.add(socket, "-d", path)
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "KeyNotFound")
      })
    )

    it.live("with a certificate beside its key is asked for the key", () =>
      Effect.gen(function* () {
        const { folder, path, publicKey, socket } = yield* withKey("Ed25519")
        const ca = yield* key(folder, "Ed25519", "ca")
        yield* openssh.ok("ssh-keygen", ["-q", "-s", ca.path, "-I", "id", "-n", "me", `${path}.pub`])
        yield* openssh.add(socket, path)
        const listed = yield* SshAgentSigner.list({ socket })
        assert.deepStrictEqual(listed.map(({ type }) => type).sort(), [
          "ssh-ed25519",
          "ssh-ed25519-cert-v01@openssh.com"
        ])
        const signer = yield* SshAgentSigner.make({ socket, key: { comment: "key" } })
        assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), publicKey))
      })
    )
  })

  describe("openssh: signatures", () => {
    it.live.each(algorithms)("by %s verify there and here, whoever made them", (algorithm) =>
      Effect.gen(function* () {
        const { folder, line, path, publicKey, socket } = yield* withKey(algorithm)
        const signer = yield* SshAgentSigner.make({ socket, algorithm, key: { publicKey } })
        const allowedSigners = yield* Sshsig.parseAllowedSigners(`me@example.com ${line}\n`)
        for (const [namespace, hash] of [
          ["file", "sha512"],
          ["release@example.com", "sha256"]
        ] as const) {
          const ours = Sshsig.toArmored(
            yield* Effect.provideService(Sshsig.sign(message, { namespace, hash }), Signer.Signer, signer)
          )
          const good = yield* verdict(folder, line, ours, namespace)
          assert.strictEqual(good.code, 0, good.err)
          assert.notStrictEqual((yield* verdict(folder, line, ours, "other")).code, 0)
          const find = ["-Y", "find-principals", "-f", `${folder}/allowed`, "-s", `${folder}/signature`]
          const found = yield* openssh.ok("ssh-keygen", find)
          assert.deepStrictEqual(yield* Sshsig.findPrincipals(ours, { allowedSigners }), [found.trim()])

          const sign = ["-Y", "sign", "-f", path, "-n", namespace, "-O", `hashalg=${hash}`]
          const theirs = yield* openssh.ok("ssh-keygen", sign, { stdin: message })
          assert.isTrue(
            yield* Sshsig.verifyPrincipal(message, theirs, { allowedSigners, principal: "me@example.com", namespace })
          )
          assert.isFalse(yield* Sshsig.verify(bytes("another"), theirs, { publicKey, namespace }))
          assert.strictEqual(Sshsig.toArmored(yield* Sshsig.fromArmored(theirs)), theirs)
        }
      })
    )
  })

  /** `ssh-keygen -Y sign` and git with the key of a Signer, which OpenSSH never sees. */
  const signsForOthers = Effect.fnUntraced(function* (signer: Signer.Service) {
    const folder = yield* openssh.folder
    const server = yield* SshAgentServer.make({
      socket: `${folder}/agent`,
      keys: [{ signer, comment: "served" }],
      rules: SshAgentServer.onlySshsig("file", "git")
    })
    const line = PublicKey.toOpenSsh(server.keys[0]!.publicKey)!
    const env = { SSH_AUTH_SOCK: server.socket, HOME: folder }
    yield* file(`${folder}/key.pub`, `${line} served\n`)
    assert.include(yield* openssh.ok("ssh-add", ["-L"], { env }), `${line} served`)

    const sign = (namespace: string) =>
      openssh.run("ssh-keygen", ["-Y", "sign", "-f", `${folder}/key.pub`, "-n", namespace], { env, stdin: message })
    const signed = yield* sign("file")
    assert.strictEqual(signed.code, 0, signed.err)
    assert.strictEqual((yield* verdict(folder, line, signed.out, "file")).code, 0)
    assert.notStrictEqual((yield* sign("other")).code, 0) // a rule

    const repository = `${folder}/repository`
    yield* Effect.promise(() => mkdir(repository))
    yield* file(`${folder}/allowed`, `me@example.com namespaces="git" ${line}\n`)
    const git = (...args: ReadonlyArray<string>) => openssh.run("git", args, { cwd: repository, env })
    yield* file(
      `${folder}/.gitconfig`,
      `[user]\n name = Me\n email = me@example.com\n signingkey = ${folder}/key.pub\n` +
        `[gpg]\n format = ssh\n[gpg "ssh"]\n allowedSignersFile = ${folder}/allowed\n`
    )
    assert.strictEqual((yield* git("init", "-q")).code, 0)
    const commit = yield* git("commit", "-q", "-S", "--allow-empty", "-m", "signed")
    assert.strictEqual(commit.code, 0, commit.err)
    const verified = yield* git("verify-commit", "HEAD")
    assert.strictEqual(verified.code, 0, verified.err)
    assert.include(verified.err, 'Good "git" signature for me@example.com')

    // and what git has made verifies here
    const raw = (yield* git("cat-file", "commit", "HEAD")).out
    const [header, ...body] = raw.split("\n\n")
    const armored = /^gpgsig ([\s\S]*?-----END SSH SIGNATURE-----)$/m.exec(header!)![1]!.replace(/\n /g, "\n")
    const payload = bytes([header!.replace(/\ngpgsig [\s\S]*?-----END SSH SIGNATURE-----/, ""), ...body].join("\n\n"))
    assert.isTrue(
      yield* Sshsig.verifyPrincipal(payload, armored, {
        allowedSigners: yield* Sshsig.parseAllowedSigners(yield* textOf(`${folder}/allowed`)),
        principal: "me@example.com",
        namespace: "git"
      })
    )
  })

  describe("openssh: ssh-keygen and git sign through our agent", () => {
    it.live.each(["Ed25519", "ES256", "ES384", "ES512", "RS512"] as const)("with a key in memory, %s", (algorithm) =>
      Effect.gen(function* () {
        const privateKey = yield* PrivateKey.generate(algorithm)
        yield* signsForOthers(yield* LocalSigner.make({ privateKey, algorithm }))
      })
    )

    it.live.each(["ed25519", "ecdsa-p256"] as const)("with a key in Vault, %s", (type) =>
      Effect.gen(function* () {
        const vault = yield* VaultEmulator.VaultEmulator
        yield* vault.createKey("git", type)
        const layer = VaultSigner.layer({ ...vault.connection, key: "git" }).pipe(Layer.provide(FetchHttpClient.layer))
        yield* signsForOthers(Context.get(yield* Layer.build(layer), Signer.Signer))
      }).pipe(Effect.provide(VaultEmulator.layer()))
    )
  })

  describe("openssh: ssh logs in with our agent", () => {
    /** Whether `ssh` gets in with a key that only the agent has. */
    const logIn = Effect.fnUntraced(function* (
      algorithm: SignatureAlgorithm.SignatureAlgorithm,
      rules: SshAgentServer.Options["rules"]
    ) {
      const folder = yield* openssh.folder
      const signer = yield* LocalSigner.make({ privateKey: yield* PrivateKey.generate(algorithm), algorithm })
      const agent = yield* SshAgentServer.make({ socket: `${folder}/agent`, keys: [{ signer }], rules })
      const line = PublicKey.toOpenSsh(agent.keys[0]!.publicKey)!
      const { port, user } = yield* openssh.server(folder, `${line}\n`)
      const options = {
        IdentityAgent: agent.socket,
        StrictHostKeyChecking: "no",
        UserKnownHostsFile: "/dev/null",
        BatchMode: "yes"
      }
      const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`])
      const args = ["-F", "/dev/null", "-p", `${port}`, ...flags, `${user}@127.0.0.1`, "echo", "in"]
      return yield* openssh.run("ssh", args, { env: { HOME: folder } })
    })

    const noServer = openssh.missingServer
    const name = (what: string) => (noServer === undefined ? what : `${what} (${noServer})`)
    // oxlint-disable-next-line no-restricted-properties -- what is missing here is the name
    const login = noServer === undefined || Software.isDemanded("openssh") ? it.live : it.live.skip

    for (const algorithm of ["Ed25519", "ES256", "RS512"] as const) {
      login(name(`with ${algorithm}`), () =>
        Effect.gen(function* () {
          const { code, err, out } = yield* logIn(algorithm, undefined)
          assert.strictEqual(out, "in\n", err)
          assert.strictEqual(code, 0)
        })
      )
    }

    login(name("and not where the agent signs no logins"), () =>
      Effect.gen(function* () {
        const { code, err, out } = yield* logIn("Ed25519", SshAgentServer.noUserAuthentication)
        assert.strictEqual(out, "")
        assert.strictEqual(code, 255)
        assert.include(err, "Permission denied")
      })
    )
  })
}

if (openssh.missing === undefined) suite()
else if (Software.isDemanded("openssh")) it("openssh is there", () => assert.fail(openssh.missing))
else {
  // oxlint-disable-next-line no-restricted-properties -- what is missing here is the name
  it.skip(`${openssh.missing}`, () => {})
}
