"""What an SQL statement does to a database: the one rule for statistics and for spans.

By the statement's first keyword, in PostgreSQL's grammar. A **read** returns rows: SELECT (FOR
UPDATE too: it locks rows and changes none), VALUES, TABLE, FETCH, COPY TO. A **write** makes,
changes or removes rows: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM, SELECT INTO, CREATE
TABLE AS, and WITH where any of its parts does. All else is **other**: transactions, settings,
schema changes, cursors, EXPLAIN, and CALL and DO, which do not say what they run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from profiler.measure.records import StateKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# REPLACE and UPSERT are other databases' words: spans come from them too.
_WRITES = frozenset({"insert", "update", "delete", "merge", "truncate", "replace", "upsert"})
_READS = frozenset({"select", "values", "table", "fetch"})
_MAIN = frozenset({"insert", "update", "delete", "merge", "select", "values", "table"})
_TABLE_KINDS = frozenset({"global", "local", "temp", "temporary", "unlogged"})

_TOKEN = re.compile(
    r"""
      (?P<blank> \s++ | --[^\n]*+ )
    | (?P<comment> /\* )
    | (?P<dollar> \$ (?:[^\W\d]\w*+)?+ \$ )
    | (?P<text> [eE]' [^'\\]*+ (?: (?:\\.|'') [^'\\]*+ )*+ (?:'|\Z)?
              | '  [^']*+   (?: ''       [^']*+   )*+ (?:'|\Z)?
              | "  [^"]*+   (?: ""       [^"]*+   )*+ (?:"|\Z)? )
    | (?P<word> [^\W\d] [\w$]*+ )
    | (?P<mark> [(),;] )
    | (?P<else> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def classify_sql(text: str) -> StateKind:
    """Return what the text's first statement does. Takes texts that were cut off, too."""
    return _kind(_first_statement(text))


def classify_executed(text: str) -> StateKind:
    """Return what an entry of `pg_stat_statements` did.

    There the text of a statement that was prepared in SQL is its PREPARE, and the calls are those
    of EXECUTE: neither has an entry of its own.
    """
    words = _first_statement(text)
    if words[:1] == ["prepare"]:
        for place, word, depth in _with_depth(words):
            if word == "as" and depth == 0:
                return _kind(words[place + 1 :])
    return _kind(words)


def _kind(words: Sequence[str]) -> StateKind:
    start = next((place for place, word in enumerate(words) if word != "("), len(words))
    statement = words[start:]
    first = statement[0] if statement else ""
    if first in _WRITES:
        return StateKind.WRITE
    if first == "copy":
        return _copy(statement)
    if first == "with":
        return _with(statement)
    if first == "create":
        return StateKind.WRITE if _creates_table_as(statement) else StateKind.OTHER
    if first in _READS:
        return StateKind.WRITE if first == "select" and _has_into(statement) else StateKind.READ
    return StateKind.OTHER


def _copy(statement: Sequence[str]) -> StateKind:
    if statement[1:2] == ["("]:
        inner = _kind(statement[2:])
        return StateKind.WRITE if inner is StateKind.WRITE else StateKind.READ
    for _, word, depth in _with_depth(statement):
        if depth == 0 and word in {"from", "to"}:
            return StateKind.WRITE if word == "from" else StateKind.READ
    return StateKind.OTHER


def _with(statement: Sequence[str]) -> StateKind:
    main = None
    for place, word, depth in _with_depth(statement):
        before = statement[place - 1] if place else ""
        if depth == 0 and main is None:
            # A name may be spelled like a keyword, but names follow these.
            if word in _MAIN and before not in {"with", "recursive", ","}:
                main = place
                if word in _WRITES:
                    return StateKind.WRITE
        elif word in _WRITES and before == "(" and statement[place - 2] in {"as", "materialized"}:
            return StateKind.WRITE
    has_into = main is not None and _has_into(statement[main:])
    return StateKind.WRITE if has_into else StateKind.READ


def _has_into(select: Sequence[str]) -> bool:
    return any(
        word == "into" and depth == 0 and select[place - 1] != "as"
        for place, word, depth in _with_depth(select)
    )


def _creates_table_as(statement: Sequence[str]) -> bool:
    rest = iter(statement[1:])
    is_table = next((word for word in rest if word not in _TABLE_KINDS), "") == "table"
    return is_table and any(
        word == "as" and depth == 0 for _, word, depth in _with_depth(statement)
    )


def _with_depth(words: Sequence[str]) -> Iterator[tuple[int, str, int]]:
    """Give each word's place, the word, and how many parentheses are open around it."""
    depth = 0
    for place, word in enumerate(words):
        if word == ")":
            depth -= 1
        yield place, word, depth
        if word == "(":
            depth += 1


def _first_statement(text: str) -> list[str]:
    statement: list[str] = []
    for word in _words(text):
        if word != ";":
            statement.append(word)
        elif statement:
            break
    return statement


def _words(text: str) -> Iterator[str]:
    """Give words in lower case and the marks `( ) , ;`; an empty one for anything else."""
    position = 0
    while found := _TOKEN.match(text, position):
        position = found.end()
        match found.lastgroup:
            case "blank":
                pass
            case "comment":
                position = _comment_end(text, position)
            case "dollar":
                end = text.find(found[0], position)
                position = len(text) if end < 0 else end + len(found[0])
                yield ""
            case "word":
                yield found[0].lower()
            case "mark":
                yield found[0]
            case _:
                yield ""


def _comment_end(text: str, position: int) -> int:
    """Return where the comment ends that began before `position`: comments nest."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(text, position)
        if edge is None:
            return len(text)
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return position
