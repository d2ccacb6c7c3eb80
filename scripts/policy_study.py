"""Every policy on one history at label delays 0 and 1, and on the same rows shuffled, where a promotion is needless.

    python scripts/policy_study.py
    python scripts/policy_study.py --data cell2cell.csv.gz
    python scripts/policy_study.py --data cell2cell.csv.gz --shuffles 10

Without --data, the simulated customers of params.yaml, where the settings stand, too. Fits are remembered in
.cache/fits, so a second call is quick. The gain's interval is paired by row; it does not cover the luck of one path of
customers.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before XGBoost is loaded, see stages/__main__.py

from rich.progress import track
from rich.table import Table

from churn_drift.config import Params, Retrain, SplitBatches, load_params
from churn_drift.data.batch_files import write_batches
from churn_drift.data.batch_generator import split
from churn_drift.data.batches import BatchFolder
from churn_drift.data.ingest import ingest
from churn_drift.data.preprocess import preprocess
from churn_drift.data.scores import Scored
from churn_drift.model.bundle import Bundle, save
from churn_drift.model.fit_cache import FitCache
from churn_drift.model.window import fit_window
from churn_drift.policy.comparison import compare
from churn_drift.policy.history import OBSERVE, History, fold_history
from churn_drift.policy.workshop import Fitting
from churn_drift.terminal import is_moving, moving, show
from churn_drift.usage import Parser

POLICIES = ("never", "always", "periodic", "triggered", "evidence", "price")
NEEDLESS = ("triggered", "evidence", "price")


def main() -> None:
    arguments = _arguments()
    params = _params(arguments)
    raw = ingest(params.ingest).frame
    clean = preprocess(raw, source=params.ingest.source, zero_is_missing=params.preprocess.zero_is_missing).frame
    with tempfile.TemporaryDirectory() as scratch:
        study = _Study(clean, params, Path(scratch))
        history = [study.row(policy, delay) for policy in _shown(POLICIES, "history") for delay in arguments.delays]
        needless = [study.needless(policy, arguments.shuffles) for policy in _shown(NEEDLESS, "shuffled")]
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"history": history, "needless": needless}, indent=1) + "\n")
    show(_table("History: mean AUC of the batches after the first; gain over never, paired", history))
    if arguments.shuffles:
        show(_table("Shuffled rows, fixed window: promotions without any drift", needless))


class _Study:
    """Fits and folds on one set of customers."""

    def __init__(self, clean: Any, params: Params, scratch: Path) -> None:
        self._clean, self._params, self._scratch = clean, params, scratch
        self._cache = FitCache(Path(".cache/fits"))
        self._never: dict[int, list[Scored]] = {}
        self._ordered = self._folder(params.split_batches, "ordered")

    def row(self, policy: str, delay: int) -> dict[str, Any]:
        history = self._fold(self._ordered, self._params.retrain.model_copy(update={"policy": policy}), delay)
        if delay not in self._never:
            self._never[delay] = _scored(self._fold(self._ordered, OBSERVE, delay))
        found = compare(self._never[delay], _scored(history), confidence=self._params.evaluate.confidence)
        gain = found.gain
        return {
            "policy": policy,
            "label delay": delay,
            "AUC": _round(found.policy.value),
            "gain": _round(gain.value),
            "low": _round(gain.low),
            "high": _round(gain.high),
            "promotions": sum(event.decision.promote for event in history.events),
        }

    def needless(self, policy: str, shuffles: int) -> dict[str, Any]:
        """Promotions on shuffled rows; the window is fixed, so that more rows are no reason to promote."""
        settings = self._params.retrain.model_copy(
            update={
                "policy": policy,
                "window": "last_n",
                "window_batches": self._params.split_batches.reference_batches,
            }
        )
        promotions = decisions = 0
        for seed in range(shuffles):
            order = self._params.split_batches.model_copy(update={"order": "shuffled", "seed": seed})
            events = self._fold(self._folder(order, f"shuffled_{seed}"), settings, 0).events
            promotions += sum(event.decision.promote for event in events)
            decisions += len(events)
        per_hundred = round(100 * promotions / decisions, 1) if decisions else None
        return {"policy": policy, "batches": decisions, "promotions": promotions, "per 100 batches": per_hundred}

    def _folder(self, settings: SplitBatches, name: str) -> BatchFolder:
        folder = self._scratch / name
        if not folder.exists():
            frames = split(self._clean, settings).frames
            write_batches(
                frames,
                folder,
                reference_batches=settings.reference_batches,
                landed=0,
                zero_is_missing=self._params.preprocess.zero_is_missing,
            )
        return BatchFolder(folder)

    def _fold(self, batches: BatchFolder, policy: Retrain, delay: int) -> History:
        train, keep = self._params.train, _keeper(self._scratch / "model")
        first, _ = fit_window(
            batches, batches.reference, parent=None, reason="first", settings=train, cache=self._cache
        )
        return fold_history(
            batches,
            (keep(first), first),
            policy=policy,
            drift_check=self._params.drift_check.model_copy(update={"label_delay": delay}),
            fitting=Fitting(train, policy.folds, self._cache, keep),
        )


def _keeper(folder: Path) -> Callable[[Bundle], str]:
    return lambda bundle: save(bundle, folder)


def _scored(history: History) -> list[Scored]:
    return [Scored(s["batch"], s["version"], s["probability"], s["label"]) for s in history.scores]


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table


def _params(arguments: argparse.Namespace) -> Params:
    params = load_params()
    source = arguments.data or params.ingest.source
    return params.model_copy(update={"ingest": params.ingest.model_copy(update={"source": source})})


def _shown(policies: Sequence[str], what: str) -> Iterable[str]:
    """With a bar on stderr, where that is a terminal."""
    return track(policies, what, console=moving(), transient=True, disable=not is_moving(sys.stderr))


def _arguments() -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("--data", metavar="FILE", help="a Cell2Cell CSV instead of ingest.source")
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 1], metavar="N", help="batches (default: 0 1)")
    parser.add_argument(
        "--shuffles",
        type=int,
        default=5,
        metavar="N",
        help="shuffled histories for the needless promotions (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
