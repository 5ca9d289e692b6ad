"""Counting a history that grows turn by turn costs by what is new in it, not by the whole.

    python benchmarks/bench_tokens.py

Each history has fresh string objects in every turn, as it has when it comes out of JSON.
"""

from __future__ import annotations

import json
import random
import time
from typing import Any

from profiler.measure.tokens import TokenCounter, load_encoding

ENCODING = "o200k_base"
TOKENS_PER_TURN = 100
HISTORY_TOKENS = (1_000, 10_000, 100_000)
ROUNDS = 20
TARGET_SHARE = 0.1  # of counting a 10,000-token history whole

Message = dict[str, Any]


def random_text(random_numbers: random.Random) -> str:
    """Return a text of about `TOKENS_PER_TURN` tokens, unlike any other."""
    words = ("flight", "order", "please", "change", "the", "of", "to", "ticket", "bag", "refund")
    chosen = [random_numbers.choice(words) for _ in range(TOKENS_PER_TURN - 10)]
    return " ".join([*chosen, str(random_numbers.getrandbits(80))])


def conversation(tokens: int, random_numbers: random.Random) -> list[Message]:
    return [
        {"role": ("user", "assistant")[turn % 2], "content": random_text(random_numbers)}
        for turn in range(tokens // TOKENS_PER_TURN)
    ]


def timed_s(counter: TokenCounter, messages: list[Message]) -> float:
    fresh = json.loads(json.dumps(messages))
    started = time.perf_counter()
    counter.count_parts(fresh)
    return time.perf_counter() - started


def main() -> None:
    load_encoding(ENCODING)
    random_numbers = random.Random(1)
    print(f"{'history':>10}  {'whole':>10}  {'next turn':>10}  {'share':>6}   tokenizing the turn")
    missed = False
    for tokens in HISTORY_TOKENS:
        messages = conversation(tokens, random_numbers)
        whole_s = min(timed_s(TokenCounter(ENCODING), messages) for _ in range(5))
        counter = TokenCounter(ENCODING)
        counter.count_parts(messages)
        turns_s = []
        for _ in range(ROUNDS):
            messages.append({"role": "user", "content": random_text(random_numbers)})
            turns_s.append(timed_s(counter, messages))
        turn_s = sorted(turns_s)[ROUNDS // 2]
        alone_s = min(timed_s(TokenCounter(ENCODING), messages[-1:]) for _ in range(5))
        missed |= tokens == 10_000 and turn_s > TARGET_SHARE * whole_s
        print(
            f"{tokens:>10,}  {whole_s * 1e6:>7,.0f} us  {turn_s * 1e6:>7,.0f} us  "
            f"{turn_s / whole_s:>6.1%}   {alone_s * 1e6:,.0f} us"
        )
    verdict = "MISSED" if missed else "ok"
    print(f"target: next turn of 10,000 tokens at most {TARGET_SHARE:.0%} of the whole: {verdict}")


if __name__ == "__main__":
    main()
