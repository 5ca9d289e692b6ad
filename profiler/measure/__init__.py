"""What a run writes down, and how it counts. Imports nothing: `--help` needs only the name."""

JOURNAL_NAME = "journal.jsonl"
"""The file, in a run's directory, that holds its journal."""

SHARDS_NAME = "shards"
"""The folder, in the directory of a run that was split, with a folder for each shard: 1, 2, ..."""
