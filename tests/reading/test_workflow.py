"""GitHub's workflow: it runs what a person runs, and says what a pull request changes."""

import re
import shlex

import pytest
import yaml

from tests.contracts.reach import ROOT
from tests.end_to_end.repository import copy_of
from tests.reading.conftest import CHANGED

slow = pytest.mark.slow
TEXT = (ROOT / ".github/workflows/ci.yml").read_text()
WORKFLOW = yaml.load(TEXT, Loader=yaml.BaseLoader)  # as text: "on" is a word here, not true
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
RUNS = [step["run"] for step in STEPS if "run" in step]


def words(line: str) -> list[str]:
    """The words of a command without the assignments before it."""
    found = shlex.split(line)
    return found[next(i for i, word in enumerate(found) if not re.match(r"[A-Z_]+=", word)) :]


# --- the file ----------------------------------------------------------------------------------------------------


def test_it_runs_on_every_push_to_main_and_on_every_pull_request():
    assert WORKFLOW["on"] == {"push": {"branches": ["main"]}, "pull_request": ""}


def test_it_may_only_read_and_needs_no_secret():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "secrets" not in TEXT


def test_a_newer_push_to_a_pull_request_ends_the_older_run():
    assert "github.ref" in WORKFLOW["concurrency"]["group"]
    assert "pull_request" in WORKFLOW["concurrency"]["cancel-in-progress"]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_a_time_limit_and_the_python_of_the_project(name):
    assert 0 < int(JOBS[name]["timeout-minutes"]) <= 60
    assert JOBS[name]["container"] == "python:3.11-bookworm"


def test_every_action_is_githubs_own_and_pinned_to_a_major_version():
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", name)] == []


def test_packages_are_kept_between_runs_for_one_lock():
    kept = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/cache@")]
    assert len(kept) == len(JOBS)
    for options in kept:
        assert options["path"] == WORKFLOW["env"]["UV_CACHE_DIR"]
        assert "hashFiles('requirements.txt')" in options["key"]


@pytest.mark.parametrize("line", RUNS)
def test_a_command_is_a_make_target_or_a_file_of_the_repository_or_git(line):
    command, *rest = words(line)
    if command == "make":
        targets = re.findall(r"^([\w.$()/-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(rest) <= {target.replace("$(VENV)", ".venv") for target in targets}
    elif command != "git":
        assert (ROOT / command).stat().st_mode & 0o100, f"{command} cannot be executed"


def test_lint_and_tests_are_those_of_ci_run():
    assert ".ci/run" in RUNS
    script = (ROOT / ".ci/run").read_text()
    assert "make lint" in script
    assert "make test" in script


def test_the_summary_job_has_the_whole_history_and_writes_to_githubs_summary():
    steps = JOBS["summary"]["steps"]
    assert JOBS["summary"]["if"] == "github.event_name == 'pull_request'"
    assert steps[0]["with"]["fetch-depth"] == "0"
    assert steps[-1]["run"].endswith('.ci/summary "$BASE" "$HEAD" >> "$GITHUB_STEP_SUMMARY"')
    assert set(steps[-1]["env"]) == {"BASE", "HEAD"}


# --- the summary -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def summary(versions):
    return versions.repository.run(".ci/summary", "HEAD~1", "HEAD")


class TestTheSummary:
    pytestmark = slow

    def test_has_a_heading_and_a_table_for_metrics_and_for_params(self, summary, versions):
        old, new = (versions.repository.run("git", "rev-parse", "--short", rev).strip() for rev in ("HEAD~1", "HEAD"))
        metrics, params = re.split(r"^## \w+$", summary, flags=re.MULTILINE)[1:]
        assert re.findall(r"^## (\w+)$", summary, re.MULTILINE) == ["Metrics", "Params"]
        assert re.search(rf"^\| Path +\| Metric +\| {old} +\| {new} +\| Change +\|$", metrics, re.MULTILINE)
        assert re.search(rf"^\| Param +\| {old} +\| {new} +\|$", params, re.MULTILINE)
        assert re.search(r"\| auc_policy +\| 0\.\d+ +\| 0\.\d+ +\| -?0\.\d+ +\|", metrics)

    def test_lists_exactly_the_params_that_changed(self, summary):
        rows = [line.strip("|").split("|") for line in summary[summary.index("## Params") :].splitlines()[4:-1]]
        found = {name.strip(): (old.strip(), new.strip()) for name, old, new in rows}
        assert found == CHANGED

    def test_says_in_words_that_nothing_changed(self, versions):
        said = versions.repository.run(".ci/summary", "HEAD", "HEAD")
        head = versions.repository.run("git", "rev-parse", "--short", "HEAD").strip()
        assert said.split("\n\n") == [
            "## Metrics",
            f"No metrics differ between {head} and {head}.",
            "## Params",
            f"No params differ between {head} and {head}.",
            "",
        ]

    def test_blames_a_branch_for_nothing_that_its_base_has_gained_since(self, versions, tmp_path):
        repository = copy_of(versions.repository, tmp_path / "repository")
        repository.run("git", "checkout", "--quiet", "-b", "documentation", "HEAD~1")
        (repository.root / "NOTE.md").write_text("A branch that changes no param.\n")
        repository.commit("Note")
        assert "No params differ" in repository.run(".ci/summary", "main", "documentation")

    def test_fails_where_a_revision_does_not_exist(self, versions):
        assert "nowhere" in versions.repository.run(".ci/summary", "nowhere", "HEAD", code=128)
