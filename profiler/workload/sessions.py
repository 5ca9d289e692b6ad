"""Sessions, drawn from a workload: a pure function of workload, seed, stream and index.

Each concern has randomness of its own, from a hash of what it is for: which scenario, in which
order recordings and rows are dealt, values of variables, think time, ids. Nothing is consumed by
asking, so any order of asking and any number of workers draw the same sessions. Where one number
will do (a variable's value) it is the hash itself: seeding a generator costs ten times as much.
"""

from __future__ import annotations

import hashlib
import random
from array import array
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate, count
from threading import Lock
from typing import TYPE_CHECKING

from profiler.clock import seconds_to_ns
from profiler.values import value
from profiler.workload.prompts import Prompts
from profiler.workload.templates import render
from profiler.workload.variables import CsvVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from profiler.workload.checks import Check
    from profiler.workload.conversations import Conversation
    from profiler.workload.distributions import Distribution
    from profiler.workload.model import Scenario, TurnTemplate, Workload
    from profiler.workload.scenario_values import Generated


@value
class TurnPlan:
    """One message to send; `think_time_ns` passes before it, 0 for a session's first.

    `output_tokens` is how long the recorded answer was, None where nothing tells.
    """

    user: str
    think_time_ns: int
    checks: tuple[Check, ...] = ()
    output_tokens: int | None = None


@value
class SessionPlan:
    """One session to play; `conversation` is the id of the recording, None for a template.

    `is_tagged`: its texts are to carry a marker (`workload.marker`). `is_of_arrival`: it belongs to
    one arrival of a trace, and is not sent at another's time.
    """

    index: int
    session_id: str
    scenario: str
    conversation: str | None
    turns: tuple[TurnPlan, ...]
    is_tagged: bool = False
    is_of_arrival: bool = False


class SessionSampler:
    """Draws the sessions of one run.

    `stream` ('measure', 'warmup') gives independent sessions of the same mix. `salt` (the run's id)
    goes into the session ids and nothing else, so that an agent that remembers sessions meets each
    run as new. With `tags`, sessions of scenarios that are `taggable` are tagged.
    """

    def __init__(
        self,
        workload: Workload,
        *,
        seed: int,
        stream: str = "measure",
        salt: str = "",
        tags: bool = False,
    ) -> None:
        seeds = _Seeds(f"{seed}/{stream}")
        self._draws = _ScenarioDraws([s.weight for s in workload.scenarios], seeds)
        self._sources = [_source(scenario, seeds) for scenario in workload.scenarios]
        self._names = [scenario.name for scenario in workload.scenarios]
        self._is_tagged = [tags and scenario.taggable for scenario in workload.scenarios]
        self._is_of_arrival = [s.generated is not None for s in workload.scenarios]
        self._id_prefix = _id_prefix(seed, stream, salt)

    def session(self, index: int) -> SessionPlan:
        """Return session `index`, counted from 0 over all workers and users."""
        scenario, ordinal = self._draws.draw(index)
        session_id = _uuid(f"{self._id_prefix}{index}")
        conversation, turns = self._sources[scenario].turns(index, ordinal, session_id)
        return SessionPlan(
            index=index,
            session_id=session_id,
            scenario=self._names[scenario],
            conversation=conversation,
            turns=turns,
            is_tagged=self._is_tagged[scenario],
            is_of_arrival=self._is_of_arrival[scenario],
        )


def _id_prefix(seed: int, stream: str, salt: str) -> str:
    return f"{seed}/{stream}/{salt}/"


def session_ids(seed: int, *, stream: str = "measure", salt: str = "") -> Iterator[str]:
    """Yield the ids of the sessions that a sampler draws, by index, without end.

    So the index of a session is found again from its id: which tells that two runs of one workload
    and seed, whose ids differ by their salt, played the same session.
    """
    prefix = _id_prefix(seed, stream, salt)
    return (_uuid(f"{prefix}{index}") for index in count())


def resumed_salt(salt: str, number: int) -> str:
    """Return the salt of a run's sessions once it was resumed for the `number`-th time, from 1."""
    return f"{salt}/resumed-{number}" if number else salt


class _Seeds:
    """Names randomness: generators and numbered draws, one for each path below the root."""

    def __init__(self, root: str) -> None:
        self._root = root

    def generator(self, *path: object) -> random.Random:
        return random.Random(int.from_bytes(_hash(self._named(path))))

    def draws(self, *path: object) -> _Draws:
        return _Draws(self._named(path))

    def named(self, *path: object) -> str:
        return self._named(path)

    def _named(self, path: tuple[object, ...]) -> str:
        return "/".join((self._root, *map(str, path)))


