"""What people are told of a batch. It leaves the bucket: names and figures of columns, nothing of a customer."""

import os
from urllib.parse import quote

from churn_drift.aws.look.batch_report import Batch, Document
from churn_drift.ports import Message

NAMED = 5
"""Features that an alert names."""


def drifted(bucket: str, batch: Batch, document: Document, *, run: str) -> Message:
    """The customers of a batch have changed.

    run  the handle of the run that was started for it, or why there is none
    """
    drift = document["drift"]
    moved = [feature for feature in drift["features"] if feature["drifted"]]
    worst = sorted(moved, key=lambda feature: -feature["psi_lower"])[:NAMED]
    facts = {
        "batch": batch.name,
        "rows": f"{document['rows']:,}",
        "drifted": f"{len(moved)} of {len(drift['features'])} features, {drift['share_drifted']:.0%} by weight",
        "moved most": ", ".join(f"{feature['name']} PSI {feature['psi']:.3g}" for feature in worst),
        "champion": document["champion"],
        "run": run,
        "report": _url(bucket, batch),
    }
    title = f"Drift in {len(moved)} of {len(drift['features'])} features: {batch.name}"
    return Message("drift", f"drift/{batch.key}/{batch.etag}", title, facts, _console(bucket, batch))


def unreadable(bucket: str, batch: Batch, document: Document) -> Message:
    """A batch is not what the schema says."""
    facts = {
        "batch": batch.name,
        "reason": document["reason"],
        "next": "the pipeline's next run puts it into quarantine/; send it again, mended",
        "report": _url(bucket, batch),
    }
    title = f"Batch cannot be read: {batch.name}"
    return Message("failure", f"unreadable/{batch.key}/{batch.etag}", title, facts, _console(bucket, batch))


def _url(bucket: str, batch: Batch) -> str:
    return f"s3://{bucket}/{batch.report_key}"


def _console(bucket: str, batch: Batch) -> str:
    """The report's page in AWS's console."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    return (
        f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={quote(batch.report_key)}"
    )
