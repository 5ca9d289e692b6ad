"""What pydantic found wrong, as a sentence for people and another that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.workload.near import did_you_mean
from profiler.workload.strict import PROBLEM, UNKNOWN_KEY

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from profiler.workload.document import KeyPath

_SECRET_KEYS = {("target", "url"), ("target", "headers")}
_SHOWN_CHARACTERS = 60
_GUIDE = "scenarios/README.md"
_LISTS = "lists every key with its type"
_LIST = ("the value should be a list", "Write each item after a '-'")
_MAPPINGS = {"dict_type", "model_type"}
_EXPECTED = {
    "list_type": _LIST,
    "tuple_type": _LIST,
    "string_type": ("the value should be text", "Put it in quotes"),
    "bool_type": ("the value should be true or false", "Write true or false, without quotes"),
    "int_type": ("the value should be a whole number", "Write digits, without quotes"),
    "float_type": ("the value should be a number", "Write digits, without quotes"),
}


def sentences(error: ErrorDetails, guide: str = _GUIDE) -> tuple[str, str]:
    """Return what is wrong and what to do. What a secret's key holds is never quoted.

    `guide` is the document that lists the keys of the file.
    """
    kind, context = error["type"], error.get("ctx", {})
    if kind == PROBLEM:
        return str(context["what"]), str(context["fix"])
    if kind == UNKNOWN_KEY:
        return f"unknown key '{context['key']}'{_under(error['loc'])}", str(context["fix"])
    if kind == "missing":
        return f"the key '{error['loc'][-1]}' is missing{_under(error['loc'][:-1])}", "Add it"
    if kind == "literal_error":
        known = str(context["expected"]).replace(" or ", ",").split(",")
        choices = [choice.strip(" '") for choice in known]
        return f"there is no {_value(error)}", did_you_mean(str(error["input"]), choices)
    said = error["msg"].replace("Input should", "the value should")
    if kind in _MAPPINGS:
        said = "the value should be a mapping of keys"
    what, fix = _EXPECTED.get(kind, (said, f"{guide} {_LISTS}"))
    if error["loc"][:2] in _SECRET_KEYS:
        return what, fix
    return f"{what}, not {_value(error)}", fix


def shown(key_path: KeyPath) -> str:
    """Return `scenarios[0].turns[1].user` for a path of keys."""
    text = ""
    for key in key_path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key}" if text else key
    return text


def _under(key_path: KeyPath) -> str:
    return f" under {shown(key_path)}" if key_path else ""


def _value(error: ErrorDetails) -> str:
    value = error["input"]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
