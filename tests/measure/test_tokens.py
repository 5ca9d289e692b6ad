"""Token counts are the ones that OpenAI published, and no text can hang or break them."""

from __future__ import annotations

import base64
import gzip
import importlib
import re
import subprocess
import sys
import threading
from itertools import pairwise
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.errors import AgentProfilerError
from profiler.measure import tokens
from profiler.measure.records import TokenParts
from profiler.measure.tokens import (
    DEFAULT_ENCODING,
    TokenCounter,
    encoding_name_for_model,
    load_encoding,
)

# The inputs and outputs of the OpenAI cookbook's notebook "How to count tokens with tiktoken",
# https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
# where OpenAI's API reported the same numbers of prompt tokens.
COOKBOOK_MESSAGES = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]
WEATHER_MESSAGES = [
    {
        "role": "system",
        "content": "You are a helpful assistant that can answer to questions about the weather.",
    },
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
WEATHER_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {
                        "type": "string",
                        "description": "The city and state, e.g. San Francisco, CA",
                    },
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"],
                    },
                },
                "required": ["location"],
            },
        },
    }
]


@pytest.fixture(params=["o200k_base", "cl100k_base"])
def counter(request: pytest.FixtureRequest) -> TokenCounter:
    return TokenCounter(request.param)


def tool(parameters: Any = None, **function: Any) -> dict[str, Any]:
    if parameters is not None:
        function["parameters"] = parameters
    return {"type": "function", "function": {"name": "f", **function}}


@pytest.mark.parametrize(("encoding", "expected"), [("o200k_base", 124), ("cl100k_base", 129)])
def test_messages_cost_what_the_cookbook_publishes(encoding, expected):
    assert TokenCounter(encoding).count_chat(COOKBOOK_MESSAGES) == expected


@pytest.mark.parametrize(("encoding", "expected"), [("o200k_base", 101), ("cl100k_base", 105)])
def test_tools_cost_what_the_cookbook_publishes(encoding, expected):
    assert TokenCounter(encoding).count_chat(WEATHER_MESSAGES, WEATHER_TOOLS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # tiktoken's tests/test_encoding.py, and the cookbook's "Comparing encodings"
        ("hello world", [15339, 1917]),
        ("tiktoken is great!", [83, 1609, 5963, 374, 2294, 0]),
        ("antidisestablishmentarianism", [519, 85342, 34500, 479, 8997, 2191]),
        ("2 + 2 = 4", [17, 489, 220, 17, 284, 220, 19]),
        ("お誕生日おめでとう", [33334, 45918, 243, 21990, 9080, 33334, 62004, 16556, 78699]),
        ("today\n  \n", [31213, 14211]),
        ("'rer", [2351, 81]),
        (" \x850", [220, 126, 227, 15]),
        ("👍", [9468, 239, 235]),
        ("\ud83d\udc4d", [9468, 239, 235]),
    ],
)
def test_cl100k_ids_are_the_published_ones(text, expected):
    assert load_encoding("cl100k_base").encode_ordinary(text) == expected
    assert TokenCounter("cl100k_base").count_text(text) == len(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("antidisestablishmentarianism", 6), ("2 + 2 = 4", 7), ("お誕生日おめでとう", 8)],
)
def test_o200k_counts_are_the_published_ones(text, expected):
    # The cookbook's "Comparing encodings", in its edition with o200k_base.
    assert TokenCounter("o200k_base").count_text(text) == expected


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_patterns_special_tokens_and_hashes_are_those_of_tiktoken(name, monkeypatch):
    openai_public = importlib.import_module("tiktoken_ext.openai_public")  # has no type stubs

    hashes = []

    def load(_url: str, expected_hash: str) -> dict[bytes, int]:
        hashes.append(expected_hash)
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", load)
    theirs = getattr(openai_public, name)()
    ours = tokens._SOURCES[name]
    assert theirs["pat_str"] == ours.pattern
    assert theirs["special_tokens"] == ours.special_tokens
    assert hashes == [ours.sha256]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o", ("o200k_base", True)),
        ("gpt-4o-mini-2024-07-18", ("o200k_base", True)),
        ("gpt-4", ("cl100k_base", True)),
        ("gpt-3.5-turbo-0125", ("cl100k_base", True)),
        ("text-davinci-003", (DEFAULT_ENCODING, False)),  # p50k_base is not shipped
        ("claude-opus", (DEFAULT_ENCODING, False)),
        ("", (DEFAULT_ENCODING, False)),
        (None, (DEFAULT_ENCODING, False)),
    ],
)
def test_a_model_gets_its_own_encoding_or_the_default_said_to_be_a_guess(model, expected):
    assert encoding_name_for_model(model) == expected


