"""A repository in which DVC really runs seven stages, each of which copies what was prepared for it: a second a run.

python make.py STAGE      what dvc.yaml runs; `ingest.source: broken` makes ingest fail
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from churn_drift import paths
from churn_drift.data import files
from churn_drift.data.files import Table, write_json, write_table
from churn_drift.model.bundle import Bundle, save

OUTS: dict[str, tuple[list[str], list[str]]] = {
    "ingest": ([], ["reports/ingest/summary.json"]),
    "preprocess": ([], ["reports/preprocess/summary.json"]),
    "split_batches": ([], ["reports/split_batches/truth.json"]),
    "train_baseline": (["models/baseline"], ["reports/train_baseline/metrics.json"]),
    "drift_check": (
        [],
        ["reports/drift_check/batches.csv", "reports/drift_check/events.json", "reports/drift_check/features.csv",
         "reports/drift_check/metrics.json"],
    ),
    "retrain": (["models/retrained"], ["reports/retrain/events.json", "reports/retrain/summary.json"]),
    "evaluate": (
        ["models/candidate", "reports/figures"],
        ["reports/evaluate/curves", "reports/evaluate/metrics.json", "reports/evaluate/summary.json",
         "reports/evaluate/timeline.csv"],
    ),
}  # fmt: skip
"""What each stage writes: into DVC's cache, into git."""

PARAMS = {
    "ingest": ["ingest"], "preprocess": ["preprocess"], "split_batches": ["split_batches"],
    "train_baseline": ["train"], "drift_check": ["drift_check"], "retrain": ["retrain", "train"],
    "evaluate": ["evaluate"],
}  # fmt: skip

MAKE = """
import pathlib, shutil, sys, yaml
stage = sys.argv[1]
if stage == "ingest" and yaml.safe_load(open("params.yaml"))["ingest"]["source"] == "broken":
    sys.exit("error: broken: no such file")
for path in sys.argv[2:]:
    made, wanted = pathlib.Path("prepared") / path, pathlib.Path(path)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if made.is_dir() else shutil.copyfile)(made, wanted)
"""

TIMELINE = (
    {"batch": "batch_01", "rows": 40, "churn_rate": 0.3, "verdict": "stable", "drifted_share": 0.0,
     "worst_feature": "AgeHH1", "auc_never": 0.61, "auc_policy": 0.61, "auc_policy_low": 0.5, "auc_policy_high": 0.7,
     "gain": 0, "gain_low": 0, "gain_high": 0, "decision": "hold", "reason": "no labels since the champion was fitted"},
    {"batch": "batch_02", "rows": 40, "churn_rate": 0.25, "verdict": "drifted", "drifted_share": 0.5,
     "worst_feature": "MonthsInService", "auc_never": 0.6, "auc_policy": 0.6, "auc_policy_low": 0.5,
     "auc_policy_high": 0.7, "gain": 0, "gain_low": 0, "gain_high": 0, "decision": "promote",
     "reason": "z 2.50 > 1 under a drift alarm"},
    {"batch": "batch_03", "rows": 40, "churn_rate": None, "verdict": "drifted", "drifted_share": 0.75,
     "worst_feature": "MonthsInService", "auc_never": None, "auc_policy": None, "auc_policy_low": None,
     "auc_policy_high": None, "gain": None, "gain_low": None, "gain_high": None, "decision": "hold",
     "reason": "no labels since the champion was fitted"},
)  # fmt: skip
"""Three batches; the labels of the last have not arrived, so it has no AUC."""

SCORES = {"auc_never": 0.605, "auc_policy": 0.65, "gain": 0.045, "gain_low": 0.01, "gain_high": 0.08, "promotions": 1}


