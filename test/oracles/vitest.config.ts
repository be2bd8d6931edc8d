import { defineConfig } from "vitest/config"

const conditions = ["effect-signer-source", "node", "import", "default"]

export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["**/*.test.ts"],
    testTimeout: 60_000,
    execArgv: ["--conditions=effect-signer-source"]
  }
})
