"""The shipped description of Google ADK's protocol, and what a workload fills in."""

from __future__ import annotations

from typing import Any

import pytest

from profiler.errors import WorkloadError
from profiler.workload.google_adk import GoogleAdk

ONE_SCENARIO = "scenarios: [{name: a, turns: [{user: hi}]}]\n"


def template(*, stream: bool = True, **settings: Any) -> dict[str, Any]:
    described = GoogleAdk.model_validate({"app": "my shop", **settings})
    return described.template(stream=stream).model_dump(by_alias=True)


def test_the_app_and_the_user_are_in_the_body_and_quoted_in_the_path():
    described = template(user="load/{{ session_id }}")
    assert described["body"] == {
        "app_name": "my shop",
        "user_id": "load/{{ session_id }}",
        "session_id": "{{ session_id }}",
        "streaming": True,
        "new_message": {"role": "user", "parts": [{"text": "{{ user }}"}]},
    }
    path = "/apps/my%20shop/users/load%2F{{ session_id }}/sessions"
    assert described["setup"]["path"] == path
    assert described["path"] == "/run_sse"


def test_each_session_is_a_user_of_its_own_whatever_the_server_calls_it():
    assert template()["body"]["user_id"] == "{{ client_session_id }}"


def test_a_plain_answer_comes_from_the_other_path():
    described = template(stream=False)
    assert (described["path"], described["body"]["streaming"]) == ("/run", False)


def test_a_server_may_make_sessions_itself():
    assert template(create_session=False)["setup"] is None


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("{protocol: google-adk}", "needs 'google_adk'"),
        ("{protocol: google-adk, google_adk: {}}", "the key 'app' is missing under target.goo"),
        ("{protocol: google-adk, google_adk: {app: ''}}", "target.google_adk.app: the text is em"),
        ("{protocol: google-adk, google_adk: {app: '{{ x }}'}}", "the same for all sessions"),
        ("{protocol: google-adk, google_adk: {app: a, user: '{{ u }}'}}", "variable 'u'"),
        ("{protocol: google-adk, google_adk: {app: a, usr: b}}", "Did you mean 'user'?"),
        ("{google_adk: {app: a}}", "google_adk has no use with openai-chat"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(load: Any, target: str, says: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        load(ONE_SCENARIO + f"target: {target}")
    assert says in str(caught.value)
