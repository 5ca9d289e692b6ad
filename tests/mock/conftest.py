from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest

from profiler.mock.options import AgentOptions, LlmOptions

AIRLINE = Path(__file__).parents[2] / "scenarios" / "data" / "airline.jsonl"
INSTANT = float("inf")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def fast_agent():
    return AgentOptions(speed=INSTANT)


@pytest.fixture
def fast_llm():
    return LlmOptions(speed=INSTANT)


@dataclass
class Sessions:
    """What the agent's client got: by session, the bodies of its turns."""

    bodies: dict[str, list[dict[str, Any]]]

    def llm_calls(self, session: str) -> int:
        return sum(len(body["trace"]["llm_calls"]) for body in self.bodies[session])

    def tools(self, session: str) -> list[str]:
        return [c["name"] for body in self.bodies[session] for c in body["trace"]["tool_calls"]]

    def replies(self, session: str) -> list[str]:
        return [body["choices"][0]["message"]["content"] for body in self.bodies[session]]

    def total_llm_calls(self) -> int:
        return sum(map(self.llm_calls, self.bodies))

    def total_tools(self) -> Counter[str]:
        return Counter(name for session in self.bodies for name in self.tools(session))


async def replay_sessions(url, conversations, *, users=16, hint=False, stream=False):
    """Replay the user turns of each conversation in order, several sessions at once."""
    bodies: dict[str, list[dict[str, Any]]] = {c["id"]: [] for c in conversations}
    waiting = list(conversations)

    async def user():
        async with httpx.AsyncClient(timeout=60, verify=False) as client:
            while waiting:
                conversation = waiting.pop(0)
                await one_session(client, conversation)

    async def one_session(client, conversation):
        name = conversation["id"]
        headers = {"x-session-id": name}
        if hint:
            headers["baggage"] = f"other=1, agent_profiler.conversation={quote(name)};p=1"
        visible: list[dict[str, Any]] = []
        for message in conversation["messages"]:
            if message["role"] != "user":
                continue
            visible.append({"role": "user", "content": message["content"]})
            body = {"model": "agent", "messages": visible, "stream": stream}
            response = await client.post(url, json=body, headers=headers)
            assert response.status_code == 200, response.text
            answer = joined(response.text) if stream else response.json()
            bodies[name].append(answer)
            visible.append(answer["choices"][0]["message"])

    async with anyio.create_task_group() as group:
        for _ in range(users):
            group.start_soon(user)
    return Sessions(bodies)


def events(text: str) -> list[dict[str, Any]]:
    """The JSON events of a stream that ends with [DONE]."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def joined(text: str) -> dict[str, Any]:
    """A stream as the plain answer that it stands for; usage and trace are in its last chunk."""
    chunks = events(text)
    last = chunks[-1]
    assert last["choices"] == []
    content = "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )
    message = {"role": "assistant", "content": content}
    return {"choices": [{"message": message}], "usage": last["usage"], "trace": last["trace"]}


@pytest.fixture
def replay():
    return replay_sessions


@pytest.fixture
def events_of():
    return events


@pytest.fixture(scope="session")
def airline():
    return AIRLINE


@pytest.fixture
def read_lines():
    def read(path: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    return read


@pytest.fixture
def write_lines(tmp_path):
    def write(conversations: list[dict[str, Any]]) -> Path:
        path: Path = tmp_path / "recordings.jsonl"
        path.write_text("".join(json.dumps(c) + "\n" for c in conversations))
        return path

    return write


def user(text):
    return {"role": "user", "content": text}


def says(text):
    return {"role": "assistant", "content": text}


def calls(*functions, ids=None, text=None):
    ids = ids or [f"call_{n}" for n in range(len(functions))]
    return {
        "role": "assistant",
        "content": text,
        "tool_calls": [
            {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in zip(ids, functions, strict=True)
        ],
    }


def result(text, name="tool", call_id="call_0"):
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": text}


def system(text):
    return {"role": "system", "content": text}


@pytest.fixture
def nasty():
    """Sixteen conversations that a matcher can go wrong with, each in another way."""
    a1 = ("find", '{"q": 1}')
    two = [("find", '{"q": 1}'), ("book", "{}")]
    swapped_results = [result("booked", "book", "y"), result("found", "find", "x")]
    recordings = {
        # Alike up to the second step of the first turn, then different tools and lengths.
        "alike-1": [user("hi"), calls(a1), result("r1"), says("one"), user("more"), says("1a")],
        "alike-2": [
            *(user("hi"), calls(a1), result("r1"), calls(("book", "{}")), result("r2")),
            *(calls(("book", "{}")), result("r3"), says("two"), user("more"), says("2a")),
        ],
        "alike-3": [user("hi"), says("three"), user("other"), calls(a1), result("r"), says("3a")],
        # Two that nothing tells apart, and a strict prefix of them.
        "same-1": [
            system("S"),
            user("same"),
            calls(a1),
            result("r"),
            says("x"),
            user("b"),
            says("y"),
        ],
        "same-2": [
            system("S"),
            user("same"),
            calls(a1),
            result("r"),
            says("x"),
            user("b"),
            says("y"),
        ],
        "prefix": [system("S"), user("same"), calls(a1), result("r"), says("x")],
        # Parallel calls, the results in another order than the calls; ids reused in the session.
        "parallel": [
            *(user("both"), calls(*two, ids=["x", "y"]), *swapped_results, says("done")),
            *(user("again"), calls(*two, ids=["x", "y"]), *swapped_results),
            *(calls(("find", '{"q": 2}'), ids=["x"]), result("third", "find", "x"), says("end")),
        ],
        "one-id": [
            *(user("one id"), calls(*two, ids=["x", "x"]), result("f", "find", "x")),
            *(result("b", "book", "x"), says("done")),
        ],
        # The same user text again and again, with other answers each time.
        "yes": [
            *(user("yes"), says("1"), user("yes"), calls(a1), result("r"), says("2")),
            *(user("yes"), says("3"), user("yes"), says("1")),
        ],
        # Different system prompts before the same words; none at all; a greeting; a developer.
        "prompt-1": [system("P1"), user("who are you?"), says("p1")],
        "prompt-2": [
            *(system("P2"), user("who are you?"), calls(("think", "{}"))),
            *(result(""), says("p2")),
        ],
        "prompt-3": [
            *({"role": "developer", "content": "P3"}, system("more"), user("who are you?")),
            says("p3"),
        ],
        "greeting": [says("Welcome!"), user("book"), calls(a1), result("r"), says("ok")],
        # The same arguments in another spelling, and content in parts.
        "spelling": [
            *(user("spell"), calls(("find", '{"a":1,"b":2}'), text="Let me look."), result("r")),
            *(calls(("find", '{ "b": 2, "a": 1 }')), result("s"), says("spelled")),
        ],
        "parts": [
            {"role": "user", "content": [{"type": "text", "text": "in parts"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "in parts too"}]},
        ],
        # Several assistant messages in a row, without tools: one call each.
        "goes-on": [user("tell me"), says("first"), says("second"), says("third")],
    }
    return [{"id": name, "messages": messages} for name, messages in recordings.items()]


@pytest.fixture
def expected():
    """Count LLM calls and tools in a recording: independently, straight from its messages."""

    def count(conversation) -> tuple[int, Counter[str]]:
        messages = conversation["messages"]
        first = next(n for n, m in enumerate(messages) if m["role"] == "user")
        answers = [m for m in messages[first:] if m["role"] == "assistant"]
        names = [t["function"]["name"] for m in answers for t in m.get("tool_calls") or []]
        return len(answers), Counter(names)

    return count
