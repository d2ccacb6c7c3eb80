"""The page of `dvc plots`: revisions lie on each other in one chart, and it opens with no network."""

import hashlib
import re
import runpy
import shutil
from pathlib import Path
from urllib.parse import urlparse

import pytest
import yaml
from dvc_render.vega import VegaRenderer

from tests.browser import Opened, brightness
from tests.contracts.reach import ROOT
from tests.end_to_end.repository import Repository

slow = pytest.mark.slow
BUILDER = runpy.run_path(str(ROOT / "scripts/plots_page.py"))
PAGE = (ROOT / ".dvc/plots/page.html").read_text()
PLOTS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
CHARTS = {name: options for entry in PLOTS if isinstance(entry, dict) for name, options in entry.items()}
PICTURES = [entry for entry in PLOTS if isinstance(entry, str)]


# --- the template ------------------------------------------------------------------------------------------------


def test_the_template_is_our_page_with_the_pinned_libraries_inside():
    embedded = re.findall(r'<script id="([\w-]+)">(.*?)</script>', PAGE, re.DOTALL)
    assert {name: hashlib.sha256(code.encode()).hexdigest() for name, code in embedded} == {
        library.name: library.sha256 for library in BUILDER["LIBRARIES"]
    }
    before, after = BUILDER["SOURCE"].read_text().split("{libraries}")
    remedy = "python scripts/plots_page.py"
    assert PAGE.startswith(before), remedy
    assert PAGE.endswith(after), remedy


def test_the_libraries_are_the_versions_that_dvc_loads_from_its_cdn():
    wanted = re.findall(r"cdn.jsdelivr.net/npm/([\w-]+@[\d.]+)", VegaRenderer.SCRIPTS)
    assert [library.spec for library in BUILDER["LIBRARIES"]] == wanted


def test_each_library_stands_under_its_licence():
    for library in BUILDER["LIBRARIES"]:
        comment = re.search(rf"<!-- {library.spec}, BSD-3-Clause\n(.*?)-->", PAGE, re.DOTALL)
        assert "Redistributions in binary form must reproduce the above copyright" in comment[1]


def test_the_template_loads_nothing():
    ours = re.sub(r"<script.*?</script>", "", PAGE, flags=re.DOTALL)
    assert re.findall(r"<script[^>]*\bsrc=", PAGE) == []
    assert re.findall(r"<(?:link|img|iframe)\b|url\(|@import", ours) == []
    assert "{scripts}" not in PAGE


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path):
    vega = BUILDER["LIBRARIES"][0]
    (tmp_path / "package/build").mkdir(parents=True)
    for name, text in {
        "package.json": '{"name": "vega", "version": "5.20.2"}',
        "LICENSE": "",
        "build/vega.min.js": "",
    }.items():
        (tmp_path / "package" / name).write_text(text)
    package = shutil.make_archive(str(tmp_path / "vega"), "gztar", tmp_path, "package")
    with pytest.raises(ValueError, match="is not the pinned file"):
        BUILDER["block"](vega, Path(package).read_bytes())


@pytest.mark.parametrize("name", sorted({options["template"] for options in CHARTS.values()}))
def test_a_charts_template_is_ours_and_tells_how_to_read_it(name):
    template = yaml.safe_load((ROOT / f".dvc/plots/{name}.json").read_text())
    assert template["description"].endswith(".")


# --- the page ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page_file(versions, tmp_path_factory):
    """Both versions, compared in a fresh clone that has the first one's cache and was never told of the template."""
    clone = Repository(tmp_path_factory.mktemp("clone") / "repository")
    versions.repository.run("git", "clone", "--quiet", str(versions.repository.root), str(clone.root))
    (clone.root / ".dvc/cache").symlink_to(versions.repository.root / ".dvc/cache")
    clone.run("dvc", "plots", "diff", "HEAD~1", "HEAD", "--out", "plots")
    return clone.root / "plots/index.html"


