"""`target:` in a workload file: where the agent is and how to speak to it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from profiler.redaction import header_secrets, remember
from profiler.workload.google_adk import GoogleAdk  # noqa: TC001 - pydantic reads it
from profiler.workload.http_json import HttpJson  # noqa: TC001 - as above
from profiler.workload.secrets import EnvText, check_url, shown_url, url_secrets
from profiler.workload.strict import PositiveDuration, PositiveSize, Strict, Text, problem

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CREDENTIAL_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_DEFAULT_TIMEOUT_S = 120.0
_WITH_SECTION = (
    "openai-responses",
    "anthropic-messages",
    "langgraph",
    "a2a",
    "http-json",
    "google-adk",
)
"""The protocols that have a section of their own in `target`."""


def _from_environment(value: Any, info: ValidationInfo) -> EnvText:
    if isinstance(value, EnvText):
        return value
    if not isinstance(value, str):
        raise problem("the value is not text", "Put it in quotes")
    try:
        return EnvText.resolve(value, (info.context or {}).get("environ", {}))
    except ValueError as exc:
        raise problem(str(exc), "Set it, or write ${NAME} with the name of one that is") from exc


FromEnvironment = Annotated[
    InstanceOf[EnvText], BeforeValidator(_from_environment), PlainSerializer(lambda _: "***")
]
"""Text in which `${NAME}` is taken from the environment; shown as `***` wherever it is dumped."""


class OpenAiResponses(Strict):
    """How the conversation goes on: the server keeps it, or it is sent whole with each turn."""

    state: Literal["server", "resend"] = "server"


class AnthropicMessages(Strict):
    """What the protocol requires beside the messages."""

    max_tokens: Annotated[StrictInt, Field(ge=1)] = 4096


class LangGraph(Strict):
    """Which assistant (or graph) of the server answers, and what an interrupted run is."""

    assistant: Text = "agent"
    interrupt: Literal["error", "resume"] = "error"


class A2a(Strict):
    """Which version of the protocol is spoken. YAML reads it as a number."""

    version: Annotated[
        Literal["1.0", "0.3"], BeforeValidator(lambda v: str(v) if isinstance(v, float) else v)
    ] = "1.0"


class Target(Strict):
    """The agent. Without a `url`, the shipped mock agent is started and used."""

    endpoint: FromEnvironment | None = Field(default=None, alias="url")
    protocol: Literal[
        "openai-chat",
        "openai-responses",
        "anthropic-messages",
        "ag-ui",
        "vercel-ai",
        "langgraph",
        "a2a",
        "http-json",
        "google-adk",
    ] = "openai-chat"
    model: Text | None = None
    stream: StrictBool = True
    http2: StrictBool = False
    header_texts: dict[str, FromEnvironment] = Field(default_factory=dict, alias="headers")
    timeout_s: PositiveDuration = Field(default=_DEFAULT_TIMEOUT_S, alias="timeout")
    max_answer_bytes: PositiveSize | None = Field(default=None, alias="max_answer")
    openai_responses: OpenAiResponses | None = None
    anthropic_messages: AnthropicMessages | None = None
    http_json: HttpJson | None = None
    google_adk: GoogleAdk | None = None
    langgraph: LangGraph | None = None
    a2a: A2a | None = None

    @property
    def url(self) -> str | None:
        """The URL as it is called, secrets included; None means the mock agent."""
        return None if self.endpoint is None else self.endpoint.value

    @property
    def headers(self) -> dict[str, str]:
        """The headers as they are sent, secrets included."""
        return {name: text.value for name, text in self.header_texts.items()}

    def secrets(self) -> tuple[str, ...]:
        """Return every text that must never be written down, longest first."""
        found = set(url_secrets(self.endpoint)) if self.endpoint is not None else set()
        for name, text in self.header_texts.items():
            found.update(text.environment)
            if CREDENTIAL_HEADER.search(name):
                found.update(header_secrets(text.value))
        return tuple(sorted(found - {""}, key=lambda secret: (-len(secret), secret)))

    def remember_secrets(self) -> None:
        """Have this process hide them; but for what the URL shows of them anyway."""
        shown = "" if self.endpoint is None else shown_url(self.endpoint)
        remember(*(secret for secret in self.secrets() if secret not in shown))

    def redacted(self) -> dict[str, Any]:
        """Return what a manifest may say: the URL without secrets, headers by name only."""
        return {
            "url": None if self.endpoint is None else shown_url(self.endpoint),
            "protocol": self.protocol,
            "model": self.model,
            "stream": self.stream,
            "http2": self.http2,
            "timeout_s": self.timeout_s,
            "headers": sorted(self.header_texts),
        }

    @field_validator("endpoint")
    @classmethod
    def _callable(cls, endpoint: EnvText | None) -> EnvText | None:
        wrong = None if endpoint is None else check_url(endpoint.value)
        if wrong is not None:
            raise problem(wrong, "Write it like http://127.0.0.1:8080/v1/chat/completions")
        return endpoint

    @field_validator("header_texts")
    @classmethod
    def _sendable(cls, headers: dict[str, EnvText]) -> dict[str, EnvText]:
        if len({name.lower() for name in headers}) != len(headers):
            raise problem("a header is given twice", "Upper and lower case are the same: keep one")
        for name, text in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                fix = "Use letters, digits and '-'"
                raise problem(f"'{name}' is not the name of a header", fix, below=(name,))
            if not (text.value.isascii() and text.value.isprintable()):
                what = "the value contains a line break or a character outside ASCII"
                raise problem(what, "Look at what the environment variable holds", below=(name,))
        return headers

    @model_validator(mode="after")
    def _protocol_fits(self) -> Target:
        if self.protocol == "http-json" and self.http_json is None:
            fix = "Add http_json with 'body' and 'reply'"
            raise problem("the protocol http-json needs 'http_json'", fix, below=("protocol",))
        if self.protocol == "google-adk" and self.google_adk is None:
            fix = "Add google_adk with 'app', the name of the agent's folder"
            raise problem("the protocol google-adk needs 'google_adk'", fix, below=("protocol",))
        for protocol in _WITH_SECTION:
            name = protocol.replace("-", "_")
            if protocol != self.protocol and getattr(self, name) is not None:
                fix = f"Write protocol: {protocol}, or remove it"
                raise problem(f"{name} has no use with {self.protocol}", fix, below=(name,))
        return self
