/**
 * The requests that are sent, and how they are signed: as the library would have it,
 * unless a kind says otherwise.
 */
import { Effect } from "effect"
import * as Adcp from "../../../src/protocols/Adcp.ts"
import * as HttpMessage from "../../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../../src/protocols/HttpSignature.ts"
import * as HttpSignatureProfile from "../../../src/protocols/HttpSignatureProfile.ts"
import * as Signer from "../../../src/services/Signer.ts"
import type { Party, PublishedKey } from "./backendKeys.ts"
import type { Side } from "./guardedService.ts"
import { authority, profiles } from "./guardedService.ts"
import type { Kind } from "./requestKinds.ts"
import * as SteppedClock from "./steppedClock.ts"

/** Who sends what, and where to. */
export interface Story {
  readonly kind: Kind
  readonly side: Side
  readonly party: Party
}

const utf8 = new TextEncoder()

/** A request as its sender wrote it: those of two numbers are never the same. */
export const draft = ({ kind, side }: Story, number: number): HttpMessage.HttpRequest => {
  const isGet = kind.method === "GET"
  const operation = side === "rest" ? "orders" : isGet ? "get_products" : "create_media_buy"
  return HttpMessage.request({
    method: kind.method ?? "POST",
    target: `https://${kind.host ?? authority}/${side}/${operation}?number=${number}&page=1`,
    fields: isGet ? [] : [["Content-Type", "application/json"]],
    body: utf8.encode(isGet ? "" : (kind.body ?? `{"plan_id":"plan_${number}","budget":100}`))
  })
}

/** What `/rest/` wants, and the content type beside. */
const restOptions = ({ body }: HttpMessage.HttpRequest, nonce: string | undefined): HttpSignature.SignOptions => ({
  components: ["@method", "@target-uri", ...(body!.length === 0 ? [] : ["content-digest", "content-type"])],
  tag: "orders",
  nonce: nonce ?? true
})

/** The key that it is signed with, or whose name it has. */
export const keyOf = ({ kind, party }: Story): PublishedKey =>
  party[kind.named === undefined ? (kind.key ?? "main") : "main"]

const isHonest = ({ covers, key, named, signed }: Kind): boolean =>
  covers === undefined && key === undefined && named === undefined && signed === undefined

/** Signs, with a nonce of its own unless one is given. */
export const sign = (story: Story, message: HttpMessage.HttpRequest, nonce?: string) =>
  Effect.gen(function* () {
    const { kind, party, side } = story
    const { signer } = party[kind.key ?? "main"]
    const keyId = kind.named === "nobody" ? kind.named : keyOf(story).keyId
    const signing = Effect.gen(function* () {
      if (side !== "rest" && isHonest(kind)) {
        const options = { profile: profiles[side], keyId, nonce }
        return yield* side === "webhook" ? Adcp.signWebhook(message, options) : Adcp.signRequest(message, options)
      }
      const options =
        side === "rest"
          ? restOptions(message, nonce)
          : yield* HttpSignatureProfile.signOptions(profiles[side][side === "webhook" ? "webhook" : "request"], message)
      const changed: HttpSignature.SignOptions = {
        ...options,
        // Whoever signs wrongly asks nobody whether the key is for it
        purposes: undefined,
        components: kind.covers === undefined ? options.components : [...options.components, kind.covers],
        keyId,
        ...kind.signed
      }
      return yield* HttpSignature.sign(message, changed)
    })
    const { message: genuine } = yield* Effect.provideService(signing, Signer.Signer, signer)
    return genuine
  }).pipe(SteppedClock.offBy(story.kind.off?.[story.side === "rest" ? "rest" : "adcp"] ?? 0))
