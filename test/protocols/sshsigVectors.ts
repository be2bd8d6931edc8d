/**
 * Made with `ssh-keygen -Y sign` of OpenSSH 9.2, over `message`.
 */
export interface Vector {
  readonly algorithm: string
  readonly namespace: string
  readonly hash: string
  readonly line: string
  readonly signature: string
}

export const message: Uint8Array = new TextEncoder().encode("signed by ssh-keygen\n")

export const vectors: ReadonlyArray<Vector> = [
  {
    algorithm: "Ed25519",
    namespace: "file",
    hash: "sha512",
    line: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBKaiHz6XhcTm9D3oigMjZfOFprrJQPcn/Q7oBoNPSeF user@host",
    signature: `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgEpqIfPpeFxOb0PeiKAyNl84Wmu
slA9yf9DugGg09J4UAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
OQAAAEDM6pW/PvuDs2uPclvABM61WF12s7q+q9nVZLBavI/sgzScF7huLd2ZDrDRitPQeC
ayoX5rhBK3cW2YhkerCb4J
-----END SSH SIGNATURE-----
`
  },
  {
    algorithm: "ES256",
    namespace: "git",
    hash: "sha256",
    line:
      "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGc3Az0nDH7Ya0vcUruiyaDbO1qN" +
      "6kiKpKCfL8LDXhmNgcQvFtrnbJDfJ+pGwirGabUUlZ94Tyqoo1rU785Nx2Q= user@host",
    signature: `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
EEZzcDPScMfthrS9xSu6LJoNs7Wo3qSIqkoJ8vwsNeGY2BxC8W2udskN8n6kbCKsZptRSV
n3hPKqijWtTvzk3HZAAAAANnaXQAAAAAAAAABnNoYTI1NgAAAGMAAAATZWNkc2Etc2hhMi
1uaXN0cDI1NgAAAEgAAAAgU+/h0J+760TmDsJwXZ7+n8oxgx/zs6s+S3gE/eHciUAAAAAg
V2Ib39rd7gW8nUeqNrl2tqL9NRw6jdyd2LYNJ0zZnKw=
-----END SSH SIGNATURE-----
`
  },
  {
    algorithm: "ES384",
    namespace: "file",
    hash: "sha512",
    line:
      "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBM7GC7yAlxjlaQTH0JViCT/4u6cX" +
      "0pMgOEdI2mhnZ6+ZbUj52jJxjVVM3tBsBYezVaqaz6l9J5EyOPsgLPXXufnGCvVZ5R8rPVuCkNQWhsHPpiliF84uNlNoMLVYpu14" +
      "ZA== user@host",
    signature: `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAIgAAAATZWNkc2Etc2hhMi1uaXN0cDM4NAAAAAhuaXN0cDM4NAAAAG
EEzsYLvICXGOVpBMfQlWIJP/i7pxfSkyA4R0jaaGdnr5ltSPnaMnGNVUze0GwFh7NVqprP
qX0nkTI4+yAs9de5+cYK9VnlHys9W4KQ1BaGwc+mKWIXzi42U2gwtVim7XhkAAAABGZpbG
UAAAAAAAAABnNoYTUxMgAAAIQAAAATZWNkc2Etc2hhMi1uaXN0cDM4NAAAAGkAAAAwRelW
5Ro7AywxBjE2msWBLnH5/7s8stNJYt1GlJHJmu9FAk6dG4lqmN9V3b8a4gDeAAAAMQCvzw
PABYKlKqfKX+pTQuwak1pZKpNhl599wQmzHpAOdu2EwaGAAZ2SQgp7KX4Rhfk=
-----END SSH SIGNATURE-----
`
  },
  {
    algorithm: "ES512",
    namespace: "release@example.com",
    hash: "sha512",
    line:
      "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACp5w0MxDWSmWlUPYJ6wBgCDRVS" +
      "o0wfycgl1Z33sVWLFJX2kTvdZhK7ft8GlStrzpz4jSF2hSOCJxQFGr9Mzz2iSAB3XrInNgNGPRAY/gJ5ZWcSKgyDEuaoYwZ90+s2" +
      "GE2cPGPChAg9GolDo0reNKPZSywJXRBHmVhqqVOmTSY9QSXMYQ== user@host",
    signature: `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAKwAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQAAAI
UEAKnnDQzENZKZaVQ9gnrAGAINFVKjTB/JyCXVnfexVYsUlfaRO91mErt+3waVK2vOnPiN
IXaFI4InFAUav0zPPaJIAHdesic2A0Y9EBj+AnllZxIqDIMS5qhjBn3T6zYYTZw8Y8KECD
0aiUOjSt40o9lLLAldEEeZWGqpU6ZNJj1BJcxhAAAAE3JlbGVhc2VAZXhhbXBsZS5jb20A
AAAAAAAABnNoYTUxMgAAAKcAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAIwAAABCAVZjax
KmoYAsS/hR/hfIOPvjTu9ipmTPhAGOXzVFQvBE5PhvUvZ/+/41CBjvVwOe2GZmxpN/zqwE
l5cqgXq/hAiQAAAAQgEFFs3P5xXFqNgiSZOUx7K0UC+d5lS0b5VVcB1JWzAlQ/I4w740lb
tqIecNwu6NzjBmx3qb610Ep6gH7wioenJUUw==
-----END SSH SIGNATURE-----
`
  },
  {
    algorithm: "RS512",
    namespace: "file",
    hash: "sha512",
    line:
      "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDR+QiHVZZ87C0c9W/ATEzFHEwSOxZLAEl5iMnWiRfpVWVU6IO2wvxRjxrwNbxT" +
      "wL+/psahjRH+q9JnTVmBzbmdDodwCwHqfN740pY3TjNnEk1TU74mNYTPlaxSfh9WiMY0z1rXssq3J91PdhlSyNg5MfmHsGtQcxZy" +
      "xignDOBASHXKXs0bmO+Z27uyl2jkNBtcRKF9OkMvXZzA5dtKCqjBBM5AIPX6N4fhg0YcXo9za5uyl/vXpOWMqYzCqBDfZirHaoEK" +
      "8U7B98rDqjd1uPhxwINwGWaQBd//jDoJboN5/Zc/OoleWGEBxarB8VLthQAuUxHmtnliDQhZctag2M3/ user@host",
    signature: `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAARcAAAAHc3NoLXJzYQAAAAMBAAEAAAEBANH5CIdVlnzsLRz1b8BMTM
UcTBI7FksASXmIydaJF+lVZVTog7bC/FGPGvA1vFPAv7+mxqGNEf6r0mdNWYHNuZ0Oh3AL
Aep83vjSljdOM2cSTVNTviY1hM+VrFJ+H1aIxjTPWteyyrcn3U92GVLI2Dkx+Yewa1BzFn
LGKCcM4EBIdcpezRuY75nbu7KXaOQ0G1xEoX06Qy9dnMDl20oKqMEEzkAg9fo3h+GDRhxe
j3Nrm7KX+9ek5YypjMKoEN9mKsdqgQrxTsH3ysOqN3W4+HHAg3AZZpAF3/+MOglug3n9lz
86iV5YYQHFqsHxUu2FAC5TEea2eWINCFly1qDYzf8AAAAEZmlsZQAAAAAAAAAGc2hhNTEy
AAABFAAAAAxyc2Etc2hhMi01MTIAAAEACZ2R/AmMeFEvB7MLLHOhlxrURIDC90nI2WeBYl
z3TuxyOGMFrd3VNAoqhFNwt+jUTiWaZMwJf5hdAbQQESUKiYUm4Y/nRqVJbsH0cxl/AqUZ
V9vCAixo0f+Ay/W4CGtjERLvMBf2GNdJxVzws139j//GPl+3TyUgtwBgTAWBMZTdPrAUxn
aANwxDgCfU9o4Ctbog3sX2oWbZCoyNS2OQ9kFqfUCCXCS1zsrVn0KoPoUNaYuB8VAyj+D6
RNcitnNFqkz3Nu45woILwFINFxx0UirpIuTHUedwKihwN4UXT3iHIItEOrRPKwfZGNuPOy
qNBt6KDXkFURDOSwqGr8sv6w==
-----END SSH SIGNATURE-----
`
  }
]
