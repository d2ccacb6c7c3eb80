"""The server on this machine as a place to deploy to: it follows models/champion by itself, so it is only asked."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn_drift import paths
from churn_drift.errors import PipelineError, VersionError
from churn_drift.model.bundle import version_of

URL = "SERVE_URL"

_EVERY = 0.2


@dataclass(frozen=True)
class LocalServer:
    """The port ports.Deployer.

    url      where `python serve-model.py` answers
    seconds  that it may take to follow
    """

    url: str
    seconds: float = 30.0

    def deploy(self, folder: Path, *, version: str) -> str:  # noqa: ARG002  the port's; the server has its own
        """Wait until the server answers by this version; what answers now, in one line.

        Raises VersionError where another is champion, PipelineError where nobody answers, or still with another.
        """
        champion = version_of(paths.CHAMPION)
        if champion != version:
            raise VersionError(
                f"{version}: the server here serves the champion, {champion}; "
                f"`churn-drift models rollback {version}` makes this one champion"
            )
        end, state = time.monotonic() + self.seconds, self._ready()
        while state.get("version") != version:
            if time.monotonic() > end:
                raise PipelineError(
                    f"{self.url}: serves {state.get('version') or 'no model'}, not {version}, after "
                    f"{self.seconds:.0f} s{_alarm(state)}; the server's log says why, or it was started with --model"
                )
            time.sleep(_EVERY)
            state = self._ready()
        return f"{self.url} answers with {version}{_alarm(state)}"

    def _ready(self) -> Mapping[str, Any]:
        """What /ready says; nothing of a version while no model is loaded."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self.url}/ready", timeout=5) as answer:
                said = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            said = {"alarm": f"/ready answers {error.code}"}
        except (OSError, ValueError) as error:
            raise PipelineError(
                f"{self.url}: no server of ours answers ({getattr(error, 'reason', error)}); "
                f"`python serve-model.py` starts one, {URL} names another address"
            ) from None
        return said if isinstance(said, dict) else {}


def local_server(environment: Mapping[str, str]) -> LocalServer:
    """At SERVE_URL, else where `python serve-model.py` listens by itself."""
    port = environment.get("PORT", "").strip() or "8080"
    return LocalServer((environment.get(URL, "").strip() or f"http://127.0.0.1:{port}").rstrip("/"))


def _alarm(state: Mapping[str, Any]) -> str:
    return f" ({state['alarm']})" if state.get("alarm") else ""
