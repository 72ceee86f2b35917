"""The HTML report in a browser: what a reader does with it, by mouse, by keyboard, on paper and on a telephone.

Screenshots are saved in the folder that BENCH_SCREENSHOTS names.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from harness.record import Record
from harness.report.document import Report, build_report
from harness.report.html import render_html
from harness.report.table import PAGE_ROWS
from harness.run_folder import read_environment, read_records

RUN = Path(__file__).parents[2] / "reports" / "techniques" / "har-watch" / "seed-0"
NASTY = "<script>alert(1)</script>"
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--window-size=1280,900", "--force-prefers-reduced-motion",
)  # fmt: skip
MISSING = "Chromium and its driver are needed to test reports. Install them with: make browser"


def real() -> list[Record]:
    """Records of a run in the gallery, one of them simulated."""
    records = [record for record in read_records(RUN) if record.outcome == "measured"]
    first = records[5]
    simulated = replace(
        first, outcome="simulated", measurement=None, estimate=replace(first.estimate, kind="simulated")
    )
    return [*records[:5], simulated, *records[6:]]


def nasty() -> list[Record]:
    """A few records in whose every name there is a script."""
    return [
        replace(record, model=NASTY, backend=f"{NASTY}{n % 2}", recipe=record.recipe if n < 2 else f"{NASTY}{n}")
        for n, record in enumerate(real()[:9])
    ]


def many() -> list[Record]:
    """Ten thousand records of one model."""
    records, found = real(), []
    for n in range(10_000):
        record, copy = records[n % len(records)], n // len(records)
        lo, at, hi = (end * (1 + n / 5000) for end in (0.5, 1.0, 2.0))
        estimate = replace(record.estimate, latency_ms=replace(record.estimate.latency_ms, p50=at, lo90=lo, hi90=hi))
        # Only the first are measured: summarising raw samples ten thousand times is another test's matter.
        timed = {} if copy == 0 else {"measurement": None, "outcome": "simulated"}
        found.append(replace(record, recipe=f"{record.recipe}+copy(number={copy})", estimate=estimate, **timed))
    return found


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("BENCH_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def report() -> Report:
    return build_report([*real(), *nasty()], read_environment(RUN))


@pytest.fixture(scope="session")
def address(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("large") / "report.html"
    path.write_text(render_html(build_report(many(), {})), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.fail(MISSING)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in SWITCHES:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


@pytest.fixture(autouse=True)
def nothing_wrong(browser: webdriver.Chrome) -> Iterator[None]:
    """After every test: no message on the console, no policy violated, and nothing asked of any network."""
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith(("file:///", "data:"))} == set()
    assert len({url for url in asked if url.startswith("file:///")}) <= 1


class Page:
    """A section of the report that is open, by what a reader sees of it."""

    def __init__(self, browser: webdriver.Chrome, section: str = "s1") -> None:
        self.browser = browser
        self.root = browser.find_element(By.ID, section)
        self.script("root.scrollIntoView()")

    def one(self, selector: str) -> WebElement:
        return self.root.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.root.find_elements(By.CSS_SELECTOR, selector)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.browser.execute_script(f"const root = arguments[0]; {text}", self.root, *arguments)

    def wait(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.browser, 20, 0.05).until(lambda _: condition())

    def draw(self) -> None:
        """Scroll to the chart and wait until it answers."""
        self.script("root.querySelector('.drawing').scrollIntoView({block: 'center', behavior: 'instant'})")
        self.wait(lambda: self.script("return root.querySelector('.hint').textContent"))

    def ready(self) -> Page:
        """Wait until the section's scripts have come to it."""
        self.wait(lambda: self.script("return !root.querySelector('form.filter').hidden"))
        return self

    def names(self) -> list[str]:
        """Recipe and backend of each row that is shown."""
        return self.script(
            "return [...root.querySelectorAll('.rows tbody tr')]"
            ".map(tr => `${tr.querySelector('b').textContent} in ${tr.querySelector('.dot').textContent}`)"
        )

    def cells(self, column: str) -> list[str]:
        """Text of a column, without its interval."""
        return self.script(
            "const titles = [...root.querySelectorAll('.rows thead .title')];"
            "const at = titles.findIndex(e => e.textContent === arguments[1]);"
            "return [...root.querySelectorAll('.rows tbody tr')].map(tr => tr.cells[at].firstChild.textContent.trim())",
            column,
        )

    def heading(self, title: str) -> WebElement:
        return next(found for found in self.all(".rows thead th") if found.text.replace("\n", " ").startswith(title))

    def points(self, more: str = "") -> int:
        return len(self.all(f".points_marks path{more}"))

    def axis(self) -> str:
        return " ".join(
            self.script("return [...root.querySelectorAll('.role-axis-title text')].map(e => e.textContent)")
        )

    def select(self, name: str, text: str) -> None:
        Select(self.one(f"select[name={name}]")).select_by_visible_text(text)


