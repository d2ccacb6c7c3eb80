"""Fits remembered by their content, so that history is not paid again when a batch is added or a policy is tried.

Purely a cache: delete the folder and everything comes out the same. What a file holds is checked by its zip's CRC
when it is read; a damaged one is fitted anew.
"""

import hashlib
import inspect
import json
import logging
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import xgboost

from churn_drift import columns, schema
from churn_drift.data import arrow
from churn_drift.data.files import write_bytes
from churn_drift.model import bundle, features, inference, train
from churn_drift.model.bundle import Calibration
from churn_drift.model.inference import Booster
from churn_drift.model.train import Fitted

Arrays = Mapping[str, npt.NDArray[Any]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitCache:
    """A folder of fits by key; None remembers nothing."""

    folder: Path | None

    def fitted(self, key: Mapping[str, Any], make: Callable[[], Fitted]) -> Fitted:
        """The fit with this key, made where it is not remembered."""
        return _unpack(self._arrays({"what": "fit", **key}, lambda: _pack(make())))

    def array(self, key: Mapping[str, Any], make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """The array with this key, made where it is not remembered."""
        return self._arrays({"what": "array", **key}, lambda: {"array": make()})["array"]

    def _arrays(self, key: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
        if self.folder is None:
            return make()
        document = json.dumps({**key, "code": _code()}, sort_keys=True)
        path = self.folder / f"{hashlib.sha256(document.encode()).hexdigest()}.npz"
        if path.exists():
            try:
                with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                    return dict(stored)
            except (zipfile.BadZipFile, ValueError, OSError, EOFError, RuntimeError) as error:
                log.warning("%s is damaged (%s); fitting anew", path, error)
        made = make()
        content = BytesIO()
        np.savez(content, allow_pickle=False, **made)
        write_bytes(content.getvalue(), path)
        return made


@cache
def _code() -> str:
    """Digest of everything a fit depends on besides its rows and settings: this code and XGBoost's version."""
    digest = hashlib.sha256(f"{xgboost.__version__} {np.__version__} {scipy.__version__}".encode())
    for module in (schema, columns, arrow, bundle, features, inference, train):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()


def _pack(fitted: Fitted) -> Arrays:
    levels = json.dumps(dict(fitted.booster.levels)).encode()
    return {
        "model": np.frombuffer(fitted.booster.to_bytes(), dtype=np.uint8),
        "levels": np.frombuffer(levels, dtype=np.uint8),
        "scoring": np.array([fitted.calibration.slope, fitted.calibration.intercept, fitted.threshold]),
        "margin": fitted.out_of_fold_margin,
        "probability": fitted.out_of_fold,
    }


def _unpack(arrays: Arrays) -> Fitted:
    levels = {name: tuple(known) for name, known in json.loads(arrays["levels"].tobytes()).items()}
    slope, intercept, threshold = (float(number) for number in arrays["scoring"])
    return Fitted(
        booster=Booster.of_bytes(arrays["model"].tobytes(), levels),
        calibration=Calibration(slope, intercept),
        threshold=threshold,
        out_of_fold_margin=arrays["margin"],
        out_of_fold=arrays["probability"],
    )
