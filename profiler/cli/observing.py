"""What watches a run from inside, as the options say it: gateway, OTLP receiver, state stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from profiler.errors import UsageError
from profiler.redaction import login_secrets, remember, without_user

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from profiler.workload.model import Workload

TOKEN_VARIABLE = "AGENT_PROFILER_GATEWAY_TOKEN"  # noqa: S105 - the name of a variable
OTLP_HEADERS = "authorization=Bearer%20$AGENT_PROFILER_TOKEN"
"""What an exporter is given for a receiver with a token: a space is %20 in this variable."""
LOOPBACK = "127.0.0.1"
DEFAULT_GRACE_S = 6.0
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        from profiler.admission import is_loopback

        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observing:
    """What watches. `upstream` is None where the mock LLM is to be the provider.

    `token` is what a gateway beyond loopback asks for, `otlp_token` what the receiver does. `state`
    may hold passwords.
    """

    gateway: Address | None = None
    upstream: str | None = None
    token: str | None = field(default=None, repr=False)
    otlp: Address | None = None
    otlp_token: str | None = field(default=None, repr=False)
    otlp_grpc: int | None = None
    grace_s: float = DEFAULT_GRACE_S
    state: tuple[str, ...] = ()
    tags: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The observers, as the journal calls them."""
        watching = {
            "gateway": self.gateway is not None,
            "otel": self.otlp is not None,
            "state_store": bool(self.state),
        }
        return tuple(name for name, is_on in watching.items() if is_on)

    @property
    def mock_llm_url(self) -> str | None:
        """Where the mock agent finds its LLM: at the gateway, if there is one.

        The token stays in the environment, for arguments of processes can be read by all.
        """
        if self.gateway is None:
            return None
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.gateway.host, self.gateway.host)  # noqa: S104 - a name
        token = "" if self.token is None else f"/t/${TOKEN_VARIABLE}"
        return f"http://{Address(host=host, port=self.gateway.port)}{token}/v1"


NOTHING = Observing()


def with_variable(base_url: str, token: str | None) -> str:
    """Return a gateway's base URL as it is shown: a token is not for a screen, nor for a log."""
    return base_url if token is None else base_url.replace(token, f"${TOKEN_VARIABLE}")


def observing_of(
    *,
    gateway: str | None,
    upstream: str | None,
    otlp: str | None,
    otlp_grpc: int | None,
    otlp_grace: str | None,
    state: Sequence[str],
    tag_interactions: bool,
    environ: Mapping[str, str],
) -> Observing:
    """Read the options. Raises `UsageError` for one that is wrong, or has no use alone."""
    if upstream is not None and gateway is None:
        raise UsageError("--upstream has no use without --gateway", fix="Add --gateway")
    if upstream is not None:
        remember(*login_secrets(upstream))
        check_upstream(upstream)
    if otlp is None and (otlp_grace is not None or otlp_grpc is not None):
        option = "--otlp-grace" if otlp_grace is not None else "--otlp-grpc"
        raise UsageError(f"{option} has no use without --otlp", fix="Add --otlp")
    if tag_interactions and gateway is None:
        fix = "Add --gateway: it is what reads the markers"
        raise UsageError("--tag-interactions has no use without --gateway", fix=fix)
    address = None if gateway is None else address_of(gateway, "--gateway")
    receiver = None if otlp is None else address_of(otlp, "--otlp")
    return Observing(
        gateway=address,
        upstream=upstream,
        token=None if address is None else token_for(address, "--gateway", environ),
        otlp=receiver,
        otlp_token=None
        if receiver is None
        else server_token(receiver, "--otlp", "an OTLP receiver", environ),
        otlp_grpc=otlp_grpc,
        grace_s=DEFAULT_GRACE_S
        if otlp_grace is None
        else seconds_of(otlp_grace, "--otlp-grace", like="6s"),
        state=tuple(state),
        tags=tag_interactions,
    )


