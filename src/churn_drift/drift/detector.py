"""Is this batch drifted? A profile of the reference, a profile of the batch, limits: a report with reasons.

A feature is drifted when its shift is significant (the false discovery rate over all features is held) and
relevant (the lower bound of its PSI is above the floor). Significance alone flags trifles in large batches;
a fixed PSI threshold alone flags noise in small ones and misses real shifts in large ones.

The tested p-value is that of PSI's own law. On random halves of real customers it holds its size better than
Pearson's chi-square where a column has many levels, and it sees missing and unseen values, which
Kolmogorov-Smirnov does not. Both are reported as second opinions, on no verdict.

Each check is one look. `fdr` and `alpha` hold for each look; who looks weekly for a year looks 52 times. The
defaults keep the sum small: about a 5 % chance a year for the score and for the label rate.

Drift of the features or of the score says that the customers have changed, not that the model is wrong; pure
concept drift (the same customers, another behaviour) shows in labels only.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from churn_drift.drift import statistics
from churn_drift.drift.evidence import Evidence, weigh
from churn_drift.drift.profile import Counts, LabelCounts, Profile, require_same_bins
from churn_drift.drift.report import DriftReport, FeatureDrift, LabelDrift, Limits, Verdict

SCORE = "score"
NAMED = 3
"""Features that a batch's reason names."""
NOTABLE = 0.01
"""Share of rows by which missing or unseen values must have grown or shrunk to be told in a reason."""


class Case(NamedTuple):
    """One column before it is judged; `q` is drifted from `q_limit` downwards."""

    name: str
    evidence: Evidence
    batch: Counts
    weight: float
    q: float
    q_limit: float
    missing_q: float


def check(
    reference: Profile, batch: Profile, *, limits: Limits, importance: Mapping[str, float] | None = None
) -> DriftReport:
    """What has drifted in the batch, and whether that makes the batch drifted.

    importance   weight of each feature, such as the model's gain; features it lacks weigh nothing. Without
                 it, or if it sums to 0, all weigh the same

    The verdict is "insufficient", never an alarm, if either sample has fewer than `limits.min_rows` rows.
    DataError if the profiles were counted in different bins; ValueError for a negative importance.

    >>> import numpy as np
    >>> from churn_drift.drift import fit_bins, profile
    >>> bins = fit_bins({"minutes": np.arange(1000.0)}, batch_rows=500)
    >>> reference = profile(bins, {"minutes": np.arange(1000.0)})
    >>> check(reference, profile(bins, {"minutes": np.arange(500.0)}), limits=Limits()).verdict
    'drifted'
    >>> check(reference, profile(bins, {"minutes": np.arange(0.0, 1000.0, 2.0)}), limits=Limits()).verdict
    'stable'
    """
    require_same_bins(reference, batch)
    short = _too_few(reference.rows, batch.rows, limits)
    features = _features(reference, batch, limits=limits, importance=importance, short=short)
    score = _score(reference, batch, limits=limits, short=short)
    labels = check_labels(reference.labels, batch.labels, limits=limits)
    drifted = tuple(feature for feature in features if feature.drifted)
    detectable = _detectable(features, n=reference.rows, m=batch.rows, limits=limits)
    verdict, reason = _insufficient(short, detectable) if short else _verdict(features, score, labels, limits)
    return DriftReport(
        verdict=verdict,
        reason=reason,
        rows_reference=reference.rows,
        rows_batch=batch.rows,
        share_drifted=_share_drifted(features),
        drifted_features=tuple(feature.name for feature in _worst_first(drifted)),
        worst=_worst_first(features)[0].name if features and batch.rows else None,
        detectable_psi=detectable,
        features=features,
        score=score,
        labels=labels,
    )


def _too_few(n: int, m: int, limits: Limits) -> str | None:
    if m < max(limits.min_rows, 1):
        return f"the batch has {m} rows, min_rows is {limits.min_rows}"
    if n < max(limits.min_rows, 1):
        return f"the reference has {n} rows, min_rows is {limits.min_rows}"
    return None


