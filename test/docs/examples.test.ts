import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const run = promisify(execFile)
const root = new URL("../../", import.meta.url)
const examples = (await readdir(new URL("examples/", root), { recursive: true }))
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && !name.endsWith("app.ts"))
  .toSorted()

const execute = (file: string) =>
  run(process.execPath, ["--conditions=effect-signer-source", file], { cwd: root, timeout: 60_000 })

/** What the output must contain, for each example. */
const expected: Readonly<Record<string, ReadonlyArray<string>>> = {
  "adcp-signing.ts": [
    "create_media_buy: signed by buyer-2026\nget_products: not signed, and need not be\n",
    "by another client: request_signature_required\n"
  ],
  "aws-kms.ts": ["ES256 64\ntrue\n"],
  "azure-key-vault.ts": ["ES256 64\ntrue\n"],
  "custom-backend.ts": ["release Ed25519 64 bytes"],
  "decorate.ts": [`rule "release-only" does not permit it`, "signed  15 bytes", "failed PolicyDenied 20 bytes"],
  "env-key.ts": ["env signs with ES256: 64 bytes", "i66fo538lfl5ombdf6tcdbrabp4hmp9asv7nrffuc2im13ct4q60"],
  "errors.ts": ["watch-only only watches urn:kms:ed25519:"],
  "first-available.ts": ["keyring: ", "file: KeyNotFound", "variable: ConfigError"],
  "from-config.ts": ['{"algorithm":"ES256","keyId":"urn:kms:p256:'],
  "gcp-kms.ts": ["Ed25519 cryptoKeyVersions/1\ntrue\nattempts: 2\n"],
  "http-service.ts": [
    '{"item":7,"by":"https://partner.example"}\nrefused: HttpSignatureInvalid: Replayed\n401\n',
    '401 sig1=("@method" "@target-uri" "content-digest");created;nonce=...;tag="orders"',
    'KeyRevoked: the key "partner-1" is revoked\n401\n'
  ],
  "http-signature.ts": [
    "Content-Digest, Signature-Input, Signature",
    "https://shop.example/orders?dry=1 by https://partner.example",
    '{"item":7}\nundefined\n',
    'DigestInvalid "content-digest"',
    "HttpSignatureInvalid: SignatureInvalid\n",
    "NoSignature",
    "theirs: '\"@target-uri\": https://shop.example/orders?dry=1'"
  ],
  "key-file.ts": ["signed with Ed25519, 64 bytes", "InvalidConfiguration - file.make", "a passphrase is needed"],
  "key-manager.ts": [
    "release-2026 true\ntrue\nKeyNotSigner\ndisabled\n",
    "release-2026 private disabled true\nrelease-2027 private enabled true\nrelease-2027\n"
  ],
  "http-server.ts": [
    'partner ordered {"item":7}',
    `401 sig1=("@method" "@target-uri" "content-type" "content-digest")`
  ],
  "jwks-route.ts": ["200 application/jwk-set+json public, max-age=300\n", "asked again: 304\n", "verified: alice"],
  "jws.ts": ["KeyUnknown\nKeyUnknown\nsigned by release team"],
  "jwt.ts": ["alice is a writer, says the key of https://id.example", "JwtInvalid: WrongAudience: aud"],
  "keys.ts": ["-----BEGIN PUBLIC KEY-----", "ssh-ed25519 ", "urn:kms:ed25519:", "true", "InvalidConfiguration"],
  "pkcs11.ts": ["set PKCS11_MODULE, PKCS11_URI and PKCS11_PIN_FILE"],
  "test-double.ts": ["[ 'release 1.0.0' ]"],
  "remote-jwks.ts": ["do not try again: KeysUnavailable: AddressRefused: 169.254.169.254"],
  "rotation.ts": [
    "PropagationNotOver: a verifier may hold a key set from before the change; wait until 1970-01-01T00:16:30.000Z",
    "2030-01: active -> retiring, 2030-02: canary -> active\nsigned by 2030-01\nsigned by 2030-02\n"
  ],
  "signed-responses/main.ts": ['{"account":"7","balance":"12.50"}', "verifies: true", "audit: signed vault v1"],
  "signers.ts": ["acme signs with Ed25519\nglobex signs with ES256\nthere is no such tenant\n"],
  "sign.ts": ["true\nfalse\n"],
  "signer-from-config.ts": [
    "local Ed25519 for release 64 bytes",
    "url: must be an http or https URL",
    "key: is missing",
    "kye: no backend knows this field; did you mean key?"
  ],
  "ssh-agent.ts": ["release: Ed25519", "verifies: true"],
  "sshsig.ts": ["-----BEGIN SSH SIGNATURE-----", "by release: true", "by mallory: false", "SshsigError"],
  "two-keys.ts": ["Ed25519 certified with ES384"],
  "vault.ts": ["Ed25519 1\ntrue\n"],
  "web-bot-auth.ts": [
    'signed for shop.example\nkeys at "https://bot.example"\n',
    "Signature-Input, Signature for /.well-known/http-message-signatures-directory"
  ],
  "webhook.ts": [
    "webhook-id, webhook-timestamp, webhook-signature\nby next\n",
    "WebhookInvalid: Replayed\nWebhookInvalid: SignatureInvalid\n"
  ]
}