def check_fits(observing: Observing, workload: Workload, *, alone: bool) -> None:
    """Raise `UsageError` where the run is not one that can be watched so.

    `alone`: the run is one process, and one run.
    """
    if observing.names and not alone:
        option = {"gateway": "--gateway", "otel": "--otlp", "state_store": "--state"}
        raise UsageError(
            f"{option[observing.names[0]]} watches a run of one process",
            fix="Leave out --workers, --cluster, --shard and --find-capacity",
        )
    if observing.gateway and observing.upstream is None and workload.target.url is not None:
        raise UsageError(
            "the gateway has no provider to pass calls on to",
            where="--gateway",
            fix="Add --upstream, like --upstream https://api.openai.com/v1",
        )
    if observing.tags and not any(scenario.taggable for scenario in workload.scenarios):
        raise UsageError(
            "no scenario may be tagged",
            where="--tag-interactions",
            fix="Set taggable: true in the scenarios whose texts may carry a marker",
        )


def options_of(observing: Observing) -> tuple[str, ...]:
    """Return the options again, without secrets, as part of a command that a person may repeat."""
    argv: list[str] = []
    for option, value in (
        ("--gateway", observing.gateway),
        ("--upstream", None if observing.upstream is None else without_user(observing.upstream)),
        ("--otlp", observing.otlp),
        ("--otlp-grpc", observing.otlp_grpc),
    ):
        if value is not None:
            argv += [option, str(value)]
    if observing.grace_s != DEFAULT_GRACE_S:
        argv += ["--otlp-grace", f"{observing.grace_s:g}s"]
    for url in observing.state:
        argv += ["--state", without_user(url)]
    return (*argv, "--tag-interactions") if observing.tags else tuple(argv)


def check_upstream(url: str) -> None:
    """Raise `UsageError` for what is no URL of a provider."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        fix = "Give the provider's base URL, like https://api.openai.com/v1"
        raise UsageError(f"{without_user(url)!r} is no URL", where="--upstream", fix=fix)


def address_of(text: str, option: str, *, like: str = f"{LOOPBACK}:8787") -> Address:
    """Read `HOST:PORT`, `:PORT` or `PORT`. Raises `UsageError`."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > _HIGHEST_PORT:
        fix = f"Write HOST:PORT, like {like}"
        raise UsageError(f"{text!r} is no address", where=option, fix=fix)
    return Address(host=host.strip("[]") or LOOPBACK, port=int(port))


def token_for(address: Address, option: str, environ: Mapping[str, str]) -> str | None:
    """Return the token that a gateway there asks for; None: it needs none.

    Raises `UsageError` where others can reach it and there is no token.
    """
    if address.is_loopback:
        return None
    return _token(address, option, "a gateway", TOKEN_VARIABLE, environ)


def server_token(
    address: Address, option: str, what: str, environ: Mapping[str, str]
) -> str | None:
    """Return the token that a server of ours there, but for a gateway, asks for; None: none.

    Raises `UsageError` where others can reach it and there is no token, or none that can be used.
    """
    if address.is_loopback:
        return None
    from profiler.admission import SERVER_TOKEN_VARIABLE, checked_token

    token = _token(address, option, what, SERVER_TOKEN_VARIABLE, environ)
    return checked_token(token, SERVER_TOKEN_VARIABLE)


def _token(
    address: Address, option: str, what: str, variable: str, environ: Mapping[str, str]
) -> str:
    token = environ.get(variable)
    if not token:
        raise UsageError(
            f"{what} that others can reach ({address}) needs a token",
            where=option,
            fix=f"Set {variable}, or listen on {LOOPBACK}",
        )
    remember(token)
    return token


def seconds_of(text: str, option: str, *, like: str) -> float:
    """Read a duration. Raises `UsageError`, with an example."""
    from profiler.workload.units import duration_s

    try:
        return duration_s(text)
    except ValueError as exc:
        raise UsageError(
            f"{text!r} is no duration", where=option, fix=f"Write a duration, like {like}"
        ) from exc
