"""From a workload file to a `Workload`: a mistake is one line with file, line, key and remedy."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from profiler.errors import WorkloadError
from profiler.workload.document import Document, read_document
from profiler.workload.mistakes import first_mistake
from profiler.workload.model import Workload
from profiler.workload.near import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OVERRIDES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "url": ("target", "url"),
        "http2": ("target", "http2"),
        "users": ("load", "users"),
        "rate": ("load", "rate"),
        "max_in_flight": ("load", "max_in_flight"),
        "requests": ("load", "requests"),
        "sessions": ("load", "sessions"),
        "duration": ("load", "duration"),
        "warmup": ("load", "warmup"),
        "seed": ("load", "seed"),
        "max_requests": ("load", "max_requests"),
        "error_limit": ("load", "error_limit"),
        "ramp_up": ("load", "ramp_up"),
        "max_cost": ("load", "max_cost"),
        "max_tokens": ("load", "max_tokens"),
        "backoff": ("load", "backoff"),
    }
)
"""What the command line may override, and the key that it stands for."""

_DISPLACES = {
    "users": ("rate", "arrivals", "arrivals_of", "speed", "max_in_flight"),
    "rate": ("users", "ramp_up"),
    "requests": ("sessions",),
    "sessions": ("requests",),
}


def load_workload(
    path: Path,
    *,
    overrides: Mapping[str, Any] = MappingProxyType({}),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Workload:
    """Read a workload file and all data that it names.

    `overrides` are options of the command line by name (see `OVERRIDES`); one that is None was not
    given. `environ` fills in `${NAME}` in the URL and the headers. Raises WorkloadError.
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        fix = "Start with 'name:' and 'scenarios:'"
        raise WorkloadError("a workload is a mapping of keys", where=f"{path}:1", fix=fix)
    given = _given(overrides)
    data = _overridden(document.data, given)
    data.setdefault("name", path.stem)
    context = {"base": path.parent, "environ": environ, "tables": {}}
    try:
        workload = Workload.model_validate(data, context=context)
    except ValidationError as exc:
        raise _first_error(document, given, exc) from exc
    workload.target.remember_secrets()
    return workload


def _given(overrides: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in overrides.items() if value is not None}
    for name in given:
        if name not in OVERRIDES:
            raise WorkloadError(f"'{name}' cannot be overridden", fix=did_you_mean(name, OVERRIDES))
        for other in _DISPLACES.get(name, ()):
            if other in given:
                options = f"--{name} and --{other.replace('_', '-')}"
                raise WorkloadError(f"{options} exclude each other", fix="Keep one")
    return given


def _overridden(data: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(data)
    for name, value in given.items():
        section, key = OVERRIDES[name]
        content = merged.get(section)
        if content is not None and not isinstance(content, dict):
            continue  # the model says what is wrong with the section
        kept = {k: v for k, v in (content or {}).items() if k not in _DISPLACES.get(name, ())}
        merged[section] = kept | {key: value}
    return merged


def _first_error(
    document: Document, given: Mapping[str, Any], exc: ValidationError
) -> WorkloadError:
    mistake = first_mistake(document, exc)
    for name, overridden in OVERRIDES.items():
        if name in given and mistake.key_path[:2] == overridden:
            return WorkloadError(mistake.what, where=f"--{name.replace('_', '-')}", fix=mistake.fix)
    return WorkloadError(mistake.with_key, where=mistake.where, fix=mistake.fix)
