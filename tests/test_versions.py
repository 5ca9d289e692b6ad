"""Files that released versions wrote are read, and what newer ones add is not lost.

`tests/data/versions/N/` has files of schema version N, as they were written: never made anew.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from profiler.comparison.model import COMPARISON_SCHEMA_VERSION, dump_comparison, load_comparison
from profiler.errors import UsageError
from profiler.planner.plan import PLAN_SCHEMA_VERSION, dump_plan, load_plan
from profiler.profile.model import PROFILE_SCHEMA_VERSION, dump_profile, load_profile

if TYPE_CHECKING:
    from collections.abc import Callable

VERSIONS = Path(__file__).parent / "data" / "versions"
KINDS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], bytes], int]] = {
    "profile": (load_profile, dump_profile, PROFILE_SCHEMA_VERSION),
    "plan": (load_plan, dump_plan, PLAN_SCHEMA_VERSION),
    "comparison": (load_comparison, dump_comparison, COMPARISON_SCHEMA_VERSION),
}
FILES = sorted((path.parent.name, path.name.partition(".")[0]) for path in VERSIONS.glob("*/*.gz"))


def content(version: str, kind: str) -> bytes:
    return gzip.decompress((VERSIONS / version / f"{kind}.json.gz").read_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_every_version_up_to_this_one_is_kept_as_data(kind):
    versions = {version for version, name in FILES if name == kind}
    assert versions == {str(number) for number in range(1, KINDS[kind][2] + 1)}


@pytest.mark.parametrize(("version", "kind"), FILES)
def test_a_file_of_each_version_is_read_and_written_as_it_was(version, kind, tmp_path):
    load, dump, _ = KINDS[kind]
    file = tmp_path / "file.json"
    file.write_bytes(content(version, kind))
    assert json.loads(dump(load(file))) == json.loads(content(version, kind))


PLACES = {
    "profile": (("run",), ("sample",), ("trust",), ("interaction", "latency"), ()),
    "plan": (("inputs",), ("inputs", "prices"), ()),
    "comparison": (("baseline",), ("metrics", 0), ()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_fields_that_a_newer_version_added_are_kept(kind, tmp_path):
    load, dump, version = KINDS[kind]
    plain = json.loads(content(str(version), kind))
    for place in PLACES[kind]:
        inner = plain
        for key in place:
            inner = inner[key]
        inner["new_in_a_later_version"] = {"at": [1, None, "x"]}
    file = tmp_path / "file.json"
    file.write_text(json.dumps(plain))
    assert json.loads(dump(load(file))) == plain


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [2, 99, "1", None, 1.5])
def test_another_version_is_one_line(kind, version, tmp_path):
    load, _, known = KINDS[kind]
    plain = json.loads(content(str(known), kind))
    plain["schema_version"] = version
    file = tmp_path / "file.json"
    file.write_text(json.dumps(plain))
    with pytest.raises(UsageError, match="schema version") as caught:
        load(file)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert ("Upgrade agent-profiler" in str(caught.value)) == (version in (2, 99))
