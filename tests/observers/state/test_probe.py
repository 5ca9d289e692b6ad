"""What a probe promises whatever the store does."""

from __future__ import annotations

import anyio
import pytest

from profiler.errors import UsageError
from profiler.measure.records import Observer, ObserverNote, StateDelta
from profiler.observers.state.address import address_of
from profiler.observers.state.probe import Counted, Probe, VoidFigureError


class Statistics:
    def __init__(self, finish, begin=()):
        self._begin = begin
        self._finish = finish

    async def begin(self):
        return await self._do(self._begin)

    async def finish(self):
        return await self._do(self._finish)

    async def _do(self, what):
        if what == "hang":
            await anyio.sleep_forever()
        if isinstance(what, Exception):
            raise what
        return what


def probe(finish, begin=()):
    address = address_of("redis://:c4nary@cache", {})
    return Probe(address, Statistics(finish, begin), store="redis", timeout_s=0.05)


async def test_a_figure_and_what_limits_it():
    counted = Counted(reads=1, writes=2, other=3, notes=(("late", 4, "said later"),))
    watched = probe(counted, begin=(("early", 1, "said first"),))
    await watched.begin()
    assert await watched.finish() == StateDelta(store="redis", reads=1, writes=2, other=3)
    assert watched.notes == [
        ObserverNote(observer=Observer.STATE_STORE, kind="early", detail="redis: said first"),
        ObserverNote(
            observer=Observer.STATE_STORE, kind="late", count=4, detail="redis: said later"
        ),
    ]


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        (VoidFigureError("it was restarted"), "it was restarted"),
        (
            UsageError("it is away", where="redis://cache", fix="Look"),
            "at the end the store could not be asked: it is away",
        ),
        ("hang", "at the end the store did not answer in 0.05 s"),
    ],
)
async def test_a_figure_that_cannot_be_had_is_void_with_a_reason(finish, reason):
    watched = probe(finish)
    await watched.begin()
    assert await watched.finish() == StateDelta(store="redis", void_reason=reason)


async def test_a_store_that_does_not_answer_stops_the_run_at_its_start():
    watched = probe(None, begin="hang")
    with pytest.raises(UsageError) as failure:
        await watched.begin()
    assert str(failure.value) == (
        "redis://cache:6379/0: redis did not answer in 0.05 s. "
        "Check that it runs and is not overloaded, or leave --state out"
    )
    delta = await watched.finish()
    assert delta.void_reason == "the store was not watched from the beginning of the run"
