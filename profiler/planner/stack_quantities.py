"""What a demand asks of a part of the stack: what limits and prices are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Wants = Mapping[str, float | None]
"""What one scale asks for, by quantity; None: not known."""

_KILO, _MEGA = 1e3, 1e6
SHARE = "of it"
"""The unit of a quantity that is a share already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What is counted. `fluctuates`: it follows the load, so headroom is kept from its limit."""

    text: str
    unit: str
    fluctuates: bool = False


QUANTITIES: Mapping[str, Quantity] = {
    "answer_p99_s": Quantity(text="the longest answers", unit="s"),
    "messages_per_s": Quantity(text="messages", unit="messages/s", fluctuates=True),
    "message_bytes": Quantity(text="a message", unit="B"),
    "in_flight_messages": Quantity(
        text="messages being worked on", unit="messages", fluctuates=True
    ),
    "connections": Quantity(text="connections", unit="connections", fluctuates=True),
    "queue_operations_per_s": Quantity(
        text="operations on the queue", unit="operations/s", fluctuates=True
    ),
    "queue_bytes_per_s": Quantity(text="published messages", unit="B/s", fluctuates=True),
    "queue_requests_per_month": Quantity(text="requests, one per 64 KiB", unit="requests/month"),
    "queue_bytes_per_month": Quantity(
        text="published and delivered, 1,000 bytes each at least", unit="B/month"
    ),
    "hot_operations_per_s": Quantity(
        text="operations on hot state", unit="operations/s", fluctuates=True
    ),
    "hot_bytes": Quantity(text="hot state", unit="B", fluctuates=True),
    "session_bytes": Quantity(text="the state of a session", unit="B"),
    "hot_read_units_per_s": Quantity(
        text="reads of sessions, by 4 KiB", unit="units/s", fluctuates=True
    ),
    "hot_write_units_per_s": Quantity(
        text="writes of sessions, by 1 KiB", unit="units/s", fluctuates=True
    ),
    "hot_read_units_per_month": Quantity(text="reads of sessions, by 4 KiB", unit="units/month"),
    "hot_write_units_per_month": Quantity(text="writes of sessions, by 1 KiB", unit="units/month"),
    "cold_item_bytes": Quantity(text="the record of a message", unit="B"),
    "cold_bytes": Quantity(text="what is kept for good", unit="B"),
    "cold_write_units_per_s": Quantity(
        text="writes of records, by 1 KiB", unit="units/s", fluctuates=True
    ),
    "cold_read_units_per_month": Quantity(text="reads of records, by 4 KiB", unit="units/month"),
    "cold_write_units_per_month": Quantity(text="writes of records, by 1 KiB", unit="units/month"),
    "workers": Quantity(text="workers", unit="workers", fluctuates=True),
    "worker_memory_bytes": Quantity(text="the memory of a worker", unit="B"),
    "concurrent_interactions": Quantity(
        text="interactions at a time", unit="interactions", fluctuates=True
    ),
    "compute_gb_seconds_per_month": Quantity(
        text="each interaction alone in a worker's memory", unit="GB-seconds/month"
    ),
    "interactions_per_month": Quantity(text="interactions", unit="interactions/month"),
    "hours_per_month": Quantity(text="hours", unit="hours/month"),
    "llm_calls_per_s": Quantity(text="LLM calls", unit="calls/s", fluctuates=True),
    "output_tokens_per_s": Quantity(text="output tokens", unit="tokens/s", fluctuates=True),
    "limit_share": Quantity(text="the fullest limit of a provider", unit=SHARE, fluctuates=True),
    "limit_share_routed": Quantity(
        text="the fullest limit that nothing falls back from", unit=SHARE, fluctuates=True
    ),
}


def amount(quantity: str, value: float) -> str:
    """Write an amount with its unit: `33.3 messages/s`, `1.05 MB`, `12 %`."""
    unit = QUANTITIES[quantity].unit
    if unit == SHARE:
        return f"{value:.1%}"
    if unit.startswith("B"):
        for size, prefix in ((1e12, "T"), (1e9, "G"), (_MEGA, "M"), (_KILO, "k")):
            if value >= size:
                return f"{value / size:.3g} {prefix}{unit}"
        return f"{value:.3g} {unit}"
    return (
        f"{value:,.0f} {unit}"
        if value >= _KILO or value == round(value)
        else (f"{value:.3g} {unit}")
    )
