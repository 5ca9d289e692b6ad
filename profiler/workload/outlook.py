"""What a workload holds, as a run draws it: turns, tokens and pauses, before anything is sent.

Only what the client sends can be known: the agent's system prompt, tool schemas, tool results and
answers are its own. What the recordings say of answers is kept apart, as what was recorded.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from profiler.clock import NS_PER_S
from profiler.workload.conversations import content_text
from profiler.workload.dispersion import Dispersion, Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from profiler.workload.conversations import Conversation
    from profiler.workload.model import Workload
    from profiler.workload.sessions import SessionPlan

NOT_OBSERVED = (
    "system prompt and tool schemas",
    "tool calls and their results",
    "LLM calls per interaction, and the history that each of them repeats",
    "output tokens",
)
"""What an agent adds to the messages of its users: nothing tells it before the run."""


@dataclass(slots=True)
class Drawn:
    """What is drawn of one scenario, or of all. Arrays have one value a session, message or pause.

    `history_tokens` are those of the user's earlier messages in the session. `replies` and
    `history_with_replies` add the answers as they were recorded; messages whose answer's length
    nothing tells are left out of the two.
    """

    interactions: int = 0
    cut_sessions: int = 0
    turns: array[int] = field(default_factory=lambda: array("q"))
    user_tokens: array[int] = field(default_factory=lambda: array("q"))
    history_tokens: array[int] = field(default_factory=lambda: array("q"))
    replies: array[int] = field(default_factory=lambda: array("q"))
    history_with_replies: array[int] = field(default_factory=lambda: array("q"))
    think_times_ns: array[int] = field(default_factory=lambda: array("q"))

    @property
    def sessions(self) -> int:
        """How many sessions were begun."""
        return len(self.turns)


@dataclass(slots=True)
class _Said:
    """What was said so far in a session; None: an answer's length is not known."""

    user: int = 0
    replies: int | None = 0


class Draws:
    """Takes interactions in the order in which they are sent; `whole` and `scenarios` grow.

    `count` gives the tokens of a text. Prompts that were generated to a length have it.
    """

    def __init__(self, workload: Workload, count: Callable[[str], int]) -> None:
        self.whole = Drawn()
        self.scenarios = {scenario.name: Drawn() for scenario in workload.scenarios}
        self.recordings: set[tuple[str, str]] = set()
        self.templated = 0
        self._count = count
        self._generated = {s.name for s in workload.scenarios if s.generated is not None}
        self._replies = _RecordedReplies(workload, count)
        self._said: dict[int, _Said] = {}

    @property
    def independent_sessions(self) -> int:
        """How many sessions say something that the others do not: a recording does so once."""
        return self.templated + len(self.recordings)

    def add(self, session: SessionPlan, turn: int) -> None:
        """Take one message of a session, in order within it."""
        parts = (self.whole, self.scenarios[session.scenario])
        said = self._said.get(session.index)
        if said is None:
            said = self._said[session.index] = _Said()
            self._note(session)
            for drawn in parts:
                drawn.turns.append(len(session.turns))
                drawn.cut_sessions += 1  # until its last message
        plan = session.turns[turn]
        is_last = turn + 1 == len(session.turns)
        if session.scenario in self._generated:
            tokens = plan.user.count(" ") + 1  # each word is one token: see `words`
        else:
            tokens = self._count(plan.user)
        reply = plan.output_tokens
        if reply is None and session.conversation is not None:
            reply = self._replies.tokens(session.scenario, session.conversation, turn)
        for drawn in parts:
            drawn.interactions += 1
            drawn.cut_sessions -= is_last
            drawn.user_tokens.append(tokens)
            drawn.history_tokens.append(said.user)
            if reply is not None and said.replies is not None:
                drawn.replies.append(reply)
                drawn.history_with_replies.append(said.user + said.replies)
            if turn:
                drawn.think_times_ns.append(plan.think_time_ns)
        said.user += tokens
        said.replies = None if reply is None or said.replies is None else said.replies + reply
        if is_last:
            del self._said[session.index]

    def _note(self, session: SessionPlan) -> None:
        if session.conversation is None:
            self.templated += 1
        else:
            self.recordings.add((session.scenario, session.conversation))


class _RecordedReplies:
    """How long the recorded answers were: the text that users saw, without calls of tools."""

    def __init__(self, workload: Workload, count: Callable[[str], int]) -> None:
        self._count = count
        self._conversations: dict[tuple[str, str], Conversation] = {
            (scenario.name, conversation.id): conversation
            for scenario in workload.scenarios
            if scenario.conversations is not None
            for conversation in scenario.conversations.conversations
        }
        self._tokens = lru_cache(maxsize=_KEPT_CONVERSATIONS)(self._counted)

    def tokens(self, scenario: str, conversation: str, turn: int) -> int | None:
        """Return the tokens of one answer; None where there is none, as at a recording's end."""
        if (scenario, conversation) not in self._conversations:
            return None
        return self._tokens(scenario, conversation)[turn]

    def _counted(self, scenario: str, conversation: str) -> tuple[int | None, ...]:
        found = []
        for turn in self._conversations[scenario, conversation].turns():
            texts = [
                content_text(message.get("content"))
                for message in turn.replies
                if message["role"] == "assistant"
            ]
            found.append(sum(map(self._count, filter(None, texts))) if any(texts) else None)
        return tuple(found)


