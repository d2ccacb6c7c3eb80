"""`churn-drift models`: two versions that the pipeline made, promoted and committed one after the other."""

import json
import re
import shutil

import pytest

from tests.end_to_end.repository import SMALL, copy_of, with_params

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two(finished, tmp_path_factory):
    """The repository after a second promotion, and both versions; nobody changes it."""
    repository = copy_of(finished.repository, tmp_path_factory.mktemp("two") / "repository")
    params = repository.root / "params.yaml"
    params.write_text(with_params(params.read_text(), {"train.trees": SMALL["train.trees"] + 5}))
    repository.pipeline()
    repository.commit("More trees")
    return repository, *(line["version"] for line in lines(repository))


@pytest.fixture
def workspace(two, tmp_path):
    """A copy of it to change, and both versions."""
    repository, first, second = two
    yield copy_of(repository, tmp_path / "repository"), first, second
    shutil.rmtree(tmp_path / "repository")


def lines(repository):
    return [json.loads(line) for line in repository.read("models/ledger.jsonl").splitlines()]


def champion(repository):
    return re.search(r"^\w{12}", repository.run("churn-drift", "models", "show", "champion"))[0]


# Reading


def test_the_list_tells_who_holds_which_role_within_80_columns(two):
    repository, first, second = two
    said = repository.run("churn-drift", "models", "list").splitlines()
    assert max(map(len, said)) <= 80
    rows = {line.split()[0]: line for line in said}
    assert re.search(r"champion, candidate +20\d\d-\d\d-\d\d \d\d:\d\d +promote +0\.\d{4}", rows[second])
    assert re.search(r"previous +20\d\d-\d\d-\d\d \d\d:\d\d +promote +0\.\d{4}", rows[first])
    assert [line for line in said if "baseline" in line and "never" in line]


def test_show_tells_the_lines_of_the_ledger_and_the_facts_of_the_model(two):
    repository, first, second = two
    said = repository.run("churn-drift", "models", "show", second[:4])
    assert said.startswith(f"{second}  champion, candidate\n")
    assert f"promote, replacing {first}: {lines(repository)[1]['reason']} (at commit " in said
    assert re.search(rf"^  train\.trees +{SMALL['train.trees'] + 5}$", said, re.MULTILINE)


def test_a_version_that_only_the_cache_holds_is_shown_too(two):
    repository, first, _ = two
    said = repository.run("churn-drift", "models", "show", first)
    assert re.search(rf"^  train\.trees +{SMALL['train.trees']}$", said, re.MULTILINE)
    assert repository.changes == []


def test_as_of_a_commit_tells_what_was_pinned_in_it(two):
    repository, first, second = two
    assert repository.run("churn-drift", "models", "as-of", "HEAD~1").startswith(f"{first}  champion in ")
    assert repository.run("churn-drift", "models", "as-of", "main").startswith(f"{second}  champion in ")
    assert "no champion yet in HEAD~2" in repository.run("churn-drift", "models", "as-of", "HEAD~2", code=2)


def test_as_of_a_moment_tells_who_served_then(two):
    repository, first, second = two
    moments = [line["at"] for line in lines(repository)]
    assert repository.run("churn-drift", "models", "as-of", moments[0]).startswith(first)
    assert repository.run("churn-drift", "models", "as-of", moments[1]).startswith(second)
    assert repository.run("churn-drift", "models", "as-of", moments[1][:10]).startswith(second)
    assert "no champion yet at 2020-02-29 23:59 UTC" in repository.run(
        "churn-drift", "models", "as-of", "2020-02-29", code=2
    )


def test_diff_tells_what_differs_and_compares_on_rows_that_neither_has_seen(two):
    repository, first, second = two
    said = repository.run("churn-drift", "models", "diff", "previous", "champion")
    assert said.split()[:2] == [first, second]
    assert re.search(rf"^train\.trees +{SMALL['train.trees']} +{SMALL['train.trees'] + 5} *$", said, re.MULTILINE)
    assert "The same: " in said
    assert re.search(r"batch_05  600 customers  0\.\d{4}  0\.\d{4}  [+-]0\.\d{4} \[[+-]0\.\d{4}, [+-]0\.\d{4}\]", said)


