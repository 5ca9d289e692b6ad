"""One HTML file that is read offline: what it consists of, and how it is written."""
