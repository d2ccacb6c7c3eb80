"""Work that is tried again and again: its failures are counted, and told once until it succeeds again."""

import logging
import traceback
from collections.abc import Callable

log = logging.getLogger(__name__)


class Concern:
    """One kind of work.

    errors   attempts that failed
    failing  whether the last one did
    """

    def __init__(self, name: str) -> None:
        self.errors = 0
        self._name = name
        self.failing = False

    def tried(self, work: Callable[[], object]) -> bool:
        """Whether it succeeded."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  the thread goes on: one that has died would not be noticed
            self.failed(error)
            return False
        if self.failing:
            log.info("the inference log: %s works again, after %d failed attempts", self._name, self.errors)
            self.failing = False
        return True

    def failed(self, error: Exception) -> None:
        """Count it, and tell it where the attempt before did not fail."""
        self.errors += 1
        if not self.failing:
            log.error("the inference log: %s fails: %s", self._name, _told(error))
        self.failing = True


def _told(error: Exception) -> str:
    """Of errors other than the system's the kind and the place: their texts quote values, which are a customer's."""
    if isinstance(error, OSError):
        return str(error)
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}".rstrip()
