/** A server of Express whose routes want signatures by the keys of the JWK Set that it is given. It prints its port. */
import { Layer, ManagedRuntime } from "effect"
import * as HttpSignatureExpress from "effect-signer/HttpSignatureExpress"
import * as KeyResolver from "effect-signer/KeyResolver"
import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
import express from "express"

const runtime = ManagedRuntime.make(
  Layer.mergeAll(KeyResolver.layerJwks(process.argv[2], { owner: "alice" }), MemoryReplayStore.layer())
)

const signed = HttpSignatureExpress.middleware({
  runtime,
  replay: "refuse",
  maxBodySize: 1000,
  policy: {
    components: ["@method", "@target-uri"],
    algorithms: ["Ed25519"],
    maxAge: "5 minutes",
    skew: "30 seconds",
    tag: "orders"
  }
})

const answer: express.RequestHandler = (req, res) => {
  const {
    body,
    signatures: [{ key }]
  } = HttpSignatureExpress.verifiedRequest(req)
  const seen: unknown = req.body
  res.json({
    owner: key.owner,
    covered: body === undefined ? null : new TextDecoder().decode(body),
    body: seen instanceof Uint8Array ? new TextDecoder().decode(seen) : (seen ?? null)
  })
}

const failed: express.ErrorRequestHandler = (error, _req, res, _next) => {
  res.status(500).json({ problem: error.problem ?? String(error) })
}

const app = express()
app.post("/captured", express.json({ verify: HttpSignatureExpress.capture }), signed, answer)
app.post("/raw", express.raw({ type: () => true }), signed, answer)
app.post("/parsed", express.json(), signed, answer)
app.post("/unverified", (req, res) => void res.json(HttpSignatureExpress.verifiedRequest(req)))
// A router that is mounted takes the path off `url`
app.use("/mounted", express.Router().use(signed).all("/orders", express.json(), answer))
app.use(failed)

const server = app.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.stdout.write(`${typeof address === "object" && address !== null ? address.port : ""}\n`)
})