class Plots(Opened):
    """The page of `dvc plots`, all charts drawn."""

    def __init__(self, browser, file, **options):
        super().__init__(browser, file.as_uri(), **options)
        self.page.wait_for_function(f"document.querySelectorAll('.chart svg').length >= {len(CHARTS)}")

    def card(self, title):
        return self.page.locator("main > div", has=self.page.get_by_role("heading", name=title, exact=True))

    def colours(self, title, mark):
        """The colours of a chart's marks of one kind."""
        paint = "stroke" if "line" in mark else "fill"
        found = (
            self.card(title).locator(f".{mark} path").evaluate_all(f"all => all.map(e => e.getAttribute('{paint}'))")
        )
        return {colour for colour in found if colour and colour.startswith("#")}


@pytest.fixture(scope="module")
def opened(chromium, page_file):
    return Plots(chromium, page_file, viewport={"width": 1280, "height": 900})


class TestThePage:
    pytestmark = slow

    def test_asks_for_its_own_files_and_nothing_else(self, opened, page_file):
        assert opened.requests[0] == page_file.as_uri()
        assert {urlparse(url).scheme for url in opened.requests} == {"file"}
        assert all(Path(urlparse(url).path).is_relative_to(page_file.parent) for url in opened.requests)

    def test_has_nothing_to_complain_of(self, opened):
        assert opened.errors == []

    def test_names_both_revisions_at_the_top_in_the_colours_of_the_charts(self, opened):
        names = opened.page.locator("#revisions span")
        assert names.all_inner_texts() == ["HEAD~1", "HEAD"]
        colours = names.evaluate_all("all => all.map(e => e.style.getPropertyValue('--colour'))")
        assert set(colours) == opened.colours("AUC within each batch", "mark-line")

    @pytest.mark.parametrize("name", CHARTS)
    def test_draws_both_revisions_in_one_chart(self, opened, name):
        options = CHARTS[name]
        assert len(opened.colours(options["title"], "mark-rect" if options["template"] == "bars" else "mark-line")) == 2

    @pytest.mark.parametrize("name", CHARTS)
    def test_names_both_axes_of_a_chart_and_says_how_to_read_it(self, opened, name):
        card = opened.card(CHARTS[name]["title"])
        titles = card.locator(".role-axis-title text").all_text_contents()
        assert titles == [CHARTS[name]["x_label"], CHARTS[name]["y_label"]]
        assert card.locator(".about").inner_text().endswith(".")

    @pytest.mark.parametrize("name", [name for name, options in CHARTS.items() if options["template"] != "timeline"])
    def test_starts_a_scale_at_zero_where_lengths_and_shares_are_compared(self, opened, name):
        labels = opened.card(CHARTS[name]["title"]).locator(".role-axis-label text").all_text_contents()
        zeros = [label for label in labels if re.fullmatch(r"0\.0+", label)]
        assert len(zeros) == (1 if CHARTS[name]["template"] == "bars" else 2)  # a bar's other axis counts batches

    @pytest.mark.parametrize("name", PICTURES)
    def test_shows_a_picture_of_both_revisions_side_by_side(self, opened, name):
        images = opened.card(name).locator("img")
        boxes = [image.bounding_box() for image in images.all()]
        assert len(boxes) == 2
        assert boxes[0]["y"] == boxes[1]["y"]
        assert images.evaluate_all("all => all.every(e => e.naturalWidth > 500 && e.alt)")

    @pytest.mark.parametrize("width", [400, 1280, 1900])
    def test_never_scrolls_sideways(self, chromium, page_file, width):
        page = Plots(chromium, page_file, viewport={"width": width, "height": 900}).page
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_writes_light_on_dark_where_the_reader_prefers_it(self, chromium, page_file):
        dark = Plots(chromium, page_file, color_scheme="dark")
        label = dark.page.locator(".role-axis-label text").first
        background = dark.page.locator("main > div").first.evaluate("e => getComputedStyle(e).backgroundColor")
        assert brightness(label.evaluate("e => getComputedStyle(e).fill")) > 200
        assert brightness(background) < 60
