/** Names the suites that do not run here, once, where a newcomer sees it. */
export default () => {
  if (!process.env["EFFECT_SIGNER_VECTORS"]) {
    console.log(
      "Skipped: the suites of published vectors (RFC 8032, RFC 6979, BIP340, Wycheproof, JWK thumbprints).\n" +
        'To run them, name the folder of the vectors in EFFECT_SIGNER_VECTORS: see README, "What is proven".\n'
    )
  }
}
