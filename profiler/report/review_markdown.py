"""A review as Markdown, and its short form for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profiler.report.markdown import bullets, escape
from profiler.report.quantities import NOTHING, plural, printable, quantity, value_with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from profiler.planner.review import AnswersAt, Effect, InputReview, Review, TriggerReview

_VERDICTS = {"keep": "keep the plan", "update": "update the plan", "act_now": "act now"}
_DISTRIBUTIONS = frozenset({"s", "tokens", "count"})
_CENTS_BELOW = 100
_MOST = 10
_OTHER = 0.05


def review_lines(review: Review) -> list[str]:
    """Return the short form: verdict, reasons, drifts with their effects, what was not compared."""
    lines = [f"Review of {printable(review.plan)}: {_VERDICTS[review.verdict]}"]
    lines += [f"  {printable(reason, 200)}" for reason in review.reasons[:_MOST]]
    left = len(review.reasons) - _MOST
    lines += [f"  … {left} more in review.md"] if left > 0 else []
    lines += [f"  {line}" for line in _effects(review)]
    if review.not_compared:
        names = ", ".join(item.title for item in review.not_compared)
        lines.append(f"Not compared: {names}")
    return lines


def review_markdown(review: Review) -> str:
    """Return a review as Markdown (GitHub's dialect). Names are escaped."""
    title = f"# Review of {escape(printable(review.plan))}: {_VERDICTS[review.verdict]}"
    blocks = [title, *_block("", bullets(review.reasons)), *_inputs(review)]
    blocks += _block("Not compared", bullets(_not_compared(review)))
    blocks += _scales(review)
    blocks += _growth(review)
    blocks += _triggers(review)
    blocks += _block("Prices", bullets(_prices(review)))
    blocks += _block("How to read it", bullets(_notes(review)))
    return "\n\n".join(blocks) + "\n"


def _block(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    return [*([f"## {title}"] if title else []), "\n".join(lines)]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(header), ["---"] + ["---:"] * (len(header) - 1)]
    lines += [[escape(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _inputs(review: Review) -> list[str]:
    header = ("Input", "Planned", "Now", "Change", "Tolerance", "PSI", "Finding")
    titles = {item.name: item.title for item in review.inputs}
    rows = [_row(item, titles) for item in review.inputs]
    return [
        "## Planned and measured",
        _table(header, rows),
        *_block("What each drift does by itself", bullets(_effects(review))),
    ]


def _row(item: InputReview, titles: Mapping[str, str]) -> list[str]:
    return [
        item.title,
        _value(item.planned, item.planned_ci95, item.unit),
        _value(item.actual, item.actual_ci95, item.unit),
        NOTHING if item.change is None else f"{item.change:+.1%}",
        f"±{item.tolerance:.0%}",
        NOTHING if item.psi is None else f"{item.psi:.2f}",
        _finding(item, titles),
    ]


def _value(value: float, interval: tuple[float, float] | None, unit: str) -> str:
    if unit not in _DISTRIBUTIONS:
        return f"{value:,.0f}"
    if unit == "count" and interval is not None:
        return f"{value:.3g} [{interval[0]:.3g}, {interval[1]:.3g}]"
    if interval is None:
        return quantity(value, unit)
    return value_with_interval(value, interval, unit)


def _finding(item: InputReview, titles: Mapping[str, str]) -> str:
    match item.status:
        case "drifted" | "unclear":
            return f"{item.status}: {item.why}"
        case "follows":
            names = ", ".join(titles.get(name, name) for name in item.follows)
            return f"follows {names or 'its parts'}"
        case "steady":
            return "steady" if abs(item.change or 0.0) <= item.tolerance else f"steady: {item.why}"


def _effects(review: Review) -> Iterator[str]:
    """Yield what each drift does at the first scale and at the last."""
    for item in review.inputs:
        for effect in dict.fromkeys((*item.effects[:1], *item.effects[-1:])):
            yield f"{item.title}, at {effect.factor:g}x: {_effect(effect)}"


def _effect(effect: Effect) -> str:
    parts = []
    if effect.users_by_limit is not None:
        parts.append(f"{effect.users_by_limit:+,} users within the limits")
    parts.append(f"{effect.users_by_workers:+,} users on as many workers")
    if effect.workers:
        parts.append(f"{effect.workers:+d} workers for the planned users")
    parts.append(f"{'-' if effect.cost_usd < 0 else '+'}{_usd(abs(effect.cost_usd))} a month")
    return ", ".join(parts)


def _usd(amount: float) -> str:
    text = f"{abs(amount):,.2f}" if 0 < abs(amount) < _CENTS_BELOW else f"{abs(amount):,.0f}"
    return f"{'-' if amount < 0 else ''}${text}"


def _not_compared(review: Review) -> Iterator[str]:
    for item in review.not_compared:
        yield f"{item.title}: {item.reason}"


def _scales(review: Review) -> list[str]:
    blocks = ["## The plan, as it was and with what is now"]
    for scale in review.scales:
        rows = list(_answers(scale.planned, scale.actual))
        blocks.append(f"### At {scale.factor:g}x")
        blocks.append(_table(("", "Planned", "Now", "Change"), rows))
    return blocks


def _answers(planned: AnswersAt, actual: AnswersAt) -> Iterator[list[str]]:
    counts = (
        ("users at the peak", "users"),
        ("interactions/min", "interactions_per_minute"),
        ("LLM calls/min", "llm_calls_per_minute"),
        ("tokens/min", "tokens_per_minute"),
        ("interactions/month", "interactions_per_month"),
        ("users that the limits admit", "max_users"),
        ("workers that the users need", "workers"),
        ("users that the planned workers carry", "users_on_planned_workers"),
    )
    for title, name in counts:
        yield _compared(title, getattr(planned, name), getattr(actual, name), is_money=False)
    yield ["binding limit", planned.binding or NOTHING, actual.binding or NOTHING, ""]
    if planned.utilization is not None and actual.utilization is not None:
        used = f"{planned.utilization:.1%}", f"{actual.utilization:.1%}"
        yield [
            "its utilization",
            *used,
            f"{100 * (actual.utilization - planned.utilization):+.1f} points",
        ]
    for title, name in (
        ("API", "cost_api"),
        ("infrastructure", "cost_infrastructure"),
        ("operations", "cost_operations"),
        ("a month in all", "cost_total"),
        ("margin of a month", "margin"),
    ):
        yield _compared(title, getattr(planned, name), getattr(actual, name), is_money=True)


def _compared(
    title: str, planned: float | None, actual: float | None, *, is_money: bool
) -> list[str]:
    show = _usd if is_money else "{:,.0f}".format
    before, now = (NOTHING if each is None else show(each) for each in (planned, actual))
    change = ""
    if planned is not None and actual is not None and planned:
        change = f"{(actual - planned) / abs(planned):+.1%}"
    return [title, before, now, change]


def _growth(review: Review) -> list[str]:
    if review.growth is None:
        return []
    text = f"traffic grows by {review.growth.per_month:+.1%} a month"
    if review.growth.ci95 is not None:
        low, high = review.growth.ci95
        text += f" (95 % interval: {low:+.1%} to {high:+.1%})"
    return _block("Growth", bullets([text]))


def _triggers(review: Review) -> list[str]:
    if not review.triggers:
        return []
    known = [each for each in review.triggers if _tells(each)]
    header = ("Trigger", "State", "Value and threshold", "Fitted again", "Planned for", "Forecast")
    left = len(review.triggers) - len(known)
    blocks = ["## Triggers"]
    if known:
        blocks.append(_table(header, (_trigger(each) for each in known)))
    if left:
        blocks.append(
            f"{plural(left, 'trigger')}: nothing of their values is known from this source."
        )
    return blocks


def _tells(each: TriggerReview) -> bool:
    """Tell whether a trigger is worth a row: known, forecast, of a stage, or another one now."""
    again = each.threshold
    differs = again is not None and abs(again - each.planned_threshold) > (
        _OTHER * each.planned_threshold
    )
    return each.state != "unknown" or each.stage is not None or each.date is not None or differs


def _trigger(each: TriggerReview) -> list[str]:
    forecast = each.date or NOTHING
    if each.dates is not None and any(each.dates):
        early, late = (day or "open" for day in each.dates)
        forecast = f"{forecast} ({early} to {late})"
    threshold = NOTHING
    if each.threshold is not None:
        threshold = f"{each.planned_threshold:.3g} → {each.threshold:.3g} {each.unit}"
    title = each.title if each.stage is None else f"{each.title} (stage {each.stage})"
    return [title, each.state, each.why, threshold, each.planned_date or NOTHING, forecast]


def _prices(review: Review) -> Iterator[str]:
    given = review.prices
    yield f"models: {given.planned_data} at {given.planned_at}, now {given.data} at {given.at}"
    book, now = given.infrastructure
    yield f"infrastructure: {book}" + ("" if book == now else f", now {now}")
    for each in given.changes:
        rates = f"{each.planned or NOTHING} → {each.now or NOTHING} USD per million tokens"
        yield f"{each.model}, {each.kind}: {rates}"
    if given.changes:
        yield f"that alone changes a month at launch by {_usd(given.cost_usd)}"
    else:
        yield "no price of the plan's models changed"


def _notes(review: Review) -> Iterator[str]:
    yield f"Measured: {review.source}"
    if review.same_sessions:
        yield (
            "The same workload as the plan's: a change beyond its tolerance is drift, since its "
            "sessions are the same ones"
        )
    else:
        yield (
            "Drift is a change beyond its tolerance whose 95 % interval leaves the plan's value "
            "out; where it does not, it is unclear"
        )
    yield "An input that moved as its parts did follows them, and is not counted again"
    yield "Effects are of one drift alone; together they are in the tables"
