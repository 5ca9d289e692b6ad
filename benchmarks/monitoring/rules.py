"""A plan's rules with shorter windows, so that an alert of an hour can be seen in a minute."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

LEAST_S = 5
"""A rate needs two scrapes, a second apart; with five it is no chance."""
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+)([smhdw])")
_RANGE = re.compile(r"\[(\d+[smhdw])\]")


def scaled_duration(text: str, scale: float, least_s: int = LEAST_S) -> str:
    """Return a duration of one unit (`15m`) times `scale`, in whole seconds, no less than asked."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration of one unit")
    return f"{max(least_s, round(int(match[1]) * _UNITS_S[match[2]] * scale))}s"


def scaled_expression(expression: str, scale: float) -> str:
    """Return PromQL with all its ranges scaled."""
    return _RANGE.sub(lambda match: f"[{scaled_duration(match[1], scale)}]", expression)


def scaled(content: dict[str, Any], scale: float) -> dict[str, Any]:
    """Return a file of rules with ranges and holds scaled. Thresholds stay as they are."""
    groups = [
        {
            **{key: value for key, value in group.items() if key != "interval"},
            "rules": [_rule(rule, scale) for rule in group["rules"]],
        }
        for group in content["groups"]
    ]
    return {"groups": groups}


def _rule(rule: dict[str, Any], scale: float) -> dict[str, Any]:
    changed = {**rule, "expr": scaled_expression(rule["expr"], scale)}
    if "for" in rule:
        changed["for"] = scaled_duration(rule["for"], scale, least_s=0)
    return changed


def write_scaled(rules: Path, folder: Path, scale: float) -> list[Path]:
    """Write the rule files of a folder, scaled, into another. Raises FileNotFoundError for none."""
    written = []
    for path in sorted(rules.glob("*.y*ml")):
        target = folder / path.name
        target.write_text(yaml.safe_dump(scaled(yaml.safe_load(path.read_text()), scale)))
        written.append(target)
    if not written:
        raise FileNotFoundError(f"no rules in {rules}")
    return written
