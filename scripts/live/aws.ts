/**
 * Emulators of AWS KMS that others wrote.
 */
import type { Software } from "./Software.ts"

/** https://pypi.org/project/ministack/ */
export const ministack: Software = {
  name: "ministack",
  version: "1.5.33",
  install: (folder) => [
    ["python3", "-m", "venv", folder],
    [
      `${folder}bin/pip`,
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "ministack==1.5.33",
      "cryptography==50.0.2"
    ]
  ],
  start: (folder, port) => ({
    command: `${folder}bin/ministack`,
    env: {
      BIND_HOST: "127.0.0.1", // its default is every interface
      GATEWAY_PORT: String(port),
      SERVICES: "kms",
      LOG_LEVEL: "ERROR"
    }
  })
}

/** https://github.com/nsmithuk/local-kms. Listens on every interface: it has no option for another. */
export const localKms: Software = {
  name: "local-kms",
  version: "latest",
  install: (folder) => [["env", `GOBIN=${folder}`, "go", "install", "github.com/nsmithuk/local-kms@latest"]],
  start: (folder, port) => ({
    command: `${folder}local-kms`,
    env: { PORT: String(port), KMS_DATA_PATH: folder, KMS_ACCOUNT_ID: "111122223333", KMS_REGION: "eu-west-2" }
  })
}
