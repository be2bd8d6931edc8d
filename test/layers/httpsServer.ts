/** A certificate authority of our own, and servers on the loopback interface that it vouches for. */
import { Effect } from "effect"
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import type { RequestListener } from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as Der from "../../src/schemas/Der.ts"
import { parse } from "../../src/schemas/PublicAddress.ts"

// ---------------------------------------------------------------------------
// certificates (RFC 5280)
// ---------------------------------------------------------------------------

const oid = (hex: string) => Der.encode(Der.Tag.oid, new Uint8Array(Buffer.from(hex, "hex")))
const text = (tag: number, value: string) => Der.encode(tag, new TextEncoder().encode(value))
const set = (...parts: ReadonlyArray<Uint8Array>) => Der.encode(0x31, ...parts)
const yes = Der.encode(0x01, Uint8Array.of(0xff))

const ecdsaWithSha256 = Der.sequence(oid("2a8648ce3d040302"))
const nameOf = (commonName: string) => Der.sequence(set(Der.sequence(oid("550403"), text(0x0c, commonName))))
const time = (date: string) => text(0x18, `${date.replaceAll("-", "")}000000Z`)
const extension = (id: string, value: Uint8Array, ...critical: ReadonlyArray<Uint8Array>) =>
  Der.sequence(oid(id), ...critical, Der.octetString(value))

const alternative = (name: string) => {
  const address = parse(name)
  return address === undefined ? text(0x82, name) : Der.encode(0x87, Uint8Array.from(address.bytes))
}

const pem = (label: string, der: Uint8Array) =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g)!
    .join("\n")}\n-----END ${label}-----\n`

const keyPair = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" })

const certificate = (options: {
  readonly subject: string
  readonly publicKey: KeyObject
  readonly issuer: string
  readonly issuerKey: KeyObject
  readonly until: string
  readonly extensions: ReadonlyArray<Uint8Array>
}) => {
  const spki = new Uint8Array(options.publicKey.export({ format: "der", type: "spki" }))
  const serial = new Uint8Array(createHash("sha256").update(spki).digest().subarray(0, 8))
  const tbs = Der.sequence(
    Der.encode(Der.context(0, "constructed"), Der.number(2)),
    Der.integer(serial),
    ecdsaWithSha256,
    nameOf(options.issuer),
    Der.sequence(time("2020-01-01"), time(options.until)),
    nameOf(options.subject),
    spki,
    Der.encode(Der.context(3, "constructed"), Der.sequence(...options.extensions))
  )
  const signature = new Uint8Array(sign("sha256", tbs, options.issuerKey))
  return pem("CERTIFICATE", Der.sequence(tbs, ecdsaWithSha256, Der.bitString(signature)))
}

const authority = (name: string) => {
  const { privateKey, publicKey } = keyPair()
  const isAuthority = extension("551d13", Der.sequence(yes), yes)
  const ca = certificate({
    subject: name,
    publicKey,
    issuer: name,
    issuerKey: privateKey,
    until: "2999-01-01",
    extensions: [isAuthority]
  })
  return {
    ca,
    /** A key and a certificate for host names and addresses. */
    issue: (names: ReadonlyArray<string>, until = "2999-01-01") => {
      const own = keyPair()
      const cert = certificate({
        subject: "server",
        publicKey: own.publicKey,
        issuer: name,
        issuerKey: privateKey,
        until,
        extensions: [extension("551d11", Der.sequence(...names.map(alternative)))]
      })
      return { key: own.privateKey.export({ format: "pem", type: "pkcs8" }) as string, cert }
    }
  }
}

const trusted = authority("trusted by the tests")

/** The authority of the servers here, and one that nobody trusts. */
export const { ca, issue } = trusted
export const stranger = authority("trusted by nobody")

/** For any of the names that the tests use. */
const forAll = issue(["localhost", "keys.test", "id.test", "127.0.0.1", "127.0.0.2"])

// ---------------------------------------------------------------------------
// servers
// ---------------------------------------------------------------------------

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, unknown>>
}

/** Waits for what happens outside of Effect. */
export const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.promise(async (signal) => {
    while (!condition() && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 2))
  })

const opened = (server: net.Server, address: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly sockets: Set<net.Socket> }>((resume) => {
      const sockets = new Set<net.Socket>()
      server.on("connection", (socket: net.Socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
      })
      server.listen(0, address, () => {
        resume(Effect.succeed({ port: (server.address() as net.AddressInfo).port, sockets }))
      })
    }),
    ({ sockets }) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )

/** A server of HTTPS, what it was asked, and its connections that are open. */
export const serve = Effect.fnUntraced(function* (
  handle: RequestListener,
  options: { readonly address?: string; readonly identity?: { readonly key: string; readonly cert: string } } = {}
) {
  const seen: Array<Seen> = []
  const server = https.createServer({ ...(options.identity ?? forAll) }, (incoming, outgoing) => {
    seen.push({ method: incoming.method ?? "", url: incoming.url ?? "", headers: incoming.headers })
    handle(incoming, outgoing)
  })
  server.on("tlsClientError", () => {})
  const { port, sockets } = yield* opened(server, options.address ?? "127.0.0.1")
  return { port, seen, sockets, url: `https://localhost:${port}` }
})

/** A server that accepts connections. What it says is up to `connected`. */
export const serveRaw = Effect.fnUntraced(function* (connected: (socket: net.Socket) => void) {
  const { port, sockets } = yield* opened(net.createServer(connected), "127.0.0.1")
  return { port, sockets, url: `https://localhost:${port}` }
})
