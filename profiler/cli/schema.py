"""`agent-profiler schema KIND`: print the JSON Schema of a file that this tool writes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class SchemaKind(StrEnum):
    """What there is a schema of."""

    PROFILE = "profile"
    CAPACITY = "capacity"
    TRAFFIC = "traffic"
    PLAN = "plan"
    REVIEW = "review"
    COMPARISON = "comparison"


def command(
    kind: Annotated[SchemaKind, typer.Argument(help="Which file.", metavar="KIND")],
) -> None:
    """Print the JSON Schema (draft 2020-12) of a file that this tool writes."""
    import orjson

    from profiler.profile.schema import json_schema, schema_of

    if kind is SchemaKind.PLAN:
        from profiler.planner.plan import PLAN_SCHEMA_VERSION, Plan

        found = schema_of(Plan, kind.value, PLAN_SCHEMA_VERSION, "Plan")
    elif kind is SchemaKind.REVIEW:
        from profiler.planner.review import REVIEW_SCHEMA_VERSION, Review

        found = schema_of(Review, kind.value, REVIEW_SCHEMA_VERSION, "Review of a plan")
    elif kind is SchemaKind.COMPARISON:
        from profiler.comparison.model import COMPARISON_SCHEMA_VERSION, Comparison

        found = schema_of(Comparison, kind.value, COMPARISON_SCHEMA_VERSION, "Comparison")
    else:
        found = json_schema(kind.value)
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    typer.echo(orjson.dumps(found, option=options).decode())
