/** The keys of fastn-stack/kulfi, `test-keys/key-{1,2,3}.txt` and `test-keys/baseline-id52.txt`. */
export const fastnVectors = [
  {
    secret: "100d7e23f222267ba0be43855a262461b8a7718572edf58c56db912156d2bc25",
    id52: "i66fo538lfl5ombdf6tcdbrabp4hmp9asv7nrffuc2im13ct4q60"
  },
  {
    secret: "e357e8a31fa82958cf0a7697846cb9ed494807d5d8bf95bac9ed21207d8ce6a3",
    id52: "e87aeds2fajaeu10tjdio5ppcdha410n6tu4665u7el9as9b7v80"
  },
  {
    secret: "a0ed7d4cdd3a2941a289f6bde83717898cccde35b0a8c2944aba66f87a2dcfa9",
    id52: "mlk9ubnvu8r1sk06j4tjb98njra0od5d2dglpm8gubbvg4glthng"
  }
] as const
