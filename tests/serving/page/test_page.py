"""The page as it is sent: whatever lies in reports/, it says something sensible."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from churn_drift import paths
from churn_drift.serving.app import create_app
from churn_drift.serving.gate import Gate
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Seat
from churn_drift.tracking import ledger
from tests.serving.conftest import OPEN, SMALL
from tests.serving.page.runs import UNLABELLED, write_run

ENTRY = {"at": "2026-11-23T19:32:43+00:00", "action": "promote", "replaces": None, "reason": "z 2.39 > 1",
         "commit": "4ef3e40f80e0ec7fa4cf8e0ae018af2d21b357b0"}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def text(page: str) -> str:
    """What a person reads."""

    class Text(HTMLParser):
        said = ""
        skipped = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.skipped = tag in ("script", "style")

        def handle_endtag(self, tag: str) -> None:
            self.said += " " if tag in ("td", "th", "a", "dt", "dd") else ""

        def handle_data(self, data: str) -> None:
            self.said += "" if self.skipped else data

    reader = Text()
    reader.feed(page)
    return " ".join(reader.said.split())


def test_the_page_tells_the_numbers_of_the_run(client: FlaskClient, place: Path, served: ServedModel) -> None:
    write_run(place)
    ledger.append({**ENTRY, "version": served.version}, paths.LEDGER)
    answer = client.get("/")
    assert answer.status_code == 200
    said = text(answer.text)
    for told in (
        f"Champion {served.version} serves",
        ".645 AUC, batch 04 .628 to .662",
        "+0.029 AUC gained over never retraining +0.025 to +0.034",
        "19 % of the features drifted, batch 04",
        "churn in the top tenth",
        "04 5,000 29.4 % 19 % .645 .628 to .662 .600 hold z 2.46 > 1 under a drift alarm",
        "2026-11-23 19:32 UTC, by promote",
        "at commit 4ef3e40f80",
        "fitted on 120 customers of 1 batch (b0)",
    ):
        assert told in said
    assert data(answer.text)["timeline"]["auc"] == [0.6454] * 3  # type: ignore[index]


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(client: FlaskClient, place: Path) -> None:
    write_run(place)
    answer = client.get("/")
    places = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert all(place.startswith(("/", "#")) for place in places)
    assert re.findall(r"<script(?![^>]* src=)(?![^>]*application/json)", answer.text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", answer.text) == []
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_what_the_page_loads_is_kept_by_the_browser_and_asked_for_again(client: FlaskClient) -> None:
    with client.get("/static/page.js") as first:
        assert (first.status_code, first.headers.getlist("Cache-Control")) == (200, ["no-cache"])
    with client.get("/static/page.js", headers={"If-None-Match": first.headers["ETag"]}) as again:
        assert again.status_code == 304
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/nothing.js").headers["Cache-Control"] == "no-store"


def test_the_library_lies_beside_its_licence(repository: Path) -> None:
    folder = repository / "src/churn_drift/serving/static/uplot"
    assert (folder / "uPlot.iife.min.js").read_text().startswith("/*! https://github.com/leeoniya/uPlot (v1.6.32) */")
    assert (folder / "LICENSE").read_text().startswith("The MIT License (MIT)")


def test_before_any_run_each_part_says_what_makes_it(client: FlaskClient, served: ServedModel) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    said = text(answer.text)
    assert f"Champion {served.version} serves" in said
    assert "What the run found cannot be shown: reports/evaluate/timeline.csv: not there; dvc repro makes it." in said
    assert "Drift cannot be shown: reports/drift_check/features.csv: not there" in said
    assert "No model was ever promoted here." in said
    assert "the ledger here has no line of it" in said


@pytest.mark.parametrize(
    ("file", "still"),
    [
        (paths.TIMELINE, "Population stability index"),
        (paths.SUMMARY, "Population stability index"),
        (paths.DRIFT_FEATURES, "Decisions"),
        (paths.DRIFT_DISTRIBUTIONS, "Decisions"),
        (paths.LEDGER, "Decisions"),
    ],
)
def test_a_damaged_file_takes_nothing_else_with_it(client: FlaskClient, place: Path, file: Path, still: str) -> None:
    write_run(place)
    (place / file).parent.mkdir(exist_ok=True)
    (place / file).write_bytes(b"\xff\x00,")
    answer = client.get("/")
    assert answer.status_code == 200
    assert str(file) in answer.text
    assert still in answer.text


def test_without_a_model_the_page_says_so(place: Path) -> None:
    write_run(place)
    client = create_app(Seat(), settings=SMALL, metrics=Metrics(), gate=OPEN).test_client()
    answer = client.get("/")
    assert answer.status_code == 200
    assert "No model serves" in text(answer.text)


def test_an_alarm_stands_at_the_head(client: FlaskClient, seat: Seat) -> None:
    seat.alarm = "models/champion: model.ubj was altered; `churn-drift models verify` mends it"
    assert "A newer champion is refused, this one goes on serving. models/champion" in text(client.get("/").text)


def test_one_batch_without_labels_is_told_without_numbers(client: FlaskClient, place: Path) -> None:
    unknown = dict.fromkeys(("gain", "gain_low", "gain_high", "lift_top_decile", "auc_policy", "auc_never"))
    write_run(place, batches=1, last={**UNLABELLED, "decision": "hold"}, summary={**unknown, "promotions": 0})
    said = text(client.get("/").text)
    assert "n/a AUC no labels yet" in said
    assert "cannot be told yet" in said
    assert "None" not in said
    assert "nan" not in said.lower().split()


def test_of_200_batches_the_newest_stand_in_the_tables_and_all_in_the_charts(client: FlaskClient, place: Path) -> None:
    write_run(place, batches=200, features=[f"feature {number}" for number in range(53)])
    page = client.get("/").text
    assert "the newest 24 of 200 batches" in page
    assert page.count('data-feature="feature 7"') == 24
    assert len(data(page)["timeline"]["auc"]) == 200  # type: ignore[index,arg-type]
    assert len(page) < 1_000_000


def test_markup_in_a_feature_or_a_reason_stays_text(client: FlaskClient, place: Path) -> None:
    evil = "</script><script>alert(1)</script>\"'&"
    write_run(place, features=[evil, "AgeHH1"], last={"reason": evil, "worst_feature": evil, "version": evil})
    page = client.get("/").text
    assert "<script>alert" not in page
    assert evil in data(page)["distributions"]  # type: ignore[operator]
    assert f"{evil} most" in text(page)


def test_features_beyond_the_twelfth_are_folded(client: FlaskClient, place: Path) -> None:
    write_run(place, features=[f"f{number}" for number in range(13)])
    assert "All 13 features" in client.get("/").text
    shutil.rmtree(place / "reports")
    write_run(place, features=[f"f{number}" for number in range(12)])
    page = client.get("/").text
    assert 'id="all"' not in page
    assert 'id="others"' not in page


def test_a_page_of_another_site_cannot_read_it_by_its_own_name(place: Path, seat: Seat) -> None:
    client = create_app(seat, settings=SMALL, metrics=Metrics(), gate=Gate(SMALL, keyed=False)).test_client()
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403


def test_a_person_gets_a_page_where_a_program_gets_a_problem(client: FlaskClient) -> None:
    page = client.get("/nowhere", headers={"Accept": "text/html,application/xhtml+xml"})
    assert (page.status_code, page.content_type) == (404, "text/html; charset=utf-8")
    assert "There is no such path" in page.text
    assert "/docs#not-found" in page.text
    assert client.get("/nowhere").content_type == "application/problem+json"
    assert client.post("/predict", headers={"Accept": "text/html"}).content_type == "application/problem+json"
