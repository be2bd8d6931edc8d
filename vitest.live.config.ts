import { defineConfig, mergeConfig } from "vitest/config"
import base from "./vitest.config.ts"

export default mergeConfig(
  { ...base, test: { ...base.test, include: [], exclude: [] } },
  defineConfig({ test: { include: ["test/live/**/*.live.test.ts"], testTimeout: 120_000, hookTimeout: 30_000 } })
)