class _Draws:
    """One uniform number of 64 bits for each index, none depending on another."""

    def __init__(self, name: str) -> None:
        self._base = hashlib.blake2b(f"{name}/".encode(), digest_size=8)

    def bits(self, index: int) -> int:
        hashed = self._base.copy()
        hashed.update(b"%d" % index)
        return int.from_bytes(hashed.digest())


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _uuid(text: str) -> str:
    """Return a UUID of version 4, variant RFC 9562, whose random bits are a hash of `text`."""
    digits = _hash(text).hex()
    variant = _VARIANTS[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


class _ScenarioDraws:
    """Which scenario each session is of, and its how-manieth: drawn in order, 8 bytes a session."""

    def __init__(self, weights: Sequence[float], seeds: _Seeds) -> None:
        self._random = seeds.generator("scenario").random
        self._bounds = list(accumulate(weights))
        self._last = max(i for i, weight in enumerate(weights) if weight > 0)
        drawn = [i for i, weight in enumerate(weights) if weight > 0]
        self._only = drawn[0] if len(drawn) == 1 else None
        self._scenarios = array("I")
        self._ordinals = array("I")
        self._counts = [0] * len(weights)
        self._lock = Lock()

    def draw(self, index: int) -> tuple[int, int]:
        if self._only is not None:
            return self._only, index
        if index >= len(self._ordinals):
            with self._lock:
                self._extend(index + 1)
        return self._scenarios[index], self._ordinals[index]

    def _extend(self, length: int) -> None:
        total = self._bounds[-1]
        while len(self._ordinals) < length:
            at = bisect_right(self._bounds, self._random() * total)
            scenario = min(at, self._last)  # rounding may put the product on the upper end
            self._scenarios.append(scenario)
            self._ordinals.append(self._counts[scenario])
            self._counts[scenario] += 1


class _Deck:
    """Deals the numbers 0 to size - 1 in shuffled order, each once, then shuffles anew."""

    _KEPT_CYCLES = 4

    def __init__(self, size: int, generator: Callable[[int], random.Random]) -> None:
        self._size = size
        self._generator = generator
        self._cycles: OrderedDict[int, array[int]] = OrderedDict()

    def card(self, ordinal: int) -> int:
        cycle, position = divmod(ordinal, self._size)
        order = self._cycles.get(cycle)
        if order is None:
            order = array("I", range(self._size))
            self._generator(cycle).shuffle(order)
            self._cycles[cycle] = order
            if len(self._cycles) > self._KEPT_CYCLES:
                self._cycles.popitem(last=False)
        return order[position]


class _Thinking:
    """Think times of the sessions of one scenario."""

    def __init__(self, scenario: Scenario, seeds: _Seeds) -> None:
        self._name = scenario.name
        self._seeds = seeds
        self._distribution: Distribution | None = (
            scenario.think_time.distribution()
            if scenario.think_time is not None and not scenario.think_time.recorded
            else None
        )

    @property
    def is_none(self) -> bool:
        return self._distribution is None

    def times_ns(self, index: int, turns: int, card: int = 0) -> list[int]:  # noqa: ARG002
        distribution = self._distribution
        if distribution is None or turns == 1:
            return [0] * turns
        rng = self._seeds.generator("think", self._name, index)
        return [0, *(distribution.sample_ns(rng) for _ in range(turns - 1))]


class _RecordedThinking:
    """Think times as they were recorded; one that is not known is drawn from all that are."""

    is_none = False

    def __init__(
        self, scenario: Scenario, conversations: Sequence[Conversation], seeds: _Seeds
    ) -> None:
        self._draws = seeds.draws("think", scenario.name)
        self._recorded = [conversation.think_times_s for conversation in conversations]
        self._known = [time for times in self._recorded for time in times or () if time is not None]

    def times_ns(self, index: int, turns: int, card: int) -> list[int]:
        """Return the pauses of session `index`, which is the recording `card`."""
        recorded = self._recorded[card] or (None,) * turns
        return [0, *(self._ns(time, index, turn) for turn, time in enumerate(recorded[1:]))]

    def _ns(self, time: float | None, index: int, turn: int) -> int:
        if time is None:
            time = self._known[self._draws.bits(index * _MOST_TURNS + turn) % len(self._known)]
        return seconds_to_ns(time)


_MOST_TURNS = 2**20


class _Recorded:
    """Sessions of a scenario with recorded conversations."""

    def __init__(self, scenario: Scenario, seeds: _Seeds) -> None:
        recordings = scenario.conversations
        conversations: tuple[Conversation, ...] = recordings.conversations if recordings else ()
        self._thinking: _Thinking | _RecordedThinking = (
            _RecordedThinking(scenario, conversations, seeds)
            if scenario.think_time is not None and scenario.think_time.recorded
            else _Thinking(scenario, seeds)
        )
        self._ids = [conversation.id for conversation in conversations]
        self._turns = [
            tuple(TurnPlan(user=turn.user, think_time_ns=0) for turn in conversation.turns())
            for conversation in conversations
        ]
        self._deck = _Deck(
            len(conversations), lambda cycle: seeds.generator("order", scenario.name, cycle)
        )

    def turns(
        self,
        index: int,
        ordinal: int,
        session_id: str,  # noqa: ARG002 - recordings have no variables
    ) -> tuple[str, tuple[TurnPlan, ...]]:
        card = self._deck.card(ordinal)
        turns = self._turns[card]
        if not self._thinking.is_none:
            times = self._thinking.times_ns(index, len(turns), card)
            turns = tuple(
                TurnPlan(user=turn.user, think_time_ns=time_ns)
                for turn, time_ns in zip(turns, times, strict=True)
            )
        return self._ids[card], turns


class _Generated:
    """Sessions of a scenario with generated prompts: each is one request, in the trace's order.

    The prompt of a recorded request has all that was said before in it, so one that continues a
    conversation is a session of its own, and begins with the text of those before.
    """

    def __init__(self, scenario: Scenario, generated: Generated, seeds: _Seeds) -> None:
        self._trace = generated.trace
        self._prompts = Prompts(
            seeds.named("prompt", scenario.name), block_tokens=generated.block_tokens
        )

    def turns(
        self,
        index: int,  # noqa: ARG002 - nothing is drawn
        ordinal: int,
        session_id: str,  # noqa: ARG002 - prompts have no variables
    ) -> tuple[str, tuple[TurnPlan, ...]]:
        cycle, number = divmod(ordinal, len(self._trace))
        lengths = self._trace.lengths(number)
        user = self._prompts.text(lengths, number=number, cycle=cycle)
        turn = TurnPlan(user=user, think_time_ns=0, output_tokens=lengths.output_tokens)
        return f"request-{number + 1}", (turn,)


def _source(scenario: Scenario, seeds: _Seeds) -> _Recorded | _Templated | _Generated:
    if scenario.generated is not None:
        return _Generated(scenario, scenario.generated, seeds)
    return _Recorded(scenario, seeds) if scenario.conversations else _Templated(scenario, seeds)


class _Templated:
    """Sessions of a scenario with turn templates."""

    def __init__(self, scenario: Scenario, seeds: _Seeds) -> None:
        self._name = scenario.name
        self._seeds = seeds
        self._thinking = _Thinking(scenario, seeds)
        self._templates: tuple[TurnTemplate, ...] = scenario.turns or ()
        self._variables = {name: spec.variable() for name, spec in scenario.variables.items()}
        self._decks = self._make_decks()
        self._drawn_values = {
            name: (variable, seeds.draws("variable", scenario.name, name))
            for name, variable in self._variables.items()
            if not isinstance(variable, CsvVariable)
        }
        self._dealt_values = {
            name: (variable, self._decks[variable.table.sha256])
            for name, variable in self._variables.items()
            if isinstance(variable, CsvVariable)
        }
        is_fixed = self._thinking.is_none and not any(t.names() for t in self._templates)
        self._always = self._drawn(0, 0, "") if is_fixed else None

    def _make_decks(self) -> dict[str, _Deck]:
        """Return a deck for each table: variables of one table take the same row."""
        decks: dict[str, _Deck] = {}
        for variable in self._variables.values():
            if isinstance(variable, CsvVariable):
                table = variable.table.sha256
                decks[table] = _Deck(
                    len(variable.table.rows),
                    lambda cycle, table=table: self._seeds.generator(  # type: ignore[misc]
                        "rows", self._name, table, cycle
                    ),
                )
        return decks

    def turns(self, index: int, ordinal: int, session_id: str) -> tuple[None, tuple[TurnPlan, ...]]:
        if self._always is not None:
            return None, self._always
        return None, self._drawn(index, ordinal, session_id)

    def _drawn(self, index: int, ordinal: int, session_id: str) -> tuple[TurnPlan, ...]:
        times = self._thinking.times_ns(index, len(self._templates))
        values = {"session_id": session_id}
        for name, (variable, draws) in self._drawn_values.items():
            values[name] = variable.sample(draws.bits(index))
        for name, (column, deck) in self._dealt_values.items():
            values[name] = column.value(deck.card(ordinal))
        return tuple(
            _turn(template, values, number, time_ns)
            for number, (template, time_ns) in enumerate(zip(self._templates, times, strict=True))
        )


def _turn(template: TurnTemplate, values: dict[str, str], number: int, time_ns: int) -> TurnPlan:
    values["turn"] = str(number)
    return TurnPlan(
        user=render(template.user, values),
        think_time_ns=time_ns,
        checks=tuple([check.rendered(values) for check in template.checks]),
    )
