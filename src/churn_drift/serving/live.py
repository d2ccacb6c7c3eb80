"""The live window: how the customers that are scored now differ from those that the champion was fitted on.

Every worker counts what it scores in the bins of the champion's own profile and writes its counts, hour by hour, to
files of its own. Profiles add up exactly, so the drift of any window is read from a few small files: no raw row is
kept for it, none is read, and no worker waits for another.

live/<version>/<hour>.<worker>.json   as `drift.to_json` writes a profile; an hour is 2026-11-23T22, UTC
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from churn_drift.columns import Columns, Numbers
from churn_drift.data import files
from churn_drift.drift import SCORE, Limits, Profile, check, distributions, from_json, merge, profile, to_json
from churn_drift.errors import DataError
from churn_drift.model.inference import columns_of_records
from churn_drift.serving.model import ServedModel

HOUR = "%Y-%m-%dT%H"
KEPT = timedelta(days=31)
"""How long counts are kept: the longest window that can be asked for."""


@dataclass(frozen=True)
class Live:
    """What is served now, against what the model was fitted on.

    first, last  hours (UTC) of the oldest and newest counts; None where nothing was scored in the window
    report       see `drift.DriftReport`
    scores       of the customers in each cell of the score, the shares of the reference and of the window
    """

    version: str
    hours: int
    first: str | None
    last: str | None
    report: dict[str, Any]
    scores: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        window = {"hours": self.hours, "first": self.first, "last": self.last}
        return {"model_version": self.version, "window": window, **self.report, "scores": self.scores}


class Counts:
    """What one worker has scored, hour by hour. One thread adds and writes; any may tell who serves.

    folder  of all workers
    worker  a name that no other has
    clock   seconds since 1970
    """

    def __init__(self, folder: Path, *, worker: str, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._worker, self._clock = folder, worker, clock
        self._references: dict[str, Profile] = {}
        self._counted: dict[Path, Profile] = {}
        self._unwritten: set[Path] = set()

    def serves(self, model: ServedModel) -> None:
        """From now on this model scores; what is still on the way from the one before is counted, too."""
        known = {**self._references, model.version: from_json(model.bundle.profile)}
        self._references = {version: known[version] for version in [*known][-2:]}

    def add(self, version: str, columns: Columns, probabilities: Numbers) -> None:
        """Count customers that a model has scored just now; a version that never served here is passed over."""
        reference = self._references.get(version)
        if reference is None:
            return
        place = self._folder / version / f"{_hour(self._clock())}.{self._worker}.json"
        seen = profile(reference.bins, columns, scores=probabilities)
        before = self._counted.get(place)
        self._counted[place] = merge(before, seen) if before else seen
        self._unwritten.add(place)

    def write(self) -> None:
        """Put what was counted since the last call where every worker finds it; what is too old is removed."""
        for place in sorted(self._unwritten):
            files.write_bytes(orjson.dumps(to_json(self._counted[place])), place)
        self._unwritten.clear()
        now = _hour(self._clock())
        if any(_hour_of(place) != now for place in self._counted):
            self._counted = {place: counts for place, counts in self._counted.items() if _hour_of(place) == now}
            _remove_before(self._folder, _hour(self._clock() - KEPT.total_seconds()))


def live(
    folder: Path, model: ServedModel, *, hours: int, limits: Limits, clock: Callable[[], float] = time.time
) -> Live:
    """The drift of what all workers have scored by this model in the last hours, the present one included."""
    reference = from_json(model.bundle.profile)
    oldest = _hour(clock() - (hours - 1) * 3600)
    total = profile(reference.bins, columns_of_records([]), scores=np.empty(0))
    seen = []
    for place in _places(folder / model.version):
        if _hour_of(place) >= oldest and (counts := _read(place)) is not None:
            total = merge(total, counts)
            seen.append(_hour_of(place))
    report = check(reference, total, limits=limits).to_dict()
    return Live(
        version=model.version,
        hours=hours,
        first=min(seen, default=None),
        last=max(seen, default=None),
        report=report,
        scores=_scores(reference, total),
    )


def _scores(reference: Profile, window: Profile) -> dict[str, Any]:
    """The cells of the score, lowest first; none where the bins have none for it."""
    found = distributions({"reference": reference, "window": window})[-1]
    if found.column != SCORE:
        return {"cells": [], "reference": [], "window": []}
    return {"cells": found.cells, **found.shares}


def _read(place: Path) -> Profile | None:
    """None where another worker has just removed it."""
    try:
        return from_json(orjson.loads(place.read_bytes()))
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise DataError(f"{place}: no counts of a worker; remove this file, the window goes on without it") from None


def _places(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.glob("[0-9]*.json"))


def _remove_before(folder: Path, oldest: str) -> None:
    for version in sorted(folder.iterdir()):
        for place in _places(version):
            if _hour_of(place) < oldest:
                place.unlink(missing_ok=True)


def _hour(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(HOUR)


def _hour_of(place: Path) -> str:
    return place.name.partition(".")[0]
