"""Agents that speak a provider's protocol: what the profile says is what the server sent.

The servers are real, in threads of the test; the sequences are the providers' documented ones.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.observers.gateway.payloads import anthropic_answer, response, sse
from tests.system.cli import agent_profiler, json_lines, load_json, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.system

SESSIONS, TURNS = 3, 2
WORKLOAD = """
name: w
target: {{url: "{url}", protocol: {protocol}, stream: {stream}, model: m{more}}}
load: {{users: 1, sessions: 3, warmup: 0}}
scenarios:
  - name: s
    turns:
      - user: "Hello"
        check: {{contains: "answer 1"}}
      - user: "Look it up"
        check: {{contains: "answer 2"}}
"""


@dataclass
class Served:
    """What a server was asked for, and which usage it told."""

    path: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    usages: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, body: dict[str, Any]) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
        """Return a plain answer, and the same as events."""
        raise NotImplementedError


class ResponsesServer(Served):
    """Keeps conversations by the id of their last answer, or is sent them whole."""

    def answer(self, body: dict[str, Any]) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
        number = len(self.requests)
        previous = body.get("previous_response_id")
        turn = 1 if previous is None and len(body["input"]) == 1 else 2
        if previous is not None:
            assert previous == f"resp_{number - 1}"
        usage = {
            "input_tokens": 100 * number,
            "input_tokens_details": {"cached_tokens": 64 * number},
            "output_tokens": 10 * number,
            "output_tokens_details": {"reasoning_tokens": number},
            "total_tokens": 110 * number,
        }
        self.usages.append(usage)
        said = f"This is answer {turn}"
        message = {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": said, "annotations": []}],
        }
        search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
        output = [message] if turn == 1 else [search, message]
        whole = response(*output, id=f"resp_{number}", usage=usage)
        place = len(output) - 1
        at = {"item_id": "msg_1", "output_index": place, "content_index": 0}
        searching = [
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**search, "status": "in_progress"},
            },
            {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"},
            {"type": "response.output_item.done", "output_index": 0, "item": search},
        ]
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": {**whole, "output": [], "usage": None}},
            *(searching if turn > 1 else ()),
            {"type": "response.output_item.added", "output_index": place, "item": message},
            {"type": "response.output_text.delta", **at, "delta": said[:7]},
            {"type": "response.output_text.delta", **at, "delta": said[7:]},
            {"type": "response.output_item.done", "output_index": place, "item": message},
            {"type": "response.completed", "response": whole},
        ]
        return whole, events


class AnthropicServer(Served):
    """Is sent the conversation with each turn."""

    def answer(self, body: dict[str, Any]) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
        number = len(self.requests)
        turn = (len(body["messages"]) + 1) // 2
        usage = {
            "input_tokens": 3 * number,
            "cache_creation_input_tokens": 20 * number,
            "cache_read_input_tokens": 100 * number,
            "output_tokens": 10 * number,
        }
        self.usages.append(usage)
        said = f"This is answer {turn}"
        search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
        found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
        tools: list[dict[str, Any]] = (
            [] if turn == 1 else [{**search, "input": {"query": "x"}}, found]
        )
        whole = {**anthropic_answer(*tools, {"type": "text", "text": said}), "usage": usage}
        place = len(tools)
        events: list[dict[str, Any]] = [
            {
                "type": "message_start",
                "message": {**whole, "content": [], "usage": {**usage, "output_tokens": 1}},
            }
        ]
        for index, block in enumerate(tools):
            start = {"type": "content_block_start", "index": index, "content_block": block}
            events += [start, {"type": "content_block_stop", "index": index}]
        events += [
            {
                "type": "content_block_start",
                "index": place,
                "content_block": {"type": "text", "text": ""},
            },
            {"type": "ping"},
            *(
                {
                    "type": "content_block_delta",
                    "index": place,
                    "delta": {"type": "text_delta", "text": piece},
                }
                for piece in (said[:7], said[7:])
            ),
            {"type": "content_block_stop", "index": place},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": usage["output_tokens"]},
            },
            {"type": "message_stop"},
        ]
        return whole, events


@contextmanager
def serving(served: Served) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert self.path == served.path
            served.requests.append(body)
            served.headers.append({name.lower(): text for name, text in self.headers.items()})
            whole, events = served.answer(body)
            self.send_response(200)
            if not body.get("stream"):
                data = json.dumps(whole).encode()
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                return
            self.send_header("content-type", "text/event-stream; charset=utf-8")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for event in events:
                data = sse(event, named=True)
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{served.path}"
        finally:
            server.shutdown()
            thread.join()


def profile_of(
    folder: Any, served: Served, protocol: str, *, stream: bool, more: str = ""
) -> dict[str, Any]:
    with serving(served) as url:
        text = WORKLOAD.format(url=url, protocol=protocol, stream=str(stream).lower(), more=more)
        (folder / "w.yaml").write_text(text)
        done = agent_profiler("run", "w.yaml", "-q", "--out", "run", cwd=folder)
    assert done.is_done, done.err
    profile = load_json(folder / "run" / "profile.json")
    assert profile["sample"]["succeeded"] == len(served.requests) == SESSIONS * TURNS
    return profile


def assert_tools_and_times(profile: dict[str, Any], *, stream: bool) -> None:
    """One search in each second turn; nothing is known of LLM calls."""
    metrics = profile["interaction"]
    assert (metrics["tool_calls"]["count"], total(metrics["tool_calls"])) == (6, 3)
    assert metrics["tool_calls"]["source"] == "response"
    assert profile["tools"]["web_search"]["calls"] == SESSIONS
    assert "llm_calls" not in metrics
    assert profile["llm_call"] == {}
    assert ("time_to_first_token" in metrics) is stream
    assert ("tool_time" in metrics) is stream


def assert_usage(profile: dict[str, Any], served: Served, **expected: int) -> None:
    metrics = profile["interaction"]
    assert {name: total(metrics[name]) for name in expected} == expected
    assert {metrics[name]["source"] for name in expected} == {"client"}
    assert len(served.usages) == SESSIONS * TURNS


@pytest.mark.parametrize("stream", [True, False])
def test_a_responses_agents_usage_is_what_it_sent(tmp_path, stream):
    served = ResponsesServer("/v1/responses")
    profile = profile_of(tmp_path, served, "openai-responses", stream=stream)
    assert_usage(
        profile,
        served,
        input_tokens=sum(usage["input_tokens"] for usage in served.usages),
        output_tokens=sum(usage["output_tokens"] for usage in served.usages),
        cached_input_tokens=64 * sum(range(1, 7)),
        reasoning_tokens=sum(range(1, 7)),
    )
    assert_tools_and_times(profile, stream=stream)
    assert [request.get("previous_response_id") for request in served.requests] == [
        *(None, "resp_1"),
        *(None, "resp_3"),
        *(None, "resp_5"),
    ]
    assert profile["run"]["protocol"] == "openai-responses"


def test_a_responses_agent_may_be_sent_the_whole_conversation(tmp_path):
    served = ResponsesServer("/v1/responses")
    more = ", openai_responses: {state: resend}"
    profile_of(tmp_path, served, "openai-responses", stream=True, more=more)
    assert all("previous_response_id" not in request for request in served.requests)
    assert served.requests[1]["input"] == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "This is answer 1"},
        {"role": "user", "content": "Look it up"},
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_an_anthropic_agents_usage_is_what_it_sent(tmp_path, stream):
    served = AnthropicServer("/v1/messages")
    profile = profile_of(tmp_path, served, "anthropic-messages", stream=stream)
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    assert_usage(
        profile,
        served,
        input_tokens=sum(usage[part] for usage in served.usages for part in parts),
        output_tokens=sum(usage["output_tokens"] for usage in served.usages),
        cached_input_tokens=100 * sum(range(1, 7)),
    )
    assert [
        line["usage"]["cache_write_tokens"]
        for line in json_lines(tmp_path / "run" / "journal.jsonl")
        if line["event"] == "interaction"
    ] == [20, 40, 60, 80, 100, 120]
    assert_tools_and_times(profile, stream=stream)
    assert {headers["anthropic-version"] for headers in served.headers} == {"2023-06-01"}
    assert {request["max_tokens"] for request in served.requests} == {4096}


def test_a_stream_that_is_cut_is_a_protocol_error_in_the_journal(tmp_path):
    class Cut(AnthropicServer):
        def answer(self, body: dict[str, Any]) -> tuple[dict[str, Any], Sequence[dict[str, Any]]]:
            whole, events = super().answer(body)
            return whole, events[:-1]

    served = Cut("/v1/messages")
    with serving(served) as url:
        text = WORKLOAD.format(url=url, protocol="anthropic-messages", stream="true", more="")
        (tmp_path / "w.yaml").write_text(text)
        agent_profiler("run", "w.yaml", "-q", "--out", "run", cwd=tmp_path)
    lines = json_lines(tmp_path / "run" / "journal.jsonl")
    ended = [line for line in lines if line["event"] == "interaction"]
    assert len(ended) == SESSIONS
    assert {(line["outcome"], line["error_kind"]) for line in ended} == {
        ("protocol_error", "stream_cut")
    }


@pytest.mark.parametrize("protocol", ["openai-responses", "anthropic-messages"])
def test_without_a_url_there_is_no_agent_that_speaks_it(tmp_path, protocol):
    scenarios = "scenarios: [{name: s, turns: [{user: hi}]}]"
    text = f"name: w\ntarget: {{protocol: {protocol}}}\n{scenarios}\n"
    (tmp_path / "w.yaml").write_text(text)
    for options in ((), ("--find-capacity", "--objective", "latency.p95<2s")):
        done = agent_profiler("run", "w.yaml", "--out", "run", *options, cwd=tmp_path)
        assert done.code == 2, done.err
        assert f"the mock agent does not speak {protocol}" in done.err
        assert len(done.err.strip().splitlines()) == 1
        assert not (tmp_path / "run").exists()
