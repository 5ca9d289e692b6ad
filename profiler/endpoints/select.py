"""Which adapter speaks a workload's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from profiler.errors import WorkloadError
from profiler.workload.target import A2a as A2aSettings
from profiler.workload.target import AnthropicMessages as AnthropicMessagesSettings
from profiler.workload.target import LangGraph as LangGraphSettings
from profiler.workload.target import OpenAiResponses as OpenAiResponsesSettings

if TYPE_CHECKING:
    from profiler.endpoints.exchange import Endpoint
    from profiler.workload.target import Target


def endpoint_for(target: Target, url: str) -> Endpoint:  # noqa: PLR0911 - one for each protocol
    """Return the adapter for `target`, which is reached at `url`. Raises `WorkloadError`."""
    match target.protocol:
        case "openai-chat":
            from profiler.endpoints.openai_chat import OpenAiChat  # noqa: PLC0415 - only what is spoken

            return OpenAiChat(
                url=url, model=target.model, stream=target.stream, headers=target.headers
            )
        case "openai-responses":
            from profiler.endpoints.openai_responses import OpenAiResponses  # noqa: PLC0415 - only what is spoken

            responses = target.openai_responses or OpenAiResponsesSettings()
            return OpenAiResponses(
                url=url,
                model=target.model,
                stream=target.stream,
                headers=target.headers,
                resend=responses.state == "resend",
            )
        case "anthropic-messages":
            from profiler.endpoints.anthropic_messages import AnthropicMessages  # noqa: PLC0415 - only what is spoken

            messages = target.anthropic_messages or AnthropicMessagesSettings()
            return AnthropicMessages(
                url=url,
                model=target.model,
                stream=target.stream,
                headers=target.headers,
                max_tokens=messages.max_tokens,
            )
        case "http-json" | "google-adk":
            return _described(target, url)
        case "ag-ui":
            from profiler.endpoints.ag_ui import AgUi  # noqa: PLC0415 - only what is spoken

            return AgUi(url=url, headers=target.headers)
        case "vercel-ai":
            from profiler.endpoints.vercel_ai import VercelAi  # noqa: PLC0415 - only what is spoken

            return VercelAi(url=url, headers=target.headers)
        case "langgraph":
            from profiler.endpoints.langgraph import LangGraph  # noqa: PLC0415 - only what is spoken

            threads = target.langgraph or LangGraphSettings()
            return LangGraph(
                url=url,
                stream=target.stream,
                headers=target.headers,
                assistant=threads.assistant,
                resume=threads.interrupt == "resume",
            )
        case "a2a":
            from profiler.endpoints.a2a import A2a  # noqa: PLC0415 - only what is spoken

            a2a = target.a2a or A2aSettings()
            return A2a(url=url, stream=target.stream, headers=target.headers, version=a2a.version)
        case _:
            assert_never(target.protocol)


def _described(target: Target, url: str) -> Endpoint:
    """Return the adapter of a protocol that is described: by the workload, or by us."""
    from profiler.endpoints.http_json import HttpJson  # noqa: PLC0415 - only what is spoken

    if target.google_adk is not None:
        template = target.google_adk.template(stream=target.stream)
        base = url.rstrip("/").removesuffix("/run_sse").removesuffix("/run")
        return HttpJson(url=base, template=template, headers=target.headers)
    if target.http_json is None:
        raise WorkloadError(
            f"the protocol {target.protocol} has no template",
            where="target.http_json",
            fix="Say what the request body is and where the reply is in the answer",
        )
    return HttpJson(url=url, template=target.http_json, headers=target.headers)
