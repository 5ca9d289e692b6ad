"""Where a run puts its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.cli import files
from profiler.errors import UsageError


def test_a_run_without_a_name_gets_one_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = files.new_run_dir(None, "my load/../x")
    second = files.new_run_dir(None, "my load/../x")
    assert first != second
    assert first.parent == second.parent == files.RESULTS
    assert first.name.startswith("my-load-..-x-")
    assert first.is_dir()


def test_a_directory_that_holds_a_run_is_refused(tmp_path):
    (tmp_path / "journal.jsonl").touch()
    with pytest.raises(UsageError, match="already holds a run"):
        files.new_run_dir(tmp_path, "x")


def test_a_place_that_cannot_be_a_directory_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--out"):
        files.new_run_dir(tmp_path / "file" / "run", "x")


def test_a_full_disk_is_told_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LEAST_FREE_BYTES", 1 << 62)
    with pytest.raises(UsageError, match="MiB are free"):
        files.new_run_dir(tmp_path, "x")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "profile.json"
    files.write_whole(target, b"one")
    files.write_whole(target, b"two")
    assert target.read_bytes() == b"two"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("place", [".", "/"])
def test_a_directory_in_place_of_a_file_is_told(place):
    with pytest.raises(UsageError, match=r"that is a directory\. Give the name of a file"):
        files.write_whole(Path(place), b"x")


def test_a_file_that_cannot_be_replaced_is_told_and_leaves_nothing_behind(tmp_path):
    target = tmp_path / "profile.json"
    target.mkdir()
    (target / "in-the-way").touch()
    with pytest.raises(UsageError, match="cannot write the file"):
        files.write_whole(target, b"x")
    assert list(tmp_path.iterdir()) == [target]
