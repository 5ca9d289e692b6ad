"""The pytest plugin: an ASGI application on a real socket, and assertions on its profile."""

from __future__ import annotations

import tomllib

import pytest

import profiler
from profiler.errors import UsageError
from profiler.pytest_plugin import AgentProfiler

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.unmeasured

TESTS = """
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

ASKED = []
HELLO = {"scenarios": [{"name": "a", "turns": [{"user": "hi"}]}], "target": {"stream": False}}

async def answer(request):
    ASKED.append(await request.json())
    message = {"role": "assistant", "content": "hello there"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
    return JSONResponse({"object": "chat.completion", "choices": [choice], "usage": usage})

app = Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])

def test_an_answer_costs_thirteen_tokens(agent_profiler):
    profile = agent_profiler(app, HELLO, requests=4, warmup=0, users=2)
    assert profile.sample.succeeded == len(ASKED) == 4
    assert profile.interaction["input_tokens"].mean == 11
    assert profile.interaction["output_tokens"].max == 2

def test_it_costs_too_much(agent_profiler):
    profile = agent_profiler(app, HELLO, requests=2, warmup=0)
    assert profile.interaction["input_tokens"].mean < 10
"""


def test_a_suite_of_someone_elses_asserts_on_what_its_application_costs(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(TESTS)
    done = pytester.runpytest_subprocess("-p", "profiler.pytest_plugin", "-W", "error")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*assert 11* < 10*"])


def test_the_entry_point_that_pytest_looks_for_is_the_plugin(pytestconfig):
    project = tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"agent_profiler": AgentProfiler.__module__}


async def answers_403(scope, receive, send):
    assert scope["type"] == "http"
    await receive()
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_an_asynchronous_test_awaits_it_and_failures_are_counted(tmp_path):
    workload = {"scenarios": [{"name": "a", "turns": [{"user": "hi"}]}]}
    profile = await AgentProfiler(tmp_path).arun(
        answers_403, workload, requests=3, warmup=0, error_limit=1
    )
    assert profile.sample.interactions == 3
    assert profile.sample.failed == {"http_4xx/http_403": 3}


def test_an_application_that_does_not_start_is_an_error_at_once():
    async def broken(scope, receive, send):
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(UsageError, match="the application did not start"), profiler.served(broken):
        pytest.fail("it was served")
