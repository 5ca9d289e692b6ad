"""The recipe: what the agent has to emit, under which names, with which buckets, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.planner.monitoring.buckets import boundary_text, buckets
from profiler.planner.monitoring.instruments import INSTRUMENTS, Instrument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profiler.planner.plan import Plan

_METERS = {
    "histogram": "create_histogram",
    "counter": "create_counter",
    "gauge": "create_gauge",
}
_OF_CALLS = (
    "`gen_ai.operation.name` = `chat`, `gen_ai.provider.name`, `gen_ai.request.model`, "
    "`gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `error.type`"
)
_SPANS = (
    (
        "`invoke_agent {gen_ai.agent.name}`",
        "one interaction",
        "`gen_ai.operation.name` = `invoke_agent`, `gen_ai.conversation.id`",
    ),
    (
        "`chat {gen_ai.request.model}`",
        "one LLM call",
        _OF_CALLS,
    ),
    (
        "`execute_tool {gen_ai.tool.name}`",
        "one execution of a tool",
        "`gen_ai.operation.name` = `execute_tool`, `gen_ai.tool.name`, `error.type`",
    ),
)


def recipe(plan: Plan) -> str:
    """Return the page in Markdown."""
    lines = [
        f"# What the agent emits: {plan.name}",
        "",
        "Names are those of OpenTelemetry's semantic conventions for generative AI where they",
        "have one, and names of our own, under `agent.`, where they have none. Counters start at 0",
        "for every model and tool in use: what does not exist yet cannot be seen to rise.",
        "",
        "## Metrics",
        "",
        "| OpenTelemetry | Prometheus | kind | unit | what | labels |",
        "| --- | --- | --- | --- | --- | --- |",
        *map(_row, INSTRUMENTS.values()),
        "",
        *_renamed(),
        "",
        *_bucket_lines(plan),
        "",
        *_code(plan),
        "",
        "## Spans",
        "",
        "| name | what | attributes |",
        "| --- | --- | --- |",
        *(f"| {name} | {what} | {attributes} |" for name, what, attributes in _SPANS),
        "",
        "The trace id of an interaction is on each line of its log: `structured_logging.py`.",
    ]
    if plan.unwatched:
        lines += ["", "## Measured, and not watched", ""]
        lines += [f"- {each}" for each in plan.unwatched]
    return "\n".join(lines) + "\n"


def _row(each: Instrument) -> str:
    labels = ", ".join(f"`{name}`: {what}" for name, what in each.labels.items()) or "none"
    mark = " (ours)" if each.own else ""
    return (
        f"| `{each.otel_name}`{mark} | `{each.name}` | {each.kind} | `{each.unit}` | {each.says} "
        f"| {labels} |"
    )


def _renamed() -> Iterator[str]:
    yield "The collector renames, so that instrumentations which follow the conventions need not be"
    yield "changed:"
    yield ""
    for each in INSTRUMENTS.values():
        if each.convention is not None:
            yield f"- `{each.convention}` to `{each.otel_name}`"


def _bucket_lines(plan: Plan) -> Iterator[str]:
    yield "## Buckets"
    yield ""
    yield "Boundaries of the conventions, and one at each threshold of the plan: an alert on a p95"
    yield "is then decided by counting, not by interpolation within a bucket. Without the one at"
    yield "the promised latency, its error budget has no data at all."
    yield ""
    for name, boundaries in buckets(plan).items():
        yield f"- `{INSTRUMENTS[name].otel_name}`: {', '.join(map(boundary_text, boundaries))}"
    yield ""
    yield "The same for programs: `buckets.json`, by Prometheus name."


def _code(plan: Plan) -> Iterator[str]:
    yield "In Python, with `opentelemetry-sdk`. Labels are attributes, those of the conventions by"
    yield "their own names: `gen_ai.request.model`, `gen_ai.tool.name`, `error.type`."
    yield ""
    yield "```python"
    yield "from opentelemetry.sdk.metrics import MeterProvider"
    yield "from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View"
    yield ""
    yield "BUCKETS = {"
    for name, boundaries in buckets(plan).items():
        ends = ", ".join(map(boundary_text, boundaries))
        yield f'    "{INSTRUMENTS[name].otel_name}": [{ends}],'
    yield "}"
    yield "provider = MeterProvider("
    yield "    views=["
    yield "        View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(ends))"
    yield "        for name, ends in BUCKETS.items()"
    yield "    ]"
    yield ")"
    yield 'meter = provider.get_meter("agent")'
    for each in INSTRUMENTS.values():
        if each.own:
            variable = each.otel_name.removeprefix("agent.").replace(".", "_")
            yield f'{variable} = meter.{_METERS[each.kind]}("{each.otel_name}", unit="{each.unit}")'
    yield "```"
