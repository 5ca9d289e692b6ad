"""Charts as inline SVG: pure functions from values to markup. What comes from outside is escaped.

Colours are classes (`s0` to `s7` for series), to which the page's style gives values for light and
dark. A mark has the class `m` and a `<title>` with its value; a chart has a title, and a text that
says in words what it shows.
"""
