"""What a person reads who compares two model versions: short stable names, rounded numbers, what changed."""

import json
import re
from itertools import chain

import pytest

from tests.reading.conftest import CHANGED

pytestmark = pytest.mark.slow

CODE_AND_DATA = "^(data|models|reports|src)/"
"""What `dvc exp show` need not show: a hash for each dependency of each stage."""


@pytest.fixture(scope="module")
def metrics(versions):
    """All metrics of both versions: file, name, {"old": ..., "new": ...}."""
    return json.loads(versions.repository.run("dvc", "metrics", "diff", "--all", "--json", "HEAD~1", "HEAD"))


@pytest.fixture(scope="module")
def table(versions):
    """The experiments as cells, the heading first."""
    said = versions.repository.run(
        "dvc", "exp", "show", "--num", "2", "--only-changed", "--drop", CODE_AND_DATA, "--csv"
    )
    return [line.split(",") for line in said.splitlines()]


def test_metrics_diff_has_a_line_for_each_metric_that_changed(versions):
    lines = versions.repository.run("dvc", "metrics", "diff", "HEAD~1", "HEAD").splitlines()
    assert lines[0].split() == ["Path", "Metric", "HEAD~1", "HEAD", "Change"]
    cells = {line.split()[1]: line.split()[2:] for line in lines[1:]}
    assert {"auc_policy", "gain", "mean_drifted_share"} <= set(cells)
    assert all(before != after for before, after, _ in cells.values())


def test_metrics_diff_fits_in_100_columns(versions):
    lines = versions.repository.run("dvc", "metrics", "diff", "HEAD~1", "HEAD").splitlines()
    assert max(map(len, lines)) <= 100


def test_a_metrics_name_is_short_and_plain(metrics):
    names = set(chain.from_iterable(metrics.values()))
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z_]{1,19}", name)] == []


def test_a_metrics_name_stands_in_one_file_only(metrics):
    """Else `dvc exp show` puts the file's path before the name."""
    names = list(chain.from_iterable(metrics.values()))
    assert sorted(names) == sorted(set(names))


def test_a_metric_is_rounded_to_four_decimals(metrics):
    values = [value[when] for file in metrics.values() for value in file.values() for when in ("old", "new")]
    assert [value for value in values if isinstance(value, float) and round(value, 4) != value] == []


def test_both_versions_have_the_same_metrics(metrics):
    values = [value for file in metrics.values() for value in file.values()]
    assert [value for value in values if "old" not in value or "new" not in value] == []


def test_params_diff_names_what_was_changed_and_nothing_else(versions):
    lines = versions.repository.run("dvc", "params", "diff", "HEAD~1", "HEAD").splitlines()
    assert [tuple(line.split()) for line in lines[1:]] == [
        ("params.yaml", name, old, new) for name, (old, new) in CHANGED.items()
    ]


@pytest.mark.parametrize("what", ["metrics", "params"])
def test_a_commit_has_no_difference_to_itself(versions, what):
    assert versions.repository.run("dvc", what, "diff", "HEAD", "HEAD") == ""


def test_exp_show_lists_commits_and_experiment_under_the_params_that_differ(table):
    heading, *rows = table
    assert set(CHANGED) <= set(heading)
    assert "train.trees" not in heading
    assert "second" in [cell for row in rows for cell in row]
    policies = [row[heading.index("retrain.policy")] for row in rows]
    assert {"evidence", "periodic"} == set(policies)


def test_exp_show_without_code_and_data_shows_no_hash(table):
    assert [cell for row in table for cell in row if re.search(r"[0-9a-f]{32}", cell)] == []
