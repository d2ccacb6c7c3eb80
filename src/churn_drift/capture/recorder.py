"""The log of one serving process: what is put is written by threads beside, so that no request ever waits for it."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import pyarrow

from churn_drift.capture import journal, place
from churn_drift.capture.again import Again
from churn_drift.capture.concern import Concern
from churn_drift.capture.fields import FIELDS
from churn_drift.capture.form import Exchange, Second, cut, stored_columns, table_of
from churn_drift.capture.journal import Desk, Journal
from churn_drift.capture.remote import Bucket, send_sealed
from churn_drift.capture.waiting import Latest, Waiting

log = logging.getLogger(__name__)

_GRACE = 2.0
"""Seconds after the end of an hour in which a request of it may still come."""
_PATIENCE = 10.0
"""Seconds that `close` waits for each thread."""
_WORK = ("shadow", "forming", "writing", "syncing", "sealing", "observing", "counting", "sending")
_PART = 10_000
"""Rows of a file of customers that are formed and written at a time."""
_UNSEEN = 200_000
"""Rows that wait for `observe`; where more do, the oldest are passed over."""
_MANY = 30_000
"""Rows that do not wait for the time to observe."""


@dataclass(frozen=True)
class Limits:
    """How much is held, and how often something is done. Times are seconds.

    records   typed records that wait to be written; more are dropped
    tables    bytes of tables that wait; one table alone may be larger
    journal   bytes of a journal that is sealed before its hour ends
    write     between two writes of what waits: what a killed process loses at most
    sync      between two syncs of the journals: what a dead machine loses at most
    observe   between two tables for `observe`
    send      between two attempts to reach S3
    """

    records: int = 10_000
    tables: int = 96 * 2**20
    journal: int = 64 * 2**20
    write: float = 0.1
    sync: float = 1.0
    observe: float = 5.0
    send: float = 5.0


@dataclass(frozen=True)
class Counts:
    """Since the start of this process.

    written  customers in a journal or a sealed file
    dropped  customers whom no file has: too many waited, the end came before the disk did, or a value was no typed one
    errors   attempts that failed, of whatever is tried again
    torn     journals of dead processes whose end was cut off
    """

    written: int = 0
    dropped: int = 0
    errors: int = 0
    torn: int = 0


class Recorder:
    """Writes exchanges into a log. Made before the fork; `start` comes after it, once, in the process that serves.

    where    a folder, or s3://bucket/prefix
    fields   which fields of a customer may be stored (`fields.fields_of`)
    shadow   what a challenger says of an exchange; called beside the requests, by one thread
    shadowing  whether there is a challenger now: where there is none, `shadow` is not asked about every exchange
    observe  takes the new rows every few seconds, with all fields, stored or not; called by one other thread
    counted  takes the counts every second, and at the end; called by the thread that calls `observe`
    staging  the folder of a log at S3: its journals lie here, and what has not been sent yet
    clock    unix seconds

    Trouble (a full disk, S3 away, a shadow that raises) is counted, and logged once until it is over. Everything is
    tried again; meanwhile what is put waits, and is dropped where too much waits.
    """

    def __init__(
        self,
        where: str | Path = place.FOLDER,
        *,
        fields: frozenset[str] = frozenset(FIELDS),
        shadow: Callable[[Exchange], Second | None] | None = None,
        shadowing: Callable[[], bool] = lambda: True,
        observe: Callable[[pyarrow.Table], object] | None = None,
        counted: Callable[[Counts], object] | None = None,
        staging: Path = place.FOLDER,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        remote = place.is_remote(str(where))
        self._folder = staging if remote else Path(where)
        self._bucket = Bucket(str(where)) if remote else None
        self._columns = stored_columns(fields)
        self._shadow, self._shadowing, self._observe = shadow, shadowing, observe
        self._counted, self._clock = counted, clock
        self._limits = limits or Limits()
        self._waiting = Waiting(records=self._limits.records, tables=self._limits.tables)
        self._concerns = {name: Concern(name) for name in _WORK}
        self._keeping = Again("inference-log-keep", self._keep, every=self._limits.sync)
        self._steps = [Again("inference-log-write", self._write, every=self._limits.write), self._keeping]
        if self._bucket is not None:
            self._steps.append(Again("inference-log-send", self._send, every=self._limits.send))
        self._written = self._lost = self._torn = 0
        self._desk: Desk | None = None
        self._open: dict[int, Journal] = {}
        self._unwritten: deque[tuple[int, pyarrow.Table]] = deque()
        self._ended: deque[Journal] = deque()
        self._heirless = True
        self._unseen = Latest(rows=_UNSEEN)
        self._observed_at = time.monotonic()
        self._dropped_before, self._dropping = 0, False

    @property
    def counts(self) -> Counts:
        """What has become of all that was put."""
        errors = sum(concern.errors for concern in self._concerns.values())
        return Counts(self._written, self._waiting.dropped + self._lost, errors, self._torn)

    def put(self, exchange: Exchange) -> None:
        """Note an exchange, or drop it and count it where too much waits. Never waits itself."""
        self._waiting.put(exchange)

    def start(self) -> None:
        """Begin to write, and to seal what processes have left that live no more."""
        for each in self._steps:
            each.start()

    def close(self) -> None:
        """Write and seal what was put, send it where S3 answers, and end. What comes later is dropped."""
        self._waiting.close()
        for each in self._steps:  # in this order: each finishes what the one before has left to it
            each.end(patience=_PATIENCE)

    # The thread that writes

    def _write(self, *, last: bool) -> None:
        """All that waits goes into journals. Does nothing slower than that: what is not written a crash can take."""
        writing, forming = self._concerns["writing"], self._concerns["forming"]
        if writing.tried(self._append):  # what could not be written before
            for part in cut(self._waiting.take(), rows=_PART):
                if not forming.tried(partial(self._form, part)):
                    self._lost += sum(map(len, part))
                writing.tried(self._append)
        if last:
            self._lost += sum(table.num_rows for _, table in self._unwritten) + sum(map(len, self._waiting.take()))
        self._turn(everything=last)

    def _form(self, exchanges: Sequence[Exchange]) -> None:
        self._unwritten.extend(self._tables(exchanges))

    def _tables(self, exchanges: Sequence[Exchange]) -> list[tuple[int, pyarrow.Table]]:
        """The rows of each UTC hour."""
        seconds = map(self._second, exchanges) if self._shadowing() else repeat(None)
        pairs = list(zip(exchanges, seconds, strict=False))
        hours = {place.hour_of(exchange.at) for exchange in exchanges}
        if len(hours) == 1:
            return [(hours.pop(), self._table(pairs))]
        return [(hour, self._table([p for p in pairs if place.hour_of(p[0].at) == hour])) for hour in sorted(hours)]

    def _table(self, pairs: Sequence[tuple[Exchange, Second | None]]) -> pyarrow.Table:
        """Their rows; an exchange of which none can be made costs no other its rows."""
        try:
            return table_of(pairs)
        except (ValueError, TypeError, OverflowError, KeyError) as error:
            if len(pairs) > 1:
                return pyarrow.concat_tables([self._table([pair]) for pair in pairs])
            self._concerns["forming"].failed(error)
            self._lost += len(pairs[0][0])
            return table_of([])

    def _second(self, exchange: Exchange) -> Second | None:
        if self._shadow is None:
            return None
        said: list[Second | None] = []
        self._concerns["shadow"].tried(lambda: said.append(_checked(self._shadow, exchange)))
        return said[0] if said else None

    def _append(self) -> None:
        while self._unwritten:
            hour, table = self._unwritten[0]
            if table.num_rows:
                self._journal(hour).append(table.select(self._columns))
                self._written += table.num_rows
                if self._observe is not None:
                    self._unseen.put(table)
                    if self._unseen.rows >= _MANY:
                        self._keeping.soon()
            self._unwritten.popleft()

    def _journal(self, hour: int) -> Journal:
        if hour not in self._open:
            if self._desk is None or not self._desk.path.exists():
                self._leave()
                self._desk = Desk(self._folder)
            self._open[hour] = self._desk.journal(hour)
        return self._open[hour]

    def _turn(self, *, everything: bool) -> None:
        """Hand over journals to be sealed: large ones, and those whose hour has ended."""
        now = place.hour_of(self._clock() - _GRACE)
        for hour, each in list(self._open.items()):
            if everything or hour < now or each.size >= self._limits.journal or each.removed:
                self._ended.append(self._open.pop(hour))

    # The thread that keeps: it alone syncs, seals and closes journals

    def _keep(self, *, last: bool) -> None:
        self._concerns["syncing"].tried(self._sync)
        self._concerns["sealing"].tried(self._seal)
        rested = time.monotonic() - self._observed_at >= self._limits.observe
        if self._observe is not None and (last or rested or self._unseen.rows >= _MANY):
            self._concerns["observing"].tried(self._show)
        self._tell_of_dropped()
        if self._counted is not None:
            self._concerns["counting"].tried(lambda: self._counted and self._counted(self.counts))
        if last:
            self._concerns["sealing"].tried(self._leave)

    def _sync(self) -> None:
        for each in list(self._open.values()):
            each.sync()

    def _seal(self) -> None:
        while self._ended:
            each = self._ended[0]
            if each.removed:
                log.warning("the inference log: somebody has removed %s", each.path)
            else:
                journal.seal(each.path, self._folder)
            each.close()
            self._ended.popleft()
            self._heirless = True
        if self._heirless:
            self._torn += sum(sealed.torn for sealed in journal.recover(self._folder))
            self._heirless = False

    def _leave(self) -> None:
        if self._desk is not None:
            self._desk.leave()
            self._desk = None

    def _show(self) -> None:
        self._observed_at = time.monotonic()
        tables = self._unseen.take()
        if tables and self._observe is not None:
            self._observe(pyarrow.concat_tables(tables))

    def _tell_of_dropped(self) -> None:
        """Where it begins, and where it is over."""
        dropped = self.counts.dropped
        begins, self._dropped_before = dropped > self._dropped_before, dropped
        if begins and not self._dropping:
            log.error("the inference log drops customers, %d so far: they come faster than they are written", dropped)
        if self._dropping and not begins:
            log.info("the inference log drops no more customers; it dropped %d", dropped)
        self._dropping = begins

    # The thread that sends

    def _send(self, *, last: bool) -> None:
        """What cannot be sent stays for the next time, or for the next start: S3 that is away delays no end."""
        bucket, sending = self._bucket, self._concerns["sending"]
        if bucket is not None and not (last and sending.failing):
            sending.tried(lambda: send_sealed(self._folder, bucket, wait=last))


def _checked(shadow: Callable[[Exchange], Second | None] | None, exchange: Exchange) -> Second | None:
    """What the shadow says. Raises ValueError where it is not one probability for each customer."""
    second = None if shadow is None else shadow(exchange)
    if second is not None and len(second[1]) != len(exchange):
        raise ValueError(f"{len(second[1])} probabilities for {len(exchange)} customers")
    return second
