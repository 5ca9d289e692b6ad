"""The alerts of a plan, seen to fire: a real Prometheus beside the mock agent under load."""
