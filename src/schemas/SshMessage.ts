/**
 * What an SSH key is asked to sign: the data of an SSHSIG signature (OpenSSH
 * `PROTOCOL.sshsig`), a login (RFC 4252 section 7), or anything else.
 *
 * A login and a signature are the same to a key. Who may have it sign messages
 * that others wrote must be able to tell them apart.
 *
 * @category internal
 */
import { Malformed } from "./Malformed.ts"
import * as SshWire from "./SshWire.ts"

/** The first bytes of a signature, and of what it signs. */
export const magic: Uint8Array = new TextEncoder().encode("SSHSIG")

/** What a message is. */
export type SshMessage =
  /** A signature over a message by `ssh-keygen -Y sign`, by git and by `Sshsig`. */
  | { readonly _tag: "Sshsig"; readonly namespace: string }
  /** A login on a server. */
  | { readonly _tag: "UserAuthentication" }
  | { readonly _tag: "Other" }

const SSH_MSG_USERAUTH_REQUEST = 50

/** Whether a message begins as magic bytes or a longer field would. */
export const startsWithMagic = (bytes: Uint8Array): boolean => magic.every((byte, index) => bytes[index] === byte)

/** What an SSHSIG signature signs. */
export const encodeSshsig = (namespace: string, reserved: Uint8Array, hash: string, digest: Uint8Array): Uint8Array =>
  SshWire.concat(
    magic,
    SshWire.string(namespace),
    SshWire.string(reserved),
    SshWire.string(hash),
    SshWire.string(digest)
  )

const readSshsig = (message: Uint8Array): SshMessage =>
  SshWire.decode(message, "message", (reader) => {
    reader.take(magic.length, "the preamble")
    // A byte order mark is part of the name: without it this is another namespace
    const namespace = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(reader.string("the namespace"))
    reader.string("the reserved field")
    const hash = reader.text("the hash")
    const length = reader.string("the digest").length
    if (namespace === "" || length !== (hash === "sha512" ? 64 : hash === "sha256" ? 32 : -1)) {
      reader.refuse("this is no SSHSIG data")
    }
    return { _tag: "Sshsig", namespace }
  })

/** The session, the number of the message, user, service and method: what follows depends on the method. */
const readUserAuthentication = (message: Uint8Array): SshMessage => {
  const reader = new SshWire.Reader(message, "message")
  reader.string("the session")
  if (reader.byte("the number") !== SSH_MSG_USERAUTH_REQUEST) reader.refuse("this is no login")
  for (const what of ["the user", "the service", "the method"]) reader.string(what)
  return { _tag: "UserAuthentication" }
}

/** What a message is. A login is one as soon as it begins like one, however it goes on. */
export const kindOf = (message: Uint8Array): SshMessage => {
  for (const read of startsWithMagic(message) ? [readSshsig] : [readUserAuthentication]) {
    try {
      return read(message)
    } catch (error) {
      if (!(error instanceof Malformed) && !(error instanceof TypeError)) throw error
    }
  }
  return { _tag: "Other" }
}
