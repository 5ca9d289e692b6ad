"""A Dask cluster as an `Executor`: the same calls as on this machine, on one worker each.

`distributed` is imported only when a cluster is asked for: it is an extra.
"""

from __future__ import annotations

import logging
import socket
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from profiler.admission import is_loopback
from profiler.errors import UsageError
from profiler.load.conductor import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INSTALL = "pip install 'agent-profiler[cluster]'"
CONNECT_TIMEOUT_S = 10
_DISCARD_PORT = 9


class Cluster(Executor):
    """The workers of a cluster: call k runs on worker k, in a thread of its process.

    A call is never tried again: a shard that ran twice would send twice.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._calls = count()
        self._futures: list[Future[Any]] = []
        self._shown = sorted(client.nthreads())

    @property
    def workers(self) -> int:
        """How many workers there were when we connected."""
        return len(self._shown)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send the call to the next worker."""
        worker = self._shown[next(self._calls) % len(self._shown)]
        executor = self._client.get_executor(workers=[worker], pure=False, retries=0)
        future: Future[Any] = executor.submit(fn, *args, **kwargs)
        self._futures.append(future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the signature that `Executor` gives
        """Forget the calls that were not made yet, if `cancel_futures`. The cluster goes on."""
        if cancel_futures:
            for future in self._futures:
                future.cancel()


@contextmanager
def cluster(scheduler: str) -> Iterator[Cluster]:
    """Connect to the scheduler at `scheduler`, like tcp://10.0.0.5:8786; disconnect at the end.

    Raises `UsageError` without the package, without a scheduler there, and without any worker.
    """
    host = host_of(scheduler)
    try:
        distributed = import_module("distributed")
    except ImportError as exc:
        what = "--cluster needs Dask's package `distributed`"
        raise UsageError(what, fix=f"Run {INSTALL}") from exc
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we say what there is to say
    try:
        # Dask tries again and again for all its time: a port where nobody listens is known at once.
        socket.create_connection((host, urlsplit(scheduler).port), CONNECT_TIMEOUT_S).close()
        client = distributed.Client(scheduler, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as exc:
        raise UsageError(
            "no Dask scheduler answers there",
            where=scheduler,
            fix="Start one with `dask scheduler`, or correct --cluster",
        ) from exc
    with client:
        executor = Cluster(client)
        if not executor.workers:
            raise UsageError(
                "the Dask scheduler has no workers",
                where=scheduler,
                fix=f"Start some with `dask worker {scheduler} --nthreads 1`",
            )
        yield executor


def host_of(scheduler: str) -> str:
    """Return the host in a scheduler's address. Raises `UsageError` for what is no address."""
    parts = urlsplit(scheduler)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in {"tcp", "tls"} or not parts.hostname or port is None:
        raise UsageError(
            f"{scheduler!r} is no address of a Dask scheduler",
            where="--cluster",
            fix="Write it like tcp://10.0.0.5:8786",
        )
    return parts.hostname


def local_address(towards: str) -> str:
    """Return the address of this machine from which packets to a host leave. Sends nothing.

    Raises `UsageError` for a host that cannot be resolved or reached.
    """
    if is_loopback(towards):
        return LOOPBACK
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(
            towards, _DISCARD_PORT, type=socket.SOCK_DGRAM
        )
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            found: str = probe.getsockname()[0]
    except OSError as exc:
        raise UsageError(
            f"the scheduler's host cannot be found: {exc.strerror}",
            where=towards,
            fix="Correct --cluster, or say with --conductor how workers reach this machine",
        ) from exc
    return found


def conductor_address(text: str) -> tuple[str, int]:
    """Read HOST or HOST:PORT; a port of 0 is any that is free. Raises `UsageError`."""
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if not parts.hostname or port == -1 or parts.path or parts.username is not None:
        raise UsageError(
            f"{text!r} is no address",
            where="--conductor",
            fix="Write HOST or HOST:PORT, as the workers reach this machine",
        )
    return parts.hostname, port or 0
