"""The HTML report in a real browser: it draws, sorts, says what is pointed at, and runs nothing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from profiler.comparison.compare import compare
from profiler.comparison.gates import DEFAULT_GATES
from profiler.comparison.model import dump_comparison
from profiler.planner.plan import dump_plan
from profiler.profile.build import build_profile
from profiler.profile.model import dump_profile
from tests.report.page.pages import HOSTILE, TOOL, full_run
from tests.report.plans import plan
from tests.system.browser import CHROMIUM, Page, browsing
from tests.system.cli import agent_profiler
from tests.system.stores import program

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

PAGES = {"profile.html": 17, "plan.html": 3, "comparison.html": 5, "trend.html": 10}
"""Each with how many charts it has."""

_COMPLAINTS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a plan, a comparison and a trend, each with its page, as the commands write them."""
    tmp_path = tmp_path_factory.mktemp("report")
    run = full_run(tmp_path)
    (run / "profile.json").write_bytes(dump_profile(build_profile(run)))
    (tmp_path / "plan.json").write_bytes(dump_plan(plan(name=HOSTILE)))
    more = build_profile(full_run(tmp_path, more_calls=1))
    found = compare(build_profile(run), more, gates=DEFAULT_GATES)
    (tmp_path / "comparison.json").write_bytes(dump_comparison(found))
    for path in (run, tmp_path / "plan.json", tmp_path / "comparison.json"):
        done = agent_profiler("report", path, "--html", cwd=tmp_path)
        assert done.is_done, done.err
    (run / "profile.html").rename(tmp_path / "profile.html")
    (tmp_path / "more.json").write_bytes(dump_profile(more))
    runs = (run, *[tmp_path / "more.json"] * 2)
    done = agent_profiler("compare", "--trend", *runs, "--html", "trend.html", cwd=tmp_path)
    assert done.is_done, done.err
    return tmp_path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program(CHROMIUM)
    with browsing(tmp_path_factory.mktemp("browser")) as page:
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        yield page


def opened(page: Page, file: Path, width: int = 1280) -> Page:
    """Open a file and wait until its script has run; what came before is forgotten."""
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=width < 500,
    )  # fmt: skip
    page.call("Page.navigate", url="about:blank")
    page.events.clear()
    page.call("Page.navigate", url=file.as_uri())
    page.run(
        "new Promise(done => { const wait = () => document.readyState === 'complete' && "
        f"location.href === {file.as_uri()!r} ? done() : setTimeout(wait, 10); wait(); }})"
    )
    return page


def complaints(page: Page) -> list[dict[str, Any]]:
    page.run("1")  # whatever was said before is among the events now
    return [event for event in page.events if event.get("method") in _COMPLAINTS]


