"""`agent-profiler workload`: what is shown, as text and as JSON, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from profiler.cli import app as cli

SAMPLE = Path(__file__).parents[2] / "results" / "sample"
TWO = """
load: {users: 2, sessions: 3}
scenarios: [{name: s, think_time: 3s, turns: [{user: hello there}, {user: thanks}]}]
"""


@pytest.fixture
def shown(monkeypatch, capsys, tmp_path):
    """Run `workload` in a folder of its own, 80 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "two.yaml").write_text(TWO)

    def run(*arguments: object):
        monkeypatch.setattr(sys, "argv", ["agent-profiler", "workload", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", ["airline", "support", "smoke"])
def test_every_shipped_workload_is_shown_within_80_columns_and_nothing_is_written(
    shown, tmp_path, name
):
    code, out, err = shown(name)
    assert (code, err) == (0, "")
    assert f"Outlook of {name}: nothing was sent" in out
    assert "Not observed before a run" in out
    assert "spend not known: the tokens of its LLM calls" in flat(out)
    assert max(map(len, out.splitlines())) <= 80
    assert [path.name for path in tmp_path.iterdir()] == ["two.yaml"]


def test_without_a_latency_the_duration_is_a_lower_bound(shown):
    out = flat(shown("two.yaml")[1])
    assert "sends 6 interactions in 3 sessions" in out
    assert "duration at least 6.00 s, which is think time and schedule alone" in out


def test_a_latency_makes_it_an_estimate(shown):
    """Two rounds of a session: 1 s, 3 s of thinking, 1 s."""
    out = flat(shown("two.yaml", "--latency", "1s")[1])
    assert "duration about 10.0 s, if every answer takes 1.00 s and nothing fails" in out


def test_neither_pauses_nor_a_schedule_tell_nothing_of_the_duration(shown):
    assert "duration not known: there is neither think time" in flat(shown("smoke")[1])


def test_options_override_the_file_as_they_do_for_a_run(shown):
    out = flat(shown("two.yaml", "--rate", "1/s", "-n", "4", "--seed", "9")[1])
    assert "open loop, poisson arrivals, 1/s, until 4 interactions; seed 9" in out
    assert "sends 4 interactions" in out


def test_a_profile_gives_latency_and_with_prices_the_spend(shown):
    """The committed sample: 0.848 s; 5,078 and 102 tokens for each of 370 interactions."""
    profile = json.loads((SAMPLE / "profile.json").read_text())
    tokens = [profile["interaction"][name]["mean"] for name in ("input_tokens", "output_tokens")]
    dollars = 370 * (tokens[0] * 2.5 + tokens[1] * 10) / 1e6
    out = flat(shown("airline", "--profile", SAMPLE, "--price-input", 2.5, "--price-output", 10)[1])
    assert f"spend about ${dollars:.2f} [" in out
    assert "370 interactions, warm-up included" in out
    assert "of another workload" not in out
    assert "of another workload" in flat(shown("smoke", "--profile", SAMPLE)[1])


def test_a_profile_gives_the_spend_at_list_prices(shown):
    """gpt-4o: 2.50 per million tokens read, 1.25 of them cached, 10.00 made."""
    profile = json.loads((SAMPLE / "profile.json").read_text())
    calls = profile["models"]["gpt-4o"]
    read, cached, made = (
        calls[name]["mean"] for name in ("input_tokens", "cached_input_tokens", "output_tokens")
    )
    each = calls["input_tokens"]["eligible"] / profile["sample"]["interactions"]
    dollars = 370 * each * ((read - cached) * 2.5 + cached * 1.25 + made * 10) / 1e6
    out = flat(shown("airline", "--profile", SAMPLE)[1])
    assert f"spend about ${dollars:.2f}: 370 interactions" in out
    assert "at list prices of gpt-4o (openai) in genai-prices" in out
    found = json.loads(shown("airline", "--profile", SAMPLE, "--json")[1])
    listed = found["expected"]["spend_at_list_prices"]
    assert listed["usd"] == pytest.approx(dollars)


def test_a_model_without_a_list_price_is_named(shown, tmp_path):
    profile = json.loads((SAMPLE / "profile.json").read_text())
    profile["models"]["my-model"] = profile["models"].pop("gpt-4o")
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    out = flat(shown("airline", "--profile", tmp_path)[1])
    assert "spend not known: the price data have no model 'my-model'" in out


def test_json_holds_the_same(shown):
    code, out, _ = shown("two.yaml", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["kind"], found["schema_version"]) == ("workload_outlook", 1)
    assert found["expected"]["interactions"] == 6
    assert found["expected"]["duration_s"] == 6
    assert found["expected"]["duration_is_lower_bound"]
    assert found["expected"]["spend_usd"] is None
    assert found["against"] is None
    turns = next(d for d in found["distributions"] if d["name"] == "turns per session")
    assert turns["histogram"] == [[2, 3, 3]]
    assert (turns["count"], turns["p50"], turns["max"]) == (3, 2, 2)


def session(text: str, turns: int) -> str:
    messages = [{"role": "user", "content": text}] * turns
    return json.dumps({"messages": messages})


def test_what_differs_from_production_is_named(shown, tmp_path):
    lines = [session("word " * 50, 2)] * 100
    (tmp_path / "p.jsonl").write_text("\n".join([*lines, "{"]))
    code, out, err = shown("two.yaml", "--sessions", 100, "--against", "p.jsonl")
    out = flat(out)
    assert (code, err) == (0, "")
    assert "Against p.jsonl: 100 sessions, 200 user messages" in out
    assert "skipped 1: 1 not JSON, line 101" in out
    # 'hello there' is 2 tokens and 'thanks' 1; fifty words and a space are 51.
    assert "different user tokens per message: much shorter user messages: median 1" in out
    assert "against 51 tokens" in out
    assert "KS distance 1.000" in out
    assert "differs from production in user tokens per message" in out
    # 100 and 100 sessions: 1.3581 * sqrt(2 / 100)
    assert "inconclusive turns per session" in out
    assert "chance exceeds 0.192 in 5.0 % of cases, 100 against 100 sessions" in out


def test_the_comparison_as_json(shown, tmp_path):
    (tmp_path / "p.jsonl").write_text("\n".join([session("hello there", 4)] * 400))
    found = json.loads(shown("two.yaml", "--sessions", 400, "--against", "p.jsonl", "--json")[1])[
        "against"
    ]
    turns, tokens, think, *_ = found["dimensions"]
    assert (turns["verdict"], turns["ks_distance"]) == ("different", 1)
    assert turns["earth_movers_distance"] == 2
    assert (turns["workload"]["p50"], turns["production"]["p50"]) == (2, 4)
    assert (tokens["verdict"], tokens["ks_distance"]) == ("different", 0.5)
    assert (think["verdict"], "no times" in think["reason"]) == (None, True)


def test_production_data_is_of_the_kind_that_it_looks_like(shown, tmp_path):
    turns = [{"from": "human", "value": "hello there"}, {"from": "gpt", "value": "hi"}]
    (tmp_path / "p.json").write_text(json.dumps([{"conversations": turns}] * 30, indent=1))
    code, out, err = shown("two.yaml", "--against", "p.json")
    assert (code, err) == (0, "")
    assert "Against p.json: 30 sessions, 30 user messages" in flat(out)
    code, _, err = shown("two.yaml", "--against", "p.json", "--kind", "mooncake")
    assert code == 2
    assert "It looks like sharegpt: give that as the KIND (--kind of `workload`)" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no workload 'nothing'"),
        (["two.yaml", "--latency", "soon"], "--latency: 'soon' is not a duration"),
        (["two.yaml", "--latency", "99999h"], "--latency: '99999h' is too long"),
        (["two.yaml", "--price-input", "1"], "Add --price-output"),
        (["two.yaml", "--price-input", "1", "--price-output", "1"], "Add --profile"),
        (["two.yaml", "--price-input", "inf", "--price-output", "1"], "a price is no number"),
        (["two.yaml", "--price-input", "-1"], "--price-input"),
        (["two.yaml", "--profile", "none.json"], "none.json"),
        (["two.yaml", "--kind", "har"], "--kind har: there is no file of that kind"),
        (["two.yaml", "--against", "none.jsonl"], "none.jsonl: cannot read the file"),
        (["two.yaml", "--against", "."], "that is no file"),
        (["two.yaml", "--against", "two.yaml"], "two.yaml:2: none of"),
        (["two.yaml", "--against", "two.yaml", "--kind", "otel"], "two.yaml"),
        (["two.yaml", "--against", "two.yaml", "--kind", "har"], "two.yaml"),
        (["two.yaml", "--against", "two.yaml", "--kind", "azure-llm"], "two.yaml"),
        (["two.yaml", "--users", "0"], "--users"),
    ],
)
def test_what_cannot_be_is_one_line_and_code_2(shown, arguments, said):
    code, out, err = shown(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"null\n" * 5])
def test_production_data_that_is_none_is_an_error(shown, tmp_path, data):
    (tmp_path / "p.jsonl").write_bytes(data)
    code, _, err = shown("two.yaml", "--against", "p.jsonl")
    assert code == 2
    assert "p.jsonl" in err
