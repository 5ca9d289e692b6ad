"""The buckets that a plan's thresholds need: `monitoring/opentelemetry/buckets.json` of a plan."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson

from profiler.errors import UsageError
from profiler.planner.monitoring.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from pathlib import Path

    from profiler.export.board import Buckets

_FIX = "Give a plan's monitoring/opentelemetry/buckets.json"


def read_buckets(path: Path) -> Buckets:
    """Read upper bounds by metric, rising. Raises `UsageError` for what is none of that."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as exc:
        what = f"cannot read the buckets: {exc.strerror}"
        raise UsageError(what, where=str(path), fix=_FIX) from exc
    except orjson.JSONDecodeError as exc:
        raise UsageError(f"not JSON: {exc}", where=str(path), fix=_FIX) from exc
    if not isinstance(content, dict):
        raise UsageError("no JSON object", where=str(path), fix=_FIX)
    return {name: _bounds(name, value, path) for name, value in content.items()}


def _bounds(name: str, value: Any, path: Path) -> tuple[float, ...]:
    instrument = INSTRUMENTS.get(name)
    if instrument is None or instrument.kind != "histogram":
        raise UsageError(f"no histogram is called '{name}'", where=str(path), fix=_FIX)
    numbers = isinstance(value, list) and value and all(_is_number(each) for each in value)
    if not numbers or any(low >= high for low, high in pairwise(value)):
        raise UsageError(f"'{name}' has no rising numbers", where=str(path), fix=_FIX)
    return tuple(map(float, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
