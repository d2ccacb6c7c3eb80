"""What each group of engineered features brings: paired AUC differences on the same rows, with standard errors.

    python scripts/prove_features.py --data cell2cell.csv.gz

Inside the reference window (the first fifth), where groups are chosen: 5-fold cross-validation, margins averaged over
three seeds. On the timeline, where the choice is confirmed: ten batches in order of acquisition, each scored by
a model fitted on all rows before it, mean over batches 3 to 9. Differences are paired (DeLong).
The last row puts back what the model leaves out.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from churn_drift.columns import Codes, Columns, Numbers, length, take
from churn_drift.config import Params, Train, load_params
from churn_drift.data import io
from churn_drift.data.frames import columns_of, labels_of
from churn_drift.data.ingest import ingest
from churn_drift.data.preprocess import preprocess
from churn_drift.model.compare import Difference, paired_auc
from churn_drift.model.features import ENGINEERED, FEATURES, LEFT_OUT, Matrix, encode, feature_types, levels_of
from churn_drift.model.train import Rows, stratified_folds, trees
from churn_drift.usage import Parser

FOLDS = 5
SEEDS = (1, 2, 3)
BATCHES = 10
FIRST = 3
"""First batch of the timeline's mean."""


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--data", metavar="FILE", help="a Cell2Cell CSV, plain or gz (default: ingest.source)")
    arguments = parser.parse_args()

    params = load_params()
    columns, labels = customers(params, data=arguments.data)
    proof = Proof(columns, labels, params)

    groups = list(dict.fromkeys(ENGINEERED.values()))
    raw = [name for name in FEATURES if name not in ENGINEERED]
    print(f"{len(labels)} rows; settings {params.train.model_dump()}")
    proof.show("raw columns", raw, None)
    proof.show("all", FEATURES, raw)
    for place, group in enumerate(groups):
        proof.show(f"{group}: added", kept(groups[: place + 1]), kept(groups[:place]))
    for group in groups:
        proof.show(f"{group}: not left out", FEATURES, kept([other for other in groups if other != group]))
    proof.show(f"{', '.join(LEFT_OUT)} put back", [*FEATURES, *LEFT_OUT], FEATURES)


def kept(groups: Sequence[str]) -> list[str]:
    """The raw features and those of some groups."""
    return [name for name in FEATURES if name not in ENGINEERED or ENGINEERED[name] in groups]


class Proof:
    """Scores by feature set, each computed once."""

    def __init__(self, columns: Columns, labels: Numbers, params: Params) -> None:
        self.columns, self.labels, self.settings = columns, labels, params.train
        self.edges = [round(place * len(labels) / BATCHES) for place in range(BATCHES + 1)]
        self.reference = np.arange(self.edges[round(BATCHES * params.split_batches.reference_share)])
        self._folded: dict[tuple[str, ...], Numbers] = {}
        self._timeline: dict[tuple[str, ...], list[Numbers]] = {}

    def show(self, title: str, names: Sequence[str], base: Sequence[str] | None) -> None:
        """One line: AUC in the reference window and on the timeline, and what `names` bring beyond `base`."""
        chosen, other = tuple(names), tuple(base if base is not None else names)
        inside = paired_auc(self.labels[self.reference], self.folded(other), self.folded(chosen), confidence=0.95)
        level = auc(self.labels[self.reference], self.folded(chosen))
        batches = [
            (auc(truth, new), paired_auc(truth, old, new, confidence=0.95))
            for truth, old, new in zip(self.truths(), self.timeline(other), self.timeline(chosen), strict=True)
        ]
        values, differences = [value for value, _ in batches], [difference for _, difference in batches]
        print(
            f"{title:26} reference {level:.4f} {shown([inside])}   "
            f"timeline {np.mean(values):.4f} {shown(differences)}   " + " ".join(f"{value:.3f}" for value in values),
            flush=True,
        )

    def truths(self) -> list[Numbers]:
        return [self.labels[self.edges[b] : self.edges[b + 1]] for b in range(FIRST, BATCHES)]

    def folded(self, names: tuple[str, ...]) -> Numbers:
        """Out-of-fold margins of the reference rows, averaged over the seeds."""
        if names not in self._folded:
            total = np.zeros(len(self.reference))
            for seed in SEEDS:
                settings = self.settings.model_copy(update={"seed": seed})
                for fold in stratified_folds(self.labels[self.reference], folds=FOLDS, seed=seed):
                    rest = np.setdiff1d(self.reference, fold)
                    total[fold] += self.margins(rest, fold, names, settings)
            self._folded[names] = total / len(SEEDS)
        return self._folded[names]

    def timeline(self, names: tuple[str, ...]) -> list[Numbers]:
        """Margins of each batch by a model of all rows before it."""
        if names not in self._timeline:
            self._timeline[names] = [
                self.margins(
                    np.arange(self.edges[b]), np.arange(self.edges[b], self.edges[b + 1]), names, self.settings
                )
                for b in range(FIRST, BATCHES)
            ]
        return self._timeline[names]

    def margins(self, window: Rows, rows: Rows, names: tuple[str, ...], settings: Train) -> Numbers:
        """Margins of `rows` by a model of `window`, both encoded by the window's own levels."""
        levels = levels_of(take(self.columns, window))
        matrix = np.hstack([encode(self.columns, levels), *(codes(self.columns, name) for name in LEFT_OUT)])
        known, types = [*FEATURES, *LEFT_OUT], [*feature_types(levels), *("c" for _ in LEFT_OUT)]
        places = [known.index(name) for name in names]
        matrix = np.ascontiguousarray(matrix[:, places])
        model = trees(
            matrix[window], self.labels[window], names=names, types=[types[p] for p in places], settings=settings
        )
        return np.asarray(model.inplace_predict(matrix[rows], predict_type="margin"), dtype=np.float64)


def codes(columns: Columns, name: str) -> Matrix:
    """A category column as it came: which level has which code does not matter to XGBoost, -1 is missing."""
    values = columns[name]
    assert isinstance(values, Codes)
    return np.where(values.codes < 0, np.nan, values.codes).astype(np.float32)[:, None]


def customers(params: Params, *, data: str | None) -> tuple[Columns, Numbers]:
    """All labelled rows in order of acquisition."""
    raw = io.read_raw(Path(data)) if data else ingest(params.ingest).frame
    frame = preprocess(
        raw, source=data or params.ingest.source, zero_is_missing=params.preprocess.zero_is_missing
    ).frame
    columns, labels = columns_of(frame), labels_of(frame)
    there = ~np.isnan(labels)
    assert length(columns) == len(labels)
    return take(columns, there), labels[there]


def auc(labels: Numbers, scores: Numbers) -> float:
    """AUC, as the excess over constant scores."""
    return 0.5 + (paired_auc(labels, np.zeros(len(labels)), scores, confidence=0.95).value or 0.0)


def shown(differences: Sequence[Difference]) -> str:
    """The mean difference and its standard error; batches are independent given their models."""
    value = np.mean([difference.value or 0.0 for difference in differences])
    error = np.sqrt(sum((difference.standard_error or 0.0) ** 2 for difference in differences)) / len(differences)
    return f"{value:+.4f} ±{error:.4f}"


if __name__ == "__main__":
    main()
