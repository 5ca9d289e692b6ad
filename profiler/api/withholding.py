"""Secrets of a run from Python: by the environment, for all may read a process's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "AGENT_PROFILER_SECRET_"
_URLS = ("url", "state", "otlp_export")


class Withheld:
    """What is handed over by the environment; `environment` is that of the process to start."""

    def __init__(self) -> None:
        self.environment: dict[str, str] = {}

    def options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options with `${NAME}` in place of URLs that may hold a secret."""
        kept = dict(options)
        for name in _URLS:
            value = kept.get(name)
            if isinstance(value, str):
                kept[name] = self._url(value)
            elif isinstance(value, list | tuple):
                kept[name] = [self._url(str(one)) for one in value]
        return kept

    def workload(self, workload: Mapping[str, Any]) -> dict[str, Any]:
        """Return a workload's keys with `${NAME}` in place of what its file must not hold."""
        kept = dict(workload)
        target = kept.get("target")
        if not isinstance(target, dict):
            return kept
        target = dict(target)
        if isinstance(target.get("url"), str):
            target["url"] = self._url(target["url"])
        if isinstance(target.get("headers"), dict):
            target["headers"] = {
                name: self._header(str(name), value) for name, value in target["headers"].items()
            }
        return kept | {"target": target}

    def _url(self, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return url  # what is wrong with it is said where it is used
        may_hold = "${" not in url and ("@" in parts.netloc or parts.query)
        return self._named(url) if may_hold else url

    def _header(self, name: str, value: Any) -> Any:
        from profiler.workload.target import CREDENTIAL_HEADER

        is_secret = isinstance(value, str) and CREDENTIAL_HEADER.search(name) and "${" not in value
        return self._named(value) if is_secret else value

    def _named(self, value: str) -> str:
        name = f"{PREFIX}{len(self.environment) + 1}"
        self.environment[name] = value
        return f"${{{name}}}"
