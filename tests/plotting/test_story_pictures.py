"""The pictures of the notebooks: the same bytes again, at every edge, and what they are drawn from."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure

from churn_drift import paths
from churn_drift.config import Retrain, load_section
from churn_drift.errors import PipelineError
from churn_drift.model.compare import Difference
from churn_drift.model.inference import Scorer, columns_of_records
from churn_drift.model.metrics import Estimate
from churn_drift.plotting import notebook
from churn_drift.plotting.baseline import Judged, auc_by_batch, quality
from churn_drift.plotting.contributions import contributions, mean_contributions
from churn_drift.plotting.customers import Column, arrival, histograms, missing
from churn_drift.plotting.decisions import Gate, Reign, champions, evidence, gates, reigns
from churn_drift.plotting.gains import gains
from churn_drift.plotting.movement import Moved, drift_against_loss, ks_heatmap, moved, overlays
from churn_drift.plotting.rates import churn_rates
from churn_drift.serving.reasons import Explainer
from tests.serving.conftest import fitted

LABELS = np.tile([0.0, 0.0, 1.0], 40)
SCORES = np.linspace(0.1, 0.6, 120)
NONE = np.array([])
GAIN = Difference.of(0.02, 0.0001, confidence=0.95)


def rates(n: int) -> Figure:
    """A group in three has no customers."""
    customers = [0 if i % 3 == 1 else 50 for i in range(n)]
    return churn_rates(
        groups=[str(i) for i in range(n)],
        customers=customers,
        churned=[0 if not i else k // 5 for i, k in enumerate(customers)],
        level=0.2,
        level_name="reference",
        title="Churn rate by batch",
        x_label="batch",
        confidence=0.95,
    )


def aucs(n: int) -> Figure:
    """The last is undefined, the one before has no interval."""
    known = [Estimate(0.6, 0.58, 0.62)] * (n - 2) + [Estimate(0.6)] * (n > 1) + [Estimate()]
    return auc_by_batch(
        batches=[str(i) for i in range(n)], auc=known, levels={"fitted on": 0.7, "out of fold": None}, confidence=0.95
    )


def movement(n: int) -> Figure:
    return drift_against_loss(
        batches=[str(i) for i in range(n)],
        drifted=[None if i == 1 else i / n for i in range(n)],
        change=[Estimate() if i == 2 else Estimate(-0.01, -0.02, 0.0) for i in range(n)],
        confidence=0.95,
    )


def gained(n: int) -> Figure:
    some = [Difference(), Difference(0.01), Difference.of(0.01, 0.0001, confidence=0.95), GAIN]
    return gains(batches=[str(i) for i in range(n)], gain=[some[i % 4] for i in range(n)], mean=GAIN, confidence=0.95)


def gate(n: int) -> Figure:
    some = [
        Gate(None, 1.0, Difference(), promoted=False),
        Gate(2.4, 1.0, GAIN, promoted=True),
        Gate(-0.3, None, Difference(-0.01), promoted=False),
    ]
    return evidence(batches=[str(i) for i in range(n)], gates=[some[i % 3] for i in range(n)], confidence=0.95)


def champion(n: int) -> Figure:
    return champions(batches=[str(i) for i in range(n)], reigns=[Reign(f"v{i}", i, i, 1000) for i in range(n)])


def ks(n: int) -> Figure:
    return ks_heatmap(
        features=["tenure", "CreditRating"],
        batches=[str(i) for i in range(n)],
        ks=[[None if i == 1 else i / n for i in range(n)], [None] * n],
    )


BY_BATCH = [rates, aucs, movement, gained, gate, champion, ks]
OTHERS: dict[str, Callable[[], Figure]] = {
    "missing": lambda: missing(columns=["a", "b"], first=[0.2, 0.0], newest=[0.4, 0.0], newest_name="09"),
    "nothing missing": lambda: missing(columns=["a"], first=[0.0], newest=[0.0], newest_name="09"),
    "histograms": lambda: histograms(
        [Column("a", "days", [SCORES, SCORES + 1]), Column("b", "", [NONE, NONE]), Column("c", "", [LABELS, NONE])]
    ),
    "constant column": lambda: histograms([Column("a", "", [np.full(9, 3.0), np.array([3.0, np.nan])])]),
    "arrival": lambda: arrival(batches=["0", "1"], columns=[Column("tenure", "months", [SCORES, np.full(3, np.nan)])]),
    "quality": lambda: quality(
        [Judged("fitted on", LABELS, SCORES), Judged("one class", np.zeros(9), SCORES[:9]), Judged("none", NONE, NONE)],
        confidence=0.95,
    ),
    "contributions": lambda: contributions({"a": 0.4, "b": 0.1}, {"a": 0.2}, other_name="batch 09"),
    "no contributions": lambda: contributions({}, {}, other_name="batch 09"),
    "overlays": lambda: overlays(
        [
            Moved("HandsetPrice", "USD", ["up to $30", "missing"], [0.4, 0.6], {"02": [0.1, 0.9], "09": [0.2, 0.8]}),
            Moved("Area", "", ["<b>&" + 40 * "x"], [1.0], {"02": [1.0]}),
        ]
    ),
    "no overlays": lambda: overlays([]),
}


def again(draw: Callable[[], Figure]) -> bytes:
    """A picture's bytes: twice the same, as wide as all others, of a size that a page can carry."""
    png, metadata = notebook.shown(draw())
    assert notebook.shown(draw())[0] == png
    assert struct.unpack(">I", png[16:20]) == (1080,)
    assert len(png) < 250_000
    return metadata["alt"].encode()


