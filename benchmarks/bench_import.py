"""How fast, and in how much memory, a large file of conversations is imported.

Usage: python -m benchmarks.bench_import [MB [KIND...]]

Writes files of 200 MB (or so many; 1000 is what the target is about) of support conversations:
`openai-messages` as JSON Lines, `sharegpt` as one JSON array, `otel` as a collector writes it (50
traces at a time, their spans interleaved over lines), `langfuse` as JSON Lines of traces and
observations, `har` as one document, `mooncake` and `azure-llm` as those traces are (median and 95th
percentile of lengths, prompts that share beginnings, arrivals a second). Imports each with the real
command in a process of its own;
memory is the peak of the whole process, interpreter included. Speed is the file's size over the CPU
time of the process, start included. Tokens are not counted. The target for speed is that of lines
that are sessions; what has to be gathered first is shown against it all the same.
"""

from __future__ import annotations

import math
import os
import random
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("openai-messages", "sharegpt", "otel", "langfuse", "har", "mooncake", "azure-llm")
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


def recorded_pieces(kind: str, size: int) -> Iterator[bytes]:
    """Yield a file of turns that stand apart: 100 sessions again and again, under other ids."""
    rng = random.Random(1)
    sessions = [messages(rng) for _ in range(100)]
    written = number = 0
    if kind == "har":
        yield b'{"log": {"version": "1.2", "entries": [\n'
    while written < size:
        batch = [_turns(sessions[(number + n) % len(sessions)], number + n) for n in range(50)]
        number += 50
        records = [record for turn in batch for record in _RECORDS[kind](turn)]
        rng.shuffle(records)
        if kind == "otel":
            chunks = [records[at : at + 100] for at in range(0, len(records), 100)]
            lines = [orjson.dumps(_request(chunk)) + b"\n" for chunk in chunks]
        else:
            end = b",\n" if kind == "har" else b"\n"
            lines = [orjson.dumps(record) + end for record in records]
        written += sum(map(len, lines))
        yield from lines
    if kind == "har":
        yield b"{}]}}\n"


Turn = tuple[str, int, list[dict[str, object]], list[dict[str, object]]]
"""Session, number, the messages before, and the turn's own."""


def _turns(session: list[dict[str, object]], number: int) -> list[Turn]:
    starts = [at for at, message in enumerate(session) if message["role"] == "user"]
    ends = [*starts[1:], len(session)]
    return [
        (f"session-{number}", place, session[:begin], session[begin:end])
        for place, (begin, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _calls(turn: Turn) -> Iterator[tuple[list[dict[str, object]], dict[str, object]]]:
    """Yield what each LLM call of a turn was given, and what it said."""
    _, _, before, own = turn
    for at, message in enumerate(own):
        if message["role"] == "assistant":
            yield [*before, *own[:at]], message


def _otel(turns: list[Turn]) -> Iterator[dict[str, object]]:
    for turn in turns:
        session, place, _, _ = turn
        trace = f"{abs(hash((session, place))):032x}"
        begin = 1_700_000_000 + place * 20
        yield _span(trace, 1, begin, begin + 10, {"session.id": session})
        for number, (given, said) in enumerate(_calls(turn), start=2):
            told = {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "m",
                "gen_ai.input.messages": orjson.dumps(given).decode(),
                "gen_ai.output.messages": orjson.dumps([said]).decode(),
            }
            yield _span(trace, number, begin + number, begin + number + 1, told)
            yield _span(
                trace, 90 + number, begin + number, begin + number + 1, {"http.method": "POST"}
            )


def _span(trace: str, number: int, begin: int, end: int, told: dict[str, str]) -> dict[str, object]:
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "parentSpanId": "" if number == 1 else f"{1:016x}",
        "name": "span",
        "kind": 2 if number == 1 else 3,
        "startTimeUnixNano": str(begin * 10**9),
        "endTimeUnixNano": str(end * 10**9),
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in told.items()],
        "status": {},
    }


def _request(spans: list[dict[str, object]]) -> dict[str, object]:
    name = {"key": "service.name", "value": {"stringValue": "agent"}}
    scopes = [{"scope": {"name": "bench"}, "spans": spans}]
    return {"resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": scopes}]}