def test_importing_the_module_does_not_import_tiktoken():
    code = "import sys, profiler.measure.tokens; print('tiktoken' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_socket_is_opened_to_load_an_encoding():
    code = (
        "import socket\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from profiler.measure.tokens import TokenCounter\n"
        "print(TokenCounter('o200k_base').count_text('hello world'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2"


def test_threads_share_one_encoding(monkeypatch):
    builds = []

    def build(name: str) -> object:
        builds.append(name)
        return object()

    monkeypatch.setattr(tokens, "_encodings", {})
    monkeypatch.setattr(tokens, "_build_encoding", build)
    threads = [threading.Thread(target=load_encoding, args=("o200k_base",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builds == ["o200k_base"]


def test_an_encoding_that_is_not_shipped_is_refused_at_once():
    with pytest.raises(
        AgentProfilerError, match=r"'p50k_base' is shipped.*cl100k_base, o200k_base"
    ):
        TokenCounter("p50k_base")
    with pytest.raises(AgentProfilerError, match="no encoding 'gpt2'"):
        load_encoding("gpt2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"IQ== 0\n", mtime=0), "sha256"),
        (b"not gzip", "cannot be read"),
        (gzip.compress(b"IQ== 0\n" * 1000, mtime=0)[:-12], "cannot be read"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff", "cannot be read"),
    ],
)
def test_a_damaged_rank_file_is_one_line_that_names_it(content, message, monkeypatch):
    monkeypatch.setattr(tokens, "_encodings", {})
    monkeypatch.setattr(tokens, "_read_rank_file", lambda _name: content)
    with pytest.raises(AgentProfilerError, match=message) as caught:
        TokenCounter("o200k_base").count_text("hello")
    assert "o200k_base.tiktoken.gz" in str(caught.value)
    assert "Install agent-profiler again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_ranks_are_those_in_the_file(name):
    lines = gzip.decompress(tokens._read_rank_file(f"{name}.tiktoken.gz")).splitlines()
    written = [line.split() for line in lines]
    ranks = tokens._read_ranks(name, tokens._SOURCES[name].sha256)
    assert ranks == {base64.b64decode(token): int(rank) for token, rank in written}


def test_special_tokens_in_a_text_are_ordinary_text(counter):
    # As text, <|endoftext|> is `<`, `|`, `endo`, ... : never the one special token.
    assert counter.count_text("<|endoftext|>") > 1


def test_lone_surrogates_count_as_the_replacement_character(counter):
    assert counter.count_text("a\ud800b") == counter.count_text("a\ufffdb")


@pytest.mark.parametrize(
    "name", [DEFAULT_ENCODING, pytest.param("cl100k_base", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("character", ["a", " ", "\n", "^", "0", "\u3000", "語", "\ud800"])
def test_a_million_of_one_character_is_counted(name, character):
    # A token is at least one byte of UTF-8, which takes at most four for a character.
    assert 0 < TokenCounter(name).count_text(character * 1_000_000) <= 4_000_000


def test_cutting_long_whitespace_adds_less_than_two_tokens_a_cut(counter):
    text = "begin" + " " * 95_000 + "end"  # tiktoken can still do this one whole
    whole = len(load_encoding(counter.encoding_name).encode_ordinary(text))
    assert whole <= counter.count_text(text) <= whole + 2 * 9


def test_whitespace_runs_at_the_limit_are_not_cut(counter):
    text = ("x" + " " * 10_000) * 3 + "x"
    whole = len(load_encoding(counter.encoding_name).encode_ordinary(text))
    assert counter.count_text(text) == whole


@given(st.lists(st.sampled_from(["a", " " * 9_999, " ", "\n" * 25_000, "word"]), max_size=8))
def test_cut_parts_put_together_are_the_text(parts):
    text = "".join(parts)
    assert "".join(tokens._parts(text)) == text
    assert "".join(part for piece in tokens._pieces(text) for part in tokens._parts(piece)) == text


ANYTHING = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["don't", "I'LL ", "a  b", "½", "x½0", "ⅷ,", "语\uff0c语", "ñ́.", "A\u0301 b", "\r\n"]
    ),
    st.sampled_from(
        ['{"key": "value",', "</a>\n", "abc123DEF", "\tif x:\n", "ˢ-", "Ⓐ,", "\u00b4s"]
    ),
)


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
@given(st.lists(ANYTHING, max_size=30))
def test_a_text_cut_at_every_seam_has_the_tokens_of_the_whole(name, texts):
    text = "".join(texts)
    encode = load_encoding(name).encode_ordinary
    cuts = [0, *(seam.start() for seam in tokens._SEAM.finditer(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    assert "".join(pieces) == text
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert [token for piece in pieces for token in encode(piece)] == encode(text)


def test_what_python_takes_for_a_letter_ends_before_punctuation_in_the_encodings_too():
    """Their classes are Unicode's letters and numbers: neither goes on in what a seam is before."""
    letter = re.compile(r"[^\W\d_]")
    found = {category(chr(at))[0] for at in range(sys.maxunicode + 1) if letter.match(chr(at))}
    assert found == {"L", "N"}


def test_a_long_text_is_counted_as_tiktoken_counts_it_with_breaks_between():
    text = "The order 4711 isn't here, says Zoë (half-way, 语言。). " * 2_000
    breaks = []
    counter = TokenCounter("o200k_base")
    count = counter.count_text(text, between=lambda: breaks.append(1))
    assert count == len(load_encoding("o200k_base").encode_ordinary(text))
    # 8,000 characters or a few more in a piece, none before the first
    assert len(text) // 8_100 - 1 <= len(breaks) <= len(text) // 8_000
    assert counter.count_text(text, between=lambda: pytest.fail("it was counted before")) == count


def test_a_text_without_a_seam_is_one_piece():
    text = "語" * 50_000
    assert list(tokens._pieces(text)) == [text]


def test_a_message_costs_three_its_role_its_content_and_a_name_one_more():
    counter = TokenCounter("cl100k_base")
    # role `user` 1, `hello world` 2 (published ids above)
    assert counter.count_message({"role": "user", "content": "hello world"}) == 3 + 1 + 2
    named = {"role": "user", "content": "hello world", "name": "hello"}
    assert counter.count_message(named) == 3 + 1 + 2 + 1 + 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, 0),
        ("", 0),
        ([], 0),
        (7, 0),
        ([{"type": "text", "text": "hello world"}], 2),
        ([{"type": "text", "text": "hello world"}, "hello world"], 4),
        ([{"type": "refusal", "refusal": "hello world"}], 2),
        ([{"type": "image_url", "image_url": {"url": "data:..."}}, 5, {"text": None}], 0),
    ],
)
def test_content_may_be_text_parts_or_nothing(content, expected):
    counter = TokenCounter("cl100k_base")
    assert counter.count_message({"role": "user", "content": content}) == 3 + 1 + expected


def test_a_tool_call_costs_its_name_and_arguments_and_no_id():
    counter = TokenCounter("cl100k_base")
    call = {"id": "call_1", "type": "function", "function": {"name": "hello", "arguments": "hello"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, call]}
    assert counter.count_message(message) == 3 + 1 + 2 * 2
    legacy = {"role": "assistant", "content": None, "function_call": call["function"]}
    assert counter.count_message(legacy) == 3 + 1 + 2
    result = {"role": "user", "content": "hello world", "tool_call_id": "call_1"}
    assert counter.count_message(result) == 3 + 1 + 2


@pytest.mark.parametrize(
    "calls", [None, [], [None], [{}], [{"function": None}], [{"function": {"name": None}}]]
)
def test_malformed_tool_calls_cost_nothing(calls):
    message = {"role": "user", "content": "hello world", "tool_calls": calls}
    assert TokenCounter("cl100k_base").count_message(message) == 3 + 1 + 2


def test_arguments_that_are_an_object_are_counted_as_their_json():
    counter = TokenCounter("cl100k_base")
    asked = {"role": "user", "tool_calls": [{"function": {"arguments": {"a": "é"}}}]}
    assert counter.count_message(asked) == 3 + 1 + counter.count_text('{"a": "é"}')


def test_no_tools_cost_nothing(counter):
    assert counter.count_tools([]) == 0


@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}, {"properties": {}}])
def test_a_tool_without_description_or_parameters_costs_its_line(parameters):
    # start 7 + `f:` + end 12, in o200k
    counter = TokenCounter("o200k_base")
    assert counter.count_tools([tool(parameters)]) == 7 + counter.count_text("f:") + 12


def test_the_end_is_counted_once_for_all_tools():
    counter = TokenCounter("o200k_base")
    assert counter.count_tools([tool()] * 3) == 3 * (7 + counter.count_text("f:")) + 12


def test_the_final_full_stop_of_a_description_is_free(counter):
    with_stop = counter.count_tools([tool(description="Does it.")])
    assert counter.count_tools([tool(description="Does it")]) == with_stop


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ({}, "p::"),
        ({"type": "string"}, "p:string:"),
        ({"type": ["string", "null"]}, "p:string | null:"),
        ({"anyOf": "odd", "enum": "odd", "items": [{"type": "string"}]}, "p::"),
        ("odd", "p::"),
    ],
)
def test_a_property_with_pieces_missing_costs_what_is_there(schema, line):
    counter = TokenCounter("o200k_base")
    bare = counter.count_tools([tool({"properties": {}})])
    # 3 for having properties, 3 for the one
    expected = bare + 3 + 3 + counter.count_text(line)
    assert counter.count_tools([tool({"properties": {"p": schema}})]) == expected