describe("examples", () => {
  it("each states what it must print", () => {
    assert.deepStrictEqual(examples, Object.keys(expected).toSorted())
  })

  it.each(examples)("%s runs and prints what it says", async (name) => {
    const { stdout } = await execute(`examples/${name}`)
    for (const text of expected[name] ?? []) assert.include(stdout, text)
    assert.notInclude(stdout, "PRIVATE KEY")
  })
})

const documents = await Promise.all(
  ["README.md", ...(await readdir(new URL("docs/", root))).map((name) => `docs/${name}`)].map(async (name) => ({
    name,
    text: await readFile(new URL(name, root), "utf8")
  }))
)

/** The example files that a document shows, and the text that it shows. */
const shown = (text: string) =>
  [...text.matchAll(/<!-- ((?:test\/oracles\/)?examples\/[\w-]+\.ts) -->\n\n```ts\n([\s\S]*?)```/g)].map(
    ([, file, block]) => [file!, block!] as const
  )

describe("README and docs", () => {
  it("the README shows at least the first example", () => {
    const [readme] = documents
    assert.include(
      shown(readme!.text).map(([file]) => file),
      "examples/sign.ts"
    )
  })

  it.each(documents.flatMap(({ name, text }) => shown(text).map(([file, block]) => [file, name, block] as const)))(
    "%s is shown as it is in %s",
    async (file, _, block) => {
      assert.strictEqual(block, await readFile(new URL(file, root), "utf8"))
    }
  )

  it.each(documents)("$name has no code that is not an example file", ({ text }) => {
    assert.strictEqual([...text.matchAll(/```ts\n/g)].length, shown(text).length)
  })

  it.each(documents)("$name links to files and headings that are there", ({ name, text }) => {
    const base = new URL(name, root)
    for (const [, target, heading] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const linked = target === "" ? name : fileURLToPath(new URL(target!, base)).slice(fileURLToPath(root).length)
      assert.isTrue(existsSync(new URL(linked, root)), `${name} links to ${target}`)
      if (heading === undefined) continue
      const anchors = (documents.find((document) => document.name === linked)?.text ?? "")
        .split("\n")
        .filter((line) => line.startsWith("#"))
        .map((line) =>
          line
            .replace(/^#+ /, "")
            .toLowerCase()
            .replace(/[^\w\- ]/g, "")
            .replaceAll(" ", "-")
        )
      assert.include(anchors, heading, `${name} links to ${target}#${heading}`)
    }
  })
})