def make(root: Path, bundle: Bundle, *, params: Path) -> None:
    """The repository, run once and committed."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (root / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n/config.local\n")
    (root / ".gitignore").write_text("/mlruns\n/mlflow.db\n/.outbox\n")
    shutil.copyfile(params, root / "params.yaml")
    (root / "make.py").write_text(MAKE)
    prepare(root / "prepared", bundle)
    stages = {}
    before: list[str] = []
    for name, (cached, tracked) in OUTS.items():
        stages[name] = {
            "cmd": f"python make.py {' '.join([name, *cached, *tracked])}",
            "params": PARAMS[name],
            "deps": ["make.py", *(f"prepared/{path}" for path in [*cached, *tracked]), *before],
            "outs": [*cached, *({path: {"cache": False}} for path in tracked)],
        }
        before = [*cached, *tracked]
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    call(root, "git", "init", "--quiet", "--initial-branch=main")
    call(root, "dvc", "repro", "--quiet")
    commit(root, "Run the pipeline")


def prepare(root: Path, bundle: Bundle) -> None:
    """What the stages will copy."""
    first = save(bundle, root / paths.BASELINE)
    facts = {
        **bundle.facts, "parent": first, "reason": "z 2.50 > 1 under a drift alarm", "data": "0da7a0da7a01",
        "params": "9a5a9a5a9a51", "rows": 80, "batches": ["batch_00", "batch_01"], "churn_rate": 0.28,
    }  # fmt: skip
    fitted = replace(bundle, facts=facts)
    second = save(fitted, root / paths.CANDIDATE)
    save(fitted, root / paths.RETRAINED / f"01_{second}")
    for path in (paths.INGEST_REPORT, paths.PREPROCESS_REPORT, paths.SCENARIO_TRUTH):
        write_json({"rows": 160}, root / path)
    write_json({"baseline_auc": 0.66, "baseline_threshold": 0.3}, root / paths.BASELINE_METRICS)
    write_json({"batches": 3, "alarms": 2, "first_alarm": "batch_02"}, root / paths.DRIFT_METRICS)
    write_json([{"batch": row["batch"]} for row in TIMELINE], root / paths.DRIFT_EVENTS)
    observed = [{"batch": "batch_01", "verdict": "stable", "drifted_share": 0.0, "worst_feature": "AgeHH1",
                 "worst_psi": 0.01, "score_psi": None}]  # fmt: skip
    write_table(Table(tuple(observed[0]), observed), root / paths.DRIFT_BATCHES)
    write_table(Table(("batch", "feature", "psi"), []), root / paths.DRIFT_FEATURES)
    write_json([_event(row, second if row["decision"] == "promote" else None) for row in TIMELINE],
               root / paths.RETRAIN_EVENTS)  # fmt: skip
    write_json({"policy": "evidence", "promotions": 1, "champion": second}, root / paths.RETRAIN_SUMMARY)
    served = [{**row, "version": second if row["batch"] == "batch_03" else first} for row in TIMELINE]
    write_table(Table(tuple(served[0]), served), root / paths.TIMELINE)
    write_json(SCORES, root / paths.METRICS)
    verdict = {"verdict": "better", "candidate": second, "policy": "evidence", **SCORES}
    write_json(verdict, root / paths.SUMMARY)
    files.write_bytes(b"\x89PNG", root / paths.FIGURES / "timeline.png")
    files.write_bytes(b"fpr,tpr\n0,0\n", root / paths.CURVES / "roc_policy.csv")


def _event(row: Mapping[str, Any], promoted: str | None) -> dict[str, Any]:
    evidence = {"batches": ["batch_01"], "rows": 40, "z": 2.5, "log_loss_gain": None, "auc_gain_sum": 0.01}
    return {"batch": row["batch"], "reason": row["reason"], "promoted": promoted, "evidence": evidence}


def call(root: Path, *command: str, code: int = 0, **env: str) -> str:
    """What a command says on both streams; its exit code must be this one."""
    done = subprocess.run(
        command, cwd=root, env=environment(root, **env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def environment(root: Path, **env: str) -> dict[str, str]:
    """Of a user without settings of his own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DVC_", "MLFLOW", "AWS_", "CHURN_DRIFT"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        **dvc_folders(root.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A User", "GIT_AUTHOR_EMAIL": "user@example.org",
        "GIT_COMMITTER_NAME": "A User", "GIT_COMMITTER_EMAIL": "user@example.org",
        **env,
    }  # fmt: skip


def dvc_folders(folder: Path) -> dict[str, str]:
    """DVC's settings and caches of this machine are out."""
    names = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
    return {name: str(folder / name.lower()) for name in names}


def commit(root: Path, message: str) -> str:
    """Commit everything; the commit."""
    call(root, "git", "add", "--all")
    call(root, "git", "commit", "--quiet", "--message", message)
    return call(root, "git", "rev-parse", "HEAD").strip()


def publish(root: Path, *arguments: str, code: int = 0, **env: str) -> str:
    return call(root, "python", "-m", "churn_drift.cli", "publish", *arguments, code=code, **env)


def read(path: Path) -> Any:
    return json.loads(path.read_text())
