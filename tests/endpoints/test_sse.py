"""Server-sent events, by the rules of the WHATWG HTML standard, section 9.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.endpoints.sse import (
    EventTooLongError,
    PlainStream,
    SseEvent,
    SseParser,
    timed_events,
)


def parsed(*chunks: bytes) -> list[SseEvent]:
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


# The three streams are the examples of section 9.2.6 of the standard.
def test_lines_of_data_of_one_event_are_joined_with_line_feeds():
    stream = b"data: YHOO\ndata: +2\ndata: 10\n\n"
    assert parsed(stream) == [SseEvent("message", b"YHOO\n+2\n10")]


def test_comments_and_ids_are_no_data_and_only_one_leading_space_is_dropped():
    stream = b": test stream\n\ndata: first event\nid: 1\n\n"
    stream += b"data:second event\nid\n\ndata:  third event\n\n"
    assert [e.data for e in parsed(stream)] == [b"first event", b"second event", b" third event"]


def test_an_event_with_empty_data_is_an_event_and_a_cut_one_is_not():
    stream = b"data\n\ndata\ndata\n\ndata:"
    assert [e.data for e in parsed(stream)] == [b"", b"\n"]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_the_standard_ends_a_line(end):
    stream = end.join([b"event: update", b"data: 1", b"", b"data: 2", b"", b""])
    # A final CR may be half of a CR LF: the next byte decides, so one is given here.
    assert parsed(stream, b":x\n") == [SseEvent("update", b"1"), SseEvent("message", b"2")]


def test_a_byte_order_mark_is_dropped_even_when_it_comes_byte_by_byte():
    stream = b"\xef\xbb\xbfdata: x\n\n"
    assert parsed(*(bytes([byte]) for byte in stream)) == [SseEvent("message", b"x")]


def test_an_event_without_data_is_dropped_and_its_name_with_it():
    assert parsed(b"event: ping\n\ndata: x\n\n") == [SseEvent("message", b"x")]


def test_an_event_that_never_ends_is_refused_at_the_limit():
    parser = SseParser(max_event_bytes=100)
    with pytest.raises(EventTooLongError, match="100 bytes"):
        parser.feed(b"data: " + b"x" * 200)


def test_many_data_lines_of_one_event_count_together_towards_the_limit():
    parser = SseParser(max_event_bytes=100)
    for _ in range(16):  # each line is its five bytes and a line feed
        parser.feed(b"data: 12345\n")
    with pytest.raises(EventTooLongError):
        parser.feed(b"data: 12345\n")


@given(
    payloads=st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1),
        max_size=6,
    ),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=40),
    end=st.sampled_from([b"\n", b"\r\n"]),
)
def test_events_do_not_depend_on_where_the_bytes_are_cut(payloads, cuts, end):
    stream = b"".join(
        b"".join(b"data: " + line.encode() + end for line in lines) + end for lines in payloads
    )
    chunks, at = [], 0
    while at < len(stream):
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(stream[at : at + size])
        at += size
    expected = [b"\n".join(line.encode() for line in lines) for lines in payloads]
    assert [event.data for event in parsed(*chunks)] == expected
    timed = timed_events(chunks, range(len(chunks)))
    assert [data for data, _ in timed] == expected


def test_an_event_has_the_time_of_the_piece_that_completes_it():
    pieces = [
        b"data: a\n\n",
        b"data: 1\n2",
        b"3\n\n",
        b"da",
        b"ta: b\n\ndata: c\n",
        b"\n",
        b"data: d\n\n",
        b": x\n\n",
    ]
    timed = list(timed_events(pieces, [10, 11, 12, 20, 30, 40, 50, 60]))
    assert timed == [(b"a", 10), (b"1", 12), (b"b", 30), (b"c", 40), (b"d", 50)]


def test_a_plain_stream_is_its_data_and_where_its_events_end():
    plain = PlainStream.of(b'data: {"a":1}\n\ndata: 2\n\ndata: [DONE]\n\n')
    assert plain is not None
    assert (plain.joined, plain.events, plain.is_done) == (b'{"a":1},2', 2, True)
    assert plain.ends() == [15, 24, 38]  # by hand: 6 + 7 + 2, 6 + 1 + 2, 6 + 6 + 2


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"data: a\n",
        b"data: a\r\n\r\n",
        b"data: a\n\n\n",
        b"data: a\ndata: b\n\n",
        b"data: a\n\n: comment\n\n",
        b"event: x\ndata: a\n\n",
        b"data:a\n\n",
        b"data: a\n\ndata: b",
        b"\xef\xbb\xbfdata: a\n\n",
    ],
)
def test_any_other_form_is_no_plain_stream(other):
    assert PlainStream.of(other) is None
