"""A profile on disk is read back whole, or refused in one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from profiler.errors import ProfileError
from profiler.measure.records import StateKind
from profiler.profile.build import build_profile
from profiler.profile.model import (
    WorkloadProfile,
    dump_profile,
    load_profile,
    named_distributions,
)
from profiler.profile.schema import json_schema
from tests.profile.journals import interaction, llm_call, state_op, tool_call, write

TOP_LEVEL = {
    *("schema_version", "kind", "run", "sample", "load", "interaction", "llm_call", "models"),
    *("tools", "state", "session", "rate_limits", "joint", "reconciliation", "trust"),
    *("tool_round_trips", "observers", "ledger", "burstiness", "joint_calls"),
}
SINCE_THEN = {
    "tool_round_trips",
    "observers",
    "ledger",
    "burstiness",
    "joint_calls",
}  # not in the first profiles of version 1


@pytest.fixture
def profile(tmp_path: Path) -> WorkloadProfile:
    records = (
        llm_call("a", start_ns=0, end_ns=5, attempts=1),
        tool_call("a", "search", start_ns=0, end_ns=5),
        state_op("a", StateKind.READ, 1),
        interaction("a", last_turn=True),
        interaction("b"),
    )
    return build_profile(write(tmp_path, *records))


@pytest.fixture
def file(tmp_path: Path, profile: WorkloadProfile) -> Path:
    path = tmp_path / "profile.json"
    path.write_bytes(dump_profile(profile))
    return path


def test_a_profile_from_before_there_were_several_observers_can_be_read(file: Path):
    def make_old(plain: dict) -> None:
        for section in SINCE_THEN:
            del plain[section]

    change(file, make_old)
    old = load_profile(file)
    assert (old.observers, old.ledger, old.tool_round_trips) == ({}, {}, {})


def change(file: Path, edit) -> None:
    plain = orjson.loads(file.read_bytes())
    edit(plain)
    file.write_bytes(orjson.dumps(plain))


def refusal(path: Path) -> str:
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def test_a_profile_is_read_back_whole_from_its_file_or_its_run(
    file: Path, profile: WorkloadProfile
):
    assert load_profile(file) == profile
    assert load_profile(file.parent) == profile
    assert dump_profile(load_profile(file)) == file.read_bytes()


def test_the_json_is_sorted_indented_and_has_each_joint_row_on_one_line(file: Path):
    text = file.read_text()
    plain = orjson.loads(text)
    assert list(plain) == sorted(TOP_LEVEL)
    assert text.endswith(("\n}\n", "}\n"))
    row = orjson.dumps(plain["joint"]["rows"][0]).decode()
    assert f"      {row}" in text.splitlines() or f"      {row}," in text.splitlines()
    assert f'"payload": "{plain["interaction"]["latency"]["hdr"]["payload"]}"' in text


def test_every_distribution_is_named(profile: WorkloadProfile):
    names = {name for name, _ in named_distributions(profile)}
    assert {
        "interaction.latency",
        "llm_call.latency",
        "models.m.latency",
        "tools.search.duration",
        "tools.search.calls_per_interaction",
        "state.redis.reads",
        "session.duration",
    } <= names
    assert "state.redis.writes" not in names


def test_a_file_that_is_not_there(tmp_path: Path):
    assert "cannot read the profile" in refusal(tmp_path / "none.json")


def test_a_file_that_was_cut_off(file: Path):
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ProfileError, match=r"cut off or damaged.*profile RUN_DIR"):
        load_profile(file)


@pytest.mark.parametrize("text", ["[]", "{}", '{"kind": "plan"}', "3"])
def test_another_json_file(file: Path, text: str):
    file.write_text(text)
    assert "no workload profile" in refusal(file)


def test_a_newer_schema_wants_an_upgrade_and_an_older_one_a_new_profile(file: Path):
    change(file, lambda plain: plain.update(schema_version=2))
    assert "Upgrade agent-profiler" in refusal(file)
    change(file, lambda plain: plain.update(schema_version=0))
    assert "profile RUN_DIR" in refusal(file)
    change(file, lambda plain: plain.update(schema_version="1"))
    assert "profile schema version '1'" in refusal(file)


def test_nothing_is_coerced(file: Path):
    change(file, lambda plain: plain["sample"].update(interactions="2"))
    assert "(key sample.interactions)" in refusal(file)


def test_sums_that_are_no_numbers_are_named(file: Path):
    change(file, lambda p: p["interaction"]["latency"]["clusters"].update(sum_ss="many"))
    assert "interaction.latency.clusters.sum_ss" in refusal(file)


def test_a_joint_row_that_lacks_a_cell_is_refused(file: Path):
    change(file, lambda plain: plain["joint"]["rows"][0].pop())
    assert "as many cells as there are columns (key joint)" in refusal(file)


def test_a_corrupt_histogram_is_named(file: Path):
    change(file, lambda p: p["interaction"]["latency"]["hdr"].update(payload="HISTnothing"))
    assert "corrupt histogram of interaction.latency" in refusal(file)


def test_a_histogram_that_counts_something_else_is_named(file: Path):
    change(file, lambda p: p["session"]["duration"].update(count=7))
    assert "corrupt histogram of session.duration: it holds 1 values" in refusal(file)


def test_the_schema_has_the_documented_keys_and_describes_every_field():
    schema = json_schema("profile")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].startswith("urn:")
    assert schema["title"] == "Workload profile"
    assert set(schema["properties"]) == TOP_LEVEL | {"goodput"}  # which is not always asked for
    assert set(schema["required"]) == TOP_LEVEL - SINCE_THEN
    for model in (schema, *schema["$defs"].values()):
        assert model["additionalProperties"] is True  # a later version may add fields
        assert all("description" in field for field in model["properties"].values())


def test_the_schema_says_of_big_sums_what_the_file_has():
    clusters = json_schema("profile")["$defs"]["Clusters"]["properties"]
    assert clusters["sum_ss"]["type"] == "string"
    assert clusters["sum_n"]["type"] == "integer"


def test_there_is_no_schema_of_what_does_not_exist():
    with pytest.raises(ProfileError, match="no schema of 'poem'"):
        json_schema("poem")


def test_reading_models_needs_no_numpy():
    code = (
        "import sys, profiler.profile.model, profiler.profile.schema\n"
        "assert not {'numpy', 'scipy', 'hdrh'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
