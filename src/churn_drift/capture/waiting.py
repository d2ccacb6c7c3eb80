"""What waits to be written: bounded, so that trouble with the disk costs rows of the log and never a request."""

import threading
from collections import deque

import pyarrow

from churn_drift.capture.form import Exchange


class Waiting:
    """Exchanges in the order in which they came. Safe to share between threads; nobody holds its lock over work.

    records  typed records that it holds at most; tables: bytes of tables. One exchange alone is taken at any size
    dropped  customers whom it did not take
    """

    def __init__(self, *, records: int, tables: int) -> None:
        self.dropped = 0
        self._most = (records, tables)
        self._lock = threading.Lock()
        self._open = True
        self._exchanges: list[Exchange] = []
        self._held = [0, 0]

    def put(self, exchange: Exchange) -> None:
        """Take it, or count it as dropped."""
        customers = len(exchange)
        kind = isinstance(exchange.records, pyarrow.Table)
        size = exchange.records.nbytes if isinstance(exchange.records, pyarrow.Table) else customers
        with self._lock:
            held = self._held[kind]
            if self._open and (not held or held + size <= self._most[kind]):
                self._exchanges.append(exchange)
                self._held[kind] = held + size
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


class Latest:
    """Tables in the order in which they came, `rows` of them; where more come, the oldest go. Safe to share."""

    def __init__(self, *, rows: int) -> None:
        self.rows = 0
        self._most = rows
        self._lock = threading.Lock()
        self._tables: deque[pyarrow.Table] = deque()

    def put(self, table: pyarrow.Table) -> None:
        """Take it."""
        with self._lock:
            self._tables.append(table)
            self.rows += table.num_rows
            while self.rows > self._most and len(self._tables) > 1:
                self.rows -= self._tables.popleft().num_rows

    def take(self) -> list[pyarrow.Table]:
        """All that is there; then nothing is."""
        with self._lock:
            taken, self._tables, self.rows = [*self._tables], deque(), 0
        return taken