def _langfuse(turns: list[Turn]) -> Iterator[dict[str, object]]:
    for turn in turns:
        session, place, _, own = turn
        trace = f"{session}-{place}"
        begin = f"2025-01-01T10:{place:02}"
        yield {"id": trace, "timestamp": f"{begin}:00Z", "sessionId": session, "input": own[0]}
        for number, (given, said) in enumerate(_calls(turn)):
            yield {
                "id": f"{trace}-{number}",
                "traceId": trace,
                "type": "GENERATION",
                "startTime": f"{begin}:{number + 1:02}Z",
                "endTime": f"{begin}:{number + 2:02}Z",
                "input": given,
                "output": said,
            }


def _har(turns: list[Turn]) -> Iterator[dict[str, object]]:
    for session, place, before, own in turns:
        body = orjson.dumps({"session_id": session, "messages": [*before, own[0]]}).decode()
        answer = orjson.dumps({"choices": [{"message": own[-1]}]}).decode()
        yield {
            "startedDateTime": f"2025-01-01T10:{place:02}:00Z",
            "time": 1000,
            "request": {"method": "POST", "url": "http://a/chat", "postData": {"text": body}},
            "response": {
                "status": 200,
                "content": {"mimeType": "application/json", "text": answer},
            },
        }


_RECORDS = {"otel": _otel, "langfuse": _langfuse, "har": _har}


def _lengths(rng: random.Random, median: int, p95: int, most: int) -> int:
    return min(
        most, max(1, round(rng.lognormvariate(math.log(median), math.log(p95 / median) / 1.645)))
    )


def mooncake_pieces(size: int) -> Iterator[bytes]:
    """Yield a trace as Mooncake's of conversations is: 9 requests every 3 seconds, 27 blocks each.

    Three of ten go on with an earlier prompt, whose whole blocks they begin with; all share the
    first block. Ids count up as blocks are first seen.
    """
    rng = random.Random(1)
    recent: list[list[int]] = []
    written, number, fresh = 0, 0, 1
    while written < size:
        asked = _lengths(rng, 6000, 36_000, 123_000)
        before = rng.choice(recent) if recent and rng.random() < _GOING_ON else [0]
        tokens = max(asked, (len(before) + 1) * 512 - rng.randrange(512))
        new = -(-tokens // 512) - len(before)
        ids = [*before, *range(fresh, fresh + new)]
        fresh += new
        recent.append(ids[:-1] if len(ids) > 1 else ids)
        if len(recent) > _RECENT:
            recent[rng.randrange(_RECENT)] = recent.pop()
        line = (
            f'{{"timestamp": {number // 9 * 3000}, "input_length": {tokens}, "output_length": '
            f'{_lengths(rng, 363, 690, 2000)}, "hash_ids": {ids}}}\n'
        ).encode()
        written, number = written + len(line), number + 1
        yield line


def azure_pieces(size: int) -> Iterator[bytes]:
    """Yield a trace as Azure's of conversations is: 4.7 requests a second, in tenths of a us."""
    rng = random.Random(1)
    head = b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    written, at_100ns = len(head), 10**7
    begin = datetime(2023, 11, 16, 18, 15, tzinfo=UTC)
    yield head
    while written < size:
        at_100ns += round(rng.expovariate(4.7) * 10**7)
        second, rest = divmod(at_100ns, 10**7)
        at = (begin + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")
        inputs, outputs = _lengths(rng, 1032, 4079, 7930), _lengths(rng, 95, 436, 1000)
        line = f"{at}.{rest:07},{inputs},{outputs}\r\n".encode()
        written += len(line)
        yield line


_GOING_ON, _RECENT = 0.3, 2000
_TRACES = {"mooncake": mooncake_pieces, "azure-llm": azure_pieces}


def written(kind: str, size: int) -> Iterator[bytes]:
    """Yield a file of a kind."""
    if kind in _TRACES:
        return _TRACES[kind](size)
    return recorded_pieces(kind, size) if kind in _RECORDS else pieces(kind, size)


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
        for kind in sys.argv[2:] or KINDS:
            file = Path(folder) / kind
            with file.open("wb") as stream:
                stream.writelines(written(kind, size * MB))
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
