"""Asking for usage, and taking out what that adds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.observers.gateway.usage_chunk import UsageChunkFilter, asking_for_usage
from tests.observers.gateway import payloads as p

ASKED = p.sse(*p.chat_events(with_usage=True), done=True)
UNASKED = p.sse(*p.chat_events(with_usage=False), done=True)


def through(pieces):
    kept = UsageChunkFilter()
    return b"".join([*(kept.feed(piece) for piece in pieces), kept.rest()])


def test_the_option_is_added_and_all_that_was_written_stays():
    raw = b' {"model": "m", "seed": 1.0e2, "stream": true, "messages": []}'
    changed = asking_for_usage(raw, json.loads(raw))
    assert changed == raw.replace(b"{", b'{"stream_options":{"include_usage":true},', 1)


@pytest.mark.parametrize(
    "body",
    [
        {"stream": False},
        {},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": "wrong"},
    ],
)
def test_what_is_no_stream_or_has_the_option_is_left_alone(body):
    assert asking_for_usage(json.dumps(body).encode(), body) is None


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"other": 1}])
def test_other_options_stay(options):
    body = {"stream": True, "stream_options": options}
    changed = asking_for_usage(json.dumps(body).encode(), body)
    assert changed is not None
    expected = {**(options or {}), "include_usage": True}
    assert json.loads(changed) == {"stream": True, "stream_options": expected}


def test_the_stream_is_what_it_would_have_been_wherever_it_is_cut():
    for cut in range(1, len(ASKED)):
        assert through([ASKED[:cut], ASKED[cut:]]) == UNASKED, cut


def test_the_stream_is_what_it_would_have_been_byte_by_byte():
    assert through(ASKED[i : i + 1] for i in range(len(ASKED))) == UNASKED


def test_a_complete_event_is_not_held_back():
    kept = UsageChunkFilter()
    for event, expected in zip(
        p.chat_events(with_usage=True)[:-1], p.chat_events(with_usage=False), strict=True
    ):
        assert kept.feed(p.sse(event)) == p.sse(expected)
    assert kept.feed(p.sse(p.chat_usage_chunk())) == b""


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends_are_kept(line_end):
    asked, unasked = (data.replace(b"\n", line_end) for data in (ASKED, UNASKED))
    assert through(asked[i : i + 1] for i in range(len(asked))) == unasked


def test_spaces_in_the_json_are_kept():
    events = p.chat_events(with_usage=True)
    spaced = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    wanted = p.chat_events(with_usage=False)
    expected = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in wanted)
    assert through([spaced]) == expected


def test_usage_that_the_provider_sends_with_the_last_choice_stays():
    event = p.sse(p.chat_chunk({}, "stop", usage=p.CHAT_USAGE))
    assert through([event]) == event


def test_comments_and_what_is_no_json_stay():
    data = b': ping "usage"\n\ndata: {"usage" broken\n\ndata: {"choices":[]}\n\n'
    assert through([data]) == data


def test_an_event_without_an_end_is_passed_on_in_the_end():
    assert through([b"data: half"]) == b"data: half"
    big = b'data: "usage' + b"x" * 2_000_000
    kept = UsageChunkFilter()
    assert kept.feed(big) == big


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_bytes_without_usage_pass_unchanged(pieces):
    data = b"".join(pieces)
    if b'"usage"' not in data:
        assert through(pieces) == data
