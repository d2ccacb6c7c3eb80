"""Speed of the ledger and of a rollback, as ratios measured in one run: trust the ratios.

    python benchmarks/versions.py [--lines 10000] [--repeat 5]

`models as-of` over a ledger of many lines against one of a single line. `models rollback` against DVC's own two
commands for it, `dvc checkout` of the older model and `dvc add`. Each is timed as a user types it, start-up included.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import ROOT, call, row, seconds

from churn_drift.model.bundle import load, save

LEDGER = Path("models/ledger.jsonl")


def main() -> None:
    """Print both ratios, in turn with what they are measured against."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000, help="of the long ledger")
    parser.add_argument("--repeat", type=int, default=5, help="times that each is measured")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as folder:
        root = repository(Path(folder) / "repository")
        print(f"{'':40}{'seconds':>9}{'ratio':>9}{'limit':>9}")
        lookups(root, lines=chosen.lines, repeat=chosen.repeat)
        rollbacks(root, repeat=chosen.repeat)


def lookups(root: Path, *, lines: int, repeat: int) -> None:
    """A date in the middle of the long ledger, and the only one of the short."""
    kept = (root / LEDGER).read_text()
    ledgers = {"one": ledger(1), "many": ledger(lines)}
    taken: dict[str, list[float]] = {name: [] for name in ledgers}
    for _ in range(repeat):
        for name, text in ledgers.items():
            (root / LEDGER).write_text(text)
            taken[name].append(seconds(["churn-drift", "models", "as-of", "2026-01-01"], root))
    one, many = (median(taken[name]) for name in ledgers)
    row("models as-of, one line", one)
    row(f"models as-of, {lines:,} lines : one", many, ratio=many / one, limit=2)
    (root / LEDGER).write_text(kept)


def rollbacks(root: Path, *, repeat: int) -> None:
    """To and fro between two versions that only the cache holds."""
    versions = [json.loads(line)["version"] for line in (root / LEDGER).read_text().splitlines()]
    pins = {version: (root / f"{version}.pin").read_text() for version in versions}
    own, dvc = [], []
    for number in range(repeat):
        target = versions[number % 2]
        own.append(seconds(["churn-drift", "models", "rollback", target], root))
        (root / "models/champion.dvc").write_text(pins[versions[(number + 1) % 2]])
        checkout = seconds(["dvc", "checkout", "--force", "models/champion"], root)
        dvc.append(checkout + seconds(["dvc", "add", "models/champion"], root))
        (root / "models/champion.dvc").write_text(pins[target])
        call(["dvc", "checkout", "--force", "models/champion"], root)
    row("dvc checkout, dvc add", median(dvc))
    row("models rollback : both", median(own), ratio=median(own) / median(dvc), limit=2)


def repository(root: Path) -> Path:
    """Two versions of this checkout's champion, promoted one after the other; only the cache has the first."""
    shutil.copytree(ROOT / "src", root / "src")
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    call(["git", "init", "--quiet"], root)
    champion = load(ROOT / "models/champion")
    for reason in ("the first", "the second"):
        save(replace(champion, facts={**champion.facts, "reason": reason}), root / "models/candidate")
        call([sys.executable, "-c", "from churn_drift.tracking.promotion import promote; promote({})"], root)
        version = json.loads((root / LEDGER).read_text().splitlines()[-1])["version"]
        shutil.copy2(root / "models/champion.dvc", root / f"{version}.pin")
    shutil.rmtree(root / "models/candidate")
    return root


def ledger(lines: int) -> str:
    """Promotions an hour apart, the middle one at the end of 2025."""
    start = datetime(2025, 12, 31, tzinfo=UTC) - timedelta(hours=lines // 2)
    entries = []
    for number in range(lines):
        version, before = f"{number:012x}", f"{number - 1:012x}"
        at = (start + timedelta(hours=number)).isoformat()
        entries.append(
            {"at": at, "action": "promote", "version": version, "pin": f"{version}.dir", "replaces": before,
             "reason": "z 3.00 > 2.33", "commit": "0" * 40, "data": "0" * 12, "params": "0" * 12,
             "metrics": {"auc_policy": 0.65, "auc_never": 0.62, "gain": 0.03}}
        )  # fmt: skip
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
