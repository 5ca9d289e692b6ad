"""What stands under the help of each command: how it is used, as people type it."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        "run support --url http://127.0.0.1:8080/v1/chat/completions --users 20 -n 500",
        "run scenarios/mine.yaml --rate 5/s --duration 10m --until-stable",
        "run support --gateway --upstream https://api.openai.com/v1 --otlp",
        "run support --find-capacity --objective 'latency.p95<2s, error_rate<1%'",
        "run --resume results/support-20261123-120000",
    ),
    "profile": ("profile results/RUN",),
    "report": (
        "report results/RUN --html",
        "report plans/launch --markdown -o plan.md",
    ),
    "plan": (
        "plan --sample > demand.yaml",
        "plan results/RUN --demand demand.yaml --at 2026-11-22",
    ),
    "review": (
        "review plans/launch --actual profile=results/RUN",
        "review plans/launch --actual prometheus=http://127.0.0.1:9090",
    ),
    "compare": (
        "compare main results/RUN --gates gates.yaml --junit gates.xml",
        "compare results/BEFORE results/AFTER --plan plans/launch --html changes.html",
        "compare --trend results/*/profile.json --html trend.html",
    ),
    "merge": ("merge shard-0 shard-1 --out merged.json",),
    "export": (
        "export csv results/RUN --out tables",
        "export hlog results/RUN",
    ),
    "gateway": ("gateway --upstream https://api.openai.com/v1 --duration 1h",),
    "workload": (
        "workload support",
        "workload scenarios/mine.yaml --against production.jsonl",
    ),
    "import": (
        "import openai-messages production.jsonl -o scenarios/mine.yaml --redact",
        "import mooncake trace.jsonl -o scenarios/trace.yaml",
    ),
    "init": (
        "init --url http://127.0.0.1:8000",
        "init --url https://staging.example.com/chat --protocol http-json",
    ),
    "schema": ("schema profile > profile.schema.json",),
    "doctor": ("doctor --quick",),
}


def examples(command: str) -> str:
    """Return the examples of a command, a paragraph each."""
    shown = EXAMPLES[command]
    title = "Example:" if len(shown) == 1 else "Examples:"
    return "\n\n".join([title, *(f"  agent-profiler {each}" for each in shown)])
