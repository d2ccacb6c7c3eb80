"""data/raw, typed and clean, into data/processed."""

from churn_drift import paths
from churn_drift.config import Preprocess, load_section
from churn_drift.data import files, io
from churn_drift.data.preprocess import preprocess


def main() -> None:
    """Type, mend, refuse; count what was mended."""
    settings = load_section(Preprocess, "preprocess")
    raw = io.read_raw(paths.RAW)

    clean = preprocess(raw, source=str(paths.RAW), zero_is_missing=settings.zero_is_missing)

    io.write_frame(clean.frame, paths.PROCESSED)
    files.write_json(
        {
            "rows": len(clean.frame),
            "duplicates_dropped": clean.duplicates,
            "rows_reordered": clean.reordered,
            "unlabelled": clean.unlabelled,
            "sentinels": clean.sentinels,
            "missing_share": {name: round(share, 6) for name, share in clean.frame.isna().mean().items() if share},
        },
        paths.PREPROCESS_REPORT,
    )
