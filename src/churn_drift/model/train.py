"""A model, its calibration and its threshold, from one training window and nothing else."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from scipy.special import expit, log_expit, logit

from churn_drift import schema
from churn_drift.columns import Codes, Columns, Numbers, concatenate, length, take
from churn_drift.config import Train
from churn_drift.errors import TrainingError
from churn_drift.model.bundle import Bundle, Calibration, Golden
from churn_drift.model.features import FEATURES, Encoder, Levels, Matrix, feature_types, levels_of
from churn_drift.model.inference import DECIMALS, Booster, Scorer, calibrated, columns_of_records

NTHREAD = 1
"""Of one fit: of this size, a second thread costs more than it brings. Folds are fitted side by side instead."""
SIDE_BY_SIDE = 4
"""Fits at a time: three folds and the model of all rows. XGBoost lets go of Python's lock; it changes no result."""

RIDGE = 1e-6
"""Keeps Platt's slope finite where the margins do not determine it."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Fitted:
    """A model that is ready to be bundled.

    booster             fitted on all rows of the window
    calibration         Platt scaling of out-of-fold margins
    threshold           maximises F1 on the calibrated out-of-fold probabilities
    out_of_fold_margin  shape (n,): each row's log odds by a model that did not see its fold
    out_of_fold         shape (n,): the same, calibrated
    """

    booster: Booster
    calibration: Calibration
    threshold: float
    out_of_fold_margin: Numbers
    out_of_fold: Numbers


def fit(columns: Columns, labels: Numbers, *, settings: Train) -> Fitted:
    """The window's model. Folds, levels, calibration and threshold come from these rows only.

    columns   n rows, in any order (the folds depend on it)
    labels    shape (n,), 1.0 churned or 0.0 stayed

    Raises TrainingError when labels are missing, only one class occurs, or a fold would be without one.
    """
    check_window(labels, rows=length(columns), folds=settings.folds)
    margin = np.empty(len(labels))

    def held_out(fold: Rows) -> None:
        rest = np.setdiff1d(np.arange(len(labels)), fold)
        margin[fold] = fit_booster(take(columns, rest), labels[rest], settings=settings).margins(take(columns, fold))

    folds = stratified_folds(labels, folds=settings.folds, seed=settings.seed)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        booster = pool.submit(fit_booster, columns, labels, settings=settings)
        list(pool.map(held_out, folds))
    calibration = platt(margin, labels)
    probability = calibrated(margin, calibration)
    return Fitted(
        booster=booster.result(),
        calibration=calibration,
        threshold=best_threshold(probability, labels),
        out_of_fold_margin=margin,
        out_of_fold=probability,
    )


def fit_booster(columns: Columns, labels: Numbers, *, settings: Train, levels: Levels | None = None) -> Booster:
    """Trees fitted on all these rows; `levels` of these rows unless given. The same bytes for the same input.

    Raises TrainingError when labels are missing or only one class occurs.
    """
    check_window(labels, rows=length(columns), folds=1)
    known = levels_of(columns) if levels is None else levels
    model = trees(Encoder(known)(columns), labels, names=FEATURES, types=feature_types(known), settings=settings)
    return Booster(model, known)


def trees(
    matrix: Matrix, labels: Numbers, *, names: Sequence[str], types: Sequence[str], settings: Train
) -> xgboost.Booster:
    """XGBoost's trees on an encoded matrix, shape (n, len(names)): the one place where its parameters stand."""
    with xgboost.config_context(nthread=NTHREAD):  # else the check of the labels starts a thread for each core
        data = xgboost.QuantileDMatrix(
            matrix,
            labels,
            feature_names=list(names),
            feature_types=list(types),
            enable_categorical=True,
            max_bin=settings.max_bin,
            nthread=NTHREAD,
        )
        return xgboost.train(_xgboost(settings, labels), data, settings.trees, verbose_eval=False)