def test_enum_items_that_are_no_strings_are_counted_as_json():
    counter = TokenCounter("o200k_base")
    plain = counter.count_tools([tool({"properties": {"p": {}}})])
    chosen = counter.count_tools([tool({"properties": {"p": {"enum": [1, True, None]}}})])
    # -3 for the enum, 3 an item, one token each for `1` and `true`, none for null
    assert chosen == plain - 3 + 3 * 3 + 1 + 1


@pytest.mark.parametrize("wrap", ["object", "items", "anyOf"])
def test_nested_properties_cost_what_the_same_ones_do_at_the_top(wrap):
    counter = TokenCounter("o200k_base")
    inner = {"type": "object", "properties": {"q": {"type": "string"}}}
    outers: dict[str, dict[str, Any]] = {
        "object": inner,
        "items": {"type": "object", "items": inner},
        "anyOf": {"type": "object", "anyOf": [inner, {"type": "null"}]},
    }
    flat = counter.count_tools([tool({"properties": {"p": {"type": "object"}}})])
    expected = flat + 3 + 3 + counter.count_text("q:string:")
    assert counter.count_tools([tool({"properties": {"p": outers[wrap]}})]) == expected


def test_a_schema_nested_deeper_than_pythons_stack_is_counted():
    schema: dict[str, Any] = {}
    for _ in range(5_000):
        schema = {"properties": {"p": schema}}
    assert TokenCounter("o200k_base").count_tools([tool(schema)]) > 5_000 * 6


