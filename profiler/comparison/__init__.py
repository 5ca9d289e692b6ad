"""Two profiles side by side: what changed, whether it is real, and whether a gate lets it pass.

A folder of its own, between the planner (which says what a change means in users and dollars) and
the reports: drawing sessions again needs an array library, which who measures does without.
"""
