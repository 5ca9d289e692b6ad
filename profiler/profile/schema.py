"""JSON Schemas of what this package writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from profiler.errors import ProfileError
from profiler.profile.capacity import CAPACITY_SCHEMA_VERSION, CapacityCurve
from profiler.profile.model import PROFILE_SCHEMA_VERSION, WorkloadProfile
from profiler.profile.traffic import TRAFFIC_SCHEMA_VERSION, Traffic

if TYPE_CHECKING:
    from pydantic import BaseModel

_KINDS: dict[str, tuple[type[BaseModel], int, str]] = {
    "profile": (WorkloadProfile, PROFILE_SCHEMA_VERSION, "Workload profile"),
    "capacity": (CapacityCurve, CAPACITY_SCHEMA_VERSION, "Capacity curve"),
    "traffic": (Traffic, TRAFFIC_SCHEMA_VERSION, "LLM traffic"),
}


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a file: of `profile`, what `dump_profile` writes.

    `capacity` is what `dump_curve` writes, `traffic` what `dump_traffic` does. Raises
    `ProfileError` for a kind that there is no schema of.
    """
    if kind not in _KINDS:
        known = " or ".join(f"`{name}`" for name in _KINDS)
        raise ProfileError(f"there is no schema of {kind!r}", fix=f"Give {known}")
    model, version, title = _KINDS[kind]
    return schema_of(model, kind, version, title)


def schema_of(model: type[BaseModel], kind: str, version: int, title: str) -> dict[str, Any]:
    """Return the JSON Schema of a model of a file of that kind and version."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:agent-profiler:schema:{kind}:{version}",
        **model.model_json_schema(mode="serialization"),
        "title": title,
    }
