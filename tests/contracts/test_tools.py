"""The configuration of the tools we call, and the lock of what we install."""

import configparser
import re
import subprocess
import tomllib
from functools import cache
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import LONGEST
from tests.contracts.reach import ROOT


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@cache
def lock() -> dict[str, str]:
    """Name and version of each requirement that requirements.txt pins."""
    pins = (line.split("==") for line in locked_lines() if "==" in line)
    return {canonicalize_name(name.split("[")[0]): version for name, version in pins}


def locked_lines() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def declared() -> list[Requirement]:
    extras = [entry for extra in project()["optional-dependencies"].values() for entry in extra]
    return [Requirement(entry) for entry in [*project()["dependencies"], *extras]]


def test_dvc_phones_nobody():
    config = configparser.ConfigParser()
    config.read_string("\n".join(line.strip() for line in (ROOT / ".dvc/config").read_text().splitlines()))
    assert config["core"]["analytics"] == "false"
    assert config["core"]["check_update"] == "false"


def test_the_lock_ends_with_the_package_itself():
    assert (ROOT / "requirements.txt").read_text().splitlines()[-1] == "-e ."


def test_every_line_of_the_lock_is_one_version():
    loose = [line for line in locked_lines()[:-1] if not re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+", line)]
    assert loose == []


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_the_lock_pins_every_dependency_inside_its_declared_range(requirement):
    pinned = lock().get(canonicalize_name(requirement.name))
    assert pinned, f"{requirement.name} is not in requirements.txt; `make lock`"
    assert requirement.specifier.contains(pinned)


def test_xgboost_comes_without_cuda():
    assert "xgboost-cpu" in lock()
    assert [name for name in lock() if name == "xgboost" or name.startswith(("nvidia", "cuda"))] == []


def test_the_data_and_the_environment_are_kept_out_of_git():
    private = [
        "data/raw/customers.csv",
        "models/champion/model.ubj",
        ".venv/x",
        ".cache/x",
        ".env",
        "mlruns/x",
        "mlflow.db",
        "data/inference/x",
        "serve-keys.json",
    ]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *private], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == private


def test_ci_runs_what_a_person_types():
    script = (ROOT / ".ci/run").read_text()
    for line in (
        "make lint",
        "make test\n",
        "make test-long",
        "python run_pipeline.py",
        "git diff --exit-code",
        "NPY_DISABLE_CPU_FEATURES",
    ):
        assert line in script
    assert "REQUIRE_ALL=1" in script


def test_make_help_lists_every_target_a_person_needs():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "lint", "help", "bench"):
        assert f"make {target} " in said


def test_every_file_a_make_target_runs_exists():
    used = re.findall(r"\b(?:python3?) ((?:\w+/)*\w+\.py)", (ROOT / "Makefile").read_text())
    assert "run_pipeline.py" in used
    assert [file for file in used if not (ROOT / file).exists()] == []


def test_every_file_of_tests_that_starts_first_exists():
    assert [file for file in LONGEST if not (ROOT / file).is_file()] == []
