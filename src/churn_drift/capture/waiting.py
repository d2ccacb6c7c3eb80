"""What waits to be written: bounded, so that trouble with the disk costs rows of the log and never a request."""

import threading

import pyarrow

from churn_drift.capture.form import Exchange


class Waiting:
    """Exchanges in the order in which they came. Safe to share between threads; nobody holds its lock over work.

    records  typed records that it holds at most; rows: rows of tables. One exchange alone is taken at any size
    dropped  customers whom it did not take
    """

    def __init__(self, *, records: int, rows: int) -> None:
        self.dropped = 0
        self._most = (records, rows)
        self._lock = threading.Lock()
        self._open = True
        self._exchanges: list[Exchange] = []
        self._held = [0, 0]

    def put(self, exchange: Exchange) -> None:
        """Take it, or count it as dropped."""
        customers = len(exchange)
        kind = isinstance(exchange.records, pyarrow.Table)
        with self._lock:
            held = self._held[kind]
            if self._open and (not held or held + customers <= self._most[kind]):
                self._exchanges.append(exchange)
                self._held[kind] = held + customers
            else:
                self.dropped += customers

    def take(self) -> list[Exchange]:
        """All that waits; then nothing waits."""
        with self._lock:
            taken, self._exchanges, self._held = self._exchanges, [], [0, 0]
        return taken

    def close(self) -> None:
        """From now on nothing is taken."""
        with self._lock:
            self._open = False
