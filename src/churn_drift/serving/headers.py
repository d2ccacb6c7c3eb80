"""What answers bear, also those that the application never sees. After OWASP's REST and HTTP headers cheat sheets."""

from collections.abc import Iterable
from typing import Any

_NOTHING = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; {_NOTHING}",
}
"""Of every answer."""

PAGE = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; {_NOTHING}"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of a page, besides: for a machine they mean nothing, and every header costs a client the time to read it."""


def secured(application: Any) -> Any:
    """A WSGI application whose answers bear these headers. Flask would look at each of them for every answer."""
    always, page = list(SECURITY.items()), list((SECURITY | PAGE).items())
    asset = [header for header in always if header[0] != "Cache-Control"]  # theirs is Flask's: kept, but asked for

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        is_asset = environ["PATH_INFO"].startswith("/static/")

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            own = asset if is_asset and status[:3] in ("200", "304") else page if _is_page(headers) else always
            return start_response(status, headers + own, exc_info)

        answered: Iterable[bytes] = application(environ, begin)
        return answered

    return answer


def _is_page(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Content-Type" and value.startswith("text/html") for name, value in headers)
