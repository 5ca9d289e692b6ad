"""`target.google_adk` in a workload file: an agent behind Google ADK's API server.

The protocol is a template of `http-json` that ships as `google_adk.yaml`, beside this file: what is
written here only fills it in. A copy of it under `http_json` is where to start for a server that
differs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from pydantic import StrictBool, field_validator

from profiler.workload.http_json import BODY_NAMES, SETUP_NAMES, HttpJson
from profiler.workload.near import did_you_mean
from profiler.workload.strict import Strict, Text, problem
from profiler.workload.templates import filled, placeholder_names

TEMPLATE = Path(__file__).with_name("google_adk.yaml")

_KEPT = {name: f"{{{{ {name} }}}}" for name in BODY_NAMES}
"""Placeholders of the template that are filled in with each request."""
_PLACEHOLDERS = re.compile(r"(\{\{\s*\w+\s*\}\})")


class GoogleAdk(Strict):
    """Which of the server's agents, and as whom. Each session is a user of its own by default.

    `create_session: false` is for a server that makes sessions itself
    (`adk api_server --auto_create_session`).
    """

    app: Text
    user: Text = "{{ client_session_id }}"
    create_session: StrictBool = True

    @field_validator("app")
    @classmethod
    def _is_a_name(cls, app: str) -> str:
        if "{{" in app:
            raise problem("the name of an app is the same for all sessions", "Write the name")
        return app

    @field_validator("user")
    @classmethod
    def _user_names(cls, user: str) -> str:
        try:
            names = placeholder_names(user)
        except ValueError as exc:
            raise problem(str(exc), "Write {{ session_id }}, or a name") from exc
        for name in sorted(names - SETUP_NAMES):
            raise problem(f"unknown variable '{name}'", did_you_mean(name, SETUP_NAMES))
        return user

    def template(self, *, stream: bool) -> HttpJson:
        """Return the protocol: `/run_sse` with tokens as they come, or `/run`, in one piece."""
        described: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text("utf-8"))
        in_path = {"app": quote(self.app, safe=""), "user_id": _quoted(self.user)}
        described["setup"]["path"] = filled(described["setup"]["path"], _KEPT | in_path)
        in_body = {"app": self.app, "user_id": self.user}
        described["body"] = filled(described["body"], _KEPT | in_body)
        if not self.create_session:
            del described["setup"]
        if not stream:
            described["path"] = "/run"
            described["body"]["streaming"] = False
        return HttpJson.model_validate(described)


def _quoted(user: str) -> str:
    """Quote a text for a path; what is filled in later is quoted then."""
    pieces = _PLACEHOLDERS.split(user)
    return "".join(p if _PLACEHOLDERS.fullmatch(p) else quote(p, safe="") for p in pieces)
