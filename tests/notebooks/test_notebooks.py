"""The notebooks: as git keeps them, and as pages made from a run."""

import ast
import os
import re
import runpy
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import Opened, brightness
from tests.contracts.reach import ROOT
from tests.end_to_end.repository import Repository, copy_of

slow = pytest.mark.slow
SOURCES = sorted(ROOT.glob("notebooks/*.ipynb"))
SCRIPT = runpy.run_path(str(ROOT / "scripts/notebooks.py"))
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
NAMES = ["01_data_exploration", "02_baseline_model", "03_drift_analysis", "04_model_retraining"]


# --- in git ------------------------------------------------------------------------------------------------------


def test_there_are_four() -> None:
    assert [path.stem for path in SOURCES] == NAMES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_in_git_holds_no_output_no_count_and_no_editors_metadata(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == SCRIPT["stripped"](text), "python scripts/notebooks.py --strip"
    code = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count or cell.metadata for cell in code)


def test_stripping_mends_a_notebook_that_was_saved_after_a_run() -> None:
    kept = SOURCES[0].read_text(encoding="utf-8")
    saved = nbformat.reads(kept, as_version=4)
    saved.metadata.language_info = {"name": "python", "version": "3.11.7"}
    saved.metadata.widgets = {}
    for count, cell in enumerate(cell for cell in saved.cells if cell.cell_type == "code"):
        cell.execution_count, cell.metadata = count, {"collapsed": True, "keep_output": True}
        cell.outputs = [nbformat.v4.new_output("stream", text="a customer's row")]
    assert SCRIPT["stripped"](nbformat.writes(saved)) == kept


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_asks_at_its_head_answers_at_its_end_and_defines_nothing(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert "**Question.**" in cells[0].source
    assert cells[-2].source == "## Answer"
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    tree = ast.parse(re.sub(r"^%.*$", "", code, flags=re.MULTILINE))
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.While, ast.Try)
    assert [node for node in ast.walk(tree) if isinstance(node, logic)] == []


# --- as pages ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered(finished, tmp_path_factory):
    """All pages, from a run of the pipeline on simulated customers."""
    repository = copy_of(finished.repository, tmp_path_factory.mktemp("notebooks") / "repository")
    said = repository.run("python", "scripts/notebooks.py")
    yield repository, said
    shutil.rmtree(repository.root)


def pages(repository: Repository) -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted((repository.root / "reports/notebooks").glob("*.html"))}


def answer(page: str) -> str:
    """The words of a page after its last heading."""
    shown = re.sub(r"<details.*?</details>", "", page.rsplit("<h2", 1)[1], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", shown).split())


@slow
def test_each_notebook_becomes_a_page_with_progress_and_without_a_warning(rendered) -> None:
    repository, said = rendered
    assert sorted(re.findall(r"^reports/notebooks/(\w+)\.html +[\d.]+ s$", said, re.MULTILINE)) == NAMES
    assert len(said.splitlines()) == len(NAMES)
    for page in pages(repository).values():
        assert not re.search(r'class="[^"]*output_(stderr|error)', page)


@slow
def test_the_answers_are_those_of_the_run(rendered) -> None:
    repository, _ = rendered
    page = pages(repository)
    metrics = repository.read("reports/evaluate/metrics.json")
    baseline = repository.read("reports/train_baseline/metrics.json")
    batches = repository.table("reports/drift_check/batches.csv")
    assert f"{metrics['promotions']} of {len(batches)} chances" in answer(page["04_model_retraining"])
    assert f"mean AUC {metrics['auc_policy']:.3f}" in answer(page["04_model_retraining"])
    assert f"{baseline['baseline_auc']:.3f}" in answer(page["02_baseline_model"])
    drifted = (batches["verdict"] == "drifted").sum()
    assert f"{drifted} of {len(batches)} batches drifted" in page["03_drift_analysis"]
    assert "nan" not in " ".join(answer(text) for text in page.values())


@slow
def test_no_customer_stands_in_a_page(rendered) -> None:
    repository, _ = rendered
    customers = pd.read_csv(repository.root / "data/raw/customers.csv", usecols=["CustomerID"])["CustomerID"]
    for page in pages(repository).values():
        words = re.sub(r'src="data:[^"]*"', "", page)
        assert not set(re.findall(r"\d{7}", words)) & set(customers.astype(str))


@slow
def test_a_missing_report_is_told_in_one_line(rendered, tmp_path) -> None:
    repository, _ = rendered
    before = pages(repository)
    events = repository.root / "reports/retrain/events.json"
    events.rename(tmp_path / "events.json")
    said = repository.run("python", "scripts/notebooks.py", "04", code=2)
    shutil.move(tmp_path / "events.json", events)
    assert said == (
        "error: notebooks/04_model_retraining.ipynb: reports/retrain/events.json: not there; `dvc repro` makes it\n"
    )
    assert "04_model_retraining" not in pages(repository)  # an older page would be taken for this run's
    (repository.root / "reports/notebooks/04_model_retraining.html").write_text(before["04_model_retraining"])


def test_a_name_that_no_notebook_has_is_refused(finished) -> None:
    said = finished.repository.run("python", "scripts/notebooks.py", "05", code=2)
    assert said.startswith("error: no notebook starts with 05; see ")


@slow
def test_a_page_opens_with_no_network_its_pictures_are_named_and_everybody_can_use_it(rendered, chromium) -> None:
    folder = rendered[0].root / "reports/notebooks"
    opened = Opened(
        chromium, (folder / f"{NAMES[0]}.html").as_uri(), viewport={"width": 390, "height": 800}, offline=True
    )
    page = opened.page
    for name in NAMES:
        if name != NAMES[0]:
            page.get_by_role("navigation").get_by_role("link", name=name).click()
        pictures = page.locator("main img")
        assert pictures.evaluate_all("all => all.map(i => i.decode().then(() => i.alt))")
        alts = pictures.evaluate_all("all => all.map(image => image.naturalWidth === 1080 && image.alt)")
        assert all(alts), f"{name}: {alts}"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.evaluate("document.querySelectorAll('details').forEach(code => code.open = true)")
        assert not Axe().run(page).response["violations"], name
    assert brightness(page.evaluate(BACKGROUND)) == 255
    page.emulate_media(color_scheme="dark")
    assert brightness(page.evaluate(BACKGROUND)) < 60
    assert not Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
    assert {url.partition(":")[0] for url in opened.requests} <= {"file", "data"}
    assert opened.errors == []
    page.close()


@pytest.mark.long
@pytest.mark.private_sample
def test_the_notebooks_run_on_the_real_sample(workspace, tmp_path) -> None:
    path = Path(os.environ.get("CHURN_DRIFT_SAMPLE", ROOT.parent / "shared/data/cell2cell.csv.gz"))
    if not path.exists():
        pytest.skip(f"needs the private Cell2Cell sample in {path}, or CHURN_DRIFT_SAMPLE=PATH")
    customers = pd.read_csv(path, dtype=str, keep_default_na=False)
    customers.iloc[::16].to_csv(tmp_path / "some.csv", index=False)
    workspace.pipeline("--data", str(tmp_path / "some.csv"))
    workspace.run("python", "scripts/notebooks.py")
    found = pages(workspace)
    assert list(found) == NAMES
    assert "read from a file" in found["01_data_exploration"]
    assert not re.search(r'class="[^"]*output_(stderr|error)', "".join(found.values()))
