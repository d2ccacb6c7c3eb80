"""model.tar.gz: a model directory as SageMaker wants it. The same model makes the same bytes.

SageMaker unpacks it into /opt/ml/model, where `deploy/serve` finds models/champion.
"""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from churn_drift import paths

GOLDEN = f"{paths.CHAMPION}/golden.json"

Records = Sequence[Mapping[str, Any]]
"""What bundle.Golden holds, as JSON: `record` and `probability`."""


def packed(folder: Path) -> bytes:
    """The files of a model directory, without owner, mode and time."""
    stream = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in sorted(folder.iterdir()):
            content, entry = path.read_bytes(), tarfile.TarInfo(f"{paths.CHAMPION}/{path.name}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def golden(archive: bytes) -> Records:
    """The golden records of the model that it holds; none where it holds no such file."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        try:
            stream = opened.extractfile(GOLDEN)
        except KeyError:
            return ()
        records: Records = json.load(stream) if stream else ()
        return records
