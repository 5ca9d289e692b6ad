"""The numbers of a demand: one for every range, chosen by whoever computes with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel

from profiler.planner.ranges import Range

if TYPE_CHECKING:
    from profiler.planner.demand import Demand


class Choose(Protocol):
    """Makes one number of the range that stands at a path, like `users.peak_concurrent`."""

    def __call__(self, path: str, value: Range) -> float:
        """Return the number for the range at `path`."""
        ...


def likely(path: str, value: Range) -> float:  # noqa: ARG001 - the signature of a choice
    """Choose the most probable number."""
    return value.likely


@dataclass(frozen=True, slots=True, kw_only=True)
class OneAt:
    """Chooses one end of one range, and of all others the most probable number."""

    path: str
    value: float

    def __call__(self, path: str, value: Range) -> float:
        """Return the number for the range at `path`."""
        return self.value if path == self.path else value.likely


def ranges_of(demand: Demand) -> dict[str, Range]:
    """Return every range of a demand by its path, known numbers included.

    Those of the rollout are about dates: nothing of a scale depends on them.
    """
    parts = (name for name in type(demand).model_fields if name != "rollout")
    return {path: value for name in parts for path, value in _ranges(getattr(demand, name), name)}


def _ranges(value: object, path: str) -> Iterator[tuple[str, Range]]:
    if isinstance(value, Range):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _ranges(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _ranges(item, f"{path}.{name}")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A demand's numbers by path: what a plan's calculations read."""

    by_path: Mapping[str, float]

    def __getitem__(self, path: str) -> float:
        """Return the number at a path. Raises KeyError where the demand gives none."""
        return self.by_path[path]

    def get(self, path: str) -> float | None:
        """Return the number at a path; None where the demand gives none."""
        return self.by_path.get(path)


def numbers_of(ranges: Mapping[str, Range], choose: Choose = likely) -> Numbers:
    """Choose a number for every range."""
    return Numbers({path: choose(path, value) for path, value in ranges.items()})
