"""Which protocol a server speaks. Bodies are what the real servers answered, shortened."""

from __future__ import annotations

import pytest

from profiler.endpoints.recognise import (
    CERTAIN,
    Question,
    Sighting,
    candidates,
    of_protocol,
    questions,
    surest,
)

ROOT = "http://127.0.0.1:9000"
LANGGRAPH_INFO = {"version": "0.16.7", "langgraph_py_version": "1.2.22", "flags": {}}
CARD_1_0 = {
    "name": "travel",
    "supportedInterfaces": [
        {"url": f"{ROOT}/artifact", "protocolBinding": "JSONRPC", "protocolVersion": version}
        for version in ("0.3", "1.0")
    ],
    "capabilities": {"streaming": True},
}
CARD_0_3 = {
    "name": "travel",
    "url": f"{ROOT}/a",
    "preferredTransport": "JSONRPC",
    "protocolVersion": "0.3.0",
    "capabilities": {"streaming": False},
}


def seen(about, body=None, *, status=200, root=""):
    return Sighting(question=Question(about=about, url="", root=root), status=status, body=body)


def told(url, *sightings):
    return [(c.protocol, c.url) for c in surest(candidates(url, sightings))]


@pytest.mark.parametrize(
    ("path", "protocol"),
    [
        ("/v1/chat/completions", "openai-chat"),
        ("/api/v1/chat/completions/", "openai-chat"),
        ("/v1/responses", "openai-responses"),
        ("/v1/messages", "anthropic-messages"),
        ("/ag-ui", "ag-ui"),
        ("/agents/AGUI/run", "ag-ui"),
        ("/vercel-ai", "vercel-ai"),
        ("/a2a/6ba7b810", "a2a"),
    ],
)
def test_a_path_tells_its_protocol_and_the_url_stays(path, protocol):
    assert told(ROOT + path) == [(protocol, ROOT + path)]


@pytest.mark.parametrize(
    ("path", "protocol", "url"),
    [
        ("/run_sse", "google-adk", ROOT),
        ("/adk/run_sse", "google-adk", f"{ROOT}/adk"),
        ("/threads/1/runs/stream", "langgraph", ROOT),
    ],
)
def test_a_servers_own_routes_are_taken_off(path, protocol, url):
    assert told(ROOT + path) == [(protocol, url)]


@pytest.mark.parametrize("path", ["", "/", "/chat", "/message", "/runs"])
def test_other_paths_tell_nothing(path):
    assert candidates(ROOT + path, ()) == ()


def test_the_ai_sdks_usual_path_is_a_hint_only():
    (hint,) = candidates(f"{ROOT}/api/chat", ())
    assert (hint.protocol, hint.sure < CERTAIN) == ("vercel-ai", True)


def test_langgraph_is_told_by_info_and_not_by_ok_alone():
    assert told(ROOT, seen("info", LANGGRAPH_INFO)) == [("langgraph", ROOT)]
    (candidate,) = candidates(ROOT, [seen("ok", {"ok": True, "services": {}})])
    assert (candidate.protocol, candidate.sure < CERTAIN) == ("langgraph", True)


def test_a_path_to_an_a2a_agent_of_a_langgraph_server_goes_before_the_server():
    url = f"{ROOT}/a2a/6ba7b810"
    assert told(url, seen("info", LANGGRAPH_INFO)) == [("a2a", url)]


def test_adk_is_told_by_its_list_of_apps():
    (candidate,) = surest(candidates(ROOT, [seen("list_apps", ["traveller", "other"])]))
    assert (candidate.protocol, candidate.agents) == ("google-adk", ("traveller", "other"))
    for other in ({"apps": []}, [1, 2], "traveller", None):
        assert candidates(ROOT, [seen("list_apps", other)]) == ()
    assert candidates(ROOT, [seen("list_apps", ["x"], status=404)]) == ()


