"""A message as JSON to an address that Slack, Teams or anything of your own answers at.

    {"text": ..., "kind": ..., "key": ..., "title": ..., "facts": {...}, "link": ...}

`text` is what Slack and Teams show. The address is a secret: whoever has it may write there, so no error shows more
of it than its host.
"""

import http.client
import ipaddress
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from churn_drift.errors import ConfigError, PipelineError
from churn_drift.notify.outbox import RefusedError
from churn_drift.ports import Message

VARIABLE = "NOTIFY_WEBHOOK_URL"
SECONDS = 10.0
TRIES = 3
PAUSE = 1.0
"""Seconds before the second try; twice as long before the third."""

_UNREADABLE = frozenset({400, 413, 422})
"""Statuses that refuse this message; the others of 4xx refuse the sender."""
_AGAIN = frozenset({408, 425, 429})
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""https://docs.slack.dev/messaging/formatting-message-text: else a file's name could call a whole channel."""


def address_of(environment: Mapping[str, str]) -> str:
    """The webhook's address; empty where none is set. Raises ConfigError, which does not show it, where it is none."""
    url = environment.get(VARIABLE, "").strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", SplitResult("", "", "", "", "")
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or any(c <= " " for c in url):
        raise ConfigError(f"{VARIABLE}: not an address; give one such as https://hooks.example.com/T0/B0/secret")
    if parts.username or parts.password:
        raise ConfigError(f"{VARIABLE}: holds a user or password; give the address alone, the secret in its path")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(f"{VARIABLE}: http:// would show the secret on the way to {host}; give its https:// address")
    return url


class Webhook:
    """POSTs to one address. It follows no redirect, for the secret would go along.

    seconds  that the other side may take to answer
    pause    seconds before the second try
    """

    name = "webhook"

    def __init__(self, url: str, *, seconds: float = SECONDS, pause: float = PAUSE) -> None:
        self._url, self._seconds, self._pause = url, seconds, pause
        self._host = urlsplit(url).netloc

    def send(self, message: Message) -> None:
        """Delivered once the other side has said 2xx. What it may have taken without saying so is sent again.

        Raises RefusedError where it will not have this message, else PipelineError after the third try.
        """
        said = ""
        for number in range(TRIES):
            if number:
                time.sleep(self._pause * 2 ** (number - 1))
            said, again = self._try(message)
            if not again:
                break
        if said:
            raise PipelineError(f"{self._host}: {said}")

    def _try(self, message: Message) -> tuple[str, bool]:
        """What went wrong, empty where nothing did, and whether another try may help."""
        request = urllib.request.Request(  # noqa: S310  address_of lets http(s) only pass
            self._url,
            data=json.dumps(document(message), ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": ascii(message.key)[1:-1]},
            method="POST",
        )
        try:
            with urllib.request.build_opener(_NoRedirect()).open(request, timeout=self._seconds):
                return "", False
        except urllib.error.HTTPError as error:
            with error:
                return self._answer(error.code, error.reason)
        except (OSError, http.client.HTTPException) as error:
            return f"no answer ({getattr(error, 'reason', error) or type(error).__name__})", True

    def _answer(self, status: int, reason: str) -> tuple[str, bool]:
        said = f"{status} {reason}".strip()
        if status in _UNREADABLE:
            raise RefusedError(f"{self._host}: refused it ({said})")
        if status < 400:
            return f"redirects elsewhere ({said}); set {VARIABLE} to the address that answers itself", False
        if status < 500 and status not in _AGAIN:
            return f"refused us ({said}); check {VARIABLE}", False
        return f"answered {said}", True


def document(message: Message) -> dict[str, Any]:
    """What is sent."""
    return {
        "text": message.text().translate(_MARKUP),
        "kind": message.kind,
        "key": message.key,
        "title": message.title,
        "facts": dict(message.facts),
        "link": message.link,
    }


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the redirect stays the answer."""