def _features(
    reference: Profile,
    batch: Profile,
    *,
    limits: Limits,
    importance: Mapping[str, float] | None,
    short: str | None,
) -> tuple[FeatureDrift, ...]:
    weights = _weights(tuple(reference.columns), importance)
    found = {
        name: weigh(
            bins,
            reference.columns[name],
            batch.columns[name],
            min_expected=reference.bins.min_expected,
            confidence=limits.confidence,
        )
        for name, bins in reference.bins.columns.items()
    }
    q_values = statistics.benjamini_hochberg([evidence.p for evidence in found.values()])
    missing_q = statistics.benjamini_hochberg([evidence.missing.p for evidence in found.values()])
    return tuple(
        _judge(Case(name, evidence, batch.columns[name], weights[name], q, limits.fdr, other_q), limits, short)
        for (name, evidence), q, other_q in zip(found.items(), q_values, missing_q, strict=True)
    )


def _weights(names: tuple[str, ...], importance: Mapping[str, float] | None) -> dict[str, float]:
    given = {name: float((importance or {}).get(name, 0.0)) for name in names}
    if not all(weight >= 0 and math.isfinite(weight) for weight in given.values()):
        raise ValueError("an importance is negative or not a number")
    whole = math.fsum(given.values())
    if not whole:
        return dict.fromkeys(names, 1 / len(names)) if names else {}
    return {name: weight / whole for name, weight in given.items()}


def _judge(case: Case, limits: Limits, short: str | None) -> FeatureDrift:
    evidence = case.evidence
    significant, relevant = case.q <= case.q_limit, evidence.psi_lower > limits.psi_threshold
    return FeatureDrift(
        name=case.name,
        kind=evidence.kind,
        psi=_defined(evidence.psi),
        psi_lower=_defined(evidence.psi_lower),
        p_value=_defined(evidence.p),
        q_value=_defined(case.q),
        ks=_defined(evidence.ks),
        ks_p=_defined(evidence.ks_p),
        chi2=_defined(evidence.chi2.statistic),
        chi2_p=_defined(evidence.chi2.p),
        cells=evidence.cells,
        missing_reference=_defined(evidence.missing_reference),
        missing_batch=_defined(evidence.missing_batch),
        missing_q=_defined(case.missing_q),
        unseen=case.batch.unseen,
        unseen_expected=_defined(evidence.unseen_expected),
        examples=case.batch.examples,
        weight=case.weight,
        drifted=significant and relevant and short is None,
        reason=short or _feature_reason(case, limits) + _causes(evidence, case.batch),
    )


def _feature_reason(case: Case, limits: Limits) -> str:
    evidence, q, q_limit = case.evidence, case.q, case.q_limit
    if not q <= q_limit:
        return f"PSI {evidence.psi:.4f} is within sampling noise: q {_chance(q)}, limit {q_limit:g}"
    if not evidence.psi_lower > limits.psi_threshold:
        return f"PSI {evidence.psi:.4f}, at least {evidence.psi_lower:.4f}: limit {limits.psi_threshold:g}"
    return (
        f"PSI {evidence.psi:.4f}, at least {evidence.psi_lower:.4f}: above {limits.psi_threshold:g} "
        f"(q {_chance(q)}, limit {q_limit:g})"
    )


def _causes(evidence: Evidence, batch: Counts) -> str:
    """What a reader of the reason would look up first, where it stands out by itself."""
    told = []
    if max(evidence.missing.low, -evidence.missing.high) > NOTABLE:
        told.append(f"missing {evidence.missing_reference:.1%}, now {evidence.missing_batch:.1%}")
    if batch.unseen - evidence.unseen_expected > NOTABLE * evidence.rows:
        named = f", such as {batch.examples[0]!r}" if batch.examples else ""
        told.append(f"unseen in {batch.unseen} rows, {evidence.unseen_expected:.0f} expected{named}")
    return "".join(f"; {cause}" for cause in told)


def _score(reference: Profile, batch: Profile, *, limits: Limits, short: str | None) -> FeatureDrift | None:
    if reference.bins.score is None or reference.score is None or batch.score is None:
        return None
    evidence = weigh(
        reference.bins.score,
        reference.score,
        batch.score,
        min_expected=reference.bins.min_expected,
        confidence=limits.confidence,
    )
    case = Case(SCORE, evidence, batch.score, 0.0, evidence.p, limits.alpha, evidence.missing.p)
    return _judge(case, limits, short)


