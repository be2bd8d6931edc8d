/**
 * Which IP addresses belong to the public internet, and which lead somewhere that
 * a server must not be sent by what others wrote: to itself, to its own network,
 * or, inside of an IPv6 address, to an IPv4 address of either.
 *
 * **Details**
 *
 * Every block of the special-purpose registries of IANA (RFC 6890) is refused, the
 * few that are globally reachable included: nobody's keys are there. Of IPv6, what
 * is not global unicast is refused, too. An address that is not in its one form
 * (`0x7f.1`, `127.0.0.01`, `fe80::1%eth0`) is none: URL parsers and resolvers answer
 * with the one form.
 *
 * **Gotchas**
 *
 * A network may translate to IPv4 by a prefix of its own (RFC 6052 section 2.2),
 * which looks like any public address.
 *
 * @category internal
 */

/** An address, most significant byte first. */
export interface Address {
  readonly bytes: ReadonlyArray<number>
}

/** All addresses that begin with the same bits. */
export interface Range {
  readonly bytes: ReadonlyArray<number>
  /** How many bits. */
  readonly prefix: number
}

// ---------------------------------------------------------------------------
// text
// ---------------------------------------------------------------------------

const octet = "(0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])"
const ipv4 = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}$`)

const parse4 = (text: string): ReadonlyArray<number> | undefined => ipv4.exec(text)?.slice(1).map(Number)

/** Groups between colons, as bytes. */
const groups = (text: string): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const bytes: Array<number> = []
  const words = text.split(":")
  for (const [index, word] of words.entries()) {
    // RFC 4291 section 2.2: the last 32 bits may be written as an IPv4 address
    const tail = index === words.length - 1 ? parse4(word) : undefined
    if (tail !== undefined) {
      bytes.push(...tail)
    } else if (/^[0-9a-f]{1,4}$/i.test(word)) {
      const group = Number.parseInt(word, 16)
      bytes.push(group >> 8, group & 0xff)
    } else {
      return undefined
    }
  }
  return bytes
}

/** RFC 4291 section 2.2. No zone: it names an interface of this machine. */
const parse6 = (text: string): ReadonlyArray<number> | undefined => {
  const halves = text.split("::")
  const [head, tail] = halves.map(groups)
  if (halves.length === 1) return head?.length === 16 ? head : undefined
  if (halves.length !== 2 || head === undefined || tail === undefined) return undefined
  if (halves[0]!.includes(".")) return undefined // an IPv4 address is at the end
  const zeros = 16 - head.length - tail.length
  return zeros >= 2 ? [...head, ...Array.from({ length: zeros }, () => 0), ...tail] : undefined
}

/** Reads an address: IPv4 with four decimal numbers, or IPv6 without brackets. */
export const parse = (text: string): Address | undefined => {
  const bytes = text.length > 45 ? undefined : text.includes(":") ? parse6(text) : parse4(text)
  return bytes === undefined ? undefined : { bytes }
}

/** Reads an address or a network: `10.0.0.0/8`. What follows the prefix must be zero. */
export const parseRange = (text: string): Range | undefined => {
  const [name, length, ...more] = text.split("/")
  const address = parse(name!)
  if (address === undefined || more.length > 0) return undefined
  const bits = address.bytes.length * 8
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (prefix < 0 || prefix > bits) return undefined
  const isAligned = address.bytes.every((byte, index) => {
    const kept = Math.max(0, Math.min(8, prefix - index * 8))
    return (byte & (0xff >> kept)) === 0
  })
  return isAligned ? { bytes: address.bytes, prefix } : undefined
}

// ---------------------------------------------------------------------------
// ranges
// ---------------------------------------------------------------------------

/** Whether an address is in a range. Those of IPv4 and IPv6 never are in each other's. */
export const contains = (range: Range, { bytes }: Address): boolean => {
  if (range.bytes.length !== bytes.length) return false
  const whole = range.prefix >> 3
  for (let index = 0; index < whole; index++) if (range.bytes[index] !== bytes[index]) return false
  const rest = range.prefix & 7
  return rest === 0 || range.bytes[whole]! >> (8 - rest) === bytes[whole]! >> (8 - rest)
}

/**
 * What is refused, the smaller block before the one it is in. From
 * https://www.iana.org/assignments/iana-ipv4-special-registry and
 * https://www.iana.org/assignments/iana-ipv6-special-registry; multicast and the
 * address of Azure are in neither.
 */
export const special: ReadonlyArray<readonly [range: string, name: string, reference: string]> = [
  ["0.0.0.0/8", "this host on this network", "RFC 791 section 3.2"],
  ["10.0.0.0/8", "private use", "RFC 1918"],
  ["100.64.0.0/10", "shared with the customers of a provider (CGNAT)", "RFC 6598"],
  ["127.0.0.0/8", "loopback", "RFC 1122 section 3.2.1.3"],
  ["168.63.129.16/32", "the platform of Azure", "learn.microsoft.com, IP address 168.63.129.16"],
  ["169.254.0.0/16", "link-local, where clouds serve credentials", "RFC 3927"],
  ["172.16.0.0/12", "private use", "RFC 1918"],
  ["192.0.0.0/24", "IETF protocol assignments", "RFC 6890 section 2.1"],
  ["192.0.2.0/24", "documentation (TEST-NET-1)", "RFC 5737"],
  ["192.31.196.0/24", "AS112-v4", "RFC 7535"],
  ["192.52.193.0/24", "AMT", "RFC 7450"],
  ["192.88.99.0/24", "6to4 relay anycast", "RFC 7526"],
  ["192.168.0.0/16", "private use", "RFC 1918"],
  ["192.175.48.0/24", "direct delegation AS112 service", "RFC 7534"],
  ["198.18.0.0/15", "benchmarking", "RFC 2544"],
  ["198.51.100.0/24", "documentation (TEST-NET-2)", "RFC 5737"],
  ["203.0.113.0/24", "documentation (TEST-NET-3)", "RFC 5737"],
  ["224.0.0.0/4", "multicast", "RFC 5771"],
  ["255.255.255.255/32", "limited broadcast", "RFC 919 section 7"],
  ["240.0.0.0/4", "reserved", "RFC 1112 section 4"],
  ["::/128", "unspecified", "RFC 4291 section 2.5.2"],
  ["::1/128", "loopback", "RFC 4291 section 2.5.3"],
  ["::/96", "IPv4-compatible", "RFC 4291 section 2.5.5.1"],
  ["::ffff:0:0/96", "IPv4-mapped", "RFC 4291 section 2.5.5.2"],
  ["::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 section 2.1"],
  ["64:ff9b::/96", "IPv4 by NAT64", "RFC 6052 section 2.1"],
  ["64:ff9b:1::/48", "IPv4 by NAT64 of this network", "RFC 8215"],
  ["100::/64", "discard-only", "RFC 6666"],
  ["100:0:0:1::/64", "dummy prefix", "RFC 9780"],
  ["2001::/32", "Teredo, with an IPv4 address inside", "RFC 4380"],
  ["2001:2::/48", "benchmarking", "RFC 5180"],
  ["2001:10::/28", "ORCHID", "RFC 4843"],
  ["2001:20::/28", "ORCHIDv2", "RFC 7343"],
  ["2001::/23", "IETF protocol assignments", "RFC 2928"],
  ["2001:db8::/32", "documentation", "RFC 3849"],
  ["2002::/16", "6to4, with an IPv4 address inside", "RFC 3056"],
  ["2620:4f:8000::/48", "direct delegation AS112 service", "RFC 7534"],
  ["3fff::/20", "documentation", "RFC 9637"],
  ["5f00::/16", "segment routing", "RFC 9602"],
  ["fc00::/7", "unique local", "RFC 4193"],
  ["fe80::/10", "link-local", "RFC 4291 section 2.5.6"],
  ["fec0::/10", "site-local", "RFC 3879"],
  ["ff00::/8", "multicast", "RFC 4291 section 2.7"]
]

const refused = special.map(([range, name, reference]) => ({ ...parseRange(range)!, why: `${name} (${reference})` }))

/** All that is assigned to networks so far (RFC 4291 section 2.4). */
const globalUnicast = parseRange("2000::/3")!

/**
 * Why an address is refused: what it is, for a person. `undefined` where it is
 * public, or in one of the ranges that are allowed beside.
 */
export const refusalOf = (text: string, allowed: ReadonlyArray<Range> = []): string | undefined => {
  const address = parse(text)
  if (address === undefined) return "not an IP address in its one form"
  if (allowed.some((range) => contains(range, address))) return undefined
  const found = refused.find((range) => contains(range, address))
  if (found !== undefined) return found.why
  return address.bytes.length === 4 || contains(globalUnicast, address)
    ? undefined
    : "not global unicast (RFC 4291 section 2.4)"
}
