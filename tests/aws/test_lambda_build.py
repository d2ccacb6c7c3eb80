"""scripts/build_lambda.py: what is taken into the zip, and what is refused. test_lambda.py runs it."""

import sys

import pytest

from scripts import build_lambda
from tests.contracts.reach import reached


def test_our_modules_in_it_are_those_that_the_handler_reaches():
    packed = {f"src/{name}" for name in build_lambda.own_modules() if not name.endswith("__init__.py")}
    assert packed == {name for name in reached(build_lambda.HANDLER) if not name.endswith("__init__.py")}


def test_a_library_for_a_newer_glibc_than_awss_is_refused(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy/core.so").write_bytes(b"\x7fELF..GLIBC_2.17..GLIBC_2.27..")
    with pytest.raises(RuntimeError, match=r"numpy/core\.so needs glibc 2\.27, and AWS's runtime has 2\.26"):
        build_lambda._check(tmp_path)


def test_libraries_that_cannot_be_fetched_leave_nothing_behind(tmp_path, monkeypatch):
    pinned = tmp_path / "requirements.txt"
    pinned.write_text("numpy==2.2.6 --hash=sha256:" + "0" * 64 + "\n")
    monkeypatch.setattr(build_lambda, "REQUIREMENTS", pinned)
    with pytest.raises(RuntimeError, match=r"uv could not fetch requirements\.txt"):
        build_lambda.libraries(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_python_of_the_zip_is_the_projects_own():
    assert f"{sys.version_info.major}.{sys.version_info.minor}" == build_lambda.PYTHON
