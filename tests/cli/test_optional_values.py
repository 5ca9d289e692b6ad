import pytest

from profiler.cli.optional_values import with_values


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("run airline --gateway", "run airline --gateway 127.0.0.1:8787"),
        ("run --gateway airline", "run --gateway 127.0.0.1:8787 airline"),
        (
            "run --gateway --otlp airline",
            "run --gateway 127.0.0.1:8787 --otlp 127.0.0.1:4318 airline",
        ),
        ("run --otlp 0.0.0.0:9 airline", "run --otlp 0.0.0.0:9 airline"),
        ("run --otlp :9 a --gateway 80", "run --otlp :9 a --gateway 80"),
        ("run --otlp [::1]:9 airline", "run --otlp [::1]:9 airline"),
        ("run --gateway=1.2.3.4:5 airline", "run --gateway=1.2.3.4:5 airline"),
        ("run --prometheus airline", "run --prometheus 127.0.0.1:9464 airline"),
        ("run -- --gateway", "run -- --gateway"),
        ("mock llm --gateway", "mock llm --gateway"),
        ("", ""),
    ],
)
def test_a_value_that_was_left_out_is_put_in(given: str, meant: str) -> None:
    assert with_values(given.split()) == meant.split()
