"""Token counts of texts and chat requests, made offline with `tiktoken`.

The rank files of the two encodings ship with the package and are checked against the hashes that
tiktoken itself expects, so no network is ever touched. Everything here is what *we* count: what a
provider reports is a `Usage` record, and the two are never mixed.

Chat overhead follows the OpenAI cookbook, "How to count tokens with tiktoken"
(https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb):
3 tokens for each message, 1 for a name, 3 to prime the reply, and its constants for tool schemas.
Where the cookbook has no rule the docstring says what was done instead.
"""

from __future__ import annotations

import binascii
import gzip
import hashlib
import json
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from profiler.errors import AgentProfilerError
from profiler.measure.records import TokenParts

if TYPE_CHECKING:
    import tiktoken

DEFAULT_ENCODING = "o200k_base"
"""Used for every model that tiktoken does not know, or whose encoding is not shipped."""

TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
REPLY_PRIMING_TOKENS = 3

DEFAULT_CACHE_ENTRIES = 65_536
CACHE_CHARS = 16 * 1024 * 1024
"""Most characters that the cached texts of one counter may have together (16 to 64 MB)."""

QUICK_CHARS = 2_000
"""Longest new text, in characters, that is counted at once: some 0.1 ms of English."""

_LONGEST_WHITESPACE_CHARS = 10_000
# The look-behind lets a match begin only where a run does: without it, many runs just under the
# limit would be scanned once from each of their characters.
_LONG_WHITESPACE = re.compile(rf"(?<!\s)\s{{{_LONGEST_WHITESPACE_CHARS + 1},}}")

_PIECE_CHARS = 8_000
# Where a run of letters has ended for certain: both encodings match letters without what follows
# them, except an apostrophe, and none of their alternatives looks back. So a text that is cut there
# has the tokens of its two halves.
_SEAM = re.compile(
    r"(?<=[A-Za-z])(?=[0-9])|"  # no other letters: to Python, a character like one half is one
    r"(?<=[^\W\d_])(?=[ \n\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\u3001\u3002\uff0c])"
)


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _EncodingSource:
    """What makes an encoding, as tiktoken's `tiktoken_ext/openai_public.py` (0.14.0) has it."""

    sha256: str
    pattern: str
    special_tokens: Mapping[str, int]
    tool_start_tokens: int  # `func_init` in the cookbook: differs between the model families


_CL100K_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)

_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K_PATTERN = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)

