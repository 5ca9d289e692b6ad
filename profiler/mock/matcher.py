"""Which recording a chat follows, where several fit.

The position in the trie (`recordings`) says which recordings fit. Among them, in this order:

1. the one that the caller names (`agent_profiler.conversation` in the W3C `baggage` header). The
   name breaks ties and no more: a recording whose content does not fit is never served;
2. one that was not yet served here in this round. A round ends when each was served once. So
   replaying each of several alike recordings once gives each once, in whatever order they come:
   without names a session may get another's answers, but the totals are those of the file;
3. the one whose *whole* prefix is the same, system prompt, replies and tool results included;
4. the first in the file.

Whole prefixes come after rounds because they would unbalance them: of two sessions that were alike
in the first turn and swapped, one would later pull the answers that are the other's by right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from profiler.mock.recordings import Recording, RecordingIndex, Step


class Round:
    """Which of the recordings at one point are still to be served, by the chain that led there."""

    def __init__(self, chains: Mapping[int, int]) -> None:
        self._chains = chains
        self._waiting: dict[int, dict[int, None]] = {}

    def take(self, chain: int, named: Sequence[int]) -> int:
        """Choose a recording, in constant time on average."""
        if not self._waiting:
            for number in self._chains:
                self.give_back(number)
        chosen = next((number for number in named if number in self._chains), None)
        if chosen is None:
            group = self._waiting.get(chain)
            if group is None:
                group = next(iter(self._waiting.values()))
            chosen = next(iter(group))
        self._served(chosen)
        return chosen

    def _served(self, number: int) -> None:
        group = self._waiting.get(self._chains[number], {})
        group.pop(number, None)
        if not group:
            self._waiting.pop(self._chains[number], None)

    def give_back(self, number: int) -> None:
        """Count a recording as not served after all."""
        self._waiting.setdefault(self._chains[number], {})[number] = None


class Match(NamedTuple):
    """A recorded next answer. `release` it when it was not served after all (a rate limit)."""

    conversation: str
    step: Step
    number: int
    round: Round

    def release(self) -> None:
        """Let the answer be served to the next who asks at this point."""
        self.round.give_back(self.number)


class Matcher:
    """What one server has served so far. The index is shared and never changes."""

    def __init__(self, index: RecordingIndex) -> None:
        self.index = index
        self._rounds: dict[tuple[str, int], Round] = {}

    def _choose(
        self,
        kind: str,
        point: int,
        candidates: Mapping[int, tuple[int, Any]],
        chain: int,
        hint: str | None,
    ) -> tuple[int, Round]:
        rounds = self._rounds.get((kind, point))
        if rounds is None:
            rounds = Round({number: found[0] for number, found in candidates.items()})
            self._rounds[kind, point] = rounds
        named = self.index.by_id.get(hint, ()) if hint is not None else ()
        return rounds.take(chain, named), rounds

    def answer(
        self, messages: Sequence[Mapping[str, Any]], hint: str | None = None
    ) -> tuple[Match | None, bool]:
        """Return the recorded next assistant message, and whether the conversation is recorded.

        `(None, True)` is a recorded conversation without a next answer: the recording breaks off
        here, or the chat has left it.
        """
        position = self.index.find(messages)
        point = position.point
        if point is None or not point.answers:
            return None, position.turn is not None
        number, rounds = self._choose("answer", point.number, point.answers, position.chain, hint)
        step = point.answers[number][1]
        return Match(self.index.recordings[number].id, step, number, rounds), True

    def results(
        self, messages: Sequence[Mapping[str, Any]], hint: str | None = None
    ) -> tuple[str | None, ...] | None:
        """Return the recorded results of the tool calls that `messages` ends with, by place."""
        position = self.index.find(messages)
        point = position.point
        if point is None or not point.results:
            return None
        number, _ = self._choose("results", point.number, point.results, position.chain, hint)
        return point.results[number][1].results

    def opening(self, user_text: str, hint: str | None = None) -> Recording | None:
        """Return a recording that begins with this user text."""
        turn = self.index.opening(user_text)
        if turn is None:
            return None
        number, _ = self._choose("opening", turn.start.number, turn.openings, 0, hint)
        return turn.openings[number][1]
