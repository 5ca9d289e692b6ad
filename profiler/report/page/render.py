"""A page as one HTML file: nothing is loaded from elsewhere, and nothing in it can run but ours.

The policy (Content-Security-Policy, level 3) admits one script and one style, by the hash of their
text, and no source of anything else: what an agent or a provider wrote is text, and if it were not,
it would not be run. Styles stand in classes only, since attributes would be refused.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from profiler.report.page.sorting import number_in

if TYPE_CHECKING:
    from profiler.report.page.model import Page, Section

_IN_NAMES = re.compile(r"[._](?=[A-Za-z])")
_FOLDER = "profiler.report.page"


def page_html(page: Page) -> str:
    """Return the file's text."""
    style, script = _file("page.css"), _file("page.js")
    template = _environment().get_template("page.html")
    return template.render(
        page=page,
        sections=[section for section in page.sections if section.blocks],
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        policy=_policy(style, script),
    )


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["number"] = number_in
    environment.filters["anchor"] = _anchor
    environment.filters["breakable"] = _breakable
    return environment


def _anchor(section: Section) -> str:
    """Return a name to link to, of letters and digits only."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in section.title.lower())
    return "-".join(words.split()[:5])


def _breakable(text: str) -> Markup:
    """Return a text, escaped, that breaks after a dot or a `_` of a name, and not within a word."""
    return Markup(_IN_NAMES.sub(r"\g<0><wbr>", str(escape(text))))  # noqa: S704 - escaped first


def _file(name: str) -> str:
    return (resources.files(_FOLDER) / "templates" / name).read_text(encoding="utf-8")