@pytest.mark.parametrize("batches", [1, 5, 200])
@pytest.mark.parametrize("draw", BY_BATCH)
def test_a_picture_by_batch_is_drawn_for_one_batch_and_for_200(draw: Callable[[int], Figure], batches: int) -> None:
    assert again(lambda: draw(batches))


@pytest.mark.parametrize("name", OTHERS)
def test_a_picture_is_drawn_of_little_or_nothing(name: str) -> None:
    again(OTHERS[name])


def test_every_axis_that_is_shown_says_what_it_measures() -> None:
    for figure in (rates(3), aucs(3), movement(3), gained(4), gate(3)):
        for axes in figure.axes:
            assert axes.get_ylabel()
        assert figure.axes[-1].get_xlabel()


def test_an_undefined_value_has_no_marker() -> None:
    drawn = aucs(4).axes[0].containers[0].lines[0]
    assert drawn.get_xdata().tolist() == [0, 1, 2]


def test_the_gate_holds_z_against_the_limit_of_that_batch() -> None:
    settings = load_section(Retrain, "retrain")
    gained = {"batch_02": Difference(0.1).to_dict(), "batch_03": GAIN.to_dict()}
    records = [
        {"evidence": {"z": 0.0, "rows": 0, "auc_gain_by_batch": {}}, "alarms": ["batch"], "promoted": None},
        {"evidence": {"z": 1.5, "rows": 90, "auc_gain_by_batch": {}}, "alarms": [], "promoted": None},
        {"evidence": {"z": 1.5, "rows": 90, "auc_gain_by_batch": gained}, "alarms": ["churn rate"], "promoted": "abc"},
    ]
    assert gates(records, settings) == [
        Gate(None, settings.z_alarmed, Difference(), promoted=False),
        Gate(1.5, settings.z_promote, Difference(), promoted=False),
        Gate(1.5, settings.z_alarmed, Difference(**GAIN.to_dict()), promoted=True),
    ]
    assert {g.limit for g in gates(records, settings.model_copy(update={"policy": "price"}))} == {None}


def test_a_champion_reigns_from_its_first_batch_to_its_last() -> None:
    assert reigns(["a", "a", "b"], rows={"a": 10, "b": 20}) == [Reign("a", 0, 1, 10), Reign("b", 2, 2, 20)]
    assert reigns([], rows={}) == []


def test_a_features_cells_keep_their_order_and_unit() -> None:
    table = [
        {"feature": "HandsetPrice", "place": "0", "cell": "NA", "reference": "0.75", "a": "0.1", "b": "NA"},
        {"feature": "Handsets", "place": "0", "cell": "any", "reference": "1", "a": "1", "b": "1"},
        {"feature": "HandsetPrice", "place": "1", "cell": "(missing)", "reference": "0.25", "a": "0.9", "b": "NA"},
    ]
    (found,) = moved(table, features=["HandsetPrice", "no such"], batches={"a": "02", "b": "09"})
    assert (found.unit, found.cells, found.reference) == ("USD", ["NA", "(missing)"], [0.75, 0.25])
    assert found.batches == {"02": [0.1, 0.9], "09": pytest.approx([float("nan")] * 2, nan_ok=True)}


def test_contributions_are_those_that_the_server_explains_with() -> None:
    bundle = fitted(1)
    scorer = Scorer(bundle)
    records = [golden.record for golden in bundle.golden[:2]]
    explain = Explainer(scorer.booster.model, bundle.levels)
    sizes = [{c.feature: abs(c.contribution) for c in explain(record, top=99)} for record in records]
    found = mean_contributions(scorer, columns_of_records(records))
    assert found == pytest.approx({name: (sizes[0][name] + sizes[1][name]) / 2 for name in sizes[0]}, abs=1e-6)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert mean_contributions(scorer, columns_of_records([])) == {}


# --- in a notebook -----------------------------------------------------------------------------------------------


@pytest.fixture
def shell(repository, monkeypatch):
    monkeypatch.chdir(repository / "docs")
    shell = InteractiveShell()
    notebook.load_ipython_extension(shell)
    return shell


def test_a_figure_shows_itself_as_png_with_what_it_shows_in_words(shell) -> None:
    figure = aucs(3)
    data, metadata = shell.display_formatter.format(figure)
    assert set(data) == {"image/png", "text/plain"}
    assert (data["image/png"], metadata["image/png"]) == notebook.shown(figure)
    assert data["text/plain"] == metadata["image/png"]["alt"] == "AUC of the first model, with 95% intervals"


def test_a_notebook_sees_the_repository_as_the_stages_do(shell) -> None:
    assert paths.PARAMS.exists()


def test_an_error_of_ours_is_one_line(shell, capsys) -> None:
    result = shell.run_cell("from churn_drift.errors import DataError\nraise DataError('a.csv: row 3: cut')")
    assert not result.success
    assert capsys.readouterr().err == "error: a.csv: row 3: cut\n"


def test_outside_the_repository_the_error_names_the_folder(tmp_path) -> None:
    with pytest.raises(PipelineError, match=str(tmp_path)):
        notebook.root(tmp_path)
