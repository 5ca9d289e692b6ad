"""The workload that `init` writes loads, for every protocol and whatever a server told."""

from __future__ import annotations

from typing import get_args

import pytest

from profiler.workload.load import load_workload
from profiler.workload.starter import Starter, one_line, scalar, starter_yaml
from profiler.workload.target import Target

PROTOCOLS = get_args(Target.model_fields["protocol"].annotation)
HTTP_JSON = {"body": {"message": "{{ user }}", "top k": [1, {"yes": None}]}, "reply": "reply"}
HOSTILE = 'x"\n\x00\x7f\u0085\u2028\U0001f600 #: {}[]&*!|>%@`'


def loaded(tmp_path, **given):
    path = tmp_path / "w.yaml"
    path.write_text(starter_yaml(Starter(**{"name": "mine", "url": "http://a/b", **given})))
    return load_workload(path, environ={"TOKEN": "secret-of-the-environment"}), path.read_text()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_it_loads_for_every_protocol(tmp_path, protocol):
    extra = {"http_json": HTTP_JSON} if protocol == "http-json" else {}
    workload, text = loaded(tmp_path, protocol=protocol, agent="traveller", version="0.3", **extra)
    target = workload.target
    assert (target.protocol, target.url, workload.load.requests) == (protocol, "http://a/b", 100)
    assert [len(scenario.turns) for scenario in workload.scenarios] == [1, 3, 2]
    assert "REPLACE THESE SCENARIOS" in text
    if protocol == "google-adk":
        assert target.google_adk.app == "traveller"
    if protocol == "langgraph":
        assert target.langgraph.assistant == "traveller"
    if protocol == "a2a":
        assert target.a2a.version == "0.3"
    if protocol == "http-json":
        assert target.http_json.body == HTTP_JSON["body"]


def test_references_stay_references(tmp_path):
    headers = {"authorization": "Bearer ${TOKEN}"}
    workload, text = loaded(tmp_path, protocol="ag-ui", headers=headers)
    assert workload.target.headers == {"authorization": "Bearer secret-of-the-environment"}
    assert "secret-of-the-environment" not in text


def test_no_text_from_outside_can_write_keys_or_lines(tmp_path):
    workload, text = loaded(
        tmp_path,
        protocol="langgraph",
        name=HOSTILE,
        agent=HOSTILE,
        model=HOSTILE,
        message=HOSTILE,
        notes=(f"it said {HOSTILE}\nload: {{users: 999}}",),
    )
    assert (workload.name, workload.target.model) == (HOSTILE, HOSTILE)
    assert workload.target.langgraph.assistant == HOSTILE
    assert workload.load.users == 2
    assert all(c == "\n" or c.isprintable() for c in text)


@pytest.mark.parametrize("name", ["true", "null", "no", "y", "1", "a b", "-", "ä", "a: b", ""])
def test_names_of_fields_stay_what_they_are(tmp_path, name):
    body = {"message": "{{ user }}", name: {name: "x"}}
    workload, _ = loaded(tmp_path, protocol="http-json", http_json={"body": body, "reply": "a"})
    assert workload.target.http_json.body == body


def test_what_is_guessed_and_what_is_to_be_filled_in_is_marked(tmp_path):
    _, text = loaded(
        tmp_path,
        protocol="http-json",
        http_json={"body": {"message": "{{ user }}", "tenant": ""}, "reply": "a", "error": "e"},
        to_check=("reply",),
        to_fill=("body.tenant",),
    )
    (tenant,) = [line for line in text.splitlines() if "tenant" in line]
    (reply,) = [line for line in text.splitlines() if line.startswith("    reply")]
    assert tenant.endswith("# FILL IN")
    assert "# guessed, check it:" in reply


def test_scalars_and_lines():
    assert scalar('a"b\n\x85') == '"a\\"b\\n\\u0085"'
    assert one_line(" a\n\x1b[31m b\u2028c") == "a [31m b c"
