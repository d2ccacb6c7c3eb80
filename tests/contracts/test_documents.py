"""What the README tells to type exists."""

import re

import pytest

from tests.contracts.documents import commands, faults
from tests.contracts.reach import ROOT

README = (ROOT / "README.md").read_text()
RUNBOOK = (ROOT / "docs/runbook.md").read_text()


def test_the_readme_tells_to_type_nothing_that_is_not_there():
    assert faults(README) == []


def test_the_runbook_tells_to_type_nothing_that_is_not_there():
    typed = re.findall(r"`((?:churn-drift|make|python|dvc) [^`]+)`|^ {4}(\S.*)$", RUNBOOK, re.MULTILINE)
    lines = [re.sub(r"[][]", "", spanned or indented) for spanned, indented in typed]
    assert len(lines) > 20
    assert faults("\n".join(["```sh", *lines, "```"])) == []


@pytest.mark.parametrize("line", ["make run", "python run_pipeline.py", "dvc repro"])
def test_the_readme_shows_the_lines_that_users_type(line):
    assert any(command.startswith(line) for command in commands(README))


def test_commands_are_the_lines_of_a_block_or_its_prompted_lines_where_it_has_a_prompt():
    text = """
```sh
# a comment
make run
dvc exp run \\
  -S train.trees=5
```

```console
$ make test
1 passed
```

```python
make = 1
```
"""
    assert commands(text) == ["make run", "dvc exp run    -S train.trees=5", "make test"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("make nothing", "no make target nothing"),
        ("make run && make nothing", "no make target nothing"),
        ("churn-drift fly", "invalid choice: 'fly'"),
        ("churn-drift run --fast", "unrecognized arguments: --fast"),
        ("churn-drift step", "the following arguments are required: --batch"),
        ("python run_pipeline.py --fast", "unrecognized arguments: --fast"),
        ("python scripts/nothing.py", "no file scripts/nothing.py"),
        ("OMP_NUM_THREADS=1 python benchmarks/nothing.py  # a minute", "no file benchmarks/nothing.py"),
        ("dvc exp run -S drift_check.psi=0.2", "no parameter drift_check.psi"),
        ("dvc repro trane", "no stage trane"),
    ],
)
def test_a_command_that_does_not_exist_is_found(line, fault):
    assert fault in faults(f"```sh\n{line}\n```\n")[0]


@pytest.mark.parametrize(
    "line",
    [
        "make run PYTHON=python3.12",
        "DATA=x.csv make studies",
        "churn-drift run --data customers.csv.gz --no-promote",
        "churn-drift land FILE",
        "churn-drift run --help | head",
        "dvc exp run -S drift_check.psi_threshold=0.2 -S split_batches.scenario.kind=prior --name x",
        "dvc repro --force train_baseline",
        "dvc plots diff > plots.html",
        "git status --short",
    ],
)
def test_a_command_that_exists_is_no_fault(line):
    assert faults(f"```sh\n{line}\n```\n") == []


def test_a_path_in_backticks_that_does_not_exist_is_found():
    assert faults("See `src/churn_drift/cli.py` and `tests/nothing.py`.") == ["`tests/nothing.py` does not exist"]
