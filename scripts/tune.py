"""Search the settings of `train` inside the reference window: no row after it is read.

    python scripts/tune.py
    python scripts/tune.py --data cell2cell.csv.gz

Successive halving over seeded random settings: all of them once in 3-fold cross-validation, the best third by
log loss again with a second seed, the best third of those with a third. Log loss decides, because the
policy's evidence is measured in it; AUC is shown beside, and so is what a fit costs. Settings marked = are
within one paired standard error of the best: the data does not tell them from it.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, xlogy
from sklearn.metrics import roc_auc_score

from churn_drift.columns import Columns, Numbers, length, take
from churn_drift.config import Params, Train, load_params
from churn_drift.data import io
from churn_drift.data.frames import columns_of, labels_of
from churn_drift.data.ingest import ingest
from churn_drift.data.preprocess import preprocess
from churn_drift.model.inference import calibrated
from churn_drift.model.train import fit_booster, platt, stratified_folds
from churn_drift.usage import Parser

FOLDS = 3
SPACE: dict[str, tuple[float, ...]] = {
    "trees": (60, 100, 150, 200, 300),
    "learning_rate": (0.03, 0.04, 0.06, 0.08, 0.1),
    "max_depth": (3, 4, 5, 6),
    "min_child_weight": (5, 15, 30, 50, 80),
    "subsample": (0.6, 0.8, 1.0),
    "colsample_bytree": (0.3, 0.5, 0.7),
    "reg_lambda": (1.0, 5.0, 20.0),
    "max_cat_threshold": (4, 8, 32),
    "max_bin": (64, 128),
}


@dataclass
class Trial:
    """One setting and, for each seed tried, its out-of-fold loss by row and AUC."""

    settings: Train
    losses: list[Numbers] = field(default_factory=list)
    aucs: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def loss(self) -> Numbers:
        return np.asarray(np.mean(self.losses, axis=0))


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--data", metavar="FILE", help="a Cell2Cell CSV, plain or gz (default: ingest.source)")
    parser.add_argument("--trials", type=int, default=40, metavar="N", help="random settings (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the settings (default: %(default)s)")
    arguments = parser.parse_args()

    params = load_params()
    frame = reference_frame(params, data=arguments.data)
    columns, labels = columns_of(frame), labels_of(frame)
    print(f"{len(frame)} rows, churn {labels.mean():.3f}; {arguments.trials} settings, {FOLDS} folds")

    trials = [
        Trial(params.train),
        *(Trial(s) for s in drawn(params.train, trials=arguments.trials - 1, seed=arguments.seed)),
    ]
    for seed in range(1, 4):
        for trial in trials:
            measure(trial, columns, labels, seed=seed)
        trials.sort(key=lambda trial: float(trial.loss.mean()))
        show(trials, seed=seed)
        if seed < 3:
            trials = trials[: -(-len(trials) // 3)]

    print("\nchosen, for params.yaml:")
    print("\n".join(f"  {name}: {getattr(trials[0].settings, name):g}" for name in SPACE))


def reference_frame(params: Params, *, data: str | None) -> pd.DataFrame:
    """The labelled reference rows, by acquisition order: all that this search may see."""
    raw = io.read_raw(Path(data)) if data else ingest(params.ingest).frame
    clean = preprocess(
        raw, source=data or params.ingest.source, zero_is_missing=params.preprocess.zero_is_missing
    ).frame
    first = clean.iloc[: round(len(clean) * params.split_batches.reference_share)]
    return first[first["Churn"].notna()].reset_index(drop=True)


def drawn(base: Train, *, trials: int, seed: int) -> list[Train]:
    """Random settings from SPACE; the same for the same seed."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(trials):
        choice = {name: values[generator.integers(len(values))] for name, values in SPACE.items()}
        found.append(Train.model_validate(base.model_dump() | choice))
    return found


def measure(trial: Trial, columns: Columns, labels: Numbers, *, seed: int) -> None:
    """Add one round of cross-validation: the loss after Platt scaling, so that only the order and shape count."""
    started = time.process_time()
    settings = trial.settings.model_copy(update={"seed": seed})
    margin = np.empty(length(columns))
    for fold in stratified_folds(labels, folds=FOLDS, seed=seed):
        rest = np.setdiff1d(np.arange(len(labels)), fold)
        booster = fit_booster(take(columns, rest), labels[rest], settings=settings)
        margin[fold] = booster.margins(take(columns, fold))
    probability = np.clip(calibrated(margin, platt(margin, labels)), 1e-6, 1 - 1e-6)
    trial.losses.append(-xlogy(labels, probability) - xlogy(1 - labels, 1 - probability))
    trial.aucs.append(float(roc_auc_score(labels, expit(margin))))
    trial.seconds += time.process_time() - started


def clearly_worse(trial: Trial, best: Trial) -> bool:
    """Whether the mean paired difference in loss exceeds its standard error."""
    difference = trial.loss - best.loss
    return bool(difference.mean() > difference.std() / np.sqrt(len(difference)))


def show(trials: list[Trial], *, seed: int) -> None:
    print(f"\nafter {seed} seed{'s' * (seed > 1)}: log loss, AUC, CPU seconds a round, settings")
    for trial in trials[:12]:
        values = " ".join(f"{name}={getattr(trial.settings, name):g}" for name in SPACE)
        mark = " " if clearly_worse(trial, trials[0]) else "="
        print(f"{mark} {trial.loss.mean():.5f}  {np.mean(trial.aucs):.4f}  {trial.seconds / seed:5.2f}  {values}")


if __name__ == "__main__":
    main()
