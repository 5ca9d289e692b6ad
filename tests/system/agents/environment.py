"""The environments of the real agents, and their processes. Made once, made again when they change.

The frameworks want other versions of what we use ourselves, so they are not beside us; and Google
ADK and LiteLLM's proxy want others than they do, so each is alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.stores import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ENVIRONMENTS = {
    ".venv-agents": "requirements.txt",
    ".venv-agents-adk": "requirements-adk.txt",
    ".venv-agents-litellm": "requirements-litellm.txt",
}
START_S = 180
_NOT_FOR_AGENTS = (
    *("ANTHROPIC_", "DATABASE_", "LANGCHAIN_", "LANGSMITH_", "LITELLM_", "OPENAI_", "OTEL_"),
    "PYTHONPATH",
)


def agents_python(environment: str = ".venv-agents") -> Path:
    """Return the interpreter that has the frameworks; install them if they are not there."""
    folder, requirements = HERE.parents[2] / environment, HERE / ENVIRONMENTS[environment]
    python, made = folder / "bin" / "python", folder / ".made-from"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if made.exists() and made.read_text() == wanted:
            return python
        # Our own pip installs into it, and compiles nothing: an agent imports a part of it all.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-compile"]
        pip += ["--quiet", "--disable-pip-version-check", "-r", str(requirements)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = f"the agent frameworks could not be installed: {done.stderr.strip()[-300:]}"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
        made.write_text(wanted)
    return python


@contextmanager
def running_agent(
    name: str, log: Path, *, within: str = ".venv-agents", **extra: str
) -> Iterator[str]:
    """Run one of the agents within an environment; yields the URL of its chat."""
    port = free_port()
    command = [str(agents_python(within)), str(HERE / f"{name}_agent.py"), str(port)]
    with _running(command, HERE, port, log, extra):
        yield f"http://127.0.0.1:{port}/chat"


@contextmanager
def running_langgraph(folder: Path, log: Path, **extra: str) -> Iterator[str]:
    """Run LangGraph's development server, which keeps its files in `folder`; yields its URL."""
    port = free_port()
    graphs = shutil.copytree(HERE / "langgraph_server", folder)
    command = [str(agents_python().with_name("langgraph")), "dev", "--port", str(port)]
    command += ["--no-browser", "--no-reload", "--n-jobs-per-worker", "8"]
    extra |= {"LANGSMITH_TRACING": "false", "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
    with _running(command, graphs, port, log, extra):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_litellm(folder: Path, log: Path, *, key: str, **backends: str) -> Iterator[str]:
    """Run LiteLLM's proxy, without a database; yields its URL.

    `backends` are OpenAI-compatible base URLs by model name. They are `custom_openai/`: what is
    `openai/` gets `/v1/responses` as it is, which the mock LLM does not speak. The proxy starts
    only with a master key; `key` is made up by the test, and has to come with each request.
    """
    models = [
        {
            "model_name": name,
            "litellm_params": {
                "model": "custom_openai/gpt-4o",
                "api_base": url,
                "api_key": "sk-none",
                "max_retries": 0,
            },
        }
        for name, url in backends.items()
    ]
    config = {
        "model_list": models,
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
    }
    (folder / "litellm.json").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    program = agents_python(".venv-agents-litellm").with_name("litellm")
    command = [str(program), "--config", "litellm.json", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--telemetry", "False"]
    extra = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with _running(command, folder, port, log, extra):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(
    command: list[str], folder: Path, port: int, log: Path, extra: dict[str, str]
) -> Iterator[None]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_FOR_AGENTS)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env={**environment, **extra}, stdout=out, stderr=out
        )
    try:
        _wait_for(port, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the agent does not listen: {log.read_text()[-2000:]}")


if __name__ == "__main__":  # `make test` makes them while it checks types, which takes one core
    for name in sys.argv[1:]:
        try:
            agents_python(name)
        except (pytest.fail.Exception, pytest.skip.Exception) as reason:
            sys.exit(str(reason))
