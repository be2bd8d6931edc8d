/**
 * AWS KMS, and emulators of it that others wrote.
 */
import type { Software } from "./Software.ts"

const file = "aws.live.test.ts"

/** https://pypi.org/project/ministack/ */
export const ministack: Software = {
  name: "ministack",
  suite: "kit/aws/ministack",
  file,
  how: "pip install ministack cryptography, with Python 3.10 or newer",
  version: (folder) => [
    `${folder}bin/python`,
    "-c",
    "from importlib.metadata import version; print('ministack', version('ministack'))"
  ],
  install: {
    pin: "1.5.33",
    commands: (folder) => [
      ["python3", "-m", "venv", folder],
      [
        `${folder}bin/pip`,
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "ministack==1.5.33",
        "cryptography==50.0.2"
      ]
    ]
  },
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
  suite: "kit/aws/local-kms",
  file,
  how: "go install github.com/nsmithuk/local-kms@latest",
  install: {
    pin: "latest",
    commands: (folder) => [["env", `GOBIN=${folder}`, "go", "install", "github.com/nsmithuk/local-kms@latest"]]
  },
  start: (folder, port) => ({
    command: `${folder}local-kms`,
    env: { PORT: String(port), KMS_DATA_PATH: folder, KMS_ACCOUNT_ID: "111122223333", KMS_REGION: "eu-west-2" }
  })
}

/** A key of a real account. */
export const aws: Software = {
  name: "aws-account",
  suite: "kit/aws/live",
  file,
  how: "name a key in EFFECT_SIGNER_AWS_KEY_ID; credentials as the AWS SDK finds them",
  variable: "EFFECT_SIGNER_AWS_KEY_ID"
}