def cross_fit(
    older: Columns, older_labels: Numbers, newest: Columns, newest_labels: Numbers, *, folds: int, settings: Train
) -> Numbers:
    """For each row of `newest` the probability by a model of all older rows and the newest batch's other folds.

    Shape (rows of newest,), before calibration, 6 decimals. What a model fitted on everything would be worth on
    rows it has not seen, without giving up the newest batch. Raises TrainingError as `fit` does.
    """
    check_window(newest_labels, rows=length(newest), folds=folds)
    margin = np.empty(len(newest_labels))

    def held_out(fold: Rows) -> None:
        rest = np.setdiff1d(np.arange(len(newest_labels)), fold)
        together = concatenate([older, take(newest, rest)]) if length(older) else take(newest, rest)
        labels = np.concatenate([older_labels, newest_labels[rest]])
        margin[fold] = fit_booster(together, labels, settings=settings).margins(take(newest, fold))

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(held_out, stratified_folds(newest_labels, folds=folds, seed=settings.seed)))
    probability: Numbers = np.round(expit(margin), DECIMALS)
    return probability


def check_window(labels: Numbers, *, rows: int, folds: int) -> None:
    """Raises TrainingError, naming what is wrong, when no model can be fitted on these labels in `folds` folds."""
    if len(labels) != rows:
        raise TrainingError(f"the window has {rows} rows but {len(labels)} labels")
    if not rows:
        raise TrainingError("the window has no rows; widen retrain.window or land a labelled batch")
    if missing := int(np.count_nonzero(np.isnan(labels))):
        raise TrainingError(f"{missing} of {rows} labels of the window are missing; land them or leave their batch out")
    churned = int(np.count_nonzero(labels == 1))
    if churned in (0, rows):
        raise TrainingError(
            f"all {rows} rows of the window {'churned' if churned else 'stayed'}; a model needs both classes: "
            "widen the window (split_batches.reference_share, retrain.window) or land labels of both"
        )
    if min(churned, rows - churned) < folds:
        raise TrainingError(
            f"{churned} of {rows} rows of the window churned; {folds} folds need {folds} or more rows of each class: "
            "widen the window or lower folds in params.yaml"
        )


def stratified_folds(labels: Numbers, *, folds: int, seed: int) -> list[Rows]:
    """`folds` disjoint sets of rows that cover all, churners dealt out evenly; the same for the same seed."""
    generator = np.random.default_rng(seed)
    number = np.empty(len(labels), dtype=np.intp)
    for value in (0.0, 1.0):
        rows = generator.permutation(np.flatnonzero(labels == value))
        number[rows] = np.arange(len(rows)) % folds
    return [np.flatnonzero(number == fold) for fold in range(folds)]


def platt(margin: Numbers, labels: Numbers) -> Calibration:
    """Maximum-likelihood slope and intercept of the log odds, rounded to 6 decimals (Platt 1999, plain 0/1 targets).

    Newton's method on the two-parameter log loss, which is convex, with steps halved until they improve it; from
    slope 1 and the churn rate, margins centred. Separable margins have no finite maximum and constant ones no slope:
    a ridge of 1e-6 on the slope's distance from 1 decides there. Both classes must occur.
    """
    middle = float(margin.mean())
    x = margin - middle
    point = np.array([1.0, float(logit(labels.mean()))])
    best = _platt_loss(point, x, labels)
    for _ in range(100):
        p = expit(point[0] * x + point[1])
        residual, weight = p - labels, p * (1 - p)
        g1, g2 = float((residual * x).sum()) + RIDGE * (point[0] - 1), float(residual.sum())
        h11, h12, h22 = float((weight * x * x).sum()) + RIDGE, float((weight * x).sum()), float(weight.sum())
        step = np.array([h22 * g1 - h12 * g2, h11 * g2 - h12 * g1]) / (h11 * h22 - h12 * h12)
        while (loss := _platt_loss(point - step, x, labels)) > best and np.abs(step).max() > 1e-9:
            step = step / 2
        point, best = point - step, loss
        if np.abs(step).max() <= 1e-9:
            break
    slope = round(float(point[0]), DECIMALS)
    return Calibration(slope, round(float(point[1] - point[0] * middle), DECIMALS))


