"""Speed of the whole pipeline in a scratch copy of this checkout, as ratios measured in one run: trust the ratios.

    python benchmarks/pipeline.py [--rows 50000] [--repeat 5]

From scratch: `dvc repro` in a new clone, no fits remembered, against the same stages one after another in one
process whose imports are paid already. No change: `python run_pipeline.py` against `dvc repro`, in turn.
"""

import argparse
import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("ingest", "preprocess", "split_batches", "train_baseline", "drift_check", "retrain", "evaluate")
REPRO = ("dvc", "repro")
RUN = ("python", "run_pipeline.py")


def main() -> None:
    """Print what each stage computes, the two ratios and the total, each beside its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="customers to simulate (as in params.yaml)")
    parser.add_argument("--repeat", type=int, default=5, help="times that a run without a change is measured")
    parser.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.own:
        print(json.dumps(own_computing()))
        return
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as folder:
        compare(Path(folder), rows=chosen.rows, repeat=chosen.repeat)


def compare(folder: Path, *, rows: int | None, repeat: int) -> None:
    """Measure in two scratch copies, so that each starts from nothing."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (above 0.5: others run beside us)")
    alone = scratch_copy(folder / "alone", rows=rows)
    own = json.loads(call([sys.executable, str(Path(__file__).resolve()), "--own"], alone).splitlines()[-1])
    computing = sum(own.values())
    piped = scratch_copy(folder / "piped", rows=rows)
    from_scratch = seconds(REPRO, piped)
    first_run = seconds(RUN, piped)
    pairs = [(seconds(REPRO, piped), seconds(RUN, piped)) for _ in range(repeat)]
    repro, run = (sorted(times)[repeat // 2] for times in zip(*pairs, strict=True))

    print("\nThe stages' own computing, in one process", "seconds", sep="\t")
    for stage, taken in own.items():
        print(f"  {stage:<38}{taken:9.1f}")
    print(f"  {'sum':<38}{computing:9.1f}\n")
    print(f"{'':40}{'seconds':>9}{'ratio':>9}{'limit':>9}")
    row("dvc repro from scratch : its stages' sum", from_scratch, ratio=from_scratch / computing, limit=1.5)
    row("dvc repro, no change", repro)
    row("run_pipeline.py, no change : dvc repro", run, ratio=run / repro, limit=1.5)
    row("run from scratch, promotion included", from_scratch + first_run, ratio=None, limit=120)


def row(name: str, taken: float, *, ratio: float | None = None, limit: float | None = None) -> None:
    """One line; a ratio is held against its limit, else the seconds are."""
    value = taken if ratio is None else ratio
    said = "" if limit is None else f"{limit:9g}{'' if value <= limit else '   over'}"
    print(f"{name:40}{taken:9.1f}{'' if ratio is None else format(ratio, '.2f'):>9}{said}")


def own_computing() -> dict[str, float]:
    """Wall seconds of each stage's main, in this process and in the current folder."""
    modules = {stage: importlib.import_module(f"churn_drift.stages.{stage}") for stage in STAGES}
    import_lazy_ones()
    taken = {}
    for stage, module in modules.items():
        start = time.perf_counter()
        module.main()
        taken[stage] = time.perf_counter() - start
    return taken


def import_lazy_ones() -> None:
    """Also what modules import inside their functions: imports are no computing."""
    for file in Path("src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and file.parent.name != "commands":
                importlib.import_module(node.module)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)


def scratch_copy(folder: Path, *, rows: int | None) -> Path:
    """The files that git knows or would add, committed anew; no results, no cache, nothing promoted yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if (ROOT / name).is_file() and name not in ("models/champion.dvc", "models/ledger.jsonl"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    if rows:
        params = folder / "params.yaml"
        params.write_text(re.sub(r"(?m)^  rows: \d+", f"  rows: {rows}", params.read_text()))
    call(["git", "init", "--quiet"], folder)
    call(["git", "add", "--all"], folder)
    call(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "Start"], folder)
    return folder


def seconds(command: Sequence[str], folder: Path) -> float:
    """Wall seconds of a command."""
    start = time.perf_counter()
    call(command, folder)
    return time.perf_counter() - start


def call(command: Sequence[str], folder: Path) -> str:
    """What a command says, run in the copy on the copy's own sources."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc/site"),
        "CHURN_DRIFT_CACHE": "off",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
