"""`churn-drift run`: reproduce, read the verdicts, promote what is new."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from churn_drift import paths
from churn_drift.commands import table
from churn_drift.config import Params, load_params
from churn_drift.data import files
from churn_drift.errors import ConfigError
from churn_drift.tracking import dvc, pin, promotion

OK, WORSE = 0, 3


def run(*, data: str | None, promote: bool, publish: bool) -> int:
    """0: done; 3: the policy was significantly worse than never retraining, so nothing was promoted."""
    params = load_params(paths.PARAMS)
    if data is None:
        dvc.reproduce()
    else:
        _refuse_bad(data, params)
        with _source(data):
            dvc.reproduce()
    status = _conclude(promote=promote)
    if publish:
        _publish()
    return status


def _publish() -> None:
    """The run into MLflow. A store that does not answer is told; the pipeline's result stands."""
    from churn_drift.commands.publish import publish_run
    from churn_drift.commands.roles import aliases_follow

    warning = publish_run()
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    else:
        aliases_follow()


def _refuse_bad(data: str, params: Params) -> None:
    """Find what the stages would refuse before anything is run or written."""
    from churn_drift.data.batch_generator import check_reference
    from churn_drift.data.ingest import read_customers
    from churn_drift.data.preprocess import preprocess

    raw = read_customers(data)
    clean = preprocess(raw, source=data, zero_is_missing=params.preprocess.zero_is_missing)
    check_reference(clean.frame, params.split_batches, source=data)


def _conclude(*, promote: bool) -> int:
    console = Console(highlight=False)
    summary = files.read_json(paths.SUMMARY)
    table.show(table.read(paths.TIMELINE), summary, console)
    fresh = promote and summary["verdict"] != "worse" and promotion.is_new()
    champion = None if fresh else pin.restore()
    if summary["verdict"] == "worse":
        print("Not promoted: the policy is significantly worse than never retraining.", file=sys.stderr)
        return WORSE
    entry = promotion.promote({k: summary[k] for k in ("auc_policy", "auc_never", "gain")}) if fresh else None
    console.print(_what_next(entry, champion, summary["candidate"]), soft_wrap=True)
    return OK


def _what_next(entry: Mapping[str, Any] | None, champion: str | None, candidate: str) -> str:
    if entry:
        return (
            f"Promoted {entry['version']} to {paths.CHAMPION} (it replaces {entry['replaces'] or 'nothing'}).\n"
            f"Keep it: git add models reports dvc.lock && git commit -m 'Promote {entry['version']}'"
        )
    if champion == candidate:
        return f"Champion {champion}: the candidate is what serves already."
    return f"Champion {champion or 'none'} stays; candidate {candidate} was not promoted or was champion before."


@contextmanager
def _source(path: str) -> Iterator[None]:
    """params.yaml with another ingest.source, for one run; its bytes are put back whatever happens."""
    before = paths.PARAMS.read_bytes()
    files.write_bytes(_with_source(before.decode(), path).encode(), paths.PARAMS)
    try:
        yield
    finally:
        files.write_bytes(before, paths.PARAMS)


def _with_source(text: str, path: str) -> str:
    """The text with ingest.source replaced, comments kept."""
    lines = text.splitlines(keepends=True)
    place = next((n for n, line in enumerate(lines) if line.startswith("  source:")), None)
    if place is None:
        raise ConfigError(f"{paths.PARAMS}: ingest.source: no line of its own; `git checkout {paths.PARAMS}`")
    absolute = path if "://" in path else str(Path(path).resolve())
    lines[place] = f"  source: {yaml.safe_dump(absolute, default_flow_style=True, width=10**6).splitlines()[0]}\n"
    return "".join(lines)
