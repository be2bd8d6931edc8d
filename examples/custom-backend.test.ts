import { it } from "@effect/vitest"
import { Conformance } from "effect-signer/testing"
import { layer, vendor } from "./custom-backend.ts"

Conformance.suite(it, "acme", layer(vendor, "release"))