_SOURCES: dict[str, _EncodingSource] = {
    "o200k_base": _EncodingSource(
        sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        pattern=_O200K_PATTERN,
        special_tokens={"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
        tool_start_tokens=7,
    ),
    "cl100k_base": _EncodingSource(
        sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        pattern=_CL100K_PATTERN,
        special_tokens={
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
        tool_start_tokens=10,
    ),
}

_TOOL_PROPERTIES_TOKENS = 3  # `prop_init`, `prop_key`, ...: the cookbook's names for these
_TOOL_PROPERTY_TOKENS = 3
_TOOL_ENUM_TOKENS = -3
_TOOL_ENUM_ITEM_TOKENS = 3
_TOOLS_END_TOKENS = 12


def encoding_name_for_model(model: str | None) -> tuple[str, bool]:
    """Return the encoding to count a model's tokens with, and whether it is the model's own.

    Unknown models, `None`, and models whose encoding is not shipped (GPT-3 and older, gpt-oss) get
    `(DEFAULT_ENCODING, False)`: their counts are estimates.
    """
    if model is None:
        return DEFAULT_ENCODING, False
    from tiktoken.model import encoding_name_for_model as lookup  # noqa: PLC0415 - lazy: import cost

    try:
        name = lookup(model)
    except KeyError:
        return DEFAULT_ENCODING, False
    return (name, True) if name in _SOURCES else (DEFAULT_ENCODING, False)


_PART_BYTES = 1 << 16

_encodings: dict[str, tiktoken.Encoding] = {}
_encodings_lock = threading.Lock()


def load_encoding(name: str) -> tiktoken.Encoding:
    """Load a shipped encoding; cached, safe from several threads, never touches the network.

    Takes about half a second the first time. Raises `AgentProfilerError` for a name that is not
    shipped and for a rank file that is missing or damaged.
    """
    with _encodings_lock:
        if name not in _encodings:
            _encodings[name] = _build_encoding(name)
        return _encodings[name]


def _source_of(name: str) -> _EncodingSource:
    source = _SOURCES.get(name)
    if source is None:
        raise AgentProfilerError(
            f"no encoding {name!r} is shipped",
            where="token counting",
            fix=f"Use one of: {', '.join(sorted(_SOURCES))}",
        )
    return source


def _build_encoding(name: str) -> tiktoken.Encoding:
    source = _source_of(name)
    import tiktoken  # noqa: PLC0415 - lazy: importing this module must stay cheap

    ranks = _read_ranks(name, source.sha256)
    encoding = tiktoken.Encoding(
        name=name,
        pat_str=source.pattern,
        mergeable_ranks=ranks,
        special_tokens=dict(source.special_tokens),
    )
    ranks.clear()  # tiktoken's core has its own copy: 30 MB that nothing reads again
    return encoding


def _read_rank_file(file_name: str) -> bytes:
    return resources.files("profiler.measure").joinpath("data", file_name).read_bytes()


def _read_ranks(name: str, sha256: str) -> dict[bytes, int]:
    file_name = f"{name}.tiktoken.gz"
    try:
        content = gzip.decompress(_read_rank_file(file_name))
    except (OSError, EOFError, zlib.error) as exc:
        raise _damaged(file_name, f"cannot be read: {exc}") from exc
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _damaged(file_name, "is damaged: its sha256 is not the one that tiktoken expects")
    # Each line is a token in base64, a space, and its rank: in both files the number of the line,
    # counted from 0, which takes less time to count than to read. In parts: the words of the whole
    # file at once would take 10 MB more, at the moment at which a run needs most.
    ranks: dict[bytes, int] = {}
    begin = 0
    while begin < len(content):
        end = content.find(b"\n", begin + _PART_BYTES) + 1 or len(content)
        tokens = content[begin:end].split()[::2]
        first = len(ranks)
        numbers = range(first, first + len(tokens))
        ranks.update(zip(map(binascii.a2b_base64, tokens), numbers, strict=True))
        begin = end
    return ranks


def _damaged(file_name: str, problem: str) -> AgentProfilerError:
    return AgentProfilerError(
        f"the rank file {problem}",
        where=f"profiler/measure/data/{file_name}",
        fix="Install agent-profiler again",
    )


class _CountCache:
    """Token counts by text, least recently used dropped first, bounded in entries and characters.

    Two generations of half the bounds each: what is used moves into the young one, and when that
    is full it becomes the old one, whose rest is dropped. So a hit in the young one, which is what
    a growing history consists of, is one dict look-up without a lock.
    """

    def __init__(self, entries: int, chars: int) -> None:
        self._max_entries = max(1, entries // 2)
        self._max_chars = chars // 2
        self._chars = 0
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._lock = threading.Lock()

    def get(self, text: str) -> int | None:
        count = self._young.get(text)
        if count is None:
            count = self._old.get(text)
            if count is not None:
                self.put(text, count)
        return count

    def put(self, text: str, count: int) -> None:
        if len(text) > self._max_chars:
            return
        with self._lock:
            if text in self._young:
                return
            full = len(self._young) >= self._max_entries
            if full or self._chars + len(text) > self._max_chars:
                self._old, self._young, self._chars = self._young, {}, 0
            self._young[text] = count
            self._chars += len(text)


class TokenCounter:
    """Counts tokens with one encoding. Safe from several threads; call it off the event loop.

    Counts are cached by text, so a history that grows turn by turn costs tokenizing only for what
    is new. `cache_entries` bounds the texts that are kept, `CACHE_CHARS` their characters together;
    a text of more than half of that is counted anew each time.
    The encoding is loaded by `prepare`, or at the first count. Raises `AgentProfilerError` for an
    encoding that is not shipped.
    """

    def __init__(self, encoding_name: str, *, cache_entries: int = DEFAULT_CACHE_ENTRIES) -> None:
        self.encoding_name = encoding_name
        self._tool_start_tokens = _source_of(encoding_name).tool_start_tokens
        self._cache = _CountCache(cache_entries, CACHE_CHARS)

    def prepare(self) -> None:
        """Load the encoding now. Raises as `load_encoding` does."""
        load_encoding(self.encoding_name)

    def count_text(self, text: str, *, between: Callable[[], object] = _nothing) -> int:
        """Return the tokens of a text; special-token texts in it are ordinary text.

        `between` is called about every millisecond while a long text is counted; it may wait.

        A lone surrogate counts as U+FFFD does. Runs of more than 10,000 whitespace characters are
        counted in pieces of 10,000, since tiktoken's regular expression overflows its stack on
        very long ones (a million spaces, in 0.14): each cut can add a token or two.
        """
        count = self._cache.get(text)
        if count is None:
            encode = load_encoding(self.encoding_name).encode_ordinary
            # In short pieces: tiktoken makes its list of tokens without letting go of the
            # interpreter, which for 50,000 tokens keeps the event loop for 1 ms, and looking for
            # whitespace in all of their text at once 10 ms.
            count = 0
            for piece in _pieces(text):
                for part in _parts(piece):
                    if count:
                        between()
                    count += len(encode(part))
            self._cache.put(text, count)
        return count

    def quick_count(self, text: str) -> int | None:
        """Return the tokens of a text if that takes microseconds, else None.

        It does for a text that was counted before, and for one of at most `QUICK_CHARS` once the
        encoding is loaded. Never loads it, so it may be called on the event loop.
        """
        count = self._cache.get(text)
        if count is None and len(text) <= QUICK_CHARS and self.encoding_name in _encodings:
            return self.count_text(text)
        return count

    def count_message(self, message: Mapping[str, Any]) -> int:
        """Return the input tokens of one chat message, in the OpenAI Chat Completions format.

        3 for the message, the tokens of role and content, those of the name and 1 for it, as the
        cookbook has it. The cookbook has no rule for tool calls: each counts the tokens of its
        function's name and of its arguments, without overhead. Ids (`tool_call_id`) are not
        counted; of a content in parts, text and refusals are, images and audio are not.
        """
        # Counting a long history is mostly this code, its texts being cached: so the plain case,
        # a role and a text, comes first and builds nothing.
        total = TOKENS_PER_MESSAGE + self.count_text(str(message.get("role", "")))
        content = message.get("content")
        if isinstance(content, str):
            total += self.count_text(content)
        elif content is not None:
            total += sum(map(self.count_text, _part_texts(content)))
        name = message.get("name")
        if name is not None:
            total += TOKENS_PER_NAME + self.count_text(str(name))
        if "tool_calls" in message or "function_call" in message:
            total += sum(map(self.count_text, _call_texts(message)))
        return total

    def count_tools(self, tools: Sequence[Mapping[str, Any]]) -> int:
        """Return the input tokens of a request's tool schemas; 0 without tools.

        The rules of the cookbook's `num_tokens_for_tools`, which know the properties at the top of
        a schema. Properties further in (of objects, array items, `anyOf` branches) are counted by
        the same rules: there is no published one, and leaving them out would undercount large
        schemas. What is missing (description, type, parameters) is counted as empty.
        """
        if not tools:
            return 0
        return _TOOLS_END_TOKENS + sum(map(self._count_tool, tools))

    def _count_tool(self, tool: Mapping[str, Any]) -> int:
        function = _mapping(tool.get("function", tool))
        line = f"{_text(function.get('name'))}:{_description(function)}"
        total = self._tool_start_tokens + self.count_text(line)
        schemas = [_mapping(function.get("parameters"))]
        while schemas:  # a stack, not recursion: a schema may be nested deeper than Python's limit
            schema = schemas.pop()
            properties = _mapping(schema.get("properties"))
            if properties:
                total += _TOOL_PROPERTIES_TOKENS
            for key, value in properties.items():
                total += self._count_property(key, _mapping(value))
                schemas.append(_mapping(value))
            schemas.extend(_inner_schemas(schema))
        return total

    def _count_property(self, key: str, schema: Mapping[str, Any]) -> int:
        total = _TOOL_PROPERTY_TOKENS
        choices = schema.get("enum")
        if isinstance(choices, Sequence) and not isinstance(choices, str):
            total += _TOOL_ENUM_TOKENS
            total += sum(
                _TOOL_ENUM_ITEM_TOKENS + self.count_text(_text(choice)) for choice in choices
            )
        return total + self.count_text(f"{key}:{_type_text(schema)}:{_description(schema)}")

    def count_parts(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> TokenParts:
        """Return a request's input tokens by part, all counted; they add up to `count_chat`.

        `system` is every `system` and `developer` message, `user` the last user message,
        `tool_results` the `tool` (and legacy `function`) messages after it, `history` the rest;
        each message brings its 3 tokens into its part. `overhead` primes the reply.
        """
        totals = {"system": 0, "history": 0, "user": 0, "tool_results": 0}
        last_user = max(
            (index for index, message in enumerate(messages) if message.get("role") == "user"),
            default=len(messages),
        )
        for index, message in enumerate(messages):
            totals[_part_of(message.get("role"), index, last_user)] += self.count_message(message)
        return TokenParts(
            **totals, tool_schemas=self.count_tools(tools), overhead=REPLY_PRIMING_TOKENS
        )

    def count_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> int:
        """Return all input tokens of a request: messages, tool schemas, and priming the reply."""
        total = REPLY_PRIMING_TOKENS + self.count_tools(tools)
        return total + sum(map(self.count_message, messages))


def _parts(text: str) -> Iterable[str]:
    """Cut within whitespace of which there is too much at once."""
    if len(text) <= _LONGEST_WHITESPACE_CHARS:
        return (text,)
    parts = []
    start = 0
    for run in _LONG_WHITESPACE.finditer(text):
        first_cut = run.start() + _LONGEST_WHITESPACE_CHARS
        for cut in range(first_cut, run.end(), _LONGEST_WHITESPACE_CHARS):
            parts.append(text[start:cut])
            start = cut
    parts.append(text[start:])
    return parts


def _pieces(text: str) -> Iterator[str]:
    """Cut a long text where no token can be: its pieces have its tokens."""
    start = 0
    while len(text) - start > _PIECE_CHARS:
        seam = _SEAM.search(text, start + _PIECE_CHARS)
        if seam is None:
            break
        yield text[start : seam.start()]
        start = seam.start()
    yield text[start:] if start else text


def _part_of(role: object, index: int, last_user: int) -> str:
    if role in ("system", "developer"):
        return "system"
    if index == last_user:
        return "user"
    if index > last_user and role in ("tool", "function"):
        return "tool_results"
    return "history"


def _part_texts(content: object) -> Iterable[str]:
    if not isinstance(content, Sequence):
        return
    for part in content:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping):
            texts = (part.get("text"), part.get("refusal"))
            yield from (text for text in texts if isinstance(text, str))


def _call_texts(message: Mapping[str, Any]) -> Iterable[str]:
    calls = [_mapping(call).get("function") for call in message.get("tool_calls") or ()]
    for call in (*calls, message.get("function_call")):
        function = _mapping(call)
        for key in ("name", "arguments"):
            if function.get(key) is not None:
                yield _text(function[key])


def _inner_schemas(schema: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Yield the schemas that stand in place of this one, or of its items."""
    if "items" in schema:
        yield _mapping(schema["items"])
    for key in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(key)
        if isinstance(branches, Sequence) and not isinstance(branches, str):
            yield from map(_mapping, branches)


def _type_text(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, Sequence) and not isinstance(kind, str):
        return " | ".join(map(_text, kind))
    return _text(kind)


def _description(schema: Mapping[str, Any]) -> str:
    """Return the description without its final full stop, as the cookbook counts it."""
    return _text(schema.get("description")).removesuffix(".")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """Return a string as it is, nothing as nothing, and any other value as its JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
