"""agent-profiler: measure what one interaction with an AI agent costs, then plan for it.

From Python: `from profiler import run, load_profile, compare, plan`, and `arun`, `acompare` and
`aplan` for code that is asynchronous. They are loaded when first asked for: `import profiler` is
quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from profiler.api import (
        acompare,
        aplan,
        arun,
        compare,
        load_comparison,
        load_plan,
        load_profile,
        plan,
        run,
        served,
    )

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "acompare",
    "aplan",
    "arun",
    "compare",
    "load_comparison",
    "load_plan",
    "load_profile",
    "plan",
    "run",
    "served",
]


def __getattr__(name: str) -> Any:
    """Load the function that is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - not for those who only want a version

    found = globals()[name] = getattr(import_module("profiler.api"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
