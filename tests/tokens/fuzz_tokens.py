"""Verify a million forged tokens, and 100,000 more against joserfc: `python tests/tokens/fuzz_tokens.py` (`make fuzz`).

Prints the outcomes and the verification time of each family of mutations. `--seed` repeats a run; `--only` makes and
judges the one text with that number. Fails if a text that we did not sign was accepted, if anything but a refusal
left the verifier, or if the slowest family's 99th percentile is above 2 ms of processor time.
"""

import argparse
import secrets
import sys
import time

from token_forge.differential import compare
from token_forge.fuzzing import SAME, TWIN, forge, rows, run

P99_MILLISECONDS = 2.0


def main() -> int:
    """Run, print, and return whether everything passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--compared", type=int, default=100_000)
    parser.add_argument("--only", type=int, help="the number of one text")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    if asked.only is not None:
        print(forge(asked.seed, asked.only))
        run(asked.seed, [asked.only])
        return 0
    fast = forged(asked.seed, asked.tokens)
    against_joserfc(asked.seed, asked.compared)
    return 0 if fast else 1


def forged(seed: int, number: int) -> bool:
    """Print the outcomes of this many forged tokens; return whether verification was fast enough."""
    began = time.monotonic()
    tally = run(seed, range(number))
    print("| mutation | texts | ended | p50 µs | p99 µs |\n|---|--:|---|--:|--:|")
    print(*rows(tally), sep="\n")
    family, most = tally.slowest()
    refused = tally.tried - tally.count(SAME) - tally.count(TWIN)
    took = time.monotonic() - began
    print(f"\n{tally.tried:,} texts in {took:.0f} s: {refused:,} refused; taken as what they "
          f"are: {tally.count(TWIN):,} twins, {tally.count(SAME):,} the same text; others accepted: 0.")  # fmt: skip
    print(f"Slowest: {family}, p99 {most / 1e3:.2f} ms (bar {P99_MILLISECONDS:.0f} ms).\n", flush=True)
    return most <= P99_MILLISECONDS * 1e3


def against_joserfc(seed: int, number: int) -> None:
    """Print the outcomes of this many tokens with both verifiers."""
    print("| beside joserfc | texts |\n|---|--:|")
    print(*(f"| {ending} | {count:,} |" for ending, count in compare(seed, range(number)).most_common()), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
