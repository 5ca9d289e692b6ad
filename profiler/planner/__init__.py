"""WHAT to build: capacity and cost from a measured profile and a demand. Reads files only."""
