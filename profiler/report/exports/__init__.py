"""A run in the formats of other programs. Pure: from records and profiles to rows and text."""