def _platt_loss(point: Numbers, x: Numbers, labels: Numbers) -> float:
    z = point[0] * x + point[1]
    return float(-(labels * log_expit(z) + (1 - labels) * log_expit(-z)).sum() + RIDGE / 2 * (point[0] - 1) ** 2)


def best_threshold(probability: Numbers, labels: Numbers) -> float:
    """The probability at and above which deciding "will churn" maximises F1; of equals the highest (fewest decisions).

    >>> best_threshold(np.array([.9, .8, .3, .1]), np.array([1., 0., 1., 0.]))
    0.3
    """
    order = np.argsort(-probability, kind="stable")
    sorted_probability = probability[order]
    hits = np.cumsum(labels[order])
    last = np.append(sorted_probability[1:] != sorted_probability[:-1], True)
    f1 = 2 * hits[last] / (labels.sum() + np.flatnonzero(last) + 1)
    return round(float(sorted_probability[last][np.argmax(f1)]), DECIMALS)


def pack(
    fitted: Fitted, columns: Columns, *, profile: dict[str, Any], facts: dict[str, Any], zero_is_missing: bool
) -> Bundle:
    """The model as a bundle. `columns` are its training rows: the golden records are made from their quartiles."""
    bundle = Bundle(
        model=fitted.booster.to_bytes(),
        features=FEATURES,
        levels=dict(fitted.booster.levels),
        zero_is_missing=zero_is_missing,
        calibration=fitted.calibration,
        threshold=fitted.threshold,
        profile=profile,
        facts=facts,
    )
    records = golden_records(columns, fitted.booster.levels)
    probability = Scorer(bundle)(columns_of_records(records)).probability
    golden = tuple(Golden(record, float(p)) for record, p in zip(records, probability, strict=True))
    return replace(bundle, golden=golden)


def golden_records(columns: Columns, levels: Levels) -> list[dict[str, float | str | None]]:
    """Made-up records, no customer's row, for `Bundle.golden`.

    The training rows' lower quartile, median and upper quartile, each with an early, a middle or a late level of
    every category; all missing; and the median with levels that nobody has.
    """
    records = [_quantile_record(columns, levels, share) for share in (0.25, 0.5, 0.75)]
    nothing: dict[str, float | str | None] = dict.fromkeys((c.name for c in schema.RECORD), None)
    strange = records[1] | dict.fromkeys(schema.CATEGORIES, "never seen")
    return [*records, nothing, strange]


def _quantile_record(columns: Columns, levels: Levels, share: float) -> dict[str, float | str | None]:
    record: dict[str, float | str | None] = {}
    for column in schema.RECORD:
        values = columns[column.name]
        if isinstance(values, Codes):
            known = levels.get(column.name, ())
            record[column.name] = known[round(share * (len(known) - 1))] if known else None
        else:
            present = values[~np.isnan(values)]
            middle = round(float(np.quantile(present, share)), column.decimals) if len(present) else None
            record[column.name] = middle
    return record


def _xgboost(settings: Train, labels: Numbers) -> dict[str, object]:
    return {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "base_score": round(float(labels.mean()), DECIMALS),
        "seed": settings.seed,
        "nthread": NTHREAD,
        "verbosity": 0,
        "learning_rate": settings.learning_rate,
        "max_depth": settings.max_depth,
        "min_child_weight": settings.min_child_weight,
        "subsample": settings.subsample,
        "colsample_bytree": settings.colsample_bytree,
        "reg_lambda": settings.reg_lambda,
        "max_cat_threshold": settings.max_cat_threshold,
        "max_bin": settings.max_bin,
    }
