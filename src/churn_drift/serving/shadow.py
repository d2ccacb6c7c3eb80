"""The challenger that scores beside the champion: off the request path, logged, and never answered.

Where models/candidate is another model than the champion, a share of the requests is scored by both. The inference
log then holds both probabilities of the same customers, which is what a paired comparison needs once labels arrive.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from churn_drift import paths
from churn_drift.columns import Columns
from churn_drift.errors import ModelError
from churn_drift.model.bundle import version_of
from churn_drift.model.inference import columns_of_records
from churn_drift.serving import seat as places
from churn_drift.serving.model import Record, ServedModel
from churn_drift.serving.seat import Mark, Seat


class Shadow:
    """Scores what the champion has answered, for a share of the requests.

    champion  its seat
    share     of the requests, 0 to 1; which ones follows from their ids, so that all workers draw alike
    counted   told of every scored request: version of the challenger, customers whose decision it shares, and others
    seat      the challenger's own; holds the champion where there is no other model
    """

    def __init__(self, champion: Seat, *, share: float, counted: Callable[[str, int, int], None]) -> None:
        self._champion, self._share, self._counted = champion, share, counted
        self.seat = Seat()

    @property
    def challenger(self) -> ServedModel | None:
        """The model that scores beside the champion; None where there is none."""
        model, champion = self.seat.model, self._champion.model
        return None if model is None or champion is None or model.version == champion.version else model

    def score(
        self, request_id: str, customers: Sequence[Record] | Columns, decisions: Sequence[bool] | npt.NDArray[np.bool_]
    ) -> tuple[str, list[float]] | None:
        """The challenger's version and its probability of each customer; None where it does not score this request.

        customers  typed, as the champion scored them
        decisions  the champion's
        """
        challenger = self.challenger
        if challenger is None or not drawn(request_id, share=self._share):
            return None
        columns = customers if isinstance(customers, Mapping) else columns_of_records(customers)
        scores = challenger.score_columns(columns)
        alike = int((scores.decision == np.asarray(decisions, dtype=np.bool_)).sum())
        self._counted(challenger.version, alike, len(scores.decision) - alike)
        return challenger.version, scores.probability.tolist()

    def load(self) -> ServedModel:
        """models/candidate, or the champion where that is the same or nothing. Raises ModelError, for a `Watcher`."""
        champion = self._champion.model
        if champion is None:
            raise ModelError("no champion serves yet, so nothing can be scored beside it")
        if not paths.CANDIDATE.exists() or version_of(paths.CANDIDATE) == champion.version:
            return champion
        challenger = ServedModel.of_folder(paths.CANDIDATE)
        if challenger.zero_is_missing != champion.zero_is_missing:
            raise ModelError(
                f"{paths.CANDIDATE}: reads the code 0 otherwise than the champion (preprocess.zero_is_missing), "
                "so it cannot score the same typed records; promote it, or `dvc repro` with the champion's setting"
            )
        return challenger

    def mark(self) -> Mark:
        """Of the candidate that lies there, and of the champion that it is held against."""
        champion = self._champion.model
        return ((champion.version if champion else "", 0, 0, 0), *places.mark_of(paths.CANDIDATE))


def drawn(request_id: str, *, share: float) -> bool:
    """Whether a request is in the share; the same request always is, or never.

    >>> drawn("0123456789abcdef", share=1.0), drawn("0123456789abcdef", share=0.0)
    (True, False)
    """
    return zlib.crc32(request_id.encode()) < share * 2**32
