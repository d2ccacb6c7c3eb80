"""Speed of publishing this checkout's run to MLflow, as ratios measured in one run: trust the ratios.

    python benchmarks/publish.py [--repeat 3]

`churn-drift publish` into a new SQLite store, and the same again where the run is there already, against the least
that MLflow itself takes: its import, the tables of a new store, and one run with nothing in it.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from pipeline import ROOT, row, scratch_copy, seconds

LEAST = """
from mlflow import MlflowClient
client = MlflowClient("sqlite:///least.db")
client.set_terminated(client.create_run(client.create_experiment("least")).info.run_id)
"""


def main() -> None:
    """Print both, in turn with what they are measured against."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="times that each is measured")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as folder:
        root = scratch_copy(Path(folder) / "repository", rows=None)
        for name in ("models/candidate", "models/retrained", "reports/figures"):
            shutil.copytree(ROOT / name, root / name, dirs_exist_ok=True)
        taken = [measure(root) for _ in range(chosen.repeat)]
    least, new, again = (sorted(times)[chosen.repeat // 2] for times in zip(*taken, strict=True))
    print(f"{'':40}{'seconds':>9}{'ratio':>9}{'limit':>9}")
    row("MLflow: a new store, an empty run", least)
    row("publish a run : MLflow's least", new, ratio=new / least, limit=2.5)
    row("publish it again : MLflow's least", again, ratio=again / least, limit=1)


def measure(root: Path) -> tuple[float, float, float]:
    """Seconds of MLflow's least, of the first call and of the second, on stores that are not there before."""
    for name in ("least.db", "mlflow.db", "mlruns", ".outbox"):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    publish = ["churn-drift", "publish"]
    return seconds([sys.executable, "-c", LEAST], root), seconds(publish, root), seconds(publish, root)


if __name__ == "__main__":
    main()
