"""A trigger: one number that the rollout waits for, the alert watches and the panel shows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from profiler.profile.distribution import Strict


class Trigger(Strict):
    """A condition on a metric of production, which holds for a while.

    `expression` is PromQL of the value alone, without comparison and threshold, over `window`;
    whoever watches adds `comparison` and `threshold`, so that there is one number. Where
    `short_expression` is given, both values have to be beyond the threshold; where `samples` is,
    it has to be at `least_samples` or more, or what is seen is noise.
    """

    id: str = Field(description="name for files and labels: letters, digits, '_'")
    title: str = Field(description="what it says, in a few words")
    metric: str = Field(description="the metric of production that it is about")
    expression: str = Field(description="PromQL of the value, without the comparison")
    comparison: Literal[">", "<"]
    threshold: float = Field(description="in `unit`")
    unit: str = Field(description="s, tokens, count, share, ratio, usd")
    window: str = Field(description="what the expression looks at, like 10m")
    hold: str = Field(description="how long the condition has to hold, like 15m")
    severity: Literal["page", "ticket", "info"]
    stage: int | None = Field(
        default=None, description="the stage whose move it triggers; null: none"
    )
    source: str = Field(description="where the threshold is from, in words")
    baseline: float | None = Field(
        default=None,
        description="what is normal, in `unit`: measured or planned; null: not known",
    )
    short_expression: str | None = Field(
        default=None, description="the same over a shorter window: whether it still goes on"
    )
    samples: str | None = Field(
        default=None, description="PromQL of how many observations the value is made of"
    )
    least_samples: int | None = Field(default=None, description="so many have to be there")
