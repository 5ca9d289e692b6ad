"""`langfuse`: traces and observations as Langfuse exports them; one trace is one turn of a session.

Read are: tables exported from the UI and the blob storage (JSON array or JSON Lines; keys in
camelCase or snake_case, inputs and outputs as JSON or as text of it), one trace downloaded as JSON
(`{"trace", "observations"}` or a trace with its `observations`), and answers of the public API
(`{"data": [...]}`, a trace with details, a session with its `traces`).
Source: https://langfuse.com/docs/api-and-data-platform/features/export-from-ui, .../blob-storage-
export-fields, and langfuse/langfuse, fern/apis/server/definition/commons.yml.

Observations of type `GENERATION` are LLM calls. Of those within one another the inner ones count:
the outer is a wrapper.

What LLMs were given is most of a file, and all that is taken of it is the system prompt and the
user's last message. So what is kept on disk until a trace is together is these.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

from profiler.workload.importers import foreign
from profiler.workload.importers.documents import records
from profiler.workload.importers.gist import Gist, gist
from profiler.workload.importers.grouping import Groups
from profiler.workload.importers.messages import RefusedError, check_depth
from profiler.workload.importers.times import seconds
from profiler.workload.importers.turns import Call, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from profiler.workload.conversations import Message
    from profiler.workload.importers.frames import Frame
    from profiler.workload.importers.gathering import Gathering

    Row = dict[Any, Any]

PATHS = (("data",),)
TRACE, OBSERVATION = b"t", b"o"
NO_TRACE = "an observation without the id of its trace"
NO_TIME = "a trace without a time that can be read"
NO_CALL = "a trace without an LLM call, a message or an answer"
SCORE = "a score, which says nothing of what was sent"
UNKNOWN = "neither a trace nor an observation of Langfuse"
NO_GENERATION = "a trace without a generation: its answer counts as one LLM call"
TWICE = "an observation that was exported twice, taken once"
FAILED = "an LLM call that failed, not replayed"


def gather(stream: BinaryIO, into: Gathering, advanced: Callable[[Frame], None] | None) -> None:
    """Read a file and give its turns to `into`."""
    with Groups() as traces:
        for line, data, row in into.objects(records(stream, PATHS), advanced):
            for trace_id, kind, part in _rows(row, line, into):
                with into.refusing(line):
                    check_depth(data, part)
                    kept = marshal.dumps((kind, line, _kept(kind, part)))
                    traces.add(trace_id.encode(errors="replace"), kept)
        for key, records_of in traces.groups():
            parts = [marshal.loads(record) for record in records_of]  # noqa: S302 - as above
            with into.refusing(min(line for _, line, _ in parts)):
                _trace(key.decode(errors="replace"), parts, into)
        into.dropped(traces.dropped)


def _kept(kind: bytes, row: Row) -> Row:
    """Return what is looked at of a trace or an observation; the gist of what an LLM was given."""
    kept = {key: row[key] for key in row if key in _READ}
    if kind == OBSERVATION and _type(row) == "GENERATION" and (given := _gist(row.get("input"))):
        del kept["input"]
        kept[_GIST] = given
    return kept


def _gist(given: Any) -> tuple[Any, ...] | None:
    """Return the gist of messages, None where more than it may be looked at."""
    given = foreign.parsed(given)
    if type(given) is not list and type(given) is not dict:
        return None
    try:
        found = gist(given)
    except RefusedError:  # which counts where it is the first call's
        return None
    # An object without a user's message is looked through for what a user may have said.
    return tuple(found) if type(given) is list or found.user is not None else None


_GIST = 0  # no key of JSON is a number
_READ = frozenset(
    {
        *("id", "type", "name", "level", "latency", "timestamp", "input", "output"),
        *("startTime", "start_time", "endTime", "end_time"),
        *("parentObservationId", "parent_observation_id"),
        *("sessionId", "session_id", "userId", "user_id"),
        *("usageDetails", "usage_details", "usage"),
    }
)


def _rows(row: Row, line: int, into: Gathering) -> Iterator[tuple[str, bytes, Row]]:
    """Yield what an object of the file holds: the id of the trace, and whether it is the trace."""
    trace = row.get("trace")
    if isinstance(row.get("data"), list):
        for inner in _dicts(row["data"]):
            yield from _one(inner, line, into)
    elif isinstance(row.get("traces"), list):
        session = {"sessionId": row.get("id")}
        for inner in _dicts(row["traces"]):
            yield from _one({**inner, **session}, line, into)
    elif isinstance(trace, dict):
        yield from _one({**trace, "observations": row.get("observations")}, line, into)
    else:
        yield from _one(row, line, into)


def _one(row: Row, line: int, into: Gathering) -> Iterator[tuple[str, bytes, Row]]:
    row_id, trace_id = get(row, "id"), get(row, "traceId", "trace_id")
    is_observation = get(row, "startTime", "start_time") is not None
    if get(row, "dataType", "data_type") is not None and not is_observation:
        into.skip(line, SCORE)
    elif is_observation:
        if isinstance(trace_id, str) and trace_id:
            yield trace_id, OBSERVATION, row
        else:
            into.skip(line, NO_TRACE)
    elif isinstance(row_id, str) and row_id and "timestamp" in row:
        inner = _dicts(foreign.parsed(row.get("observations")))
        yield row_id, TRACE, {key: row[key] for key in row if key != "observations"}
        for observation in inner:
            yield row_id, OBSERVATION, observation
    else:
        into.skip(line, UNKNOWN)


def get(row: Row, *names: str) -> Any:
    """Return the first of these that is there and not null."""
    for name in names:
        if (found := row.get(name)) is not None:
            return found
    return None


def _dicts(value: Any) -> list[Row]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _trace(trace_id: str, parts: list[tuple[bytes, int, Row]], into: Gathering) -> None:
    line = min(line for _, line, _ in parts)
    notes: dict[str, None] = {}
    trace = next((row for kind, _, row in parts if kind == TRACE), {})
    observations = _ordered(parts, notes)
    begin_s = seconds(trace.get("timestamp"))
    times = [begin for begin, _, _ in observations]
    begin_s = min(times) if begin_s is None and times else begin_s
    if begin_s is None:
        into.skip(line, NO_TIME)
        return
    rows = [row for _, _, row in observations]
    ends = [end for _, end, _ in observations]
    latency = trace.get("latency")
    if not ends and isinstance(latency, int | float) and not isinstance(latency, bool):
        ends = [begin_s + max(0.0, latency)]
    calls = _innermost([row for row in rows if _type(row) == "GENERATION"])
    replies, sizes = _replies(calls, rows, notes)
    first = _first(calls)
    notes |= dict.fromkeys(first.notes)
    user = _user(trace, rows, first, notes)
    if not replies and user is not None:
        answer = foreign.answer(trace.get("output"))
        replies = [{"role": "assistant", "content": answer}] if answer else []
        notes[NO_GENERATION] = None
    if user is None and not sizes and not replies:
        into.skip(line, NO_CALL)
        return
    session, by_user = _session(trace, rows, trace_id)
    into.add(
        Turn(
            session=session,
            line=line,
            begin_s=begin_s,
            end_s=max(ends, default=begin_s),
            user=user,
            replies=[] if user is None else replies,
            system=first.system,
            calls=sizes if user is None else [],
            by_user=by_user,
            agent=str(get(trace, "name") or ""),
            notes=list(notes),
        )
    )


def _ordered(
    parts: list[tuple[bytes, int, Row]], notes: dict[str, None]
) -> list[tuple[float, float, Row]]:
    """Return observations with their times in order of start, each once."""
    found: list[tuple[float, float, Row]] = []
    seen: set[str] = set()
    for kind, _, row in parts:
        if kind != OBSERVATION:
            continue
        row_id = row.get("id")
        if isinstance(row_id, str) and row_id in seen:
            notes[TWICE] = None
            continue
        seen.add(str(row_id))
        begin = seconds(get(row, "startTime", "start_time"))
        if begin is None:
            notes[NO_TIME] = None
            continue
        end = seconds(get(row, "endTime", "end_time"))
        found.append((begin, begin if end is None else max(begin, end), row))
    return sorted(found, key=lambda observation: observation[:2])


def _type(row: Row) -> str:
    kind = row.get("type")
    return kind.upper() if isinstance(kind, str) else ""


def _innermost(calls: list[Row]) -> list[Row]:
    parents = {str(get(row, "parentObservationId", "parent_observation_id")) for row in calls}
    return [row for row in calls if str(row.get("id")) not in parents]


def _session(trace: Row, rows: list[Row], trace_id: str) -> tuple[str, bool]:
    for names, by_user in (("sessionId", "session_id"), False), (("userId", "user_id"), True):
        for row in (trace, *rows):
            if isinstance(found := get(row, *names), str) and found:
                return found, by_user
    return trace_id, False


def _first(calls: list[Row]) -> Gist:
    """Return the gist of what the first LLM call was given."""
    if not calls:
        return Gist(None, None)
    kept = calls[0].get(_GIST)
    return gist(calls[0].get("input")) if kept is None else Gist(*kept)


def _user(trace: Row, rows: list[Row], first: Gist, notes: dict[str, None]) -> str | None:
    """Return what the user said: what the trace, its root or its first LLM call was given."""
    roots = [row for row in rows if not get(row, "parentObservationId", "parent_observation_id")]
    for row in (trace, *roots[:1]):
        kept = row.get(_GIST)
        text = foreign.asked_by_user(row.get("input"), notes) if kept is None else kept[1]
        if text is not None:
            return text
    return first.user


def _replies(
    calls: list[Row], rows: list[Row], notes: dict[str, None]
) -> tuple[list[Message], list[Call]]:
    """Return what the LLM said and the tools' results, and the sizes of the calls."""
    replies: list[Message] = []
    sizes: list[Call] = []
    tools = [row for row in rows if _type(row) == "TOOL"]
    given = 0
    for number, row in enumerate(calls):
        if _type(row) and row.get("level") == "ERROR" and row.get("output") is None:
            notes[FAILED] = None
            continue
        message = foreign.assistant(row.get("output"))
        until = (
            seconds(get(calls[number + 1], "startTime", "start_time"))
            if calls[number + 1 :]
            else None
        )
        ran = []
        while given < len(tools):
            begin = seconds(get(tools[given], "startTime", "start_time"))
            if until is not None and begin is not None and begin >= until:
                break
            ran.append(tools[given])
            given += 1
        names = [str(tool.get("name") or "unknown") for tool in ran]
        if ran and not message.get("tool_calls"):
            asked = [
                foreign.call(name, foreign.parsed(tool.get("input")))
                for name, tool in zip(names, ran, strict=True)
            ]
            message = foreign.asked(message["content"] or "", asked)
        replies.append(message)
        replies.extend(
            {"role": "tool", "content": foreign.result_text(tool.get("output")), "name": name}
            for name, tool in zip(names, ran, strict=True)
        )
        sizes.append(_size(row, names))
    return replies, sizes


def _size(row: Row, tools: list[str]) -> Call:
    details = foreign.parsed(get(row, "usageDetails", "usage_details", "usage"))
    details = details if isinstance(details, dict) else {}
    return Call(
        input_tokens=_count(details, "input", ("input_", "cache_")),
        output_tokens=_count(details, "output", ("output_",)),
        tools=tools,
    )


def _count(details: Row, name: str, parts: tuple[str, ...]) -> int | None:
    """Return a count; what Langfuse has in parts of it (`input_cached_tokens`) belongs to it."""
    whole = details.get(name)
    if isinstance(whole, bool) or not isinstance(whole, int | float):
        return None
    total = details.get("total")
    other = details.get("output" if name == "input" else "input")
    if isinstance(total, int) and isinstance(other, int) and whole + other == total:
        return int(whole)
    found = (details[key] for key in details if key.startswith(parts))
    return int(whole + sum(part for part in found if isinstance(part, int | float)))
