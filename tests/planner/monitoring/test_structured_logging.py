"""The module that goes into the agent, run as the agent runs it: copied."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import logging
import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from profiler.planner.monitoring.files import structured_logging

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"  # the example of W3C Trace Context, section 3.2.4


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "structured_logging.py"
    path.write_bytes(structured_logging())
    spec = importlib.util.spec_from_file_location("structured_logging", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def stream(logs):
    root, lines = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    root.handlers = []
    logs.configure(service="agent", stream=lines)
    yield lines
    root.handlers, root.level = before, level


def written(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_it_runs_with_nothing_installed(tmp_path):
    (tmp_path / "structured_logging.py").write_bytes(structured_logging())
    program = (
        "import logging, structured_logging as logs\n"
        "logs.configure(service='agent')\n"
        f"with logs.request('r-1', traceparent='{TRACEPARENT}'):\n"
        "    logging.getLogger('agent.loop').info('took %d calls', 2, extra={'model': 'gpt-4o'})\n"
        "logging.warning('outside')\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.')\n{program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    inside, outside = map(json.loads, run.stdout.splitlines())
    assert inside["timestamp"].endswith("Z")
    del inside["timestamp"]
    assert inside == {
        "level": "info",
        "logger": "agent.loop",
        "message": "took 2 calls",
        "service": "agent",
        "request_id": "r-1",
        "trace_id": TRACE,
        "span_id": PARENT,
        "model": "gpt-4o",
    }
    assert (outside["request_id"], outside["trace_id"]) == (None, None)


async def test_requests_at_the_same_time_keep_their_ids_apart(logs, stream):
    async def handle(name):
        with logs.request(name, session_id=f"s-{name}"):
            await asyncio.sleep(0)
            logging.info("%s", name)
            await asyncio.to_thread(logging.info, "%s", name)

    await asyncio.gather(*(handle(f"r{i}") for i in range(20)))
    lines = written(stream)
    assert len(lines) == 40
    assert all(line["message"] == line["request_id"] for line in lines)
    assert all(line["session_id"] == f"s-{line['request_id']}" for line in lines)
    assert len({line["trace_id"] for line in lines}) == 20


def test_every_line_of_a_request_has_a_trace_id_even_if_nobody_sent_one(logs, stream):
    with logs.request() as request:
        logging.info("hello")
    (line,) = written(stream)
    assert line["trace_id"] == request.trace_id
    assert len(bytes.fromhex(line["trace_id"])) == 16


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
def test_a_traceparent_against_the_standard_is_ignored(logs, wrong):
    with logs.request(traceparent=wrong) as request:
        assert request.trace_id.lower() != TRACE


def test_a_running_span_gives_the_ids(logs, stream):
    context = SpanContext(int(TRACE, 16), 0xABC, is_remote=False, trace_flags=TraceFlags(1))
    with logs.request("r-1"), trace.use_span(NonRecordingSpan(context)):
        logging.info("hello")
        assert logs.outgoing_headers()["traceparent"] == f"00-{TRACE}-0000000000000abc-01"
    (line,) = written(stream)
    assert (line["trace_id"], line["span_id"]) == (TRACE, "0000000000000abc")


def test_ids_are_passed_on_and_end_with_the_request(logs):
    with logs.request("r-1", traceparent=TRACEPARENT):
        headers = {"x-request-id": "r-1", "traceparent": TRACEPARENT}
        assert logs.outgoing_headers() == headers
    assert logs.outgoing_headers() == {}
    assert logs.current() is None


def test_extra_fields_never_take_the_place_of_an_id(logs, stream):
    with logs.request("r-1"):
        logging.info("hello", extra={"request_id": "forged", "tokens": 3})
    (line,) = written(stream)
    assert (line["request_id"], line["extra_request_id"], line["tokens"]) == ("r-1", "forged", 3)


def test_an_exception_and_a_line_break_stay_on_one_line(logs, stream):
    try:
        json.loads("two\nlines")
    except ValueError:
        logging.exception("it failed\nbadly", extra={"object": object})
    (line,) = written(stream)
    assert line["message"] == "it failed\nbadly"
    assert "JSONDecodeError: Expecting value" in line["exception"]
    assert line["object"] == "<class 'object'>"
