"""Each server that we open beyond loopback: 401 without its token, at work with it."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx
import pytest

import profiler
from profiler.clock import ClockAnchor
from profiler.errors import UsageError
from profiler.measure.records import ObserverNote
from profiler.mock.null_server import running_null
from profiler.mock.options import AgentOptions, LlmOptions
from profiler.mock.serve import running_llm, running_mocks
from profiler.observers.in_flight import InFlight
from profiler.observers.otlp.receiver import running_receiver
from tests.system.cli import agent_profiler
from tests.system.stores import free_port

pytestmark = pytest.mark.system

ANYWHERE = "0.0.0.0"
TOKEN = "canary-token-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}
HELLO = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
CHAT = "/v1/chat/completions"
FAST = {"agent": AgentOptions(speed=1000), "llm": LlmOptions(speed=1000)}


def here(url: str) -> str:
    """Return a wildcard address as a client on this machine calls it."""
    return url.replace(ANYWHERE, "127.0.0.1")


@asynccontextmanager
async def calling(url: str):
    async with httpx.AsyncClient(base_url=here(url), timeout=20) as client:
        yield client


async def is_closed(client: httpx.AsyncClient, method: str, path: str) -> None:
    """Check that a request is refused without the token, and with another one."""
    for headers in ({}, {"authorization": "Bearer canary-token-012345678"}):
        refused = await client.request(method, path, headers=headers, json=HELLO)
        assert refused.status_code == 401, path
        assert TOKEN not in refused.text


async def test_the_mock_agent_and_its_own_llm():
    async with (
        running_mocks(host=ANYWHERE, token=TOKEN, **FAST) as urls,
        calling(urls.agent) as agent,
        calling(urls.llm.removesuffix("/v1")) as llm,
    ):
        for path in (CHAT, "/chat"):
            await is_closed(agent, "POST", path)
        await is_closed(llm, "POST", CHAT)
        for path in ("/metrics", "/healthz", "/none"):
            await is_closed(agent, "GET", path)
            await is_closed(llm, "GET", path)
        answer = await agent.post(CHAT, json=HELLO, headers=BEARER)
        assert answer.status_code == 200, answer.text
        assert answer.json()["usage"]["completion_tokens"] > 0, "its LLM answered it"
        assert (await agent.get("/metrics", headers=BEARER)).status_code == 200
        assert (await agent.post(f"/t/{TOKEN}{CHAT}", json=HELLO)).status_code == 200


async def test_the_mock_llm_alone():
    async with (
        running_llm(host=ANYWHERE, token=TOKEN, llm=FAST["llm"]) as urls,
        calling(urls.llm.removesuffix("/v1")) as llm,
    ):
        await is_closed(llm, "POST", CHAT)
        await is_closed(llm, "GET", "/metrics")
        assert (await llm.post(CHAT, json=HELLO, headers=BEARER)).status_code == 200


async def test_the_null_server():
    async with (
        running_null(host=ANYWHERE, token=TOKEN) as (urls, stats),
        calling(urls.stats.removesuffix("/stats")) as client,
    ):
        await is_closed(client, "POST", CHAT)
        await is_closed(client, "GET", "/stats")
        assert stats.requests == 0
        assert (await client.post(CHAT, json=HELLO, headers=BEARER)).status_code == 200
        assert (await client.post(f"/t/{TOKEN}{CHAT}", json=HELLO)).status_code == 200
        assert stats.requests == 2


@asynccontextmanager
async def receiving(records, **options):
    async with running_receiver(
        record=lambda *some: records.extend(some),
        in_flight=InFlight(),
        anchor=ClockAnchor.now(),
        host=ANYWHERE,
        port=0,
        token=TOKEN,
        **options,
    ) as receiver:
        yield receiver


def refused_in(records) -> int:
    (note,) = [one for one in records if isinstance(one, ObserverNote) and one.kind == "no_token"]
    return note.count


async def test_the_otlp_receiver():
    records = []
    async with receiving(records) as receiver, calling(receiver.url) as client:
        for path in ("/v1/traces", "/v1/logs", "/v1/metrics", "/"):
            await is_closed(client, "POST", path)
        kind = {"content-type": "application/x-protobuf"}
        for signal in ("traces", "logs", "metrics"):
            given = await client.post(f"/v1/{signal}", content=b"", headers={**BEARER, **kind})
            assert given.status_code == 200
        await receiver.drain(0)
    assert refused_in(records) == 8


async def test_the_otlp_receiver_over_grpc():
    grpc = pytest.importorskip("grpc")
    pytest.importorskip("grpc.aio")
    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    records = []
    async with (
        receiving(records, grpc_port=0) as receiver,
        grpc.aio.insecure_channel(here(receiver.grpc_address)) as channel,
    ):
        export = channel.unary_unary(method)
        for metadata in ((), (("authorization", TOKEN),), (("authorization", f"Bearer {TOKEN}x"),)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await export(b"x" * 100_000, metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert TOKEN not in refused.value.details()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/none.Service/Export")(b"")
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert await export(b"", metadata=(("authorization", f"Bearer {TOKEN}"),)) == b""
        await receiver.drain(0)
    assert refused_in(records) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ("mock", "agent", "--host", ANYWHERE, "--port", "0"),
        ("mock", "llm", "--host", ANYWHERE, "--port", "0"),
        ("mock", "null", "--host", ANYWHERE, "--port", "0"),
        ("run", "smoke", "--otlp", f"{ANYWHERE}:0"),
        ("run", "smoke", "--prometheus", f"{ANYWHERE}:0"),
    ],
)
def test_without_a_token_none_of_them_starts(arguments, tmp_path):
    done = agent_profiler(*arguments, cwd=tmp_path, AGENT_PROFILER_TOKEN="")
    assert done.code == 2
    assert "others can reach (0.0.0.0:0) needs a token" in done.err
    assert "AGENT_PROFILER_TOKEN" in done.err
    assert not list(tmp_path.iterdir())


def test_a_run_that_others_watch_does_not_show_the_token(tmp_path):
    done = agent_profiler(
        *("run", "smoke", "-n", 12, "-o", "run", "--otlp", f"{ANYWHERE}:{free_port()}"),
        *("--prometheus", f"{ANYWHERE}:{free_port()}", "--otlp-grace", "0s", "--mock-speed", 50),
        cwd=tmp_path,
        AGENT_PROFILER_TOKEN=TOKEN,
    )
    assert done.is_done, done.err
    assert "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20$AGENT_PROFILER_TOKEN" in done.err
    assert "authorization: {credentials: $AGENT_PROFILER_TOKEN}" in done.err
    for shown in (done.out, done.err, *(f.read_text() for f in (tmp_path / "run").iterdir())):
        assert TOKEN not in shown


def test_an_application_under_test_is_for_this_machine():
    with (
        pytest.raises(UsageError, match=r"served\(\) is for this machine"),
        profiler.served(lambda *_: None, host=ANYWHERE),
    ):
        pytest.fail("it was served")
