"""The page in a real browser, from a real server, over the reports of the committed run."""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from churn_drift import paths
from churn_drift.model.bundle import Bundle, save
from churn_drift.serving import keys
from tests.browser import Opened, brightness
from tests.contracts.reach import ROOT
from tests.serving.conftest import Server, command, end
from tests.serving.page.runs import write_run

pytestmark = pytest.mark.slow


def rows(path: Path) -> list[dict[str, str]]:
    with (ROOT / path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def started(folder: Path, bundle: Bundle, **environment: str) -> Server:
    save(bundle, folder / paths.CHAMPION)
    shutil.copyfile(ROOT / "serve-model.py", folder / "serve-model.py")
    return Server(command(folder=folder, WEB_CONCURRENCY="1", **environment))


@pytest.fixture(scope="module")
def server(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    for path in (paths.TIMELINE, paths.SUMMARY, paths.DRIFT_FEATURES, paths.DRIFT_DISTRIBUTIONS, paths.LEDGER):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    server = started(folder, bundle)
    yield server
    end(server.process)


@pytest.fixture
def url(server: Server) -> str:
    return f"http://localhost:{server.port}/"


@pytest.fixture
def opened(chromium: Any, url: str) -> Iterator[Opened]:
    found = Opened(chromium, url, viewport={"width": 1280, "height": 900})
    yield found
    assert found.errors == []
    found.page.close()


def inked(page: Any, box: str) -> bool:
    """Whether something is drawn on a chart."""
    return page.evaluate(
        """box => { const c = document.querySelector(box + ' canvas');
        return c !== null && c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v !== 0); }""",
        box,
    )


def test_it_asks_this_server_and_nobody_else(opened: Opened, url: str) -> None:
    expect(opened.page.locator("#live-verdict")).not_to_be_empty()
    assert len(opened.requests) >= 7
    assert all(asked.startswith(url) for asked in opened.requests)


def test_it_shows_the_numbers_of_the_run(opened: Opened) -> None:
    timeline = rows(paths.TIMELINE)
    newest = timeline[-1]
    body = opened.page.locator("#timeline tbody tr")
    assert body.count() == len(timeline)
    cells = body.first.locator("th, td").all_inner_texts()
    assert cells[0] == newest["batch"].removeprefix("batch_")
    assert cells[4] == f"{float(newest['auc_policy']):.3f}"[1:]
    assert cells[-2:] == [newest["decision"], newest["reason"]]
    assert opened.page.locator(".tiles .figure").first.inner_text() == cells[4]


def test_the_charts_are_drawn_and_told_in_words_under_the_pointer(opened: Opened) -> None:
    assert inked(opened.page, "#auc")
    assert inked(opened.page, "#share")
    opened.page.locator("#auc .u-over").hover(position={"x": 5, "y": 50})
    assert opened.page.locator("#told").inner_text().startswith(f"Batch {rows(paths.TIMELINE)[0]['batch'][6:]}: ")


def test_a_cell_of_the_heat_map_opens_its_distribution_by_keyboard(opened: Opened) -> None:
    button = opened.page.locator('button[data-feature="CreditRating"]').first
    button.focus()
    opened.page.keyboard.press("Enter")
    batch = button.get_attribute("data-batch")
    assert opened.page.locator("#cells-title").inner_text() == f"CreditRating, batch {batch}"
    shown = opened.page.locator("#cells-bars tbody tr")
    expected = [row for row in rows(paths.DRIFT_DISTRIBUTIONS) if row["feature"] == "CreditRating"]
    assert shown.locator("th").all_inner_texts() == [row["cell"] for row in expected]
    assert shown.first.locator(".number").all_inner_texts() == [
        f"{100 * float(expected[0][name]):.0f} %" for name in ("reference", f"batch_{batch}")
    ]


def test_all_features_unfold(opened: Opened) -> None:
    page = opened.page
    visible = page.locator(".heat tbody tr:visible")
    assert visible.count() == 12
    page.locator("#all").click()
    assert visible.count() == len({row["feature"] for row in rows(paths.DRIFT_FEATURES)})
    page.locator("#all").click()
    assert visible.count() == 12


def test_the_form_scores_a_customer_and_says_why(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("button", name="Fill in an example").click()
    with page.expect_response("**/predict?*") as answered:
        page.get_by_role("button", name="Score").click()
    prediction = answered.value.json()["predictions"][0]
    answer = page.locator("#answer")
    assert answer.locator(".figure").inner_text() == f"{100 * prediction['probability']:.1f} %"
    assert ("likely to leave" in answer.inner_text()) is prediction["decision"]
    assert answer.locator("th").all_inner_texts() == [c["text"] for c in prediction["contributions"]]
    page.get_by_role("button", name="Clear").click()
    assert answer.inner_text() == ""
    assert page.locator("#field-MonthsInService").input_value() == ""


def test_bad_input_is_told_at_its_field_also_where_it_was_folded(chromium: Any, url: str) -> None:
    page = Opened(chromium, url).page
    page.locator("#field-MonthsInService").fill("eleven")
    page.locator("summary", has_text="Calls and minutes").click()
    page.locator("#field-DroppedCalls").fill("-3")
    page.locator("summary", has_text="Calls and minutes").click()
    page.get_by_role("button", name="Score").click()
    page.wait_for_selector("#answer strong")
    assert "2 fields are wrong" in page.locator("#answer").inner_text()
    assert '"eleven" is no number' in page.locator("#why-MonthsInService").inner_text()
    assert page.locator("#why-DroppedCalls").is_visible()
    assert page.locator("[aria-invalid=true]").count() == 2
    assert page.evaluate("document.activeElement.id") == "field-MonthsInService"
    page.close()


def test_a_server_that_does_not_answer_is_told(chromium: Any, url: str) -> None:
    page = Opened(chromium, url).page
    page.route("**/predict?*", lambda route: route.abort())
    page.get_by_role("button", name="Score").click()
    page.wait_for_selector("#answer strong")
    assert page.locator("#answer").inner_text().startswith("Not scored: ")
    page.close()


def test_traffic_is_counted_while_the_page_is_open(opened: Opened, url: str) -> None:
    page = opened.page
    expect(page.locator("#scored")).to_have_text(re.compile(r"\d"))
    before = int(page.locator("#scored").inner_text())
    for _ in range(3):
        page.request.post(f"{url}predict", data={"MonthsInService": 3})
    page.wait_for_timeout(300)  # workers tell their counts within a quarter of a second
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#scored")).to_have_text(str(before + 3))
    assert float(page.locator("#rate").inner_text()) > 0
    assert page.locator("#p50").inner_text().endswith(" ms")
    assert inked(page, "#rates")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(chromium: Any, url: str, scheme: str) -> None:
    page = Opened(chromium, url, color_scheme=scheme, reduced_motion="reduce").page
    page.get_by_role("button", name="Fill in an example").click()
    page.get_by_role("button", name="Score").click()
    page.wait_for_selector("#answer .figure")
    page.locator("summary").evaluate_all("all => all.forEach(s => s.parentElement.open = true)")
    page.locator("#all").click()
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    page.goto(f"{url}docs")
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []
    page.close()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_never_scrolls_sideways(chromium: Any, url: str, width: int) -> None:
    page = Opened(chromium, url, viewport={"width": width, "height": 800}).page
    page.get_by_role("button", name="Fill in an example").click()
    page.get_by_role("button", name="Score").click()
    page.wait_for_selector("#answer .figure")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_it_is_light_on_dark_where_the_reader_prefers_it_charts_included(chromium: Any, url: str) -> None:
    page = Opened(chromium, url, color_scheme="light").page
    style = "e => getComputedStyle(e).backgroundColor"
    assert brightness(page.locator("body").evaluate(style)) > 200
    light = page.locator("#auc canvas").evaluate("c => c.toDataURL()")
    page.emulate_media(color_scheme="dark")
    assert brightness(page.locator("body").evaluate(style)) < 60
    assert page.locator("#auc canvas").evaluate("c => c.toDataURL()") != light
    page.close()


def test_without_javascript_what_the_run_found_can_be_read(chromium: Any, url: str) -> None:
    page = Opened(chromium, url, java_script_enabled=False).page
    assert page.locator("#timeline tbody tr").count() == len(rows(paths.TIMELINE))
    assert "This part needs JavaScript" in page.locator("#live").inner_text()
    page.close()


def test_before_any_run_and_with_keys_it_says_what_is_missing(chromium: Any, bundle: Bundle, tmp_path: Path) -> None:
    key = keys.add("desk", scopes=["predict"], path=tmp_path / "serve-keys.json")
    server = started(tmp_path, bundle)
    try:
        credentials = {"username": "desk", "password": key}
        page = Opened(chromium, f"http://localhost:{server.port}/", http_credentials=credentials).page
        assert "cannot be shown" in page.locator("#timeline").inner_text()
        page.wait_for_selector("#traffic-why:visible")
        assert "key desk lacks the scope admin" in page.locator("#traffic-why").inner_text()
        page.get_by_role("button", name="Score").click()
        page.wait_for_selector("#answer .figure")
        write_run(tmp_path, batches=200, features=["<b>&'\"", "AgeHH1"])
        opened = Opened(chromium, f"http://localhost:{server.port}/", http_credentials=credentials)
        assert inked(opened.page, "#auc")
        opened.page.locator("""button[data-feature="<b>&'\\""]""").first.click()
        assert opened.page.locator("#cells-title").inner_text().startswith("<b>&'\", batch ")
        assert [e for e in opened.errors if "403" not in e] == []
    finally:
        end(server.process)
