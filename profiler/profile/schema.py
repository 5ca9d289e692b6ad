"""JSON Schemas of what this package writes."""

from __future__ import annotations

from typing import Any

from profiler.errors import ProfileError
from profiler.profile.model import PROFILE_SCHEMA_VERSION, WorkloadProfile


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file: of `profile`, what `dump_profile` writes.

    Raises `ProfileError` for a kind that there is no schema of.
    """
    if kind != "profile":
        raise ProfileError(f"there is no schema of {kind!r}", fix="Give `profile`")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:agent-profiler:schema:profile:{PROFILE_SCHEMA_VERSION}",
        **WorkloadProfile.model_json_schema(mode="serialization"),
        "title": "Workload profile",
    }