def test_parts_are_the_ones_that_the_record_defines():
    counter = TokenCounter("cl100k_base")
    # Every message costs 3, its role, and 2 for `hello world`.
    messages = [
        {"role": role, "content": "hello world"}
        for role in ("system", "developer", "user", "tool", "user", "assistant", "tool", "tool")
    ]
    cost = {role: 3 + counter.count_text(role) + 2 for role in {m["role"] for m in messages}}
    expected = TokenParts(
        system=cost["system"] + cost["developer"],
        tool_schemas=counter.count_tools(WEATHER_TOOLS),
        history=cost["user"] + cost["tool"] + cost["assistant"],
        user=cost["user"],
        tool_results=2 * cost["tool"],
        overhead=3,
    )
    assert counter.count_parts(messages, WEATHER_TOOLS) == expected


def test_without_a_user_message_everything_else_is_history():
    counter = TokenCounter("cl100k_base")
    parts = counter.count_parts([{"role": "tool", "content": "hello world"}, {}])
    assert parts.user == 0
    assert parts.tool_results == 0
    assert parts.history == (3 + 1 + 2) + 3
    assert parts.overhead == 3


message_lists = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool", "function", "?"]),
            "content": st.none() | st.text(max_size=40),
        },
        optional={"name": st.text(max_size=5)},
    ),
    max_size=8,
)


