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
    return pack(fit(columns, labels, settings=SETTINGS), columns, profile={}, facts=facts)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git and DVC repository, the working directory; DVC's settings and caches of this machine are out."""
    for name, value in {
        "DVC_GLOBAL_CONFIG_DIR": "global", "DVC_SYSTEM_CONFIG_DIR": "system", "DVC_SITE_CACHE_DIR": "site",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(tmp_path / value))
    root = tmp_path / "repository"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (root / ".dvc" / ".gitignore").write_text("/tmp\n/cache\n")
    monkeypatch.chdir(root)
    git("init", "--quiet")
    git("add", ".")
    git("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--message", "Start")
    return root


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def propose(bundle: Bundle, *, reason: str = "z 3.00 > 2.33") -> str:
    """The bundle as models/candidate; another reason is another version."""
    return save(replace(bundle, facts={**bundle.facts, "reason": reason}), paths.CANDIDATE)