@pytest.fixture
def page(browser: webdriver.Chrome, address: str) -> Page:
    browser.get(address)
    return Page(browser).ready()


def photograph(browser: webdriver.Chrome, path: Path, width: int = 1280, night: bool = False) -> None:
    """The whole page as a picture."""
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if night else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    height = browser.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 6000), "scale": 1}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))


def number(text: str) -> float:
    return float(re.sub(r"[^\d.-]", "", text))


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(page: Page) -> None:
    heading = page.heading("host latency")
    heading.find_element(By.TAG_NAME, "button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    shown = [number(cell) for cell in page.cells("host latency") if cell != "–"]
    assert shown == sorted(shown)
    assert page.cells("host latency")[-1] == "–"
    heading.find_element(By.TAG_NAME, "button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert [number(cell) for cell in page.cells("host latency") if cell != "–"] == shown[::-1]
    assert page.cells("host latency")[-1] == "–"
    assert len(page.all("[aria-sort]")) == 1


def test_a_filter_leaves_matching_rows_and_dims_the_other_points(page: Page) -> None:
    page.draw()
    every = page.names()
    page.one("[name=text]").send_keys("INT8 openvino")
    left = page.names()
    assert left == [name for name in every if "int8" in name and "openvino" in name]
    assert page.one("output").text == f"{len(left)} of {len(every)} rows"
    page.wait(lambda: page.points("[opacity='0.07']") > 0)
    assert page.points("[opacity='1']") <= len(left)
    page.one("[name=text]").send_keys(Keys.CONTROL, "a", Keys.DELETE)
    page.wait(lambda: page.points("[opacity='0.07']") == 0)
    assert page.names() == every


def test_backend_kind_and_front_are_chosen_from_lists(page: Page, report: Report) -> None:
    rows = report.sections[0].rows
    page.select("backend", "torch")
    assert {name.rpartition(" in ")[2] for name in page.names()} == {"torch"}
    page.select("backend", "all")
    page.select("kind", "simulated")
    assert len(page.names()) == 1
    page.select("kind", "all")
    page.one("[name=pareto]").click()
    assert page.names() == [f"{row.recipe} in {row.backend}" for row in rows if row.pareto]


def test_pointing_at_a_mark_tells_its_numbers(page: Page, report: Report) -> None:
    page.draw()
    ActionChains(page.browser).move_to_element(page.all(".points_marks path[fill-opacity='0.85']")[0]).perform()
    tip = page.wait(lambda: page.browser.find_element(By.CSS_SELECTOR, ".tip:not([hidden])"))
    row = next(row for row in report.sections[0].rows if row.pareto)
    assert f"{row.recipe} in {row.backend}" in tip.text
    assert re.search(r"host latency, measured\n[\d.]+ µs \[", tip.text)
    assert re.search(r"rpi4 latency, estimated\n[\d.]+ µs \[", tip.text)
    ActionChains(page.browser).move_to_element(page.one("h2")).perform()
    page.wait(lambda: not tip.is_displayed())


def test_a_click_on_a_mark_leads_to_its_row(page: Page, report: Report) -> None:
    page.draw()
    page.one("[name=text]").send_keys("nothing has this name")
    assert page.names() == []
    row = next(row for row in report.sections[0].rows if row.pareto)
    page.script("root.querySelector('.drawing').scrollIntoView({block: 'center', behavior: 'instant'})")
    ActionChains(page.browser).click(page.all(".points_marks path[fill-opacity='0.85']")[0]).perform()
    picked = page.wait(lambda: page.one("tr.picked"))
    assert picked.find_element(By.TAG_NAME, "b").text == row.recipe
    assert picked == page.browser.switch_to.active_element
    top, bottom = page.script("const r = arguments[1].getBoundingClientRect(); return [r.top, r.bottom]", picked)
    assert top >= 0
    assert bottom <= page.script("return innerHeight")


def test_a_row_rings_its_mark(page: Page) -> None:
    page.draw()
    assert not page.all(".ring_marks path")
    row = page.all(".rows tbody tr")[3]
    row.find_element(By.TAG_NAME, "td").click()
    ring = page.wait(lambda: page.one(".ring_marks path"))
    assert page.script("return document.activeElement.rowIndex") == 4
    point = page.all(".points_marks path")[3]
    place = "const r = arguments[1].getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
    assert page.script(place, ring) == pytest.approx(page.script(place, point), abs=1)


def test_axes_can_be_chosen(page: Page) -> None:
    page.draw()
    assert page.axis() == "rpi4 latency, estimated, µs top-1 accuracy"
    page.select("x", "host latency, measured")
    page.wait(lambda: "host latency, measured, µs" in page.axis())
    page.select("y", "agreement")
    page.wait(lambda: page.axis() == "host latency, measured, µs agreement")
    page.one("[name=log]").click()
    page.select("x", "download")
    page.wait(lambda: "download, bytes" in page.axis())
    assert "The front is that of these axes" in page.wait(lambda: page.one(".hint").text)
    for column in page.script("return [...root.querySelector('[name=x]').options].map(o => o.text)"):
        page.select("x", column)
        page.wait(lambda column=column: column in page.axis())
        assert page.points() > 3


def test_rows_far_off_are_drawn_when_asked_for(page: Page, report: Report) -> None:
    page.draw()
    fewer = page.points()
    assert f"{fewer} of {len(report.sections[0].rows)} rows are drawn." in page.one(".hint").text
    page.one("[name=all]").click()
    page.wait(lambda: page.points() == len(report.sections[0].rows))


@pytest.mark.parametrize("section", ["s1", "s2"])
def test_the_front_that_the_page_finds_is_that_of_the_report(
    browser: webdriver.Chrome, address: str, report: Report, section: str
) -> None:
    browser.get(address)
    page = Page(browser, section)
    page.draw()
    rows = report.sections[int(section[1]) - 1].rows
    assert page.points("[fill-opacity='0.85']") == sum(row.pareto for row in rows)


def test_a_chart_is_made_when_it_comes_into_view(page: Page) -> None:
    page.draw()
    assert not page.browser.find_elements(By.CSS_SELECTOR, "#s2 .drawing.live")
    second = Page(page.browser, "s2")
    second.draw()
    assert second.points() > 3


def test_colours_follow_the_system_until_a_reader_chooses(page: Page, screenshots: Path) -> None:
    page.draw()
    ground = "return getComputedStyle(document.body).backgroundColor"
    photograph(page.browser, screenshots / "light.png")
    assert page.script(ground) == "rgb(252, 252, 251)"
    photograph(page.browser, screenshots / "dark.png", night=True)
    assert page.script(ground) == "rgb(17, 21, 25)"
    axis = "return getComputedStyle(root.querySelector('.role-axis-title text')).fill"
    assert page.script(axis) == "rgb(160, 171, 181)"
    button = page.browser.find_element(By.CSS_SELECTOR, ".mode")
    assert button.text == "Light"
    button.click()
    assert page.script(ground) == "rgb(252, 252, 251)"
    assert button.text == "Dark"


def test_a_telephone_shows_all_without_scrolling_sideways(
    browser: webdriver.Chrome, address: str, screenshots: Path
) -> None:
    size = {"width": 375, "height": 812, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    for section in ("s1", "s2"):
        Page(browser, section).draw()
    photograph(browser, screenshots / "telephone.png", 375)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= 375
    every = "[...document.querySelectorAll('main td:not(.runtimes td), main p, main li, main svg, main .scroll')]"
    assert browser.execute_script(f"return {every}.filter(e => e.getBoundingClientRect().right > 376).length") == 0
    page = Page(browser)
    page.select("sort", "host latency")
    shown = [number(cell) for cell in page.cells("host latency") if cell != "–"]
    assert shown == sorted(shown)
    label = "return getComputedStyle(root.querySelector('.rows td'), '::before').content"
    assert page.script(label) == '"host latency, measured"'


def test_on_a_telephone_runtimes_stay_side_by_side_and_scroll_inside_their_box(
    browser: webdriver.Chrome, address: str
) -> None:
    size = {"width": 375, "height": 812, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    page = Page(browser)
    box = "const box = root.querySelectorAll('.scroll:has(.runtimes)')[0];"
    assert page.script(f"{box} return box.scrollWidth > box.clientWidth")
    assert page.script(f"{box} return getComputedStyle(box).overflowX") == "auto"
    name = f"{box} box.scrollLeft = 200; return box.querySelector('tbody th').getBoundingClientRect().left"
    assert 0 <= page.script(name) < 40


def test_names_full_of_markup_are_text_everywhere(browser: webdriver.Chrome, address: str) -> None:
    browser.get(address)
    page = Page(browser, "s2").ready()
    assert page.one("h2").text == f"{NASTY} on rpi4"
    assert f"{NASTY}2" in page.one(".rows").text
    page.draw()
    ActionChains(browser).move_to_element(page.all(".points_marks path")[2]).perform()
    tip = page.wait(lambda: browser.find_element(By.CSS_SELECTOR, ".tip:not([hidden])"))
    assert NASTY in tip.text
    assert NASTY in page.one(".names_marks").get_attribute("textContent")
    page.select("backend", f"{NASTY}1")
    assert all(name.endswith(f"{NASTY}1") for name in page.names())
    assert browser.execute_script("return document.querySelectorAll('main script:not(.data)').length") == 0


def test_sorting_filtering_and_reading_need_no_mouse(page: Page) -> None:
    def press(*keys: str) -> str:
        ActionChains(page.browser).send_keys(*keys).perform()
        return page.script("const e = document.activeElement; return e.name || e.textContent")

    reached = []
    page.script("root.querySelector('select[name=x]').focus()")
    for _ in range(40):
        reached.append(press(Keys.TAB))
        if reached[-1].startswith("host latency"):
            break
    assert {"y", "log", "all", "text", "backend", "kind", "pareto"} <= set(reached)
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert page.script(outline) == "solid"
    press(Keys.ENTER)
    assert page.heading("host latency").get_attribute("aria-sort") == "ascending"
    press(Keys.ENTER)
    assert page.heading("host latency").get_attribute("aria-sort") == "descending"
    first, second = page.names()[:2]
    page.script("root.querySelector('.rows tbody tr').focus()")
    assert press(Keys.ARROW_DOWN).startswith(second.partition(" in ")[0])
    assert page.one("tr.picked b").text == second.partition(" in ")[0]
    assert press(Keys.ARROW_UP).startswith(first.partition(" in ")[0])
    page.script("root.querySelector('[name=text]').focus()")
    press("fp16")
    assert all("fp16" in name for name in page.names())


def pages_of(pdf: str) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(pdf)))


def test_paper_has_the_table_the_chart_and_no_controls(page: Page, screenshots: Path) -> None:
    sheets = {"landscape": True, "printBackground": True, "preferCSSPageSize": True}
    printed = page.browser.execute_cdp_cmd("Page.printToPDF", sheets)["data"]
    (screenshots / "paper.pdf").write_bytes(base64.b64decode(printed))
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert len([row for row in page.all(".rows tbody tr") if row.is_displayed()]) == len(page.names())
    assert page.one(".drawing svg").is_displayed()
    assert not any(
        found.is_displayed() for found in page.browser.find_elements(By.CSS_SELECTOR, "select, input, .mode")
    )
    page.script("for (const e of document.querySelectorAll('.scroll')) e.hidden = true")
    without = page.browser.execute_cdp_cmd("Page.printToPDF", sheets)["data"]
    assert pages_of(printed) >= pages_of(without) + 3


def test_the_page_is_complete_without_scripts(
    browser: webdriver.Chrome, address: str, report: Report, screenshots: Path
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(address)
    page = Page(browser)
    assert len(page.all(".rows tbody tr")) == len(report.sections[0].rows)
    assert page.one(".drawing svg").is_displayed()
    assert not page.one("form.filter").is_displayed()
    assert not page.one("form.axes").is_displayed()
    assert page.one("summary").is_displayed()
    photograph(browser, screenshots / "no-scripts.png")


def test_ten_thousand_rows_stay_a_page_of_rows_that_sorts_and_filters_right(
    browser: webdriver.Chrome, large: str
) -> None:
    browser.get(large)
    page = Page(browser).ready()
    elements = "return document.querySelectorAll('*').length"
    before = browser.execute_script(elements)
    assert before < 40_000
    assert len(page.names()) == PAGE_ROWS
    assert page.one("output").text == "10,000 rows"
    page.heading("rpi4 latency").find_element(By.TAG_NAME, "button").click()
    page.heading("rpi4 latency").find_element(By.TAG_NAME, "button").click()
    shown = [number(cell) for cell in page.cells("rpi4 latency")]
    assert len(shown) == PAGE_ROWS
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == 3000
    page.one("[name=text]").send_keys("copy(number=7)")
    assert len(page.names()) == len(real())
    assert all("copy(number=7)" in name for name in page.names())
    page.one("[name=text]").send_keys(Keys.CONTROL, "a", Keys.DELETE)
    page.one(".pages .next").click()
    assert page.one(".pages span").text == "rows 201 to 400 of 10,000"
    later = [number(cell) for cell in page.cells("rpi4 latency")]
    assert len(later) == PAGE_ROWS
    assert later[0] <= shown[-1]
    page.draw()
    assert 500 < page.points() <= 4_000
    ActionChains(browser).click(page.all(".points_marks path[fill-opacity='0.85']")[0]).perform()
    assert page.wait(lambda: page.one("tr.picked .mark")).is_displayed()
    assert browser.execute_script(elements) < before + 10_000
