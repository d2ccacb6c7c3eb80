"""A step that a thread beside takes again and again, until its end."""

import threading
from collections.abc import Callable


class Again:
    """Calls `step` every so many seconds, or sooner where somebody asks, and at the end once more, for the last time.

    step  takes `last`; it raises nothing
    """

    def __init__(self, name: str, step: Callable[..., None], *, every: float) -> None:
        self._step, self._every = step, every
        self._early, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def soon(self) -> None:
        """The next step is due now."""
        self._early.set()

    def end(self, *, patience: float) -> None:
        """Take the last step; wait for it as many seconds."""
        self._ending.set()
        self._early.set()
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _run(self) -> None:
        last = False
        while not last:
            self._early.wait(self._every)
            self._early.clear()
            last = self._ending.is_set()
            self._step(last=last)
