"""Who may ask what. A path that nobody has put on a list needs an admin's key."""

import base64
import logging
import math
import time
from collections.abc import Callable, Mapping

from churn_drift.errors import ConfigError
from churn_drift.serving import keys
from churn_drift.serving.file_mark import file_mark
from churn_drift.serving.keys import ADMIN, MOST_KEYS, PREDICT, Key, Keys
from churn_drift.serving.problems import Problem, problem
from churn_drift.serving.rate import Limiter
from churn_drift.serving.settings import SAGEMAKER, Settings, is_loopback

log = logging.getLogger(__name__)

FREE = frozenset({"/health", "/ready", "/ping", "/openapi.json", "/docs", "/static/<path:filename>"})
"""Paths that say nothing of customers or of the machine."""

PAGE = "/"
"""The path that browsers ask for: they send a key as the password of HTTP Basic, and have it from who sits there."""

_NEEDED: Mapping[str, tuple[str, ...]] = {
    PAGE: (PREDICT, ADMIN),
    "/predict": (PREDICT,),
    "/predict/batch": (PREDICT,),
    "/invocations": (PREDICT,),
    "/model": (PREDICT, ADMIN),
}
_LOOK = 1.0
_BEARER, _BASIC = "bearer ", "basic "


class Gate:
    """What is asked of those who come. Safe to share between threads, and made before workers are forked.

    settings  of `gate_of`; `keyed`: whether keys are asked for at all
    clock     seconds
    """

    def __init__(self, settings: Settings, *, keyed: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.keyed = keyed
        self._free = FREE | {"/invocations"} if settings.auth == SAGEMAKER else FREE
        self._path, self._clock = settings.keys, clock
        self._limiter = Limiter(places=MOST_KEYS, rate=settings.rate, clock=clock)
        self._keys: Keys | None = Keys()
        self._mark, self._next = file_mark(self._path), clock() + _LOOK
        if keyed:
            self._keys = Keys(keys.read(self._path))

    def needs(self, route: str) -> tuple[str, ...]:
        """The scopes of which one opens a path; none where anybody may ask."""
        return _NEEDED.get(route, (ADMIN,)) if self.keyed and route not in self._free else ()

    def enter(self, route: str, *, told: str, host: str) -> str | None:
        """The name of the key that opens the path, None where none is needed. Raises Problem where it stays shut.

        told  the header Authorization; host: the name by which the server was asked
        """
        needed = self.needs(route)
        if not needed:
            self._check_host(route, host)
            return None
        found = self._find(told)
        if found is None:
            raise _unknown(told, by_browser=route == PAGE)
        place, key = found
        wait = self._limiter.take(place)
        if wait:
            raise problem(
                "too-often",
                f"key {key.name} asks more than {self._limiter.rate:,} times a second",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        if not set(needed) & set(key.scopes):
            raise _out_of_scope(key, needed)
        return key.name

    def knows(self, told: str) -> bool:
        """Whether they may see what is not for everybody: no key is needed here, or this one lives."""
        return not self.keyed or (bool(told) and self._current() is not None and self._find(told) is not None)

    def opens(self) -> bool:
        """Whether there is a living key."""
        return bool(self._keys and self._keys.living())

    def _check_host(self, route: str, host: str) -> None:
        """A page of another site can make a browser ask this machine under the site's own name (DNS rebinding)."""
        if not self.keyed and route not in FREE and not is_loopback(host):
            raise problem(
                "forbidden", "without keys this server answers to localhost only; `churn-drift keys add NAME` makes one"
            )

    def _find(self, told: str) -> tuple[int, Key] | None:
        known = self._current()
        if known is None:
            raise problem("no-keys", "the server cannot read its keys; its log says why")
        return known.find(_key_in(told))

    def _current(self) -> Keys | None:
        """The keys as the file says, looked at once a second; None while it is damaged."""
        now = self._clock()
        if now >= self._next:
            self._next = now + _LOOK
            self._look()
        return self._keys

    def _look(self) -> None:
        mark = file_mark(self._path)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._keys = Keys(keys.read(self._path))
        except ConfigError as error:
            self._keys = None
            log.error("nobody is let in: %s", error)
        else:
            log.info("%s has changed, %d keys live", self._path, len(self._keys.living()))


def gate_of(settings: Settings) -> Gate:
    """The gate of a server that starts. Raises ConfigError where nobody could enter, or everybody from elsewhere.

    With SERVE_AUTH unset: keys where their file is, else open on loopback. A file whose keys are all revoked opens
    nothing.
    """
    keyed = bool(settings.auth) or settings.keys.exists() or not is_loopback(settings.host)
    gate = Gate(settings, keyed=keyed)
    if not keyed:
        log.warning("%s is open without a key; `churn-drift keys add NAME` and a restart end that", settings.host)
    elif settings.auth != SAGEMAKER and not gate.opens():
        elsewhere = "" if is_loopback(settings.host) else f", and {settings.host} is open to others"
        raise ConfigError(f"{settings.keys}: no living key{elsewhere}; `churn-drift keys add NAME` makes one")
    return gate


def _key_in(told: str) -> str:
    """The key that a header Authorization bears; empty where it bears none.

    >>> [_key_in(told) for told in ("Bearer k", f"Basic {base64.b64encode(b'anybody:k').decode()}", "Basic ?", "")]
    ['k', 'k', '', '']
    """
    if told[: len(_BEARER)].lower() == _BEARER:
        return told[len(_BEARER) :].strip()
    if told[: len(_BASIC)].lower() != _BASIC:
        return ""
    try:
        return base64.b64decode(told[len(_BASIC) :].strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _unknown(told: str, *, by_browser: bool) -> Problem:
    """RFC 6750: who sent no key is not told of an error in it. A browser asks who sits there for it (RFC 7617)."""
    detail = "no such key, or it was revoked" if told else "this path needs a key: `Authorization: Bearer KEY`"
    error = ', error="invalid_token"' if told else ""
    challenge = 'Basic realm="churn-drift: the key is the password", charset="UTF-8"' if by_browser else None
    challenge = challenge or f'Bearer realm="churn-drift"{error}'
    return problem("no-key", detail, headers={"WWW-Authenticate": challenge})


def _out_of_scope(key: Key, needed: tuple[str, ...]) -> Problem:
    told = " or ".join(needed)
    challenge = f'Bearer realm="churn-drift", error="insufficient_scope", scope="{" ".join(needed)}"'
    return problem("forbidden", f"key {key.name} lacks the scope {told}", headers={"WWW-Authenticate": challenge})
