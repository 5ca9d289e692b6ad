"""What watches an agent in production, generated from its plan: rules, dashboard, collector."""
