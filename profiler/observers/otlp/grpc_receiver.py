"""OTLP over gRPC: the same three services, with `grpcio` (the extra `grpc`)."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from profiler.admission import REFUSAL, checked_opening, is_bearer
from profiler.errors import UsageError
from profiler.observers.otlp.decode import MAX_BYTES, RefusedError, too_large
from profiler.observers.otlp.http_receiver import success

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from profiler.observers.otlp.intake import Intake

_SERVICE = "opentelemetry.proto.collector.{0}.v1.{1}Service"
_GRACE_S = 1
# gRPC refuses larger messages on its own, and tells nobody here: leave room to count them.
_MAX_RECEIVED = 4 * MAX_BYTES


@asynccontextmanager
async def serving(
    intake: Intake,
    host: str,
    port: int,
    max_bytes: int = MAX_BYTES,
    *,
    token: str | None = None,
) -> AsyncIterator[str]:
    """Serve OTLP over gRPC on the running event loop; yields `host:port`.

    With a `token` each call has it in its metadata, as `authorization: Bearer TOKEN`. Raises
    `UsageError` where `grpcio` is not installed, the port is taken, or the host is beyond loopback
    and there is no token.
    """
    checked_opening(host, token, "OTLP over gRPC")
    try:
        import grpc  # noqa: PLC0415 - an extra
        import grpc.aio  # noqa: PLC0415
    except ImportError as exc:
        raise UsageError(
            "OTLP over gRPC needs grpcio",
            fix="Install agent-profiler[grpc], or let the agent export with http/protobuf",
        ) from exc

    async def traces(body: bytes, context: Any) -> bytes:
        try:
            if len(body) > max_bytes:
                raise too_large(max_bytes)
            return success(await intake.traces(body))
        except RefusedError as exc:
            intake.refused(exc)
            large = exc.kind == "too_large"
            codes = grpc.StatusCode
            code = codes.RESOURCE_EXHAUSTED if large else codes.INVALID_ARGUMENT
            await context.abort(code, exc.message)
            raise

    def ignored(signal: str) -> Any:
        async def export(_body: bytes, _context: Any) -> bytes:
            intake.ignored(signal)
            return b""

        return export

    server = grpc.aio.server(
        interceptors=() if token is None else (_asking_for(token, intake.no_token),),
        options=[
            ("grpc.max_receive_message_length", _MAX_RECEIVED),
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", 256),
            ("grpc.max_metadata_size", 64 * 1024),
            ("grpc.max_connection_idle_ms", 300_000),
        ],
    )
    exports = {
        _SERVICE.format("trace", "Trace"): traces,
        _SERVICE.format("logs", "Logs"): ignored("logs"),
        _SERVICE.format("metrics", "Metrics"): ignored("metrics"),
    }
    for service, export in exports.items():
        method = grpc.unary_unary_rpc_method_handler(export)
        handler = grpc.method_handlers_generic_handler(service, {"Export": method})
        server.add_generic_rpc_handlers((handler,))
    name = f"[{host}]" if ":" in host else host
    try:
        bound = server.add_insecure_port(f"{name}:{port}")
    except RuntimeError as exc:
        raise UsageError(
            "cannot listen for OTLP over gRPC",
            where=f"{name}:{port}",
            fix="Give another port, or 0 for a free one",
        ) from exc
    await server.start()
    try:
        yield f"{name}:{bound}"
    finally:
        await server.stop(_GRACE_S)


def _asking_for(token: str, refused: Callable[[], None]) -> Any:
    """Return what lets calls through that have the token; of the others no message is read."""
    import grpc  # noqa: PLC0415 - an extra, which is there when this is called
    import grpc.aio  # noqa: PLC0415

    wanted = token.encode("ascii")

    async def refuse(_messages: Any, context: Any) -> None:
        refused()
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, REFUSAL)

    class Asking(grpc.aio.ServerInterceptor):  # type: ignore[misc]
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            for name, value in details.invocation_metadata or ():
                if name == "authorization" and is_bearer(_bytes(value), wanted):
                    return await continuation(details)
            return grpc.stream_unary_rpc_method_handler(refuse)

    return Asking()


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
