"""The statements in the text of a SQL span; what each does is `observers.sql`'s to say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from profiler.observers.otlp.dialects.words import words
from profiler.observers.sql import classify_sql

if TYPE_CHECKING:
    from profiler.measure.records import StateKind

_KEYWORDS = words("""
    ABORT ALTER ANALYZE ATTACH BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE
    DEALLOCATE DECLARE DELETE DESC DESCRIBE DETACH DISCARD DO DROP END EXECUTE EXPLAIN FETCH GRANT
    INSERT LISTEN LOCK MERGE NOTIFY PRAGMA PREPARE REFRESH REINDEX RELEASE REPLACE RESET REVOKE
    ROLLBACK SAVEPOINT SELECT SET SHOW START TABLE TRUNCATE UNLISTEN UPDATE UPSERT USE VACUUM VALUES
    WITH
    """)
# Comments, quoted texts and names, dollar quotes: what keywords must not be looked for in. Each
# alternative also takes one that never ends, so that no text is read twice.
_OPAQUE = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)"""
    r"""|\$(\w*)\$.*?(?:\$\1\$|\Z)""",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_]+")
_MAX_CHARS = 20_000


def statements_in(text: str) -> list[str]:
    """Return the statements of a query text, without comments and the contents of quotes."""
    plain = _OPAQUE.sub(_blank, text[:_MAX_CHARS])
    statements = (" ".join(part.split()) for part in plain.split(";"))
    return [statement for statement in statements if _WORD.search(statement)]


def _blank(match: re.Match[str]) -> str:
    return "''" if match[0][0] in "'\"`$" else " "


def kind_of(statement: str) -> StateKind | None:
    """Return what one of `statements_in` does; None if it does not begin as SQL does."""
    first = _WORD.search(statement)
    known = first is not None and first[0].upper() in _KEYWORDS
    return classify_sql(statement) if known else None
