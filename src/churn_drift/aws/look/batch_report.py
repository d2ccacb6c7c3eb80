"""The drift report of a batch: what it says, and where it lies in the bucket."""

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from churn_drift.aws import layout
from churn_drift.aws.client import code
from churn_drift.aws.look.batch_reader import BatchReader
from churn_drift.aws.look.lambda_settings import Settings
from churn_drift.aws.look.reference import Reference
from churn_drift.aws.services import FAULTS
from churn_drift.drift import Profile, check, merge, profile
from churn_drift.errors import DataError

SUFFIXES = (".csv.gz", ".csv")
REPORT = ".drift.json"
GONE = frozenset({"NoSuchKey", "404"})

_ETAG = "batch-etag"
"""In the metadata of a report: the ETag of the batch that it is about."""
_PIECE = 1 << 20

Document = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """An object in the inbox, as it was when it was opened.

    etag  of its content
    size  bytes, as they lie there
    """

    key: str
    etag: str
    size: int

    @property
    def name(self) -> str:
        """Below the inbox."""
        return self.key.removeprefix(f"{layout.INBOX}/")

    @property
    def report_key(self) -> str:
        """
        >>> Batch("inbox/day.csv", "", 0).report_key, Batch("inbox/day.csv.gz", "", 0).report_key
        ('inbox/day.drift.json', 'inbox/day.gz.drift.json')
        """
        plain, _, packed = self.key.rpartition(".csv")
        return f"{plain}{packed}{REPORT}"


def is_batch(key: str) -> bool:
    """Whether a key is one of a file that has arrived.

    >>> is_batch("inbox/day.csv"), is_batch("inbox/day.drift.json"), is_batch("landed/day.csv")
    (True, False, False)
    """
    return key.startswith(f"{layout.INBOX}/") and key.endswith(SUFFIXES)


def report(batch: Batch, body: Any, reference: Reference, settings: Settings) -> Document:
    """The document. The same batch and champion make the same; what is wrong with the batch stands in it.

    verdict  drifted, stable, insufficient; unreadable; labels (which are no batch of customers)
    reason   one line, with nothing of a customer in it
    drift    `DriftReport.to_dict()` of the features
    """
    head = {"format": 1, "batch": batch.name, "bytes": batch.size, "champion": reference.version}
    try:
        if batch.size > settings.largest:
            raise DataError(
                f"{batch.name}: {batch.size / 1e6:.0f} MB, and at most {settings.largest / 1e6:g} are looked at here; "
                "cut it into smaller batches"
            )
        return head | _seen(batch.name, body.iter_chunks(_PIECE), reference, settings)
    except DataError as error:
        return head | {"verdict": "unreadable", "reason": str(error), "rows": None}


def written(s3: Any, bucket: str, batch: Batch) -> Document | None:
    """The report that lies beside the batch, where it is about this content."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=batch.report_key)
    except FAULTS as error:
        if code(error) in GONE:
            return None
        raise
    with closing(answer["Body"]) as body:
        return dict(json.loads(body.read())) if answer["Metadata"].get(_ETAG) == batch.etag else None


def write(s3: Any, bucket: str, batch: Batch, document: Document) -> Document:
    """Put it beside the batch, in the place of one about other content; the document."""
    s3.put_object(
        Bucket=bucket,
        Key=batch.report_key,
        Body=(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode(),
        ContentType="application/json",
        Metadata={_ETAG: batch.etag},
    )
    return document


def _seen(source: str, blocks: Iterable[bytes], reference: Reference, settings: Settings) -> Document:
    reader = BatchReader(blocks, source=source, zero_is_missing=reference.zero_is_missing, limit=settings.largest)
    if reader.is_labels:
        return {"verdict": "labels", "reason": "labels: the next run takes them in", "rows": None}
    seen: Profile | None = None
    for part in reader.parts():
        counted = profile(reference.profile.bins, part)
        seen = counted if seen is None else merge(seen, counted)
    if seen is None:
        raise DataError(f"{source}: no rows below the header; give a file with customers in it")
    found = check(reference.profile, seen, limits=settings.limits).to_dict()
    facts = {"rows": reader.rows, "duplicates": reader.duplicates, "sha256": reader.sha256}
    return {"verdict": found.pop("verdict"), "reason": found.pop("reason")} | facts | {"drift": found}
