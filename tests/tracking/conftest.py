import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.model.bundle import Bundle, save
from churn_drift.model.train import fit, pack
from tests.model.test_train import SETTINGS, customers


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """A model of 120 customers that its golden records confirm."""
    columns, labels = customers(120)
    facts = {"parent": None, "reason": "z 3.00 > 2.33", "data": "d1", "params": "p1"}
    return pack(fit(columns, labels, settings=SETTINGS), columns, profile={}, facts=facts, zero_is_missing=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git and DVC repository, the working directory."""
    return start(tmp_path, monkeypatch)


def isolate(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """DVC's settings and caches of this machine are out."""
    for name, value in {
        "DVC_GLOBAL_CONFIG_DIR": "global", "DVC_SYSTEM_CONFIG_DIR": "system", "DVC_SITE_CACHE_DIR": "site",
    }.items():  # fmt: skip
        patch.setenv(name, str(folder / value))


def start(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """An empty repository in a folder of its own, from now on the working directory."""
    isolate(folder, patch)
    root = folder / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    patch.chdir(root)
    git("init", "--quiet")
    git("add", ".")
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Start")
    return root


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def propose(bundle: Bundle, *, reason: str = "z 3.00 > 2.33") -> str:
    """The bundle as models/candidate; another reason is another version."""
    return save(replace(bundle, facts={**bundle.facts, "reason": reason}), paths.CANDIDATE)
