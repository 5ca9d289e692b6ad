"""`agent-profiler import`: what is written, what is refused."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import sys

import pytest

from profiler.cli import app as cli
from profiler.workload.load import load_workload

LINE = '{"id": "a", "messages": [{"role": "user", "content": "I am a@b.example"}]}\n'


@pytest.fixture
def importing(monkeypatch, capsys, tmp_path):
    """Run `import openai-messages in.jsonl` in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(text: str | bytes, *options: object, kind="openai-messages", out="w/x.yaml"):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "in.jsonl").write_bytes(data)
        arguments = ["import", kind, "in.jsonl", "-o", out, *map(str, options)]
        monkeypatch.setattr(sys, "argv", ["agent-profiler", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out_text, err = capsys.readouterr()
        return ended.value.code, out_text, err

    return run


def test_a_workload_and_its_conversations_are_written_and_load(importing, tmp_path):
    code, out, _ = importing(LINE)
    assert code == 0
    assert "in.jsonl: 1 session, 1 turn" in out
    assert "wrote w/x.yaml and w/data/x.jsonl" in out
    workload = load_workload(tmp_path / "w/x.yaml")
    (scenario,) = workload.scenarios
    assert (workload.name, workload.load.sessions, workload.load.users) == ("x", 1, 1)
    assert [c.id for c in scenario.conversations.conversations] == ["a"]


@pytest.mark.parametrize("name", ["with 'quotes' and: colon", "007", "a#b"])
def test_any_file_name_makes_a_workload_that_loads(importing, tmp_path, name):
    assert importing(LINE, out=f"{name}.yaml")[0] == 0
    assert load_workload(tmp_path / f"{name}.yaml").name == name


def test_sessions_are_drawn_by_seed(importing, tmp_path):
    lines = "".join(LINE.replace('"a"', f'"{number}"') for number in range(50))

    def drawn(*options):
        code, out, _ = importing(lines, "--force", *options)
        assert code == 0
        text = (tmp_path / "w/data/x.jsonl").read_text()
        return [json.loads(line)["id"] for line in text.splitlines()], out

    first, out = drawn("--sessions", 5)
    assert len(first) == 5
    assert "distributed alike" in out
    assert drawn("--sessions", 5)[0] == first
    assert drawn("--sessions", 5, "--seed", 2)[0] != first
    assert len(drawn("--sessions", "all")[0]) == 50


def test_redaction_is_on_request_and_own_patterns_imply_it(importing, tmp_path):
    data = tmp_path / "w/data/x.jsonl"
    _, out, _ = importing(LINE)
    assert "a@b.example" in data.read_text()
    assert "not redacted" in out
    assert "may hold personal data" in (tmp_path / "w/x.yaml").read_text()
    _, out, _ = importing(LINE, "--force", "--redact")
    assert "I am [email]" in data.read_text()
    assert "redacted: 1 e-mail addresses" in out
    importing(LINE, "--force", "--redact-pattern", "I am")
    assert "[redacted] [email]" in data.read_text()


def test_tokens_are_counted_on_request(importing):
    """3 for the message, 1 for its role, and of the text: Hi, one."""
    _, out, _ = importing('[{"role": "user", "content": "Hi"}]', "--count-tokens")
    assert "1 session, 1 turn, 5 tokens" in out


def test_times_become_a_rate_that_is_suggested(importing, tmp_path):
    """Three sessions begin within 100 seconds: two gaps, 0.02 a second."""
    lines = "".join(
        LINE.replace('"id": "a"', f'"timestamp": {time}') for time in (1000, 1010, 1100)
    )
    assert importing(lines)[0] == 0
    assert "# rate: 0.02/s" in (tmp_path / "w/x.yaml").read_text()


def test_sessions_without_a_time_make_the_rate_no_higher(importing, tmp_path):
    """Ten more, of which nobody knows when they were."""
    times = (1000, 1010, 1100)
    lines = "".join(LINE.replace('"id": "a"', f'"timestamp": {time}') for time in times)
    more = "".join(LINE.replace('"id": "a"', f'"id": "{number}"') for number in range(10))
    assert "(of 3 sessions with a time)" in importing(lines + more)[1]
    assert "# rate: 0.02/s" in (tmp_path / "w/x.yaml").read_text()


def test_broken_lines_are_skipped_and_named(importing):
    code, out, _ = importing(LINE + "{oops\n")
    assert code == 0
    assert "not JSON (line 2)" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no session in the file"),
        ("{oops\n[]\n{oops\n", "in.jsonl:1: none of 3 lines can be taken, 2 of them for this: not"),
        ("é\n".encode("latin-1"), "not UTF-8"),
    ],
)
def test_a_file_of_which_nothing_can_be_taken_is_an_error(importing, tmp_path, text, message):
    code, _, err = importing(text)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_of_another_kind_it_says_which(importing):
    code, _, err = importing(REQUEST % (0, 1))
    assert code == 2
    assert "It looks like mooncake: give that as the KIND" in err
    assert "not openai-messages" in err
    assert err.count("\n") == 1


