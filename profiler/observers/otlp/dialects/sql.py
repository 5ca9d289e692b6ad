"""What SQL statements do to the store, by their first keyword after comments."""

from __future__ import annotations

import re

from profiler.measure.records import StateKind
from profiler.observers.otlp.dialects.words import words

_READS = frozenset({"SELECT", "SHOW", "VALUES", "TABLE", "EXPLAIN", "DESCRIBE", "DESC", "FETCH"})
_WRITES = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "UPSERT", "TRUNCATE", "REFRESH"}
)
_OTHER = words("""
    ABORT ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT CREATE DEALLOCATE
    DECLARE DETACH DISCARD DO DROP END EXECUTE GRANT LISTEN LOCK NOTIFY PRAGMA PREPARE REINDEX
    RELEASE RESET REVOKE ROLLBACK SAVEPOINT SET START UNLISTEN USE VACUUM
    """)
# Comments, quoted texts and names, dollar quotes: what keywords must not be looked for in. Each
# alternative also takes one that never ends, so that no text is read twice.
_OPAQUE = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)"""
    r"""|\$(\w*)\$.*?(?:\$\1\$|\Z)""",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_]+")
_CHANGES = re.compile(r"(?<!\bFOR )(?<!\bKEY )\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_INTO_SERVER = re.compile(r"\bFROM\b", re.IGNORECASE)
_MAX_CHARS = 20_000


def statements_in(text: str) -> list[str]:
    """Return the statements of a query text, without comments and the contents of quotes."""
    plain = _OPAQUE.sub(_blank, text[:_MAX_CHARS])
    statements = (" ".join(part.split()) for part in plain.split(";"))
    return [statement for statement in statements if _WORD.search(statement)]


def _blank(match: re.Match[str]) -> str:
    return "''" if match[0][0] in "'\"`$" else " "


def kind_of(statement: str) -> StateKind | None:  # noqa: PLR0911 - one for each class
    """Return what one of `statements_in` does; None if it does not begin as SQL does.

    `WITH` is a write if it contains one, though not for `FOR UPDATE`. Statements about the schema,
    the session or a transaction are other.
    """
    first = _WORD.search(statement)
    match first[0].upper() if first else "":
        case "WITH":
            return StateKind.WRITE if _CHANGES.search(statement) else StateKind.READ
        case "EXPLAIN" if re.match(r"\W*EXPLAIN\W+ANALY", statement, re.IGNORECASE):
            return StateKind.WRITE if _CHANGES.search(statement) else StateKind.READ
        case "COPY":
            return StateKind.WRITE if _INTO_SERVER.search(statement) else StateKind.READ
        case keyword if keyword in _READS:
            return StateKind.READ
        case keyword if keyword in _WRITES:
            return StateKind.WRITE
        case keyword if keyword in _OTHER:
            return StateKind.OTHER
        case _:
            return None
