"""`python -m benchmarks` runs all of them; `python -m benchmarks NAME [options]` runs one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from benchmarks import (
    consensus,
    demo_review,
    encode,
    finish_guarantee,
    index,
    index_killed,
    label_weights,
    parse_replies,
    prompt_tokens,
    publish_latency,
    real_errors,
    review_loop,
    runtimes,
    serve,
    shares,
    stopping,
    teach_throughput,
    web_latency,
)

BENCHMARKS: dict[str, Callable[[Sequence[str]], int]] = {
    "web_latency": web_latency.main,
    "publish_latency": publish_latency.main,
    "parse_replies": parse_replies.main,
    "prompt_tokens": prompt_tokens.main,
    "teach_throughput": teach_throughput.main,
    "encode": encode.main,
    "runtimes": runtimes.main,
    "finish_guarantee": finish_guarantee.main,
    "label_weights": label_weights.main,
    "real_errors": real_errors.main,
    "consensus": consensus.main,
    "review_loop": review_loop.main,
    "demo_review": demo_review.main,
    "stopping": stopping.main,
    "serve": serve.main,
    "shares": shares.main,
    "index": index.main,
    "index_throughput": index.main_throughput,
    "index_killed": index_killed.main,
}


def main(arguments: Sequence[str]) -> int:
    """Exit code: 0 when all targets were met."""
    if not arguments:
        return max(run([]) for run in BENCHMARKS.values())
    name, *rest = arguments
    if name not in BENCHMARKS:
        print(f"no benchmark is named {name!r}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    return BENCHMARKS[name](rest)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