def test_of_no_kind_it_names_them_all(importing):
    err = importing("hello\n")[2]
    assert "Check the KIND (--kind of `workload`): openai-messages, sharegpt, otel, har" in err


def test_nothing_is_overwritten_without_force(importing, tmp_path):
    assert importing(LINE)[0] == 0
    code, _, err = importing(LINE)
    assert code == 2
    assert "--force" in err
    (tmp_path / "w/x.yaml").unlink()
    code, _, err = importing(LINE)
    assert "w/data/x.jsonl" in err
    assert importing(LINE, "--force")[0] == 0


def test_the_file_itself_is_never_overwritten(importing, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.jsonl").symlink_to(tmp_path / "in.jsonl")
    code, _, err = importing(LINE, "--force", out="x.yaml")
    assert code == 2
    assert "the file to import" in err
    assert (tmp_path / "in.jsonl").read_text() == LINE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sessions", "0"), "--sessions"),
        (("--sessions", "many"), "--sessions"),
        (("--redact-pattern", "("), "no regular expression"),
    ],
)
def test_options_that_cannot_be_used_are_named(importing, options, message):
    code, _, err = importing(LINE, *options)
    assert code == 2
    assert message in err


def test_a_workload_is_a_yaml_file_and_a_kind_is_one_of_those(importing):
    assert "a .yaml file" in importing(LINE, out="x.jsonl")[2]
    code, _, err = importing(LINE, kind="nonsense")
    assert code == 2
    assert "sharegpt" in err


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"x"), r"a gzip file.*gunzip -k"),
        (lzma.compress(b"x"), r"an xz file.*unxz"),
        (bz2.compress(b"x"), r"a bzip2 file.*bunzip2"),
        (b"PAR1\x15", r"a Parquet file.*JSON Lines"),
        ("[]".encode("utf-16"), r"text in UTF-16.*iconv"),
    ],
    ids=["gzip", "xz", "bzip2", "parquet", "utf-16"],
)
def test_a_file_that_is_no_text_is_named_with_what_to_do(importing, data, message):
    code, _, err = importing(data)
    assert code == 2
    assert re.search(message, err)


