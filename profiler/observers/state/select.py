"""From `--state` URLs to probes. The drivers are extras: loaded for a store that is asked for."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING

from profiler.errors import UsageError
from profiler.observers.state.address import OPTION, REDIS, address_of
from profiler.observers.state.probe import TIMEOUT_S, Probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from profiler.observers.state.address import StoreAddress
    from profiler.observers.state.probe import Statistics


def probe_for(
    url: str,
    *,
    store: str | None = None,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Probe:
    """Return the probe for one store, named `redis` or `postgresql` unless `store` names it.

    Raises UsageError for a URL that cannot be used and for a driver that is not installed.
    """
    address = address_of(url, environ)
    return Probe(address, _statistics(address), store=store or address.kind, timeout_s=timeout_s)


def probes_for(
    urls: Sequence[str], *, environ: Mapping[str, str] | None = None
) -> tuple[Probe, ...]:
    """Return a probe for each URL; those of one kind get `@host:port/database` in their names.

    Raises UsageError as `probe_for` does, and for two URLs that would count the same operations:
    Redis counts for all its databases together, PostgreSQL for each.
    """
    addresses = [address_of(url, environ) for url in urls]
    counted = Counter(
        (address.kind, address.server if address.kind == REDIS else address.location)
        for address in addresses
    )
    for (kind, place), times in counted.items():
        if times > 1:
            raise UsageError(
                f"{kind} at {place} is given {times} times: its operations would count twice",
                where=OPTION,
                fix="Give each store once; a Redis server counts for all its databases",
            )
    kinds = Counter(address.kind for address in addresses)

    def name(address: StoreAddress) -> str:
        alone = kinds[address.kind] == 1
        return address.kind if alone else f"{address.kind}@{address.location}"

    return tuple(Probe(address, _statistics(address), store=name(address)) for address in addresses)


def _statistics(address: StoreAddress) -> Statistics:
    package, extra = ("redis", "redis") if address.kind == REDIS else ("psycopg", "postgresql")
    try:
        import_module(package)
    except ImportError:  # psycopg says so, too, where it finds no libpq
        raise UsageError(
            f"watching {address.kind} needs the package {package}, which cannot be imported",
            where=OPTION,
            fix=f"Install it: pip install 'agent-profiler[{extra}]'",
        ) from None
    statistics: Statistics
    if address.kind == REDIS:
        from profiler.observers.state.redis_server import RedisStatistics  # noqa: PLC0415 - an extra

        statistics = RedisStatistics(address)
    else:
        from profiler.observers.state.postgresql_server import (  # noqa: PLC0415 - an extra
            PostgresqlStatistics,
        )

        statistics = PostgresqlStatistics(address)
    return statistics
