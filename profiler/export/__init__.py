"""WHAT others see meanwhile: production's metrics of an agent, live, as Prometheus or OTLP."""
