"""Shows a run's metrics to others while it goes on: Prometheus scrapes them, or they are pushed."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profiler.cli.observing import Address, address_of, server_token
from profiler.errors import UsageError
from profiler.redaction import login_secrets, remember, without_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from profiler.cli.observing import Observing
    from profiler.measure.records import Interaction, Record

_AFTER_GATEWAY_S, _AFTER_HOLD_S = 1.0, 2.0
"""A gateway counts a call's tokens after it; spans come after the receiver's hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporting:
    """Where a run's metrics go. `otlp_url` may hold a user and a password.

    `token` is what Prometheus has to send, beyond loopback.
    """

    prometheus: Address | None = None
    token: str | None = field(default=None, repr=False)
    otlp_url: str | None = None
    buckets: Path | None = None

    @property
    def is_on(self) -> bool:
        """Whether anybody is to see them."""
        return self.prometheus is not None or self.otlp_url is not None


NOWHERE = Exporting()


def exporting_of(
    *, prometheus: str | None, otlp_export: str | None, buckets: Path | None = None
) -> Exporting:
    """Read the options. Raises `UsageError` for one that is wrong."""
    if otlp_export is not None:
        otlp_export = _resolved(otlp_export)
        remember(*login_secrets(otlp_export))
    if otlp_export is not None and not otlp_export.startswith(("http://", "https://")):
        raise UsageError(
            f"{without_user(otlp_export)!r} is no URL",
            where="--otlp-export",
            fix="Give a collector's OTLP/HTTP address, like http://127.0.0.1:4318",
        )
    if buckets is not None and prometheus is None and otlp_export is None:
        fix = "Add --prometheus or --otlp-export"
        raise UsageError("--buckets has no use without whom to show them to", fix=fix)
    address = token = None
    if prometheus is not None:
        address = address_of(prometheus, "--prometheus", like="127.0.0.1:9464")
        token = server_token(address, "--prometheus", "an exporter", os.environ)
    return Exporting(
        prometheus=address,
        token=token,
        otlp_url=otlp_export,
        buckets=buckets,
    )


def _resolved(url: str) -> str:
    """Fill in `${NAME}`: a secret that is written out stands in the list of processes."""
    from profiler.workload.secrets import EnvText

    try:
        return EnvText.resolve(url, os.environ).value
    except ValueError as exc:
        fix = "Set it, or write ${NAME} with the name of one that is"
        raise UsageError(str(exc), where="--otlp-export", fix=fix) from exc


def options_of(exporting: Exporting) -> tuple[str, ...]:
    """Return the options again, without secrets."""
    argv: list[str] = []
    if exporting.prometheus is not None:
        argv += ["--prometheus", str(exporting.prometheus)]
    if exporting.otlp_url is not None:
        argv += ["--otlp-export", without_user(exporting.otlp_url)]
    if exporting.buckets is not None:
        argv += ["--buckets", str(exporting.buckets)]
    return tuple(argv)


def check_alone(exporting: Exporting, *, alone: bool) -> None:
    """Raise `UsageError` where the run is not one process, and one run: others have no board."""
    if exporting.is_on and not alone:
        option = "--prometheus" if exporting.prometheus is not None else "--otlp-export"
        raise UsageError(
            f"{option} shows a run of one process",
            fix="Leave out --workers, --cluster, --shard and --find-capacity",
        )


def wait_s(observing: Observing) -> float:
    """Return how long after an interaction's end its observers may still tell of it."""
    if observing.otlp is not None:
        return observing.grace_s + _AFTER_HOLD_S
    return 0.0 if observing.gateway is None else _AFTER_GATEWAY_S


class Exporter:
    """The metrics of one run. `ended` is a hook of the driver, `take` of its observers."""

    def __init__(
        self, exporting: Exporting, observing: Observing, *, say: Callable[[str], None]
    ) -> None:
        from profiler.export.board import NO_BUCKETS, Board
        from profiler.export.buckets import read_buckets
        from profiler.export.costs import Costs
        from profiler.export.seen import Seen

        self._exporting = exporting
        self._say = say
        given = exporting.buckets
        self.board = Board(NO_BUCKETS if given is None else read_buckets(given))
        self._costs = Costs(self.board)
        self._seen = Seen(self.board, costs=self._costs, wait_s=wait_s(observing))
        self.take = self._seen.take

    def ended(self, interaction: Interaction, inside: tuple[Record, ...]) -> None:
        """Take note of an interaction's end."""
        self._seen.ended(interaction, inside)

    @asynccontextmanager
    async def around(self) -> AsyncIterator[None]:
        """Let others see the metrics while the block runs. Raises `UsageError` for a taken port."""
        exporting = self._exporting
        async with AsyncExitStack() as stack:
            if exporting.otlp_url is not None:
                from profiler.export.otlp import HEADERS_VARIABLE, Pusher, headers_of

                pusher = Pusher(
                    self.board,
                    exporting.otlp_url,
                    say=self._say,
                    before=self._current,
                    headers=headers_of(os.environ.get(HEADERS_VARIABLE)),
                )
                await stack.enter_async_context(pusher.running())
            if exporting.prometheus is not None:
                from profiler.admission import admitting
                from profiler.export.prometheus import PATH, scrape_app
                from profiler.serving import listening

                address = exporting.prometheus
                app = admitting(
                    scrape_app(self.board, self._current),
                    address.host,
                    exporting.token,
                    where="--prometheus",
                )
                url = await stack.enter_async_context(listening(app, address.host, address.port))
                self._say(f"metrics: {url}{PATH}")
                if exporting.token is not None:
                    self._say("metrics: authorization: {credentials: $AGENT_PROFILER_TOKEN}")
            yield
            self._seen.close()

    async def _current(self) -> None:
        from profiler.clock import monotonic_ns

        self._seen.settle(monotonic_ns())
        await self._costs.price()
