"""What an agent remembers of a session, and how it becomes bytes in a state store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from profiler.mock.matcher import Matcher


@dataclass(slots=True)
class Session:
    """The messages that the LLM gets. `turn` counts the turns that were completed.

    `complete` is how many messages belong to completed turns: a turn that broke off leaves its
    checkpoints in the store, and the next turn begins without them.
    """

    messages: list[dict[str, Any]]
    recorded: bool
    turn: int
    complete: int

    @classmethod
    def new(
        cls, matcher: Matcher, visible: list[dict[str, str]], user: str, hint: str | None
    ) -> Session:
        """Begin a session, with what the client says was said before.

        System prompt and greeting are the agent's own: of a recording that begins with the same
        user text, else the default prompt.
        """
        first = next((m["content"] for m in visible if m["role"] == "user"), user)
        recording = matcher.opening(first, hint)
        default = matcher.index.default_system
        if recording is None:
            messages: list[dict[str, Any]] = [{"role": "system", "content": default}]
        else:
            messages = recording.start(default)
        messages.extend(visible)
        turn = sum(message["role"] == "user" for message in visible)
        return cls(messages, recording is not None, turn, len(messages))

    @classmethod
    def load(cls, value: bytes) -> Session:
        """Read a session, up to its last completed turn."""
        state = orjson.loads(value)
        complete = state["complete"]
        return cls(state["messages"][:complete], state["recorded"], state["turn"], complete)

    def dump(self) -> bytes:
        """Return the session as bytes."""
        return orjson.dumps(
            {
                "messages": self.messages,
                "recorded": self.recorded,
                "turn": self.turn,
                "complete": self.complete,
            }
        )

    def end_turn(self) -> None:
        """Count the turn as completed."""
        self.turn += 1
        self.complete = len(self.messages)