def check_labels(reference: LabelCounts | None, batch: LabelCounts | None, *, limits: Limits) -> LabelDrift | None:
    """How far the label rate has moved, two-sided; None where either side has no labels at all to count.

    >>> change = check_labels(LabelCounts(5_000, 1_000), LabelCounts(5_000, 1_500), limits=Limits())
    >>> change.drifted, round(change.difference, 6)
    (True, 0.1)
    """
    if reference is None or batch is None:
        return None
    short = _too_few(reference.rows, batch.rows, limits)
    change = statistics.two_proportions(
        (reference.positives, reference.rows), (batch.positives, batch.rows), confidence=limits.confidence
    )
    surely = max(change.low, -change.high, 0.0)
    drifted = short is None and change.p <= limits.alpha and surely > limits.label_floor
    return LabelDrift(
        rows=batch.rows,
        rate_reference=_share(reference),
        rate_batch=_share(batch),
        difference=_defined(change.difference),
        low=_defined(change.low),
        high=_defined(change.high),
        p_value=_defined(change.p),
        drifted=drifted,
        reason=short.replace("rows", "labels", 1) if short else _label_reason(change, surely, limits),
    )


def _label_reason(change: statistics.Difference, surely: float, limits: Limits) -> str:
    if change.p > limits.alpha:
        return f"label rate {change.difference:+.3f}: p {_chance(change.p)}, limit {limits.alpha:g}"
    return (
        f"label rate {change.difference:+.3f} [{change.low:+.3f}, {change.high:+.3f}]: "
        f"at least {surely:.3f}, limit {limits.label_floor:g} (p {_chance(change.p)})"
    )


def _share(labels: LabelCounts) -> float | None:
    return labels.positives / labels.rows if labels.rows else None


def _detectable(features: tuple[FeatureDrift, ...], *, n: int, m: int, limits: Limits) -> float | None:
    cells = sorted(feature.cells for feature in features if feature.cells > 1)
    if not cells:
        return None
    return _defined(
        statistics.detectable_psi(
            n=n,
            m=m,
            cells=cells[len(cells) // 2],
            alpha=limits.fdr / len(features),
            power=limits.power,
            floor=limits.psi_threshold,
            floor_alpha=1 - limits.confidence,
        )
    )


def _insufficient(short: str, detectable: float | None) -> tuple[Verdict, str]:
    shown = "no shift at all" if detectable is None else f"only a PSI above {detectable:.2g}"
    return "insufficient", f"{short}: {shown} could have been shown"


def _share_drifted(features: tuple[FeatureDrift, ...]) -> float:
    return min(1.0, math.fsum(feature.weight for feature in features if feature.drifted))


def _verdict(
    features: tuple[FeatureDrift, ...], score: FeatureDrift | None, labels: LabelDrift | None, limits: Limits
) -> tuple[Verdict, str]:
    share = _share_drifted(features)
    causes = [_share_reason(features, share, limits)]
    if score is not None and score.drifted:
        causes.append(f"score: {score.reason}")
    if labels is not None and labels.drifted:
        causes.append(labels.reason)
    enough = any(feature.drifted for feature in features) and share >= limits.drift_share
    drifted = enough or len(causes) > 1
    return ("drifted" if drifted else "stable"), "; ".join(causes)


def _share_reason(features: tuple[FeatureDrift, ...], share: float, limits: Limits) -> str:
    worst = [feature for feature in _worst_first(features) if feature.drifted]
    named = ", ".join(f"{feature.name} PSI {feature.psi:.3g}" for feature in worst[:NAMED])
    told = f": {named}" if named else ""
    return (
        f"{len(worst)} of {len(features)} features drifted, {share:.0%} by weight, limit {limits.drift_share:.0%}{told}"
    )


def _worst_first(features: tuple[FeatureDrift, ...]) -> list[FeatureDrift]:
    return sorted(features, key=lambda feature: (-(feature.psi_lower or 0.0), -(feature.psi or 0.0), feature.name))


def _chance(p: float) -> str:
    return "below 1e-6" if p < 1e-6 else f"{p:.2g}"


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
