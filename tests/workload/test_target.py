from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.workload.secrets import EnvText, shown_url

ONE_SCENARIO = "scenarios: [{name: a, turns: [{user: hi}]}]\n"

SECRET = "s3cr3t-t0ken"


def test_headers_and_url_take_the_environment_and_never_show_it(load: Any) -> None:
    workload = load(
        ONE_SCENARIO
        + "target:\n"
        + '  url: "https://me:pass@${HOST}/v1/${KEY}?key=${KEY}&v=2#frag"\n'
        + '  headers: {authorization: "Bearer ${KEY}", x-team: blue, x-api-key: literal-key}\n',
        environ={"KEY": SECRET, "HOST": "agent.example:8443"},
    )
    assert workload.target.url == (
        f"https://me:pass@agent.example:8443/v1/{SECRET}?key={SECRET}&v=2#frag"
    )
    assert workload.target.headers["authorization"] == f"Bearer {SECRET}"
    shown = workload.redacted_target()
    assert shown["url"] == "https://agent.example:8443/v1/${KEY}?key=***&v=***"
    assert shown["headers"] == ["authorization", "x-api-key", "x-team"]
    for text in (repr(workload), str(shown), workload.model_dump_json(), repr(workload.target)):
        assert SECRET not in text
        assert "literal-key" not in text
        assert "pass@" not in text
    assert {SECRET, f"Bearer {SECRET}", "pass", "literal-key"} <= set(workload.target.secrets())
    assert "blue" not in workload.target.secrets()


def test_a_target_without_url_is_the_mock_agent_and_has_no_secrets(load: Any) -> None:
    workload = load(ONE_SCENARIO)
    assert workload.redacted_target() == {
        "url": None,
        "protocol": "openai-chat",
        "model": None,
        "stream": True,
        "http2": False,
        "timeout_s": 120.0,
        "headers": [],
    }
    assert workload.target.secrets() == ()


@pytest.mark.parametrize(
    ("raw", "environ", "shown"),
    [
        ("http://h:1", {}, "http://h:1"),
        ("http://h:1/a/b", {}, "http://h:1/a/b"),
        ("${BASE}/v1", {"BASE": "http://u:p@h/base"}, "http://h/base/v1"),
        ("http://${H}?k=1", {"H": "h"}, "http://h?k=***"),
        ("http://h/${TOKEN}/x", {"TOKEN": "t"}, "http://h/${TOKEN}/x"),
        ("http://[::1]:80/x", {}, "http://[::1]:80/x"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(raw: Any, environ: Any, shown: Any) -> None:
    assert shown_url(EnvText.resolve(raw, environ)) == shown


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:80/x", "the URL has no scheme"),
        ("agent.example", "the URL has no scheme"),
        ("ftp://h/x", "scheme is 'ftp', not http or https"),
        ("http:///x", "the URL has no host"),
        ("http://h:x/", "host or port is malformed"),
        ("http://h:99999/", "host or port is malformed"),
        ("http://h:0/", "port is 0"),
        ("http://[::1/", "host or port is malformed"),
        ("http://xn--a/", "host is malformed"),
        ("http://me:pass word@h/", "contains a space"),
        ("", "the URL has no scheme"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_and_not_quoted(
    load: Any, url: Any, says: Any
) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(ONE_SCENARIO + f"target: {{url: '{url}'}}")
    assert says in str(caught.value)
    assert "pass word" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ("{authorization: 'Bearer ${TOKN}'}", "the environment variable TOKN is not set"),
        ("{authorization: 'Bearer ${TO KEN}'}", "is not followed by a variable's name"),
        ("{authorization: 'Bearer ${NEWLINE}'}", "headers.authorization: the value contains a"),
        ("{x: ümlaut}", "a character outside ASCII"),
        ("{a b: c}", "'a b' is not the name of a header"),
        ("{x: 3}", "headers.x: the value is not text. Put it in quotes"),
        ("{X-A: a, x-a: b}", "a header is given twice"),
        ("hunter2", "target.headers: the value should be a mapping of keys"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_and_not_quoted(
    load: Any, headers: Any, says: Any
) -> None:
    environ = {"NEWLINE": f"{SECRET}\n"}
    with pytest.raises(WorkloadError) as caught:
        load(ONE_SCENARIO + f"target: {{headers: {headers}}}", environ=environ)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in str(caught.value.__cause__)
    assert "hunter2" not in str(caught.value)


def test_the_digest_says_what_is_sent_and_not_where_or_with_which_seed(
    load: Any, tmp_path: Any
) -> None:
    header = 'target: {headers: {x: "${A}"}}\n'
    one = load(ONE_SCENARIO + header, environ={"A": "1"})
    assert len(one.digest()) == 64
    assert one.digest() == load(ONE_SCENARIO + header, environ={"A": "2"}).digest()
    elsewhere = load(ONE_SCENARIO + header, environ={"A": "1"}, overrides={"url": "http://h/"})
    assert one.digest() == elsewhere.digest()
    assert one.digest() != load(ONE_SCENARIO).digest()
    reseeded = load(ONE_SCENARIO + header, environ={"A": "1"}, overrides={"seed": 2})
    assert one.digest() == reseeded.digest()


def test_the_digest_follows_the_content_of_data_files(load: Any, tmp_path: Any) -> None:
    text = """
scenarios:
  - {name: r, conversations: c.jsonl}
  - {name: t, turns: [{user: "{{ x }}"}], variables: {x: {csv: o.csv, column: id}}}
"""
    conversation = '{"id": "a", "messages": [{"role": "user", "content": "%s"}]}\n'
    (tmp_path / "c.jsonl").write_text(conversation % "hi")
    (tmp_path / "o.csv").write_text("id\n1\n")
    first = load(text)
    assert first.digest() == load(text).digest()
    assert set(first.data_digests()) == {"c.jsonl", "o.csv"}
    (tmp_path / "o.csv").write_text("id\n2\n")
    second = load(text)
    (tmp_path / "c.jsonl").write_text(conversation % "ho")
    third = load(text)
    assert len({first.digest(), second.digest(), third.digest()}) == 3
    assert first.data_digests()["c.jsonl"] == second.data_digests()["c.jsonl"]
    assert second.data_digests()["c.jsonl"] != third.data_digests()["c.jsonl"]


def test_data_files_of_one_name_are_told_apart(load: Any, tmp_path: Any) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "o.csv").write_text(f"id\n{folder}\n")
    workload = load("""
scenarios:
  - name: t
    turns: [{user: "{{ x }} {{ y }}"}]
    variables: {x: {csv: a/o.csv, column: id}, y: {csv: b/o.csv, column: id}}
""")
    assert set(workload.data_digests()) == {"o.csv", "b/o.csv"}


def test_the_longest_answer_is_a_size_and_part_of_no_digest_where_it_is_left_out(load: Any) -> None:
    def workload(answer: str) -> Any:
        return load(ONE_SCENARIO + f"target: {{{answer}}}\n")

    assert workload("max_answer: 16MB").target.max_answer_bytes == 16_000_000
    assert workload("").target.max_answer_bytes is None
    assert workload("").digest() == load(ONE_SCENARIO).digest()
    for wrong in ("0", "big"):
        with pytest.raises(WorkloadError, match="max_answer"):
            workload(f"max_answer: {wrong}")
