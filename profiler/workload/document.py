"""YAML with line numbers: plain data, and for every key and item the line it stands on.

Scalars are read by YAML 1.2's core rules: `true` and `false` are booleans, `yes`, `no`, `on`,
`off`, `007`, `1:30` and `2024-05-15` are the texts that they look like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from profiler.errors import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from profiler.errors import UsageError

KeyPath = tuple[str | int, ...]

_MOST_NODES = 200_000  # aliases can make a small file endless
_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{tag}" for tag in ("map", "seq", "str", "int", "float", "bool", "null")
}
_CORE_SCALARS = {
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", "~nN\0"),
    "tag:yaml.org,2002:int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
}


class _CoreLoader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own


for _tag, (_pattern, _first) in _CORE_SCALARS.items():
    _CoreLoader.add_implicit_resolver(
        _tag, re.compile(rf"(?:{_pattern})\Z"), ["" if c == "\0" else c for c in _first]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a YAML file says, and where."""

    path: Path
    data: Any
    lines: Mapping[KeyPath, int]

    def locate(self, key_path: KeyPath) -> tuple[KeyPath, int]:
        """Return the part of `key_path` that stands in the file, and its line.

        Items that a shorthand left out are skipped; the nearest key above stands in for one that
        is missing.
        """
        found: KeyPath = ()
        for key in key_path:
            if (*found, key) in self.lines:
                found = (*found, key)
        return found, self.lines[found]


def read_document(
    path: Path, *, what: str = "workload", error: type[UsageError] = WorkloadError
) -> Document:
    """Read one YAML file. Raises `error` with the line; `what` is what the file is to be."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as exc:
        raise error(
            f"cannot read the {what}: {exc.strerror}", where=str(path), fix="Check the path"
        ) from exc
    except UnicodeDecodeError as exc:
        raise error("the file is not UTF-8 text", where=str(path), fix="Save it as UTF-8") from exc
    try:
        loader = _CoreLoader(text)  # refuses control characters here, all else when composing
        try:
            node = loader.get_single_node()
            if node is None:
                fix = "Start from a shipped one, or from an example in docs/"
                raise error(f"the {what} is empty", where=str(path), fix=fix)
            reader = _Reader(path, loader, error)
            data = reader.value(node, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        raise _syntax_error(path, exc, error) from exc
    except RecursionError as exc:
        raise error("the YAML is nested too deeply", where=str(path), fix="Flatten it") from exc
    return Document(path=path, data=data, lines=reader.lines)


def _syntax_error(path: Path, exc: yaml.YAMLError, error: type[UsageError]) -> UsageError:
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None)
    if problem is None:
        problem = getattr(exc, "reason", "it cannot be read")
    return error(
        f"not valid YAML: {problem}",
        where=str(path) if mark is None else f"{path}:{mark.line + 1}",
        fix="Check the indentation, the colons and the quotes near that line",
    )


class _Reader:
    """Turns a tree of nodes into data, and keeps the lines."""

    def __init__(self, path: Path, loader: _CoreLoader, error: type[UsageError]) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self._kind = error
        self._path = path
        self._loader = loader
        self._open: set[int] = set()

    def value(self, node: yaml.Node, at: KeyPath) -> Any:
        """Return the data of `node`, which stands at the key path `at`."""
        self.lines.setdefault(at, node.start_mark.line + 1)
        if node.tag not in _PLAIN_TAGS:
            raise self._error(f"the tag '{node.tag}' is not plain data", node, "Remove the tag")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._error("an alias makes the document endless", node, "Remove the alias")
        if len(self.lines) > _MOST_NODES:
            what = f"with its aliases written out, the document has over {_MOST_NODES:,} values"
            raise self._error(what, node, "Shorten it, or remove aliases of aliases")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*at, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, at)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            return self._loader.construct_object(node)
        except (KeyError, ValueError) as exc:  # a tag written out, as in `!!int x`
            what = f"'{node.value}' does not fit its tag"
            raise self._error(what, node, "Remove the tag") from exc

    def _mapping(self, node: yaml.Node, at: KeyPath) -> dict[str, Any]:
        first_line: dict[str, int] = {}
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(
                    "a key is not plain text", key_node, "Write a name before the ':'"
                )
            key, line = key_node.value, key_node.start_mark.line + 1
            if key == "<<":
                raise self._error("merge keys are not supported", key_node, "Write the keys out")
            if key in first_line:
                what = f"the key '{key}' was given already in line {first_line[key]}"
                raise self._error(what, key_node, "Remove one of the two")
            first_line[key] = line
            self.lines[*at, key] = line
            found[key] = self.value(value_node, (*at, key))
        return found

    def _error(self, what: str, node: yaml.Node, fix: str) -> UsageError:
        return self._kind(what, where=f"{self._path}:{node.start_mark.line + 1}", fix=fix)
