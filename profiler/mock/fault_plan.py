"""A fault plan: which faults a mock injects, how often and when. docs/faults.md lists the keys.

Everything here is decided from a request's number and the time since the start: no socket, no
clock. The same plan meets the same numbers with the same faults.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import (
    BeforeValidator,
    Field,
    StrictFloat,
    StrictInt,
    ValidationError,
    model_validator,
)

from profiler.errors import UsageError
from profiler.workload.document import read_document
from profiler.workload.mistakes import first_mistake
from profiler.workload.strict import (
    Count,
    Duration,
    PositiveCount,
    PositiveDuration,
    Strict,
    problem,
)
from profiler.workload.units import duration_s

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

GUIDE = "docs/faults.md"

Kind = Literal[
    "refuse",
    "reset_before_headers",
    "reset_in_headers",
    "reset_in_body",
    "reset_after_answer",
    "stall",
    "drip",
    "length_too_long",
    "length_too_short",
    "garbage",
    "truncated",
    "duplicate_events",
    "status",
    "error_in_body",
    "endless",
    "large",
    "clock_jump",
]
"""What can go wrong. `docs/faults.md` says what each is on the wire."""

_WITH = {
    "status": "status",
    "retry_after_s": "status",
    "gap_s": "drip",
    "megabytes": "large",
    "jump_s": "clock_jump",
    "for_s": "refuse",
}
"""The one kind that each further key belongs to."""
_FIRST_ERROR, _LAST_ERROR = 400, 599


def _jump(value: Any) -> float:
    """Read a duration that may be negative."""
    is_back = isinstance(value, str) and value.lstrip().startswith("-")
    try:
        seconds = duration_s(value.lstrip()[1:] if is_back else value)
    except ValueError as exc:
        raise problem(str(exc), "Write it like 1h or -90s") from exc
    return -seconds if is_back else seconds


class Fault(Strict):
    """One fault: its kind, which requests it meets (`share`, `nth`, `requests`) and when.

    Without any of the three it meets all requests between `from` and `to`, both since the start.
    """

    kind: Kind
    share: Annotated[StrictFloat | StrictInt, Field(gt=0, le=1)] | None = None
    nth: PositiveCount | None = None
    requests: tuple[PositiveCount, ...] | None = None
    from_s: Duration = Field(default=0.0, alias="from")
    to_s: PositiveDuration | None = Field(default=None, alias="to")
    status: Annotated[StrictInt, Field(ge=_FIRST_ERROR, le=_LAST_ERROR)] | None = None
    retry_after_s: Count | None = Field(default=None, alias="retry_after")
    gap_s: PositiveDuration | None = Field(default=None, alias="gap")
    megabytes: Annotated[StrictInt, Field(ge=1, le=1024)] | None = None
    jump_s: Annotated[float, BeforeValidator(_jump)] | None = Field(default=None, alias="jump")
    for_s: PositiveDuration | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _fits(self) -> Fault:
        for name, kind in _WITH.items():
            key = Fault.model_fields[name].alias or name
            if getattr(self, name) is not None and self.kind != kind:
                raise problem(f"'{key}' is no key of '{self.kind}'", f"It belongs to '{kind}'")
        chosen = [x for x in (self.share, self.nth, self.requests) if x is not None]
        if len(chosen) > 1:
            fix = "Write the fault once for each of them"
            raise problem("'share', 'nth' and 'requests' exclude each other", fix)
        if self.to_s is not None and self.to_s <= self.from_s:
            raise problem("'to' is not after 'from'", "Both are counted from the mock's start")
        if self.kind == "status" and self.status is None:
            raise problem("the status is missing", "Add 'status', such as 503", below=("kind",))
        if self.kind == "clock_jump" and self.jump_s is None:
            raise problem("the jump is missing", "Add 'jump', such as -1h", below=("kind",))
        return self._checked_refusal()

    def _checked_refusal(self) -> Fault:
        """Check what only time can choose: a refused connection has no request yet."""
        if self.kind != "refuse":
            return self
        if self.share is not None or self.nth is not None or self.requests is not None:
            fix = "Write 'from' and 'for': nobody knows of a refused connection what it would ask"
            raise problem("'refuse' is chosen by time alone", fix)
        if self.for_s is None or self.to_s is not None:
            raise problem("'refuse' wants 'for' and no 'to'", "Write it like from: 2s, for: 300ms")
        return self

    @property
    def name(self) -> str:
        """What the truth log calls it."""
        if self.kind != "status":
            return self.kind
        return f"status_{self.status}" + ("" if self.retry_after_s is None else "_retry_after")

    def is_due(self, number: int, at_s: float) -> bool:
        """Say whether a schedule meets the request; a share is drawn elsewhere."""
        if not self.is_open(at_s):
            return False
        if self.requests is not None:
            return number in self.requests
        return self.nth is None or number % self.nth == 0

    def is_open(self, at_s: float) -> bool:
        """Say whether the time is between `from` and `to`."""
        return self.from_s <= at_s and (self.to_s is None or at_s < self.to_s)


class FaultPlan(Strict):
    """Both mocks' faults; of several scheduled ones that meet a request, the first counts."""

    seed: StrictInt = 1
    agent: tuple[Fault, ...] = ()
    llm: tuple[Fault, ...] = ()

    @model_validator(mode="after")
    def _shares_fit(self) -> FaultPlan:
        for name, faults in (("agent", self.agent), ("llm", self.llm)):
            total = sum(fault.share for fault in faults if fault.share is not None)
            if total > 1 + 1e-9:
                what = f"the shares add up to {total:g}"
                raise problem(what, "Keep them at 1 or below", below=(name,))
        return self


class Draw:
    """Which fault a request gets. `of` (`agent`, `llm`) keeps the two mocks' draws apart."""

    def __init__(self, faults: tuple[Fault, ...], *, seed: int, of: str) -> None:
        self._scheduled = [f for f in faults if f.share is None and f.kind != "refuse"]
        self._drawn = [f for f in faults if f.share is not None]
        self.refusals = [f for f in faults if f.kind == "refuse"]
        self._seed = f"faults/{seed}/{of}"

    def fault(self, number: int, at_s: float) -> Fault | None:
        """Return the fault of request `number` (from 1), which came `at_s` after the start.

        One number is drawn for each request, and the shares lie side by side on it: each is met
        as often as it says, whatever the others are.
        """
        for fault in self._scheduled:
            if fault.is_due(number, at_s):
                return fault
        point = random.Random(f"{self._seed}/{number}").random()
        for fault in self._drawn:
            point -= cast("float", fault.share)
            if point < 0:
                return fault if fault.is_open(at_s) else None
        return None


def load_faults(path: Path) -> FaultPlan:
    """Read a fault plan. Raises UsageError with file, line and key."""
    document = read_document(path, what="fault plan", error=UsageError)
    if not isinstance(document.data, dict):
        fix = f"Start with 'agent:' or 'llm:': {GUIDE} shows how"
        raise UsageError("a fault plan is a mapping of keys", where=f"{path}:1", fix=fix)
    try:
        return FaultPlan.model_validate(document.data)
    except ValidationError as exc:
        mistake = first_mistake(document, exc, guide=GUIDE)
        raise UsageError(mistake.with_key, where=mistake.where, fix=mistake.fix) from exc
