"""Names of the metrics that production emits, and that a plan's triggers, alerts and panels watch.

OpenTelemetry's generative AI conventions where they have a name (semantic conventions for
generative AI metrics), names of our own under `agent.` where they have none. Prometheus names are
what its OpenTelemetry exporters make of them: dots to underscores, the unit and `_total` behind.
"""

from __future__ import annotations

LLM_DURATION = "gen_ai_client_operation_duration_seconds"
"""Histogram; labels gen_ai_request_model, gen_ai_provider_name.

`gen_ai.client.operation.duration`.
"""
LLM_TOKENS = "gen_ai_client_token_usage"
"""Histogram; label gen_ai_token_type, input or output. `gen_ai.client.token.usage`."""
LLM_ATTEMPTS = "agent_llm_attempts_total"
"""Counter of HTTP requests for LLM calls; labels gen_ai_request_model, outcome."""
LLM_RATE_LIMITED = "agent_llm_rate_limited_total"
"""Counter of those answered by a 429; label gen_ai_request_model."""
LLM_COST = "agent_cost_usd_total"
"""Counter of US dollars; label gen_ai_request_model."""

INTERACTION_DURATION = "agent_interaction_duration_seconds"
"""Histogram, from the user's message to the end of the answer."""
INTERACTIONS = "agent_interactions_total"
"""Counter; label outcome: ok, or the kind of failure."""
TIME_TO_FIRST_TOKEN = "agent_time_to_first_token_seconds"  # noqa: S105 - no password
"""Histogram, from the user's message to the first text of the answer."""
INTERACTION_LLM_CALLS = "agent_interaction_llm_calls"
"""Histogram of LLM calls per interaction."""
INTERACTION_TOKENS = "agent_interaction_tokens"
"""Histogram of tokens per interaction; label part: input, output, system, history, user."""
TOOL_DURATION = "agent_tool_duration_seconds"
"""Histogram; label gen_ai_tool_name."""
TOOL_ERRORS = "agent_tool_errors_total"
"""Counter; label gen_ai_tool_name."""
STATE_OPERATIONS = "agent_state_operations_total"
"""Counter; labels store, operation: read or write."""

QUEUE_DEPTH = "agent_queue_depth"
"""Gauge: interactions that wait for a worker. Waiting work (lag), never what is being worked on."""
QUEUE_OLDEST = "agent_queue_oldest_age_seconds"
"""Gauge: how long the one that waits longest has waited."""
WORKERS = "agent_workers"
"""Gauge: workers that run."""
SLOTS_BUSY = "agent_worker_slots_busy"
"""Gauge: slots of workers that hold an interaction."""
ACTIVE_SESSIONS = "agent_active_sessions"
"""Gauge: sessions with an interaction within the last half hour."""
