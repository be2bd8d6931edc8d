/**
 * AWS KMS with one key that answers at once, in a process of its own: what is measured
 * is the client. Prints its port.
 */
import { generateKeyPairSync, sign } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const { privateKey, publicKey } = generateKeyPairSync("ed25519")
const KeyId = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
const signed = JSON.stringify({
  KeyId,
  Signature: sign(null, Buffer.alloc(32), privateKey).toString("base64"),
  SigningAlgorithm: "ED25519_SHA_512"
})
const key = JSON.stringify({
  KeyId,
  PublicKey: publicKey.export({ format: "der", type: "spki" }).toString("base64"),
  KeySpec: "ECC_NIST_EDWARDS25519",
  KeyUsage: "SIGN_VERIFY",
  SigningAlgorithms: ["ED25519_SHA_512"]
})

const server = createServer((request, response) => {
  request.resume()
  request.on("end", () => {
    const body = request.headers["x-amz-target"] === "TrentService.Sign" ? signed : key
    response.writeHead(200, {
      "content-type": "application/x-amz-json-1.1",
      "content-length": body.length,
      "x-amzn-requestid": "11111111-2222-3333-4444-555555555555"
    })
    response.end(body)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port))
process.on("disconnect", () => process.exit())