@pytest.mark.parametrize("name", PAGES)
def test_the_browser_has_nothing_to_complain_of_and_asks_nobody_for_anything(browser, folder, name):
    page = opened(browser, folder / name)
    assert complaints(page) == []
    asked = {
        event["params"]["request"]["url"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent"
    }
    assert asked == {(folder / name).as_uri()}


@pytest.mark.parametrize("name", PAGES)
def test_every_chart_has_marks_within_it_and_says_in_words_what_it_shows(browser, folder, name):
    page = opened(browser, folder / name)
    charts = page.run(
        """[...document.querySelectorAll("svg.chart")].map(chart => {
            const box = chart.getBoundingClientRect(), marks = [...chart.querySelectorAll(".m")];
            const out = marks.filter(mark => { const m = mark.getBoundingClientRect();
                return m.left < box.left - 6 || m.right > box.right + 6
                    || m.top < box.top - 6 || m.bottom > box.bottom + 6; });
            return {label: chart.getAttribute("aria-label"), marks: marks.length,
                said: marks.filter(m => m.getAttribute("aria-label")).length, out: out.length,
                width: box.width};
        })"""
    )
    assert len(charts) == PAGES[name]
    for chart in charts:
        assert chart["label"]
        assert chart["marks"] == chart["said"] > 0
        assert chart["out"] == 0
        assert chart["width"] > 200


def test_a_column_of_calls_is_as_high_as_there_are_interactions(browser, folder):
    """20 interactions each of one, two and three calls."""
    page = opened(browser, folder / "profile.html")
    said = page.run(
        """[...document.querySelectorAll('svg[aria-label^="LLM calls per interaction"] rect')]
            .map(mark => mark.getAttribute("aria-label"))"""
    )
    assert said == [f"{calls}, interactions: 20.0" for calls in (1, 2, 3)]


def test_pointing_at_a_mark_shows_its_value_and_leaving_hides_it(browser, folder):
    page = opened(browser, folder / "profile.html")
    at = page.run(
        """(() => { const mark = document.querySelector("rect.m"); mark.scrollIntoView();
            const box = mark.getBoundingClientRect();
            return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"""
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", **at)
    shown = "[document.querySelector('.tip').hidden, document.querySelector('.tip').textContent]"
    label = page.run("document.querySelector('rect.m').getAttribute('aria-label')")
    assert page.run(shown) == [False, label]
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert page.run("document.querySelector('.tip').hidden") is True


_SORT = """(column => {
    const table = [...document.querySelectorAll("table.sorts")]
        .find(each => each.tHead.textContent.includes("p95 [95"));
    const heads = [...table.tHead.rows[0].cells];
    const place = heads.findIndex(head => head.textContent.startsWith(column));
    heads[place].querySelector("button").click();
    return {order: heads[place].getAttribute("aria-sort"),
        cells: [...table.tBodies[0].rows].map(row => row.cells[place].textContent),
        keys: [...table.tBodies[0].rows].map(row => Number(row.cells[place].dataset.v))};
})"""


def test_a_table_sorts_by_number_and_by_name_both_ways_with_what_is_unknown_last(browser, folder):
    page = opened(browser, folder / "profile.html")
    up = page.run(f"{_SORT}('mean')")
    assert up["order"] == "ascending"
    assert up["keys"] == sorted(up["keys"])
    down = page.run(f"{_SORT}('mean')")
    assert down["order"] == "descending"
    assert down["keys"] == sorted(up["keys"], reverse=True)
    names = page.run(f"{_SORT}('metric')")["cells"]
    assert len(names) == len(up["cells"]) > 20
    assert names[0].startswith("interaction.")
    assert names[-1].startswith("tools.")
    for _ in ("up", "down"):
        unknown = [cell == "—" for cell in page.run(f"{_SORT}('p99')")["cells"]]
        assert unknown == sorted(unknown)


@pytest.mark.parametrize("name", PAGES)
def test_a_script_in_a_name_stays_text(browser, folder, name):
    page = opened(browser, folder / name)
    title = page.run("document.title")
    assert title.endswith(HOSTILE[:40]) or HOSTILE[:40] in title
    assert page.run("document.querySelectorAll('script').length") == 1
    assert page.run("document.querySelectorAll('img').length") == 0


def test_a_tools_name_is_read_as_it_is(browser, folder):
    page = opened(browser, folder / "profile.html")
    labels = page.run("[...document.querySelectorAll('.m')].map(m => m.getAttribute('aria-label'))")
    assert any(TOOL in label for label in labels)


def test_what_got_into_the_page_all_the_same_would_not_run(browser, folder):
    """As if something had not been escaped: the policy refuses scripts, handlers and styles."""
    text = (folder / "profile.html").read_text()
    spoilt = folder / "spoilt.html"
    attack = (
        "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
        "<p id=styled style='color: red'>"
    )
    spoilt.write_text(text.replace("<main>", f"<main>{attack}", 1))
    page = opened(browser, spoilt)
    assert page.run("document.title") != "owned"
    assert page.run("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    said = [str(event) for event in complaints(page)]
    assert sum("Content Security Policy" in each for each in said) >= 3


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen(browser, folder, name, width):
    page = opened(browser, folder / name, width)
    assert page.run("document.documentElement.scrollWidth") <= width
    small = page.run(
        """[...document.querySelectorAll("svg.chart text")].filter(text =>
            text.getBoundingClientRect().height < 9).length"""
    )
    assert small == 0


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_page_follows_light_and_dark(browser, folder, scheme, is_dark):
    page = opened(browser, folder / "profile.html")
    page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    paper, ink = page.run(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (brightness(paper) < brightness(ink)) is is_dark
    page.call("Emulation.setEmulatedMedia", features=[])


def brightness(colour: str) -> int:
    return sum(int(part) for part in colour.strip("rgb()").split(","))


def test_it_prints_with_all_charts_on_white(browser, folder):
    page = opened(browser, folder / "profile.html")
    page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    printed = base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"])
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.call("Emulation.setEmulatedMedia", media="", features=[])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") >= 3
