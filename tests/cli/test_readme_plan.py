"""The plan in README is what the commands above it print."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

from profiler.cli import plan


def test_the_readme_shows_what_the_sample_gives(monkeypatch, pytestconfig, tmp_path):
    """Prices of a day do not change; a release of the price data that corrects them would show."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    demand, printed = tmp_path / "demand.yaml", StringIO()
    with redirect_stdout(StringIO()) as sample:
        plan.command(sample=True)
    demand.write_text(sample.getvalue())
    with redirect_stdout(printed):
        plan.command(pytestconfig.rootpath / "results" / "sample", demand=demand, at="2026-11-22")
    lines = [line.rstrip() for line in printed.getvalue().splitlines()]
    readme = (pytestconfig.rootpath / "README.md").read_text().splitlines()
    first = readme.index(
        "$ agent-profiler plan results/sample --demand demand.yaml --at 2026-11-22"
    )
    begin = readme.index("```text", first) + 1
    shown = readme[begin : readme.index("```", begin)]
    assert shown == lines[: len(shown)]
    assert lines[len(shown) :] == [
        f"plans/airline-launch/{name}" for name in ("plan.json", "plan.md", "monitoring/README.md")
    ]