def test_diff_says_where_no_rows_are_left_to_compare_on(two):
    repository, _, second = two
    assert "are the same version" in repository.run("churn-drift", "models", "diff", "champion", second)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nobody"], "nobody: no such version or role; `churn-drift models list`"),
        (["diff", "champion", "challenger"], "challenger: no version holds this role"),
        (["as-of", "v99"], "v99: git knows no such revision; `git log --oneline`"),
        (["as-of", "2026-13-01"], "2026-13-01: no date"),
        (["rollback", "0000"], "0000: no such version or role"),
        (["rollback", "champion"], "is champion already"),
    ],
)
def test_an_unknown_name_is_refused_in_one_line_and_nothing_changes(two, arguments, says):
    repository, _, _ = two
    said = repository.run("churn-drift", "models", *arguments, code=2)
    assert len(said.splitlines()) == 1
    assert says in said
    assert repository.changes == []


# Rolling back


def test_a_rollback_changes_two_files_and_the_next_run_does_not_undo_it(workspace):
    repository, first, second = workspace
    said = repository.run("churn-drift", "models", "rollback", "--reason", "complaints")
    assert f"Rolled back to {first} (it replaces {second})" in said
    assert repository.changes == [" M models/champion.dvc", " M models/ledger.jsonl"]
    assert lines(repository)[-1]["reason"] == "complaints"
    assert f"Champion {first} stays" in repository.pipeline()
    assert champion(repository) == first
    assert "up to date" in repository.run("dvc", "status")
    assert "all agrees" in repository.run("churn-drift", "models", "verify", "--check")


def test_a_rollback_can_be_taken_back_by_git(workspace):
    repository, _, second = workspace
    repository.run("churn-drift", "models", "rollback")
    repository.run("git", "checkout", "--quiet", "models")
    repository.run("churn-drift", "models", "verify")
    assert champion(repository) == second
    assert repository.changes == []


# Verifying


def test_a_pin_that_git_has_moved_gets_its_line_and_its_folder(workspace):
    repository, first, second = workspace
    repository.run("git", "checkout", "--quiet", "HEAD~1", "--", "models/champion.dvc")
    said = repository.run("churn-drift", "models", "verify", "--check", code=2)
    assert "disagrees: models/champion: holds another model than its pin" in said
    said = repository.run("churn-drift", "models", "verify")
    assert f"mended: models/ledger.jsonl: {first} is pinned, the last line names {second}" in said
    assert [(line["action"], line["version"]) for line in lines(repository)][-1] == ("pin", first)
    assert f"all agrees with models/champion.dvc: champion {first}" in repository.run("churn-drift", "models", "verify")


def test_a_champion_that_is_gone_comes_back(workspace):
    repository, _, second = workspace
    shutil.rmtree(repository.root / "models/champion")
    assert "models/champion: not there" in repository.run("churn-drift", "models", "verify")
    assert champion(repository) == second


def test_an_altered_champion_is_left_to_a_person(workspace):
    repository, _, _ = workspace
    scoring = repository.root / "models/champion/scoring.json"
    scoring.chmod(0o644)
    scoring.write_text("{}")
    assert "scoring.json was altered" in repository.run("churn-drift", "models", "verify", code=2)
    assert scoring.read_text() == "{}"


def test_a_pin_that_is_gone_is_left_to_a_person(workspace):
    repository, _, _ = workspace
    (repository.root / "models/champion.dvc").unlink()
    said = repository.run("churn-drift", "models", "verify", code=1)
    assert "`git checkout models/champion.dvc`" in said


def test_a_ledger_that_a_merge_has_torn_is_named_by_its_line(workspace):
    repository, _, _ = workspace
    ledger = repository.root / "models/ledger.jsonl"
    ledger.write_text("<<<<<<< HEAD\n" + ledger.read_text())
    for action in (["list"], ["verify"], ["rollback"]):
        assert "models/ledger.jsonl: line 1: not JSON" in repository.run("churn-drift", "models", *action, code=1)


def test_two_branches_that_changed_champion_merge_into_one_ledger(workspace):
    repository, first, second = workspace
    baseline = repository.run("churn-drift", "models", "show", "baseline").split()[0]
    repository.run("git", "checkout", "--quiet", "-b", "theirs")
    repository.run("churn-drift", "models", "rollback", "baseline")
    repository.commit("Theirs")
    repository.run("git", "checkout", "--quiet", "main")
    repository.run("churn-drift", "models", "rollback", first)
    repository.commit("Ours")

    assert "CONFLICT (content): Merge conflict in models/champion.dvc" in repository.run(
        "git", "merge", "theirs", code=1
    )
    repository.run("git", "checkout", "--ours", "models/champion.dvc")
    assert f"{first} is pinned, the last line names {baseline}" in repository.run("churn-drift", "models", "verify")
    assert [line["version"] for line in lines(repository)] == [first, second, first, baseline, first]
    assert champion(repository) == first
