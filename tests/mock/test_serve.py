"""The mocks as processes: they announce themselves, and they end."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import anyio
import httpx
import pytest

from profiler.errors import UsageError, WorkloadError
from profiler.mock.options import AgentOptions, LlmOptions
from profiler.mock.serve import running_llm, running_mocks, serve_llm, serve_mocks

ROOT = Path(__file__).parents[2]
BOTH = """
import anyio
from profiler.mock.serve import serve_{what}
anyio.run(lambda: serve_{what}(announce=lambda urls: print(urls.{url}, flush=True), {options}))
"""


def start(what="mocks", url="agent", options="", stdin=subprocess.PIPE):
    code = BOTH.format(what=what, url=url, options=options)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def ended(process):
    """Wait for the end; what was written to standard error."""
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_mocks_cleanly(number):
    with start() as process:
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:
            assert response.read() == b'{"status":"ok"}'
        process.send_signal(number)
        assert ended(process) == (0, "")


@pytest.mark.parametrize("what", ["mocks", "llm"])
def test_they_end_when_the_parent_does(what):
    with start(what, url="llm", options="exit_on_stdin_eof=True") as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.stdin.write("what a parent writes is not read\n")
        process.stdin.flush()
        process.stdin.close()
        process.stdin = None
        assert ended(process) == (0, "")


@pytest.mark.parametrize("close", [True, False])
def test_without_a_standard_input_they_end_at_once_if_they_depend_on_it(close):
    prefix = "import os; os.close(0)" if close else ""
    code = prefix + BOTH.format(what="llm", url="llm", options="exit_on_stdin_eof=True")
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_port_that_is_taken_is_one_clear_line():
    fast = LlmOptions(speed=math.inf)
    async with running_llm(llm=fast) as urls:
        port = int(urls.llm.removesuffix("/v1").rpartition(":")[2])
        with pytest.raises(UsageError, match=r"127\.0\.0\.1:\d+: cannot listen"):
            async with running_mocks(llm=fast, llm_port=port):
                pass


async def test_an_error_stays_what_it_is_whatever_already_runs():
    async with running_llm(llm=LlmOptions(speed=math.inf)) as urls:
        port = int(urls.llm.removesuffix("/v1").rpartition(":")[2])
        with pytest.raises(UsageError, match="cannot listen"):
            await serve_mocks(port=port, handle_signals=False)  # its LLM listens already


async def test_recordings_that_cannot_be_read_are_said_before_anything_listens(tmp_path):
    with pytest.raises(WorkloadError):
        await serve_llm(conversations=[tmp_path / "missing.jsonl"], handle_signals=False)


async def test_a_server_can_be_cancelled_and_leaves_its_port_free():
    announced = []
    async with anyio.create_task_group() as group:

        def announce(urls):
            announced.append(urls)
            group.cancel_scope.cancel()

        await serve_mocks(announce=announce, handle_signals=False)
    (urls,) = announced
    assert urls.chat_completions == f"{urls.agent}/v1/chat/completions"
    async with httpx.AsyncClient(verify=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{urls.agent}/healthz")


async def test_an_agent_with_another_llm_runs_none_of_its_own():
    agent = AgentOptions(speed=math.inf)
    async with (
        running_llm(llm=LlmOptions(speed=math.inf)) as theirs,
        running_mocks(agent=agent, llm_url=theirs.llm) as urls,
        httpx.AsyncClient(verify=False) as client,
    ):
        assert urls.llm is None
        answer = await client.post(urls.chat, json={"message": "hi"})
    assert answer.json()["reply"]


async def test_they_listen_on_ipv6_too():
    try:
        async with running_llm(host="::1", llm=LlmOptions(speed=math.inf)) as urls:
            assert urls.llm.startswith("http://[::1]:")
            async with httpx.AsyncClient(verify=False) as client:
                assert (await client.get(f"{urls.llm}/models")).status_code == 200
    except UsageError:
        pytest.skip("this machine has no IPv6")
