"""Everything that parses what others send, in one table: what to call, with what to begin.

A target takes bytes and returns, or raises one of our own errors. Whatever else it raises, or time
or memory without bounds, is a find. Hypothesis (`test_targets.py`, in `make test`) and atheris
(`with_atheris.py`, `make fuzz`) run the same table.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx

from profiler.cli.import_files import nothing_taken
from profiler.cli.import_gathering import GATHERED, gathered
from profiler.endpoints.answers import guessed
from profiler.endpoints.body import Body
from profiler.endpoints.connection import Connection, State
from profiler.endpoints.decoding import decode, decoders_for
from profiler.endpoints.json_values import parsed
from profiler.endpoints.receiver import Limits
from profiler.endpoints.recognise import Sighting, candidates, questions
from profiler.endpoints.select import endpoint_for
from profiler.endpoints.sse import EventTooLongError, PlainStream, SseParser
from profiler.endpoints.stamps import Stamps
from profiler.errors import AgentProfilerError
from profiler.measure.histogram import DURATION, Histogram
from profiler.measure.journal import read_journal
from profiler.measure.tokens import TokenCounter
from profiler.observers.gateway.apis import api_for
from profiler.observers.gateway.counting import counts_of
from profiler.observers.gateway.rate_limit import rate_limit_of
from profiler.observers.gateway.recording import object_of
from profiler.observers.gateway.usage_chunk import UsageChunkFilter, asking_for_usage
from profiler.observers.otlp.decode import JSON, PROTOBUF, RefusedError
from profiler.observers.otlp.intake import read as read_otlp
from profiler.observers.prometheus import Prometheus
from profiler.observers.response import records_in
from profiler.observers.sql import classify_sql
from profiler.observers.state.command_counts import parse_info
from profiler.planner.demand_file import load_demand
from profiler.planner.plan import load_plan
from profiler.profile.model import load_profile
from profiler.workload.importers.kinds import ImportKind
from profiler.workload.importers.likely import likely_kind
from profiler.workload.importers.redact import Redactor
from profiler.workload.importers.request_survey import Stretch, survey_requests
from profiler.workload.importers.rewriting import Rewriter
from profiler.workload.importers.survey import Survey, survey
from profiler.workload.load import load_workload
from profiler.workload.target import Target as AgentTarget
from tests.fuzz import seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from profiler.endpoints.receiver import HeaderLines

_MOST_PIECE_BYTES = 128 * 1024
_ENOUGH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser: what to call with bytes, inputs that it takes, and what it may raise."""

    name: str
    parse: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = (AgentProfilerError,)

    def run(self, data: bytes) -> None:
        """Parse; what is refused in our own words is as good as what is taken."""
        with suppress(*self.refusals):
            self.parse(data)


class _File(type(Path())):  # type: ignore[misc] # PosixPath or WindowsPath, as the machine has it
    """A path whose file is in memory."""

    content = b""

    def read_bytes(self) -> bytes:
        return self.content

    def open(self, *_how: Any, **_more: Any) -> Any:
        return io.BytesIO(self.content)

    def is_dir(self) -> bool:
        return False


def _of_file(load: Callable[[Path], object]) -> Callable[[bytes], object]:
    def parse(data: bytes) -> object:
        path = _File("fuzzed")
        path.content = data
        return load(path)

    return parse


