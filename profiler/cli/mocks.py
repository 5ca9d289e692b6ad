"""The mocks of a run: started for it where its workload names no target, ended with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from profiler.cli.files import LLM_TRUTH_NAME, MOCK_LLM_LOG_NAME, MOCK_LOG_NAME, TRUTH_NAME
from profiler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from profiler.cli.run_options import RunOptions
    from profiler.workload.model import Workload


class Route(NamedTuple):
    """Where a run goes: the target's URL, the gateway's upstream, the mocks that are started."""

    url: str
    upstream: str | None = None
    mock_pids: tuple[int, ...] = ()


def check_mocks(options: RunOptions) -> None:
    """Raise `UsageError` for a mock or its faults that cannot be, before anything is made."""
    _check_faults(options)
    if options.workload.target.url is None:
        from profiler.cli.mock_process import mock_path

        mock_path(options.workload.target.protocol)


def start_mocks(options: RunOptions, run_dir: Path, mocks: ExitStack) -> Route:
    """Start the mocks that the run needs; return where it goes."""
    workload, observing = options.workload, options.observing
    url, upstream = workload.target.url, observing.upstream
    pids: list[int] = []
    if url is None and observing.gateway is not None and upstream is None:
        announced = mocks.enter_context(_mock_llm(options, run_dir))
        upstream = announced["llm"]
        pids.append(announced["pid"])
    if url is None:
        announced = mocks.enter_context(_mock(options, run_dir))
        url = _mock_url(workload, announced)
        pids.append(announced["pid"])
    return Route(url, upstream, tuple(pids))


def _check_faults(options: RunOptions) -> None:
    """Raise `UsageError` for a fault plan that no mock would follow, or that cannot be read."""
    if options.mock_faults is None:
        return
    from profiler.mock.fault_plan import load_faults

    load_faults(options.mock_faults)
    if options.workload.target.url is not None:
        raise UsageError(
            "only the mock agent injects faults",
            where="--mock-faults",
            fix="Leave it out, or leave out --url and the target's url",
        )


def _mock(options: RunOptions, run_dir: Path) -> Any:
    """Start the mock agent; with a gateway, its LLM calls go there."""
    from profiler.cli.mock_process import mock_agent

    return mock_agent(
        recordings=_recordings(options.workload),
        truth=_free_name(run_dir / TRUTH_NAME),
        log=run_dir / MOCK_LOG_NAME,
        seed=options.workload.load.seed,
        speed=options.mock_speed,
        llm_url=options.observing.mock_llm_url,
        faults=options.mock_faults,
    )


def _mock_llm(options: RunOptions, run_dir: Path) -> Any:
    from profiler.cli.mock_process import mock_llm

    return mock_llm(
        recordings=_recordings(options.workload),
        truth=_free_name(run_dir / LLM_TRUTH_NAME),
        log=run_dir / MOCK_LLM_LOG_NAME,
        seed=options.workload.load.seed,
        speed=options.mock_speed,
        faults=options.mock_faults,
    )


def _recordings(workload: Workload) -> list[Path]:
    paths = [
        scenario.conversations.path
        for scenario in workload.scenarios
        if scenario.conversations is not None
    ]
    return list(dict.fromkeys(paths))


def _mock_url(workload: Workload, announced: Mapping[str, Any]) -> str:
    from profiler.cli.mock_process import mock_path

    return f"{announced['agent']}{mock_path(workload.target.protocol)}"


def _free_name(path: Path) -> Path:
    """Return the path, numbered where it is taken: a resumed run's mocks write files anew."""
    number, free = 2, path
    while free.exists():
        number, free = number + 1, path.with_stem(f"{path.stem}-{number}")
    return free
