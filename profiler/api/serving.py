"""An ASGI application of the caller's on a real socket, for as long as a block lasts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal

from profiler.admission import is_loopback
from profiler.errors import UsageError
from profiler.serving import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp


@contextmanager
def served(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an ASGI application from a thread of this process; yields its base URL.

    Its lifespan is run. Port 0 is a free one. Raises `UsageError` for an application that does not
    start, for a port that is taken, and for a host beyond loopback: an application under test is
    not for others.
    """
    if not is_loopback(host):
        raise UsageError(
            f"served() is for this machine, and {host or 'every address'} is more",
            where="host",
            fix="Leave it out, or serve the application with uvicorn",
        )
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(listening(app, host, port, lifespan=True)) as url,
    ):
        yield url