def test_an_agent_card_says_where_and_in_which_version():
    (newest,) = candidates(ROOT, [seen("agent_card", CARD_1_0)])
    assert (newest.protocol, newest.url, newest.version, newest.stream) == (
        "a2a",
        f"{ROOT}/artifact",
        "1.0",
        True,
    )
    (older,) = candidates(ROOT, [seen("agent_card", CARD_0_3)])
    assert (older.url, older.version, older.stream) == (f"{ROOT}/a", "0.3", False)


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "127.0.0.1"])
def test_a_card_that_names_this_machine_otherwise_is_called_as_we_were_told(host):
    card = CARD_0_3 | {"url": f"http://{host}:9000/a"}
    assert told(ROOT, seen("agent_card", card)) == [("a2a", f"{ROOT}/a")]


def test_a_card_may_name_another_server_and_another_port_is_one():
    for url in ("https://elsewhere.example/a", "http://127.0.0.1:9001/a"):
        assert told(ROOT, seen("agent_card", CARD_0_3 | {"url": url})) == [("a2a", url)]


@pytest.mark.parametrize(
    "card",
    [
        None,
        [],
        "card",
        {},
        {"url": 7, "supportedInterfaces": "x"},
        {"supportedInterfaces": [{"url": f"{ROOT}/g", "protocolBinding": "GRPC"}]},
        {"url": f"{ROOT}/g", "preferredTransport": "GRPC"},
    ],
)
def test_a_card_without_a_json_rpc_interface_tells_nothing(card):
    assert candidates(ROOT, [seen("agent_card", card)]) == ()


@pytest.mark.parametrize("address", ["http://[::1/a", "file:///etc/passwd", "/a", "a b", ""])
def test_a_card_whose_address_cannot_be_called_tells_nothing(address):
    assert candidates(ROOT, [seen("agent_card", CARD_0_3 | {"url": address})]) == ()


def test_models_and_routes_tell_openai_compatible_servers():
    listed = seen("models", {"object": "list", "data": [{"id": "m1"}, {"id": 7}, {"id": "m2"}]})
    (candidate,) = surest(candidates(ROOT, [listed]))
    assert (candidate.protocol, candidate.url) == ("openai-chat", f"{ROOT}/v1/chat/completions")
    assert candidate.models == ("m1", "m2")
    routes = [
        seen("no_route", status=404),
        seen("openai-chat", status=405),
        seen("openai-responses", status=405),
    ]
    assert told(ROOT, *routes) == [("openai-chat", f"{ROOT}/v1/chat/completions")]
    assert told(f"{ROOT}/v1", *routes) == [("openai-chat", f"{ROOT}/v1/chat/completions")]


def test_a_server_that_answers_405_everywhere_tells_nothing_by_it():
    routes = [seen("no_route", status=405), seen("openai-chat", status=405)]
    assert candidates(ROOT, routes) == ()
    assert candidates(ROOT, routes[1:]) == ()


def test_a_server_that_says_ok_to_everything_tells_nothing():
    asked = questions(ROOT)
    for body in (None, {}, [], {"status": "ok"}, "hello", 7):
        found = [Sighting(question=q, status=200, body=body) for q in asked]
        assert candidates(ROOT, found) == ()


def test_two_that_are_equally_sure_are_both_named():
    card = CARD_0_3 | {"url": f"{ROOT}/"}
    both = told(ROOT, seen("list_apps", ["x"]), seen("agent_card", card))
    assert [protocol for protocol, _ in both] == ["google-adk", "a2a"]


def test_a_protocol_that_is_named_gets_its_usual_path_and_keeps_one_that_is_given():
    for url, expected in (
        (ROOT, f"{ROOT}/v1/messages"),
        (f"{ROOT}/v1/", f"{ROOT}/v1/messages"),
        (f"{ROOT}/mine", f"{ROOT}/mine"),
    ):
        (taken,) = of_protocol("anthropic-messages", url, ())
        assert taken.url == expected
    (known,) = of_protocol("a2a", ROOT, candidates(ROOT, [seen("agent_card", CARD_1_0)]))
    assert known.url == f"{ROOT}/artifact"


def test_what_is_asked_is_little_and_at_this_server_only():
    for url in (ROOT, f"{ROOT}/a/b?key=x", f"{ROOT}/v1/chat/completions"):
        asked = questions(url)
        assert len(asked) <= 20
        assert all(question.url.startswith(f"{ROOT}/") for question in asked)
