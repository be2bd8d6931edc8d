import { defineConfig } from "vitest/config"

const conditions = ["effect-signer-source", "node", "import", "default"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    exclude: ["test/live/**", "test/oracles/**", "**/node_modules/**"],
    globalSetup: ["test/globalSetup.ts"],
    testTimeout: 60_000,
    execArgv: ["--conditions=effect-signer-source"]
  }
})
