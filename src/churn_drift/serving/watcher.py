"""A promotion, a rollback or a new candidate reaches a running worker: loaded beside, verified, one assignment."""

import logging
import threading
import time
from collections.abc import Callable

from churn_drift.errors import ChurnDriftError
from churn_drift.serving import seat as places
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Mark, Seat

log = logging.getLogger(__name__)


class Watcher:
    """Looks whether a role's model has changed. What cannot be served leaves the one before in its seat.

    role      for the log
    mark      what tells that something has changed, cheaply
    load      the model, or ChurnDriftError or OSError
    patience  seconds that a model may be unfit before it is an alarm: a promotion replaces the folder, then the pin
    told      called after every change
    clock     seconds
    """

    def __init__(
        self,
        seat: Seat,
        *,
        patience: float,
        told: Callable[[Seat], None],
        role: str = "champion",
        mark: Callable[[], Mark] = places.mark,
        load: Callable[[], ServedModel] = places.champion,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seat, self._role = seat, role
        self._patience = patience
        self._told, self._mark, self._load, self._clock = told, mark, load, clock
        self._settled: Mark | None = None
        self._unfit_since: float | None = None

    def look(self) -> None:
        """Take in what has changed since the last look; nothing is loaded where nothing has."""
        found = self._mark()
        if found == self._settled:
            return
        try:
            model = self._load()
        except (ChurnDriftError, OSError) as error:
            self._refuse(str(error), found)
        else:
            self._accept(model, found)

    def start(self, *, every: float) -> None:
        """Look now, and then again and again, in a thread that ends with the process."""
        self.look()
        threading.Thread(target=self._run, args=(every,), name=f"watch-{self._role}", daemon=True).start()

    def _run(self, every: float) -> None:
        while True:
            time.sleep(every)
            try:
                self.look()
            except Exception:  # a watcher that has died is not noticed until the next promotion
                log.exception("looking at the %s failed", self._role)

    def _accept(self, model: ServedModel, found: Mark) -> None:
        before = self._seat.model
        if before is None or before.version != model.version:
            self._seat.model = model
            log.info("%s: %s, before it %s", self._role, model.version, before.version if before else "nothing")
        self._settled, self._unfit_since, self._seat.alarm = found, None, None
        self._told(self._seat)

    def _refuse(self, reason: str, found: Mark) -> None:
        if self._unfit_since is None:
            self._unfit_since = self._clock()
        if self._clock() - self._unfit_since >= self._patience:
            stays = self._seat.model.version if self._seat.model else "nothing"
            log.error("%s: refused, %s stays: %s", self._role, stays, reason)
            self._settled, self._seat.alarm = found, reason
            self._told(self._seat)
