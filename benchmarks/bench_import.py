"""How fast, and in how much memory, a large file of conversations is imported.

Usage: python -m benchmarks.bench_import [MB]

Writes files of 200 MB (or so many; 1000 is what the target is about) of support conversations:
`openai-messages` as JSON Lines, `sharegpt` as one JSON array. Imports each with the real command in
a process of its own; memory is the peak of the whole process, interpreter included. Speed is the
file's size over the CPU time of the process, start included. Tokens are not counted.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET_MB_PER_S = 50.0
TARGET_MB = 300.0
MB = 1_000_000
WORDS = ("flight", "order", "please", "change", "the", "of", "to", "ticket", "bag", "Größe", "42")


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(words // 2, 2 * words)))


def messages(rng: random.Random) -> list[dict[str, object]]:
    """Return a session of 1 to 12 turns, every other with a tool call."""
    found: list[dict[str, object]] = [{"role": "system", "content": text(rng, 200)}]
    for turn in range(rng.randint(1, 12)):
        found.append({"role": "user", "content": text(rng, 15)})
        if turn % 2:
            function = {"name": "find", "arguments": '{"order_id": "A-17"}'}
            call = {"id": f"call_{turn}", "type": "function", "function": function}
            found.append({"role": "assistant", "content": None, "tool_calls": [call]})
            result = '{"status": "sent", "items": [1, 2, 3], "note": "' + text(rng, 60) + '"}'
            found.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        found.append({"role": "assistant", "content": text(rng, 60)})
    return found


def as_sharegpt(session: list[dict[str, object]]) -> list[dict[str, object]]:
    senders = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}
    return [
        {
            "from": senders[str(m["role"])],
            "value": m["content"] or '<tool_call>{"name": "find"}</tool_call>',
        }
        for m in session
    ]


def pieces(kind: str, size: int) -> Iterator[bytes]:
    """Yield a file: 500 sessions again and again, each time with ids of their own."""
    rng = random.Random(1)
    is_array = kind == "sharegpt"
    key = "conversations" if is_array else "messages"
    sessions = [messages(rng) for _ in range(500)]
    bodies = [orjson.dumps(as_sharegpt(s) if is_array else s) for s in sessions]
    written = number = 0
    if is_array:
        yield b"[\n"
    while written < size:
        before = b",\n" if is_array and number else b""
        body = bodies[number % len(bodies)]
        piece = b'%b{"id": "session-%d", "%b": %b}' % (before, number, key.encode(), body)
        piece += b"" if is_array else b"\n"
        written, number = written + len(piece), number + 1
        yield piece
    if is_array:
        yield b"\n]\n"


def imported(kind: str, file: Path, out: Path) -> tuple[float, float]:
    """Import in a process of its own; return its CPU seconds and its peak memory in MB."""
    command = [sys.executable, "-m", "profiler", "import", kind, str(file), "-o", str(out)]
    root = str(Path(__file__).resolve().parents[1])
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    environ = {**os.environ, "PYTHONPATH": root}
    process = os.posix_spawn(sys.executable, command, environ, file_actions=silent)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(f"the import of {kind} failed")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return usage.ru_utime + usage.ru_stime, kilobytes * 1024 / MB


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("openai-messages", "sharegpt"):
            file = Path(folder) / kind
            with file.open("wb") as stream:
                stream.writelines(pieces(kind, size * MB))
            cpu_s, peak_mb = imported(kind, file, Path(folder) / f"{kind}.yaml")
            written_mb = file.stat().st_size / MB
            speed = written_mb / cpu_s
            fast = "ok" if speed >= TARGET_MB_PER_S else "MISSED"
            small = "ok" if peak_mb <= TARGET_MB else "MISSED"
            print(f"{kind}: {written_mb:,.0f} MB in {cpu_s:.2f} s of CPU")
            print(f"{kind:<16} {speed:6.1f} MB/s a core (target {TARGET_MB_PER_S:.0f}) {fast}")
            print(f"{kind:<16} {peak_mb:6.0f} MB peak (target {TARGET_MB:.0f}) {small}")
            file.unlink()


if __name__ == "__main__":
    main()
