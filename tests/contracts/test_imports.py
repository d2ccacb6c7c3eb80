"""Importing does nothing, and the command line answers before anything heavy is loaded."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

HEAVY = (
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "xgboost",
    "pyarrow",
    "matplotlib",
    "pydantic",
    "mlflow",
    "flask",
    "dvc",
)

# The libraries come first: what they do to the environment is theirs.
IMPORT_ALL = """
import importlib, json, logging, os, pkgutil, sys, threading, warnings
import boto3, matplotlib, numpy, pandas, pyarrow, pydantic, rich.console, scipy.stats, sklearn, subprocess
import xgboost, yaml
before = dict(os.environ), logging.getLogger().handlers[:], threading.active_count(), warnings.filters[:], sys.path[:]
import churn_drift
names = [found.name for found in pkgutil.walk_packages(churn_drift.__path__, "churn_drift.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
after = dict(os.environ), logging.getLogger().handlers[:], threading.active_count(), warnings.filters[:], sys.path[:]
env = {key: value for key, value in after[0].items() if before[0].get(key) != value}
print(json.dumps({"modules": names, "env": env, "state": before[1:] == after[1:]}))
"""


def python(code: str, folder: Any, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OMP_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={**clean, "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    config = tmp_path_factory.mktemp("matplotlib")
    done = python(IMPORT_ALL, folder, MPLCONFIGDIR=str(config))
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "stderr": done.stderr, "files": list(folder.rglob("*"))}


def test_every_module_can_be_imported_anywhere_without_a_word(imported):
    assert "churn_drift.stages.retrain" in imported["modules"]
    assert imported["stderr"] == ""


def test_importing_makes_no_file(imported):
    assert imported["files"] == []


def test_importing_changes_nothing_in_the_environment(imported):
    assert imported["env"] == {}


def test_importing_sets_up_no_logging_no_thread_no_warning_filter_and_no_path(imported):
    assert imported["state"]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_is_printed_before_anything_heavy_is_loaded(tmp_path, arguments):
    code = f"""
import sys
from churn_drift.cli import main
try:
    main({arguments})
except SystemExit:
    print("heavy:", [name for name in {HEAVY} if name in sys.modules])
"""
    assert python(code, tmp_path).stdout.endswith("heavy: []\n")


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("churn_drift.stages.ingest", ("xgboost", "sklearn", "matplotlib", "mlflow", "flask", "dvc", "scipy.stats")),
        ("churn_drift.stages.preprocess", ("xgboost", "sklearn", "scipy", "matplotlib", "mlflow", "flask", "dvc")),
        ("churn_drift.stages.split_batches", ("xgboost", "sklearn", "matplotlib", "mlflow", "flask", "dvc")),
        ("churn_drift.stages.retrain", ("matplotlib", "mlflow", "flask", "boto3", "dvc")),
        ("churn_drift.stages.evaluate", ("xgboost", "sklearn", "mlflow", "flask", "boto3", "dvc")),
        ("churn_drift.drift", ("pandas", "pydantic", "sklearn", "xgboost", "pyarrow", "scipy.stats")),
    ],
)
def test_a_light_module_spares_the_libraries_it_does_not_use(tmp_path, module, spared):
    done = python(f"import sys, {module}; print([name for name in {spared} if name in sys.modules])", tmp_path)
    assert done.stdout == "[]\n", done.stderr