@pytest.mark.parametrize(("file", "message"), [("nowhere.jsonl", "cannot read"), (".", "no file")])
def test_a_file_that_cannot_be_read_is_named(monkeypatch, capsys, tmp_path, file, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x", "import", "sharegpt", file, "-o", "x.yaml"])
    with pytest.raises(SystemExit):
        cli.main()
    assert message in capsys.readouterr().err


def test_a_large_file_shows_how_far_it_is_on_a_terminal_and_nowhere_else(monkeypatch, importing):
    from profiler.cli import import_files

    monkeypatch.setattr(import_files, "_PROGRESS_FROM_BYTES", 1)
    monkeypatch.setenv("TERM", "dumb")
    told = []
    monkeypatch.setattr(
        "rich.progress.Progress.update", lambda *_, completed: told.append(completed)
    )
    assert importing(LINE)[0] == 0
    assert told == []
    monkeypatch.setattr(import_files, "_is_terminal", lambda: True)
    code, out, _ = importing(LINE, "--force")
    assert (code, told) == (0, [len(LINE)])
    assert "wrote" in out


def test_everything_that_was_skipped_is_listed_on_request(importing, tmp_path):
    broken = ["{oops", "[]", '{"messages": [{"role": "robot", "content": "x"}]}'] * 300
    code, out, _ = importing(LINE + "\n".join(broken) + "\n", "--skipped", "lists/s.jsonl")
    assert code == 0
    assert "skipped: 900" in out
    listed = [json.loads(line) for line in (tmp_path / "lists/s.jsonl").read_text().splitlines()]
    assert [entry["line"] for entry in listed] == list(range(2, 902))
    assert [entry["reason"] for entry in listed[:3]] == [
        "not JSON",
        "an empty conversation",
        "the unknown role 'robot'",
    ]


def test_the_list_of_what_was_skipped_is_there_where_nothing_could_be_taken(importing, tmp_path):
    code, _, _ = importing("{oops\n", "--skipped", "s.jsonl")
    assert code == 2
    assert (tmp_path / "s.jsonl").read_text() == '{"line":1,"reason":"not JSON"}\n'


@pytest.mark.parametrize("name", ["in.jsonl", "w/x.yaml", "w/data/x.jsonl"])
def test_the_list_is_no_other_file_of_the_import(importing, tmp_path, name):
    code, _, err = importing(LINE, "--skipped", name, "--force")
    assert code == 2
    assert "another file of this import" in err
    assert (tmp_path / "in.jsonl").read_text() == LINE


def test_a_list_that_is_there_is_overwritten_only_with_force(importing, tmp_path):
    (tmp_path / "s.jsonl").write_text("mine")
    code, _, err = importing(LINE, "--skipped", "s.jsonl")
    assert (code, err.count("\n")) == (2, 1)
    assert (tmp_path / "s.jsonl").read_text() == "mine"
    assert importing(LINE, "--skipped", "s.jsonl", "--force")[0] == 0
    assert (tmp_path / "s.jsonl").read_text() == ""


def test_recorded_pauses_are_replayed(importing, tmp_path):
    """One session, asked at 100, answered at 103, asked again at 110."""
    times = [("user", 100), ("assistant", 103), ("user", 110)]
    messages = [{"role": role, "content": "x", "timestamp": time} for role, time in times]
    code, out, _ = importing(json.dumps({"messages": messages}) + "\n")
    assert code == 0
    assert "think time: 1 pause before a message, median 7 s, 95th percentile 7 s" in out
    (scenario,) = load_workload(tmp_path / "w/x.yaml").scenarios
    assert scenario.think_time.recorded
    assert scenario.conversations.conversations[0].think_times_s == (None, 7.0)


REQUEST = '{"timestamp": %d, "input_length": 600, "output_length": 5, "hash_ids": [0, %d]}\n'


def test_a_trace_becomes_a_workload_of_generated_prompts(importing, tmp_path):
    text = REQUEST % (0, 1) + "{oops\n" + REQUEST % (2500, 2) + REQUEST % (1500, 1)
    code, out, err = importing(text, kind="mooncake")
    assert (code, err) == (0, "")
    assert "3 requests (each a session of 1 turn), 1,800 input tokens, 15 output tokens" in out
    assert "not JSON (line 2)" in out
    assert "a time before that of a line above, put in order (line 4)" in out
    assert "arrivals: over 2.5 s, 0.8 per second" in out
    assert "per second not observed (2 whole windows, 10 are needed)" in out
    assert "50.0% of the prompts' blocks" in out  # of six: 0 and 1 of the second, 0 of the third
    assert (tmp_path / "w/data/x.csv").read_text() == (
        "at_s,input_tokens,output_tokens,blocks\n0,600,5,0 1\n1.5,600,5,0 1\n2.5,600,5,0 2\n"
    )
    workload = load_workload(tmp_path / "w/x.yaml")
    assert workload.load.arrivals.trace.offsets_s == (0.0, 1.5, 2.5)
    assert (workload.load.speed, workload.load.requests, workload.load.users) == (1, None, None)
    (scenario,) = workload.scenarios
    assert (scenario.generated.encoding, scenario.generated.block_tokens) == ("o200k_base", 512)


def test_a_stretch_of_a_trace_is_taken_and_compared(importing, tmp_path):
    text = "".join(REQUEST % (1000 * at, at + 1) for at in range(50))
    code, out, _ = importing(text, "--sessions", 20, "--encoding", "cl100k_base", kind="mooncake")
    assert code == 0
    assert "taken: 20 requests" in out
    assert "index of dispersion 0.00 per second" in out
    assert "differ from the whole's by at most (percentage points): input tokens 0" in out
    rows = (tmp_path / "w/data/x.csv").read_text().splitlines()
    assert (len(rows), rows[1].split(",")[0], rows[20].split(",")[0]) == (21, "0", "19")
    assert load_workload(tmp_path / "w/x.yaml").scenarios[0].generated.encoding == "cl100k_base"


def test_azure_rows_are_imported(importing, tmp_path):
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
    )
    code, out, _ = importing(text, kind="azure-llm")
    assert code == 0
    assert "shared prefixes" not in out
    assert (tmp_path / "w/data/x.csv").read_text().endswith("0,374,44,\n4.314579,396,109,\n")
    assert "block_tokens" not in (tmp_path / "w/x.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (("--redact",), "mooncake", "--redact: that has no use with a trace"),
        (("--redact-pattern", "x"), "azure-llm", "--redact-pattern: that has no use"),
        (("--count-tokens",), "mooncake", "--count-tokens: that has no use"),
        (("--encoding", "gpt2"), "mooncake", "there is no encoding 'gpt2'"),
        (("--encoding", "o200k_base"), "sharegpt", "--encoding is for traces"),
        ((), "azure-llm", "in.jsonl:1: none of 1 lines can be taken"),
        (("--sessions", "0"), "mooncake", "'0' is no number of sessions"),
    ],
)
def test_what_a_trace_cannot_do_is_one_line(importing, tmp_path, options, kind, message):
    code, _, err = importing(REQUEST % (0, 1), *options, kind=kind)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_what_is_skipped_of_a_trace_is_listed_on_request(importing, tmp_path):
    text = REQUEST % (0, 1) + "{oops\n" + REQUEST % (1, 1) + '{"timestamp": 2}\n'
    code, out, _ = importing(text, "--skipped", "s.jsonl", kind="mooncake")
    assert code == 0
    assert "skipped: 2" in out
    listed = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [entry["line"] for entry in listed] == [2, 4]
    assert listed[0]["reason"] == "not JSON"
