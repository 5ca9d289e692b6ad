"""A recording that a real browser made of a page that talks to the mock agent, imported."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.system.browser import browsing
from tests.system.cli import AIRLINE, agent_profiler, command, environment, json_lines, load_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

CHAT = "/v1/chat/completions"
PAGE = """
(async () => {
  const post = (path, body) => fetch(path, {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(body)});
  const sleep = ms => new Promise(done => setTimeout(done, ms));
  await fetch("/favicon.ico");
  await post("/telemetry", {event: "opened"});
  const messages = [];
  for (const said of %s) {
    messages.push({role: "user", content: said});
    const answer = await post("/v1/chat/completions", {model: "m", stream: true, messages});
    let text = "";
    for (const line of (await answer.text()).split("\\n"))
      if (line.startsWith("data: {"))
        text += JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "";
    messages.push({role: "assistant", content: text});
    await sleep(400);
  }
  let session_id = null;
  for (const message of ["plain one", "plain two"])
    session_id = (await (await post("/chat", {session_id, message})).json()).session_id;
  return [messages, session_id];
})()
"""


@contextmanager
def mock_agent(folder: Path) -> Iterator[str]:
    """Serve the mock agent on a free port; yield its origin."""
    with subprocess.Popen(
        command("mock", "agent", "--port", 0, "--speed", 50, "--recordings", AIRLINE),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline().split()
            yield first[2].removesuffix("/v1/chat/completions")
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], str]:
    """A folder with `page.har`; the messages of the page's conversation; the plain one's id."""
    folder = tmp_path_factory.mktemp("har")
    users = [m["content"] for m in json_lines(AIRLINE)[0]["messages"] if m["role"] == "user"][:3]
    with mock_agent(folder) as origin, browsing(folder) as page:
        page.call("Page.navigate", url=f"{origin}/")
        while page.run("location.origin") != origin:
            pass
        messages, session = page.run(PAGE % json.dumps(users))
        (folder / "page.har").write_text(json.dumps(page.har(), indent=2))
    return folder, messages, session


def waits_s(har: Path) -> list[float]:
    """Return the times from each answer of the conversation to the next message."""
    sent = [e for e in load_json(har)["log"]["entries"] if e["request"]["url"].endswith(CHAT)]
    begun_s = [datetime.fromisoformat(e["startedDateTime"]).timestamp() for e in sent]
    ended_s = [begin_s + e["time"] / 1000 for begin_s, e in zip(begun_s, sent, strict=True)]
    return [begin_s - end_s for end_s, begin_s in zip(ended_s, begun_s[1:], strict=False)]


def test_a_recording_of_a_real_browser_gives_what_was_said(recorded: Any) -> None:
    folder, messages, session = recorded
    done = agent_profiler(
        *("import", "har", "page.har", "-o", "x.yaml", "--skipped", "s.jsonl"), cwd=folder
    )
    assert done.is_done, done.err
    by_id = {line["id"]: line for line in json_lines(folder / "data" / "x.jsonl")}
    assert set(by_id) == {"conversation-1", session}
    found = by_id["conversation-1"]
    assert found["messages"] == messages
    assert [m["content"] for m in by_id[session]["messages"] if m["role"] == "user"] == [
        "plain one",
        "plain two",
    ]
    first, *pauses = found["think_times_s"]
    assert first is None
    assert pauses == pytest.approx(waits_s(folder / "page.har"), abs=1e-5)
    assert min(pauses) > 0.398, "the page waits for 0.4 s, and a HAR's times are in milliseconds"
    assert "OpenAI chat messages: http://127.0.0.1" in done.out
    assert "plain text in an object: http://127.0.0.1" in done.out
    reasons = {line["reason"] for line in json_lines(folder / "s.jsonl")}
    assert reasons == {
        "not a POST: nothing that a user said is in it",
        "a POST whose body is no known shape of a user's message",
    }


def test_the_imported_recording_is_replayed(recorded: Any) -> None:
    folder, messages, _ = recorded
    done = agent_profiler("import", "har", "page.har", "-o", "y.yaml", cwd=folder)
    assert done.is_done, done.err
    done = agent_profiler("run", "y.yaml", "--warmup", 0, "--out", "run", cwd=folder)
    assert done.is_done, done.err
    profile = load_json(folder / "run" / "profile.json")
    users = sum(m["role"] == "user" for m in messages)
    assert profile["sample"]["interactions"] == profile["sample"]["succeeded"] == users + 2
