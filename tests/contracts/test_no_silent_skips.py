"""The root conftest: what .ci/run requires."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.reach import ROOT

TESTS = """
import pytest

def test_that_needs_what_is_not_there():
    pytest.skip("no such tool; `make test-deps`")

@pytest.mark.private_sample
def test_that_needs_the_sample():
    pytest.skip("no sample")

@pytest.mark.xfail(reason="known")
def test_that_is_known_to_fail():
    assert False
"""
MODULE = """
import pytest

pytest.skip("no such module; `make test-deps`", allow_module_level=True)
"""


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "test_tests.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(MODULE)
    return tmp_path


def test_a_skip_fails_where_all_is_required_unless_it_needs_the_private_sample(folder):
    said = said_by_pytest(folder, require_all="1")
    assert "1 failed, 1 skipped, 1 xfailed, 1 error" in said
    assert "REQUIRE_ALL=1 and skipped: Skipped: no such tool; `make test-deps`" in said
    assert "REQUIRE_ALL=1 and skipped: Skipped: no such module; `make test-deps`" in said


def test_a_skip_is_a_skip_where_not_all_is_required(folder):
    assert "3 skipped, 1 xfailed" in said_by_pytest(folder, require_all="0")


def said_by_pytest(folder: Path, *, require_all: str) -> str:
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--continue-on-collection-errors"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env={**os.environ, "REQUIRE_ALL": require_all},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout
