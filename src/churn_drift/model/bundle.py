"""A model is a directory: XGBoost's own file, JSON beside it, and a manifest of their hashes. No pickle.

The manifest is verified over the very bytes that are then parsed: XGBoost loads many a damaged file and
predicts differently without a word, so nothing unverified reaches it.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from churn_drift.errors import ModelError

FORMAT = 1
LAST_READERS: dict[int, str] = {}
"""Of each older format: the last release that reads it. Formats are few; when one ends, its line is added here."""

MANIFEST = "manifest.json"
MODEL = "model.ubj"
FILES = ("facts.json", "features.json", "golden.json", MODEL, "profile.json", "scoring.json")


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: the churn probability is expit(slope * margin + intercept)."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Golden:
    """A made-up record and the probability that the model gave it when it was made.

    record       column name to number or level; None is missing
    probability  calibrated, rounded as served
    """

    record: dict[str, float | str | None]
    probability: float


@dataclass(frozen=True)
class Bundle:
    """All that scoring needs, and where it came from.

    model        the booster, in XGBoost's UBJSON format
    features     the matrix' columns, in order
    levels       category column to its levels in the training rows; a level's place is its code
    zero_is_missing  how the training rows were typed from raw cells (see `preprocess`); scored ones are typed alike
    threshold    a calibrated probability of this or more is decided "will churn"
    profile      the drift reference profile, opaque here
    facts        parent version, data and params hash, settings, reason, training batches, rows: opaque here
    golden       records whose probability must come out again
    """

    model: bytes
    features: tuple[str, ...]
    levels: dict[str, tuple[str, ...]]
    zero_is_missing: bool
    calibration: Calibration
    threshold: float
    profile: dict[str, Any]
    facts: dict[str, Any]
    golden: tuple[Golden, ...] = ()
    format: int = field(default=FORMAT)


def save(bundle: Bundle, folder: Path) -> str:
    """Write the directory, replacing what is there, and return its version.

    Written beside and then renamed: a reader never sees half a model. The same bundle makes the same bytes.
    """
    files = _files(bundle)
    manifest = _manifest(files)
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        beside.mkdir()
        for name, content in [*files.items(), (MANIFEST, manifest)]:
            (beside / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return _version(manifest)


def load(folder: Path, *, expected: str | None = None) -> Bundle:
    """The bundle in a directory, after every byte has been verified.

    expected   the version that it must be

    Raises ModelError naming folder, file and remedy when a file is missing, added or altered, the format is
    unknown, or the version is another.
    """
    files, manifest = _verified(folder)
    found = _version(manifest)
    if expected is not None and found != expected:
        raise ModelError(
            f"{folder}: holds version {found}, not {expected}; `dvc checkout {folder}` brings back the pinned one"
        )
    features = json.loads(files["features.json"])
    scoring = json.loads(files["scoring.json"])
    return Bundle(
        model=files[MODEL],
        features=tuple(features["names"]),
        levels={name: tuple(levels) for name, levels in features["levels"].items()},
        zero_is_missing=features["zero_is_missing"],
        calibration=Calibration(**scoring["calibration"]),
        threshold=scoring["threshold"],
        profile=json.loads(files["profile.json"]),
        facts=json.loads(files["facts.json"]),
        golden=tuple(Golden(**row) for row in json.loads(files["golden.json"])),
        format=FORMAT,
    )


def version_of(folder: Path) -> str:
    """The id of the model in a directory: the first 12 hex digits of the manifest's sha256. Verifies every file."""
    return _version(_verified(folder)[1])


def _files(bundle: Bundle) -> dict[str, bytes]:
    return {
        "facts.json": _json(bundle.facts),
        "features.json": _json(
            {"names": bundle.features, "levels": bundle.levels, "zero_is_missing": bundle.zero_is_missing}
        ),
        "golden.json": _json([{"record": g.record, "probability": g.probability} for g in bundle.golden]),
        MODEL: bundle.model,
        "profile.json": _json(bundle.profile),
        "scoring.json": _json(
            {
                "calibration": {"slope": bundle.calibration.slope, "intercept": bundle.calibration.intercept},
                "threshold": bundle.threshold,
            }
        ),
    }


def _verified(folder: Path) -> tuple[dict[str, bytes], bytes]:
    if not folder.is_dir():
        raise ModelError(
            f"{folder}: no such model directory; `dvc checkout {folder}` brings it back, `dvc repro` makes it"
        )
    remedy = f"`dvc checkout --force {folder}` brings the pinned model back"
    contents = {path.name: path.read_bytes() if path.is_file() else None for path in sorted(folder.iterdir())}
    manifest = contents.pop(MANIFEST, None)
    if manifest is None:
        raise ModelError(f"{folder}: {MANIFEST} is missing; {remedy}")
    listed = _listed(manifest, folder, remedy)
    files: dict[str, bytes] = {}
    for name in sorted({*contents, *listed}):
        content = contents.get(name)
        if name not in listed:
            raise ModelError(f"{folder}: {name} does not belong to the model; {remedy}")
        if content is None:
            raise ModelError(f"{folder}: {name} is missing; {remedy}")
        if hashlib.sha256(content).hexdigest() != listed[name]:
            raise ModelError(f"{folder}: {name} was altered (its sha256 is not the one in {MANIFEST}); {remedy}")
        files[name] = content
    return files, manifest


def _listed(manifest: bytes, folder: Path, remedy: str) -> dict[str, str]:
    """The manifest's hashes. Anything but the form that `save` writes is refused, so one model has one version."""
    try:
        document = json.loads(manifest)
        form, listed = document["format"], document["files"]
        as_written = _json({"format": form, "files": {name: str(listed[name]) for name in sorted(listed)}})
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{folder}: {MANIFEST} cannot be read; {remedy}") from None
    if form != FORMAT:
        raise ModelError(f"{folder}: {MANIFEST}: format {form!r}: {_who_reads(form)}")
    if as_written != manifest or tuple(sorted(listed)) != tuple(sorted(FILES)):
        raise ModelError(f"{folder}: {MANIFEST} was altered; {remedy}")
    return dict(listed)


def _who_reads(form: object) -> str:
    release = metadata.version("churn-drift")
    if isinstance(form, int) and form > FORMAT:
        return f"made by a newer release; this one, {release}, reads format {FORMAT}: upgrade churn-drift"
    if isinstance(form, int) and form in LAST_READERS:
        last = LAST_READERS[form]
        return f"the last release that reads it is {last}: `pip install churn-drift=={last}`"
    return f"no release writes it; this one, {release}, reads format {FORMAT}"


def _manifest(files: dict[str, bytes]) -> bytes:
    return _json({"format": FORMAT, "files": {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}})


def _version(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:12]


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