_KEPT_CONVERSATIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Arrivals of a schedule, in nanoseconds from the first second on."""

    offsets_ns: Sequence[int]
    of: str

    @property
    def rate_per_s(self) -> float | None:
        """Arrivals per second between the first and the last; None where all are at one time."""
        length_ns = self.offsets_ns[-1] - self.offsets_ns[0] if self.offsets_ns else 0
        return (len(self.offsets_ns) - 1) * NS_PER_S / length_ns if length_ns else None

    def dispersion(self, window_s: int) -> Dispersion:
        """Return how bursty they are, counted in windows of `window_s`."""
        windows = Windows(window_s * NS_PER_S)
        for offset_ns in self.offsets_ns:
            windows.add(offset_ns - self.offsets_ns[0])
        return windows.dispersion

    def gaps_ns(self) -> array[int]:
        """Return the gaps between them."""
        return array("q", (later - earlier for earlier, later in pairwise(self.offsets_ns)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How long a run takes, and how much it sends, if every interaction succeeds.

    `latency_s` is what every answer takes, None where nothing tells: then `duration_s` is a lower
    bound, and `interactions` an upper bound where `is_bound`. `is_cut`: the run goes on after what
    is drawn here.
    """

    warmup: int
    interactions: int
    duration_s: float
    latency_s: float | None
    is_bound: bool
    is_cut: bool
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All that can be told of a run before it begins."""

    drawn: Drawn
    scenarios: dict[str, Drawn]
    independent_sessions: int
    arrivals: Arrivals | None
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is said of values, in their unit. Percentiles are values that occur (nearest rank)."""

    count: int
    mean: float
    min: int
    p50: int
    p90: int
    p95: int
    p99: int
    max: int


def figures(values: Sequence[int]) -> Figures | None:
    """Return the figures of values, None where there are none."""
    if not values:
        return None
    ordered = sorted(values)

    def percentile(hundredths: int) -> int:
        return ordered[-(-hundredths * len(ordered) // 100) - 1]

    return Figures(
        count=len(ordered),
        mean=sum(ordered) / len(ordered),
        min=ordered[0],
        p50=percentile(50),
        p90=percentile(90),
        p95=percentile(95),
        p99=percentile(99),
        max=ordered[-1],
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """So many values from `low` to below `high`; of whole numbers, to `high` - 1."""

    low: int
    high: int
    count: int


def histogram(values: Iterable[int], most_bins: int = 10) -> list[Bin]:
    """Return values of 0 or more in about `most_bins` bins at most.

    One for each value that occurs, where so few are between the least and the most; else equal ones
    of 1, 2 or 5 times a power of ten; where the values span a factor of 30 or more, the bounds are
    1, 2, 5, 10, 20 and so on, with a bin from zero to the first of them where there are zeros.
    """
    counts = Counter(values)
    if not counts:
        return []
    low, high = min(counts), max(counts)
    if high - low < most_bins:
        return [Bin(value, value + 1, counts[value]) for value in sorted(counts)]
    if high >= _WIDE * max(1, low):
        least = min(value for value in counts if value)
        bounds = ([0] if low == 0 else []) + _growing_bounds(least, high)
    else:
        width = next(w for w in _round_numbers() if (high - low) / w < most_bins - 1)
        bounds = list(range(low // width * width, high + width + 1, width))
        bounds = [b for b in bounds if b <= high // width * width + width]
    found = [Bin(*pair, 0) for pair in pairwise(bounds)]
    totals = [0] * len(found)
    place = 0
    for value in sorted(counts):
        while value >= bounds[place + 1]:
            place += 1
        totals[place] += counts[value]
    return [Bin(b.low, b.high, total) for b, total in zip(found, totals, strict=True)]


_WIDE = 30


def _round_numbers() -> Iterator[int]:
    unit = 1
    while True:
        yield from (unit, 2 * unit, 5 * unit)
        unit *= 10


def _growing_bounds(low: int, high: int) -> list[int]:
    """Return round numbers from one that is not above `low` (1 or more) to one above `high`."""
    bounds: list[int] = []
    for number in _round_numbers():
        if number <= low:
            bounds = [number]
        else:
            bounds.append(number)
        if number > high:
            break
    return bounds
