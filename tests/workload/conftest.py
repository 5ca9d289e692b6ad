from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profiler.workload.load import load_workload
from profiler.workload.model import Workload

Load = Callable[..., Workload]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a workload file and load it."""

    def write_and_load(text: str, **options: Any) -> Workload:
        path = tmp_path / "w.yaml"
        path.write_text(text, encoding="utf-8")
        return load_workload(path, **options)

    return write_and_load


@pytest.fixture
def airline() -> Path:
    return Path(__file__).parents[2] / "scenarios" / "data" / "airline.jsonl"
