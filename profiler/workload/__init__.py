"""What is sent: strict workload files, seeded sessions, checks on replies."""
