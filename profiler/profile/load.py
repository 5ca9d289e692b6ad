"""How the agent was loaded, from the parts of a run: shards side by side, or runs in turn.

Everything here is a function of the set of parts, so it does not depend on how a merge was grouped.
"""

from __future__ import annotations

from typing import Literal

from profiler.profile.model import LoadInfo, RunPart

_NS_PER_S = 1_000_000_000

_Window = tuple[int, int, RunPart]


def load_of_parts(
    mode: Literal["open", "closed"], arrivals: str | None, parts: tuple[RunPart, ...]
) -> LoadInfo:
    """Sum up the load over the time in which at least one part was measuring.

    Rates are per second of that time: those of shards side by side add up, those of runs one after
    the other average, by duration. `users` is the most that were there at one time.
    """
    windows = _windows(parts)
    duration_ns = _covered_ns(windows)
    interactions = sum(part.interactions for part in parts)
    dropped = [part.dropped for part in parts if part.dropped is not None]
    paused = [part.backed_off_s for part in parts if part.backed_off_s is not None]
    return LoadInfo(
        mode=mode,
        arrivals=arrivals,
        offered_rate=_offered_rate(parts, windows, duration_ns),
        achieved_rate=interactions * _NS_PER_S / duration_ns if duration_ns else None,
        users=_most_users(parts, windows),
        dropped=sum(dropped) if dropped else None,
        duration_s=duration_ns / _NS_PER_S,
        backed_off_s=sum(paused) if paused else None,
    )


def _windows(parts: tuple[RunPart, ...]) -> list[_Window]:
    """Return the measuring time of each part that measured anything, in one fixed order."""
    windows = [
        (part.window_start_ns, part.window_end_ns, part)
        for part in parts
        if part.window_start_ns is not None and part.window_end_ns is not None
    ]
    return sorted(windows, key=lambda window: (window[0], window[1], window[2].journal))


def _covered_ns(windows: list[_Window]) -> int:
    """Return the length of the union of the windows, which are sorted by start."""
    covered_ns, until = 0, None
    for start, end, _ in windows:
        begin = start if until is None else max(start, until)
        covered_ns += max(0, end - begin)
        until = end if until is None else max(until, end)
    return covered_ns


def _offered_rate(
    parts: tuple[RunPart, ...], windows: list[_Window], duration_ns: int
) -> float | None:
    if len(parts) == 1:
        return parts[0].offered_rate
    offered = [
        (end - start) * part.offered_rate
        for start, end, part in windows
        if part.offered_rate is not None
    ]
    return sum(offered) / duration_ns if offered and duration_ns else None


def _most_users(parts: tuple[RunPart, ...], windows: list[_Window]) -> int | None:
    users = [part.users for part in parts if part.users is not None]
    if not users:
        return None
    # One that ends as another starts is not beside it: ends sort before starts.
    changes = sorted(
        change
        for start, end, part in windows
        if part.users is not None
        for change in ((start, part.users), (end, -part.users))
    )
    most = present = 0
    for _, change in changes:
        present += change
        most = max(most, present)
    return max(most, *users)
