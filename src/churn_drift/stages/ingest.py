"""Raw customers into data/raw."""

from churn_drift import paths
from churn_drift.config import Ingest, load_section
from churn_drift.data import files, io
from churn_drift.data.ingest import ingest


def main() -> None:
    """Simulate the customers or read the user's file."""
    settings = load_section(Ingest, "ingest")

    customers = ingest(settings)

    io.write_csv(customers.frame, paths.RAW)
    seed = settings.seed if customers.simulated else None
    files.write_json(
        {"simulated": customers.simulated, "rows": len(customers.frame), "seed": seed}, paths.INGEST_REPORT
    )
