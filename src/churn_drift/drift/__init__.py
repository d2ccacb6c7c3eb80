"""Drift detection from counts: fit bins on the reference, profile every batch in them, check it.

    bins = fit_bins(reference, batch_rows=5_000)
    report = check(profile(bins, reference), profile(bins, batch), limits=Limits())

Needs numpy and scipy.special only, so that it runs where a model does.
"""

from churn_drift.drift.bins import Bins, CategoryBins, NumberBins, bins_from_json, bins_to_json, fit_bins
from churn_drift.drift.detector import check, check_labels
from churn_drift.drift.distributions import SCORE, Distribution, distributions
from churn_drift.drift.profile import Counts, LabelCounts, Profile, from_json, merge, profile, to_json
from churn_drift.drift.report import DriftReport, FeatureDrift, LabelDrift, Limits, Verdict

__all__ = [
    "SCORE",
    "Bins",
    "CategoryBins",
    "Counts",
    "Distribution",
    "DriftReport",
    "FeatureDrift",
    "LabelCounts",
    "LabelDrift",
    "Limits",
    "NumberBins",
    "Profile",
    "Verdict",
    "bins_from_json",
    "bins_to_json",
    "check",
    "check_labels",
    "distributions",
    "fit_bins",
    "from_json",
    "merge",
    "profile",
    "to_json",
]
