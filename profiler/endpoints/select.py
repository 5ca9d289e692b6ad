"""Which adapter speaks a workload's protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from profiler.endpoints.ag_ui import AgUi
from profiler.endpoints.http_json import HttpJson
from profiler.endpoints.openai_chat import OpenAiChat
from profiler.endpoints.vercel_ai import VercelAi
from profiler.errors import WorkloadError

if TYPE_CHECKING:
    from profiler.endpoints.exchange import Endpoint
    from profiler.workload.target import Target


def endpoint_for(target: Target, url: str) -> Endpoint:
    """Return the adapter for `target`, which is reached at `url`. Raises `WorkloadError`."""
    match target.protocol:
        case "openai-chat":
            return OpenAiChat(
                url=url, model=target.model, stream=target.stream, headers=target.headers
            )
        case "http-json":
            if target.http_json is None:
                raise WorkloadError(
                    "the protocol http-json has no template",
                    where="target.http_json",
                    fix="Say what the request body is and where the reply is in the answer",
                )
            return HttpJson(url=url, template=target.http_json, headers=target.headers)
        case "ag-ui":
            return AgUi(url=url, headers=target.headers)
        case "vercel-ai":
            return VercelAi(url=url, headers=target.headers)
        case _:
            assert_never(target.protocol)