def _pieces(data: bytes) -> list[bytes]:
    """Cut as a network does; where, the bytes themselves say."""
    cuts = sorted({byte * len(data) // 256 for byte in data[:4]} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(cuts)]


# Streams and HTTP


def _sse(data: bytes) -> None:
    whole = SseParser(max_event_bytes=4096)
    cut = SseParser(max_event_bytes=4096)
    PlainStream.of(data)
    expected = whole.feed(data)
    assert [event for piece in _pieces(data) for event in cut.feed(piece)] == expected


class _Wire(asyncio.Transport):
    """A socket that takes everything."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


class _Keeper:
    def release(self, connection: Connection) -> None:
        pass

    closed = opened = gone = release


class _Taker:
    """Takes one response, and undoes its content codings."""

    def __init__(self) -> None:
        self.told = 0
        self.failure: BaseException | None = None

    def begin(self, _status: int, headers: HeaderLines, content_encoding: str | None) -> Any:
        headers.parsed()
        headers.get(b"content-type")
        decoders = decoders_for(content_encoding or "")

        def feed(chunk: bytes, _at_ns: int) -> None:
            for _ in decode(decoders, chunk):
                pass

        return feed

    def end(self) -> None:
        self.told += 1

    def fail(self, exc: BaseException) -> None:
        self.told += 1
        self.failure = exc

    def timed_out(self) -> httpx.TimeoutException:
        return httpx.ReadTimeout("late")


def _http_response(data: bytes) -> None:
    loop = cast("asyncio.AbstractEventLoop", None)  # no timer is set, no write is held up
    connection = Connection(
        _Keeper(), loop=loop, number=1, clock=lambda: 1, limits=Limits(), retry_window_ns=0
    )
    connection.connection_made(_Wire())
    taker = _Taker()
    connection.start(taker, Stamps(), b"GET / HTTP/1.1\r\n\r\n", max_body_bytes=1 << 20)
    for piece in _pieces(data):
        if connection.state is not State.CLOSED:
            connection.data_received(piece)
    connection.connection_lost(None)
    assert taker.told == 1, "it hears the end exactly once"
    assert taker.failure is None or isinstance(taker.failure, httpx.RequestError), taker.failure


_CODINGS = ("gzip", "deflate", "br", "gzip, gzip", "br, gzip", "x, deflate")


def _content_coding(data: bytes) -> None:
    decoders = decoders_for(_CODINGS[data[0] % len(_CODINGS)] if data else "")
    total = 0
    for piece in decode(decoders, data[1:]):
        assert len(piece) <= _MOST_PIECE_BYTES, "a piece is small, whatever it is a piece of"
        total += len(piece)
        if total > _ENOUGH_BYTES:
            return


# Agents' answers

_HTTP_JSON = {
    "body": {"message": "{{ user }}", "session": "{{ session_id }}"},
    "reply": "reply",
    "session_id": "session_id",
    "usage": {"input_tokens": "usage.input_tokens", "output_tokens": "usage.output_tokens"},
    "error": "error",
    "trace": "trace",
}
_SECTIONS: dict[str, dict[str, Any]] = {
    "http-json": {"http_json": _HTTP_JSON},
    "google-adk": {"google_adk": {"app": "agent"}},
}
_CONTENT_TYPES = ("text/event-stream", "application/json", "application/x-ndjson", "text/html", "")


@cache
def _endpoint(protocol: str, *, stream: bool) -> Any:
    given = {"protocol": protocol, "stream": stream, **_SECTIONS.get(protocol, {})}
    return endpoint_for(AgentTarget.model_validate(given), "http://127.0.0.1:1/v1/agent")


def _protocol(name: str) -> Callable[[bytes], None]:
    """Read two turns; an answer that was taken must be fit to be sent again with the next."""

    def parse(data: bytes) -> None:
        choice, body = (data[0], data[1:]) if data else (0, b"")
        kind = _CONTENT_TYPES[choice % len(_CONTENT_TYPES)]
        status = 500 if choice & 0x80 else 200
        dialogue = _endpoint(name, stream=not choice & 0x40).begin("a-session")
        for turn in ("hello", "and then?"):
            outgoing = dialogue.request(turn)
            if outgoing.opening is not None:
                _turn(outgoing.opening, turn, body, status, kind)
                outgoing = dialogue.request(turn)
                if outgoing.opening is not None:
                    return
            _turn(dialogue, turn, body, status, kind)

    return parse


def _turn(dialogue: Any, user: str, body: bytes, status: int, kind: str) -> None:
    reader = dialogue.reader(status=status, content_type=kind)
    for at_ns, piece in enumerate(_pieces(body), 1):
        reader.feed(piece, at_ns)
    reply = reader.finish()
    assert reply.error_detail is None or len(reply.error_detail) < 1000, "a detail is one line"
    records_in(reply, "0" * 31 + "1")
    if reply.error_kind is None and status == seeds.OK:
        dialogue.accept(user, reply)


def _unknown_agent(data: bytes) -> None:
    """What `init` asks and looks at."""
    body = Body()
    body.feed(data, 1)
    for content_type in ("application/json", "text/event-stream"):
        guessed(content_type, body, "hello")
    url = "http://127.0.0.1:1/chat"
    answer = parsed(data)
    candidates(url, [Sighting(question=asked, status=200, body=answer) for asked in questions(url)])


# Observers


def _otlp(media: str) -> Callable[[bytes], object]:
    def parse(data: bytes) -> object:
        return read_otlp(data, media, "gzip" if data.startswith(b"\x1f\x8b") else "")

    return parse


@cache
def _counter() -> TokenCounter:
    return TokenCounter("o200k_base", cache_entries=16)


def _gateway(path: str) -> Callable[[bytes], None]:
    """Read the same bytes as a request, as an answer and as a stream."""
    api = api_for("POST", path)
    assert api is not None

    def parse(data: bytes) -> None:
        body = object_of(data)
        answer = api.read_answer(data)
        if body is not None:
            api.read_request(body)
            counts_of(_counter(), api, body, answer)
            asking_for_usage(data, body)
        stream, kept = api.stream(), UsageChunkFilter()
        for at_ns, piece in enumerate(_pieces(data), 1):
            stream.feed(piece, at_ns)
            kept.feed(piece)
        stream.finish()
        kept.rest()

    return parse


def _headers(data: bytes) -> None:
    lines = (line.partition(b":") for line in data.split(b"\n"))
    rate_limit_of([(name.lower(), value.strip()) for name, _, value in lines], wall_ns=10**18)


def _prometheus(data: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=data))
    with Prometheus("http://127.0.0.1:1", transport=transport) as server:
        for ask in (
            lambda: server.value("up", 1.0),
            lambda: server.buckets("up", 1.0),
            lambda: server.series("up", start_s=0.0, end_s=1.0, step_s=1.0),
        ):
            with suppress(AgentProfilerError):
                ask()


def _state(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    classify_sql(text)
    parse_info(text)


# Files


def _write(_name: str, tokens: int) -> str:
    return "word " * min(tokens, 100)


def _import(kind: ImportKind) -> Callable[[bytes], object]:
    def parse(data: bytes) -> None:
        likely_kind(data)
        with ExitStack() as closing:
            source = cast("Any", closing.enter_context(tempfile.SpooledTemporaryFile(1 << 20)))
            source.write(data)
            source.seek(0)
            found = Survey()
            stream = source
            if kind in GATHERED:
                stream = gathered(source, kind, found, closing, write=_write, advanced=None)
            survey(stream, kind, size=3, seed=1, count=None, advanced=None, found=found)
            if not found.whole.sessions:
                raise nothing_taken(found.skipped, Path("fuzzed"), kind, unit=found.unit)
            rewriter = Rewriter(redactor=Redactor(), count=None)
            for _ in rewriter.lines(stream, kind, found.chosen):
                pass

    return parse


def _import_trace(kind: ImportKind) -> Callable[[bytes], object]:
    def parse(data: bytes) -> None:
        with tempfile.SpooledTemporaryFile(1 << 20) as source:
            stream = cast("Any", source)
            stream.write(data)
            stream.seek(0)
            found = survey_requests(stream, kind, size=3, seed=1, advanced=None, told=None)
            for _ in Stretch().requests(stream, kind, skip=found.skip, take=found.take):
                pass

    return parse


def _redaction(data: bytes) -> str:
    return Redactor().text(data.decode("utf-8", "replace"))


def _journal(path: Path) -> None:
    for _ in read_journal(path):
        pass


def _targets() -> Iterable[Target]:
    yield Target(name="sse", parse=_sse, seeds=seeds.SSE, refusals=(EventTooLongError,))
    yield Target(name="http-response", parse=_http_response, seeds=seeds.HTTP)
    yield Target(
        name="content-coding",
        parse=_content_coding,
        seeds=seeds.CODED,
        refusals=(httpx.DecodingError,),
    )
    for protocol, bodies in seeds.PROTOCOLS.items():
        yield Target(name=f"protocol-{protocol}", parse=_protocol(protocol), seeds=bodies)
    yield Target(name="unknown-agent", parse=_unknown_agent, seeds=seeds.UNKNOWN)
    for name, media, requests in (
        ("protobuf", PROTOBUF, seeds.OTLP_PROTOBUF),
        ("json", JSON, seeds.OTLP_JSON),
    ):
        otlp = Target(
            name=f"otlp-{name}", parse=_otlp(media), seeds=requests, refusals=(RefusedError,)
        )
        yield otlp
    for path, bodies in seeds.GATEWAY.items():
        name = path.rpartition("/")[2]
        yield Target(name=f"gateway-{name}", parse=_gateway(path), seeds=bodies)
    yield Target(name="rate-limit-headers", parse=_headers, seeds=seeds.RATE_LIMITS)
    yield Target(name="prometheus", parse=_prometheus, seeds=seeds.PROMETHEUS)
    yield Target(name="state-store", parse=_state, seeds=seeds.STATE, refusals=(ValueError,))
    for kind, files in seeds.IMPORTS.items():
        trace = kind in (ImportKind.MOONCAKE, ImportKind.AZURE_LLM)
        importer = _import_trace(kind) if trace else _import(kind)
        yield Target(name=f"import-{kind.value}", parse=importer, seeds=files)
    yield Target(name="redaction", parse=_redaction, seeds=seeds.REDACTION)
    yield Target(name="workload", parse=_of_file(load_workload), seeds=seeds.WORKLOADS)
    yield Target(name="demand", parse=_of_file(load_demand), seeds=seeds.DEMANDS)
    yield Target(name="profile", parse=_of_file(load_profile), seeds=seeds.PROFILES)
    yield Target(name="plan", parse=_of_file(load_plan), seeds=seeds.PLANS)
    yield Target(name="journal", parse=_of_file(_journal), seeds=seeds.JOURNALS)
    yield Target(
        name="histogram",
        parse=lambda data: Histogram.decode(DURATION, data.decode("latin-1")),
        seeds=seeds.HISTOGRAMS,
    )


TARGETS = {target.name: target for target in _targets()}