@given(messages=message_lists, with_tools=st.booleans())
def test_the_parts_add_up_to_the_whole(messages, with_tools):
    counter = TokenCounter("cl100k_base")
    tools = WEATHER_TOOLS if with_tools else []
    parts = counter.count_parts(messages, tools)
    total = sum(getattr(parts, name) for name in TokenParts.__slots__)
    assert total == counter.count_chat(messages, tools)


class CountingEncoding:
    """Stands in for tiktoken and remembers what it was asked to encode."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode_ordinary(self, text: str) -> list[int]:
        self.encoded.append(text)
        return [0] * len(text)


@pytest.fixture
def encoding(monkeypatch) -> CountingEncoding:
    fake = CountingEncoding()
    monkeypatch.setattr(tokens, "load_encoding", lambda _name: fake)
    return fake


def test_only_the_new_text_of_a_growing_history_is_tokenized(encoding):
    counter = TokenCounter("o200k_base")
    messages = [{"role": "user", "content": f"turn {turn}"} for turn in range(50)]
    for turn in range(1, 51):
        counter.count_parts(messages[:turn])
    assert sorted(encoding.encoded) == sorted(["user", *(f"turn {turn}" for turn in range(50))])


def test_the_cache_keeps_the_texts_used_last(encoding):
    counter = TokenCounter("o200k_base", cache_entries=4)
    for text in ("a", "b", "c", "a", "d", "e", "a", "b"):  # two generations of two texts
        counter.count_text(text)
    # `b` was dropped when `d` came; `a`, used again and again, never was
    assert encoding.encoded == ["a", "b", "c", "d", "e", "b"]


@given(st.lists(st.text(alphabet="ab", max_size=8)), st.integers(1, 6), st.integers(2, 20))
def test_the_cache_never_holds_more_than_its_bounds(texts, entries, chars):
    cache = tokens._CountCache(entries=2 * entries, chars=chars)
    for text in texts:
        assert cache.get(text) in (None, len(text))
        cache.put(text, len(text))
        held = [*cache._young, *cache._old]
        assert len(held) <= 2 * entries
        assert sum(map(len, held)) <= chars


def test_only_what_is_known_or_short_is_counted_quickly(monkeypatch):
    monkeypatch.setattr(tokens, "_encodings", {})
    counter = TokenCounter("cl100k_base")
    assert counter.quick_count("Hello, world") is None  # not loaded: that would take long
    load_encoding("cl100k_base")
    assert counter.quick_count("Hello, world") == 3  # `Hello`, `,`, ` world`: tiktoken's own README
    long = "a " * (tokens.QUICK_CHARS // 2) + "b"
    assert counter.quick_count(long) is None
    counter.count_text(long)
    assert counter.quick_count(long) == counter.count_text(long)


def test_a_text_longer_than_half_the_cache_displaces_nothing(encoding, monkeypatch):
    monkeypatch.setattr(tokens, "CACHE_CHARS", 10)
    counter = TokenCounter("o200k_base")
    for text in ("12345", "123456", "123456", "12345"):
        counter.count_text(text)
    assert encoding.encoded == ["12345", "123456", "123456"]


def test_a_text_counted_by_two_threads_at_once_is_kept_once():
    cache = tokens._CountCache(entries=10, chars=20)
    for text in ("12345", "12345", "67890"):
        cache.put(text, 5)
    assert cache._young == {"12345": 5, "67890": 5}
