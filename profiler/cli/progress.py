"""Shows how a run goes: live in a terminal, a line now and then elsewhere, events for programs.

What is shown is taken on the event loop, which is microseconds; it is written by a thread, so that
neither layout nor a terminal that does not read holds up the requests that are being timed.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, nullcontext
from enum import Enum
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from rich.console import Console, RenderableType

    from profiler.cli.events import Events
    from profiler.cli.standing import Standing

LIVE_EVERY_S, EVENT_EVERY_S, LINE_EVERY_S = 0.25, 1.0, 10.0
_FORCES_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables by which rich is told what is a terminal."""
_NOT_SO = ("", "0", "false")


class Form(Enum):
    """How the progress of a run is shown."""

    LIVE = "live"
    LINES = "lines"
    EVENTS = "events"
    NOTHING = "nothing"


def form_of(
    *,
    quiet: bool,
    events: Events | None = None,
    environ: Mapping[str, str] | None = None,
    is_terminal: bool | None = None,
) -> Form:
    """Choose: live in a terminal that is nobody's CI; `is_terminal` is asked of standard error."""
    env = os.environ if environ is None else environ
    if quiet:
        return Form.NOTHING
    if events is not None:
        return Form.EVENTS
    if any(name in env for name in _FORCES_TERMINAL):
        return Form.LIVE
    is_ci = env.get("CI", "").lower() not in _NOT_SO
    on_terminal = sys.stderr.isatty() if is_terminal is None else is_terminal
    is_plain = is_ci or not on_terminal or env.get("TERM") == "dumb"
    return Form.LINES if is_plain else Form.LIVE


def shown(
    tell: Callable[[], Standing], form: Form, events: Events | None = None
) -> AbstractAsyncContextManager[object]:
    """Return what shows the progress of a run while it is entered; rich is loaded only if needed.

    `tell` says how far it is, and is called on the event loop.
    """
    match form:
        case Form.LIVE:
            return live(tell)
        case Form.LINES:
            return _following(tell, _say_line, LINE_EVERY_S)
        case Form.EVENTS if events is not None:
            return _following(tell, _event_writer(events), EVENT_EVERY_S)
        case _:
            return nullcontext()


@asynccontextmanager
async def live(tell: Callable[[], Standing], console: Console | None = None) -> AsyncIterator[None]:
    """Show a few lines in place while entered; they are gone afterwards."""
    from rich.console import Console
    from rich.live import Live

    from profiler.cli.live_frame import frame

    screen = Console(stderr=True) if console is None else console
    shown = Live(frame(tell(), screen.width), console=screen, auto_refresh=False, transient=True)

    def show(standing: Standing) -> None:
        drawn: RenderableType = frame(standing, screen.width)
        shown.update(drawn, refresh=True)

    with shown:
        async with _following(tell, show, LIVE_EVERY_S):
            yield


@asynccontextmanager
async def _following(
    tell: Callable[[], Standing], show: Callable[[Standing], None], every_s: float
) -> AsyncIterator[None]:
    """Show again and again while entered, never two at a time."""

    async def follow() -> None:
        while True:
            await anyio.sleep(every_s)
            await anyio.to_thread.run_sync(show, tell())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


def _say_line(standing: Standing) -> None:
    import typer

    from profiler.cli.standing_text import line

    typer.echo(line(standing), err=True)


def _event_writer(events: Events) -> Callable[[Standing], None]:
    from profiler.cli.standing_text import as_event

    return lambda standing: events.write(as_event(standing))
