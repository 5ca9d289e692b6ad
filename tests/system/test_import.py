"""Imported conversations, replayed: the profile says what was recorded."""

from __future__ import annotations

import pytest

from tests.system.cli import AIRLINE, agent_profiler, count_recorded, json_lines, load_json, total

pytestmark = pytest.mark.system


def replayed(folder, kind, file, *options):
    """Import a file, run the workload that comes of it, and return its data and its profile."""
    done = agent_profiler("import", kind, file, "-o", "x.yaml", *options, cwd=folder)
    assert done.is_done, done.err
    done = agent_profiler(
        *("run", "x.yaml", "--warmup", 0, "--mock-speed", 50, "--out", "run"), cwd=folder
    )
    assert done.is_done, done.err
    return folder / "data" / "x.jsonl", load_json(folder / "run" / "profile.json")


def test_a_sample_of_openai_messages_gives_what_was_recorded(tmp_path):
    data, profile = replayed(tmp_path, "openai-messages", AIRLINE, "--sessions", 8)
    by_id = {line["id"]: line for line in json_lines(AIRLINE)}
    drawn = json_lines(data)
    assert len(drawn) == 8
    assert drawn == [by_id[line["id"]] for line in drawn], "a session was changed on its way"
    recorded = count_recorded(data)
    metrics = profile["interaction"]
    assert profile["sample"]["interactions"] == recorded.interactions
    assert total(metrics["llm_calls"]) == recorded.llm_calls
    assert metrics["llm_calls"]["mean"] == pytest.approx(recorded.llm_calls / recorded.interactions)
    assert metrics["llm_calls"]["max"] == recorded.most_llm_calls
    assert total(metrics["tool_calls"]) == recorded.tools.total()
    assert {name: tool["calls"] for name, tool in profile["tools"].items()} == recorded.tools


SHAREGPT = """[
 {"id": 1, "conversations": [
   {"from": "human", "value": "Where is it?"},
   {"from": "function_call", "value": "{\\"name\\": \\"find\\", \\"arguments\\": {\\"id\\": 7}}"},
   {"from": "observation", "value": "here"},
   {"from": "gpt", "value": "Here."},
   {"from": "human", "value": "Thanks."},
   {"from": "gpt", "value": "You are welcome."}]},
 {"id": 2, "conversations": [
   {"from": "system", "value": "Be kind."},
   {"from": "human", "value": "Find two."},
   {"from": "gpt", "value":
     "<tool_call>{\\"name\\":\\"find\\"}</tool_call><tool_call>{\\"name\\":\\"log\\"}</tool_call>"},
   {"from": "tool", "value": "<tool_response>A</tool_response><tool_response>B</tool_response>"},
   {"from": "gpt", "value": "A and B."},
   {"from": "tool", "value": "nobody asked for this"}]}
]"""


def test_sharegpt_gives_what_was_recorded(tmp_path):
    """By hand: 3 turns; 2 + 1 + 2 LLM calls; find twice, log once."""
    file = tmp_path / "shared.json"
    file.write_text(SHAREGPT)
    _, profile = replayed(tmp_path, "sharegpt", file)
    assert profile["sample"]["interactions"] == profile["sample"]["succeeded"] == 3
    assert total(profile["interaction"]["llm_calls"]) == 5
    assert {name: tool["calls"] for name, tool in profile["tools"].items()} == {"find": 2, "log": 1}
