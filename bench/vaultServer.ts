/**
 * A transit engine that answers at once, in a process of its own: what is measured
 * is the client. Prints its port.
 */
import { generateKeyPairSync, sign } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const { privateKey, publicKey } = generateKeyPairSync("ed25519")
const signature = `vault:v1:${sign(null, Buffer.alloc(32), privateKey).toString("base64")}`
const around = { request_id: "bench", lease_id: "", renewable: false, lease_duration: 0, wrap_info: null, auth: null }
const key = JSON.stringify({
  ...around,
  data: {
    type: "ed25519",
    latest_version: 1,
    derived: false,
    supports_signing: true,
    keys: {
      "1": {
        name: "ed25519",
        public_key: publicKey.export({ format: "jwk" }).x!.replaceAll("-", "+").replaceAll("_", "/") + "="
      }
    }
  }
})
const one = JSON.stringify({ ...around, data: { signature, key_version: 1 } })
const item = JSON.stringify({ signature, key_version: 1 })

const server = createServer((request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    let body = key
    if (request.method === "POST") {
      const text = chunks.length === 1 ? chunks[0]!.toString("latin1") : Buffer.concat(chunks).toString("latin1")
      const items = text.startsWith(`{"batch_input"`) ? text.split(`"input"`).length - 1 : 0
      body = items === 0 ? one : `{"data":{"batch_results":[${Array.from({ length: items }, () => item).join(",")}]}}`
    }
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length })
    response.end(body)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port))
process.on("disconnect", () => process.exit())
