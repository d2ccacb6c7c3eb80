"""How often each key may ask, counted over all workers: the generic cell rate algorithm (ITU-T I.371).

One number a key, its theoretical arrival time: a request that comes more than a second before it is refused, any
other moves it on by one interval. The numbers lie in memory that the workers inherit, and time.monotonic is the
machine's, so all of them go by the same. No lock is shared, so none can be left behind by a worker that dies: where
two workers count the same key in the same microsecond, one of the two requests goes uncounted.
"""

import mmap
import threading
import time
from collections.abc import Callable

_BYTES = 8


class Limiter:
    """So many requests a second for each key, and one second's worth at once.

    places  keys that it can tell apart
    rate    requests a second; 0: no limit
    clock   seconds, the same for all workers
    """

    def __init__(self, *, places: int, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock, self._lock = clock, threading.Lock()
        self._due = memoryview(mmap.mmap(-1, places * _BYTES)).cast("d")

    def take(self, place: int) -> float:
        """Count a request of the key at a place: 0 where it is in time, else the seconds until one would be."""
        if not self.rate:
            return 0.0
        interval = 1 / self.rate
        ahead = 1 - interval / 2  # half an interval of slack, so that rounding never costs one of the burst
        with self._lock:
            now = self._clock()
            due = max(self._due[place], now)
            if due - now > ahead:
                return due - now - ahead
            self._due[place] = due + interval
        return 0.0
