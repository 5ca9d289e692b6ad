"""Finding a workload by path, or by the name of a shipped one."""

from __future__ import annotations

from pathlib import Path

from profiler.errors import WorkloadError
from profiler.workload.near import did_you_mean

_PACKAGE = Path(__file__).resolve().parent
_IN_WHEEL = _PACKAGE / "shipped"
_IN_CHECKOUT = _PACKAGE.parents[1] / "scenarios"


def shipped_folder() -> Path:
    """Return the folder of shipped workloads: in the wheel, or in a checkout."""
    return _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT


def shipped_workloads() -> dict[str, Path]:
    """Return the shipped workloads by name."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def find_workload(name_or_path: str | Path) -> Path:
    """Return an existing file, else the shipped workload of that name. Raises WorkloadError."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = shipped_workloads()
    name = str(name_or_path)
    if name in shipped:
        return shipped[name]
    if path.is_dir():
        raise WorkloadError("that is a folder", where=name, fix="Name a workload file in it")
    if path.suffix or len(path.parts) > 1:
        fix = f"Check the path, or use a shipped workload: {', '.join(shipped)}"
        raise WorkloadError("there is no such workload file", where=name, fix=fix)
    fix = f"{did_you_mean(name, shipped)} A path to a workload file will do, too"
    raise WorkloadError(f"there is no workload '{name}'", fix=fix)
