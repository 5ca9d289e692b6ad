"""The interpreter is left as it was found."""

from __future__ import annotations

import gc
import sys

import pytest

from profiler.steady import SWITCH_INTERVAL_S, YOUNG_OBJECTS, steady


def settings() -> tuple[float, tuple[int, int, int], int]:
    return sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count()


def test_threads_take_turns_sooner_and_the_collector_later() -> None:
    with steady():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
        assert gc.get_threshold()[0] == YOUNG_OBJECTS
        assert gc.get_freeze_count() > 0


def test_all_is_as_before_at_the_end_however_it_comes() -> None:
    before = settings()
    with pytest.raises(RuntimeError, match="an end"), steady():
        raise RuntimeError("an end")
    assert settings() == before


def test_a_thousand_containers_that_come_and_go_cause_no_collection() -> None:
    collections: list[int] = []

    def seen(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            collections.append(info["generation"])

    with steady():
        gc.collect()
        gc.callbacks.append(seen)
        try:
            for _ in range(20):
                held = [[number] for number in range(1_000)]
                del held
        finally:
            gc.callbacks.remove(seen)
    assert collections == []
