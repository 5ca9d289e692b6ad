"""PromQL of the values that triggers watch: text, put together in one place.

Counters and histograms are those of `metric_names`; `labels` select series, and values in them are
escaped. Every expression adds up instances and yields one series without labels.
"""

from __future__ import annotations

from collections.abc import Mapping

from profiler.planner import metric_names as names

Labels = Mapping[str, str]
NO_LABELS: Labels = {}


def selector(metric: str, labels: Labels = NO_LABELS, *more: str) -> str:
    """Return a metric with its labels; `more` are matchers as they are, such as `le="5"`."""
    matchers = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    matchers += more
    return f"{metric}{{{','.join(matchers)}}}" if matchers else metric


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def percentile(metric: str, window: str, share: float, labels: Labels = NO_LABELS) -> str:
    """Return a quantile of a histogram, of what was observed in the window."""
    buckets = selector(f"{metric}_bucket", labels)
    return f"histogram_quantile({share:g}, sum by (le) (rate({buckets}[{window}])))"


def mean(metric: str, window: str, labels: Labels = NO_LABELS) -> str:
    """Return the mean of a histogram's observations in the window."""
    total, count = selector(f"{metric}_sum", labels), selector(f"{metric}_count", labels)
    return f"sum(rate({total}[{window}])) / sum(rate({count}[{window}]))"


def observed(metric: str, window: str, labels: Labels = NO_LABELS) -> str:
    """Return how many observations a histogram had in the window."""
    return counted(f"{metric}_count", window, labels)


def counted(counter: str, window: str, labels: Labels = NO_LABELS) -> str:
    """Return by how much a counter rose in the window."""
    return f"sum(increase({selector(counter, labels)}[{window}]))"


def ratio(part: str, whole: str, window: str) -> str:
    """Return how fast one counter rises beside another; both may be selectors."""
    return f"sum(rate({part}[{window}])) / sum(rate({whole}[{window}]))"


def slower_share(metric: str, window: str, bound_s: float) -> str:
    """Return the share of a histogram's observations above a bound: one of its buckets' ends."""
    return f"1 - {ratio(bucket(metric, bound_s), f'{metric}_count', window)}"


def bucket(metric: str, bound: float) -> str:
    """Return the bucket of a histogram that ends at a bound.

    Bounds are written `5` by some clients and `5.0` by others, and by Prometheus 3.
    """
    text = f"{bound:.12g}".replace(".", r"\\.")
    end = text if "." in text else rf"{text}(\\.0)?"
    return selector(f"{metric}_bucket", NO_LABELS, f'le=~"{end}"')


def held(gauge: str, window: str) -> str:
    """Return a gauge's mean over the window, summed over instances."""
    return f"sum(avg_over_time({gauge}[{window}]))"


def depth_per_worker(window: str) -> str:
    """Return how many interactions wait for each worker, on average over the window."""
    return f"{held(names.QUEUE_DEPTH, window)} / {held(names.WORKERS, window)}"


def largest_ratio(part: str, whole: str, window: str, label: str) -> str:
    """Return the largest ratio of two counters' rates among the values of a label."""
    by = f"sum by ({label})"
    return f"max({by} (rate({part}[{window}])) / {by} (rate({whole}[{window}])))"
