"""Names of models as gateways, clouds and frameworks write them, and what they may mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEDROCK = re.compile(r"(?:[a-z-]+\.)?[a-z0-9]+\.[a-z].*")
"""`anthropic.claude-...`, `us.anthropic.claude-...`: a vendor and a dot before the model."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A model, and who serves it; None: whoever the price data assign the name."""

    model: str
    provider: str | None


def readings(model: str, provider: str | None) -> Iterator[Reading]:
    """Yield what a name may mean, the most literal first.

    `openai/gpt-4o` is the model of that provider, `openrouter/openai/gpt-4o` that of the reseller,
    `models/gemini-2.5-pro` and the paths and ARNs of clouds end with the model.
    """
    yield Reading(model, provider)
    name = model.strip()
    last = name.rsplit("/", 1)[-1]
    if name.startswith("arn:aws:bedrock:"):
        yield Reading(last, provider or "aws")
        return
    if provider is None and _BEDROCK.fullmatch(name.lower()):
        yield Reading(name, "aws")
    if "/" not in name:
        return
    first, rest = name.split("/", 1)
    if first in {"models", "publishers", "projects"}:
        yield Reading(last, provider)
    elif provider is None:
        yield Reading(rest, first)
    else:
        yield Reading(rest, provider)
