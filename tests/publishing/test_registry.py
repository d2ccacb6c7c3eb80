from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.errors import PipelineError
from churn_drift.model.bundle import version_of
from churn_drift.publishing import address, record, registry, trees
from churn_drift.publishing.record import Lineage
from churn_drift.publishing.registry import MODEL, Holder, sync
from churn_drift.publishing.store import Store, opened
from churn_drift.tracking import dvc


@pytest.fixture
def store(stored: Path) -> Iterator[Store]:
    with opened(remedy="try again") as found:
        yield found


@pytest.fixture
def brought() -> list[str]:
    """The folders that holders had to bring."""
    return []


@pytest.fixture
def holder(stored: Path, brought: list[str]) -> Callable[[Path], Holder]:
    def hold(folder: Path) -> Holder:
        @contextmanager
        def bring() -> Iterator[Path]:
            brought.append(str(folder))
            yield folder

        return Holder(version_of(folder), dvc.hash_of(folder), str(folder), bring)

    return hold


def aliases(store: Store) -> dict[str, str]:
    """Alias to our id."""
    found = store.client.search_registered_models(f"name = '{MODEL}'")
    held = found[0].aliases if found else {}
    return {alias: store.client.get_model_version(MODEL, number).tags["version"] for alias, number in held.items()}


def versions(store: Store) -> list[str]:
    return [version.tags["version"] for version in store.client.search_model_versions(f"name = '{MODEL}'")]


def test_each_holder_becomes_a_version_with_id_path_and_hash_and_each_alias_points_at_its_own(
    store: Store, holder: Callable[[Path], Holder]
) -> None:
    champion, previous = holder(paths.CANDIDATE), holder(paths.BASELINE)
    said = sync({"champion": champion, "previous": previous}, mend=True)
    assert said == [
        f"MLflow: champion is nobody, not {champion.version}", f"MLflow: previous is nobody, not {previous.version}",
    ]  # fmt: skip
    assert aliases(store) == {"champion": champion.version, "previous": previous.version}
    version = store.client.get_model_version_by_alias(MODEL, "champion")
    assert version.tags == {"version": champion.version, "dvc_path": "models/candidate", "dvc_hash": champion.pin}
    assert version.description == "z 2.50 > 1 under a drift alarm"


def test_what_agrees_is_not_told_and_not_registered_again(
    store: Store, holder: Callable[[Path], Holder], brought: list[str]
) -> None:
    holders = {"champion": holder(paths.CANDIDATE), "challenger": holder(paths.BASELINE)}
    sync(holders, mend=True)
    assert sync(holders, mend=True) == []
    assert sync(holders, mend=False) == []
    assert len(versions(store)) == len(brought) == 2


def test_without_mending_nothing_is_written(store: Store, holder: Callable[[Path], Holder], brought: list[str]) -> None:
    assert len(sync({"champion": holder(paths.CANDIDATE)}, mend=False)) == 1
    assert (versions(store), brought) == ([], [])
    assert store.client.get_experiment_by_name("churn-drift") is None


def test_a_role_that_changes_hands_moves_its_alias_and_registers_nobody_twice(
    store: Store, holder: Callable[[Path], Holder]
) -> None:
    old, new = holder(paths.BASELINE), holder(paths.CANDIDATE)
    sync({"champion": old, "challenger": new}, mend=True)
    said = sync({"champion": new, "previous": old}, mend=True)
    assert aliases(store) == {"champion": new.version, "previous": old.version}
    assert sorted(versions(store)) == sorted([old.version, new.version])
    assert said == [
        f"MLflow: champion is {old.version}, not {new.version}",
        f"MLflow: challenger is {new.version}, but nobody holds this role",
        f"MLflow: previous is nobody, not {old.version}",
    ]


def test_one_model_may_hold_two_roles(store: Store, holder: Callable[[Path], Holder]) -> None:
    one = holder(paths.CANDIDATE)
    sync({"champion": one, "challenger": one}, mend=True)
    assert aliases(store) == {"champion": one.version, "challenger": one.version}
    assert versions(store) == [one.version]


def test_an_alias_that_is_not_ours_stays(store: Store, holder: Callable[[Path], Holder]) -> None:
    sync({"champion": holder(paths.CANDIDATE)}, mend=True)
    store.client.set_registered_model_alias(MODEL, "canary", "1")
    assert sync({}, mend=True) == [f"MLflow: champion is {holder(paths.CANDIDATE).version}, but nobody holds this role"]
    assert list(aliases(store)) == ["canary"]


def test_an_alias_that_somebody_has_moved_by_hand_is_told_and_mended(
    store: Store, holder: Callable[[Path], Holder]
) -> None:
    holders = {"champion": holder(paths.CANDIDATE), "previous": holder(paths.BASELINE)}
    sync(holders, mend=True)
    wrong = store.client.get_model_version_by_alias(MODEL, "previous").version
    store.client.set_registered_model_alias(MODEL, "champion", wrong)
    expected = [f"MLflow: champion is {holders['previous'].version}, not {holders['champion'].version}"]
    assert sync(holders, mend=False) == expected
    assert aliases(store)["champion"] == holders["previous"].version
    assert sync(holders, mend=True) == expected
    assert sync(holders, mend=False) == []


def test_an_alias_on_a_version_that_is_not_ours_is_told_by_its_number(
    store: Store, holder: Callable[[Path], Holder]
) -> None:
    store.client.create_registered_model(MODEL)
    store.client.create_model_version(MODEL, source="/tmp/somewhere")
    store.client.set_registered_model_alias(MODEL, "champion", "1")
    one = holder(paths.CANDIDATE)
    assert sync({"champion": one}, mend=True) == [f"MLflow: champion is version 1, not {one.version}"]
    assert aliases(store) == {"champion": one.version}


def test_a_version_that_was_deleted_by_hand_is_registered_again(store: Store, holder: Callable[[Path], Holder]) -> None:
    holders = {"champion": holder(paths.CANDIDATE)}
    sync(holders, mend=True)
    store.client.delete_model_version(MODEL, "1")
    assert len(sync(holders, mend=True)) == 1
    assert aliases(store) == {"champion": holders["champion"].version}


def test_a_wrong_dvc_hash_is_told_and_mended_and_a_path_is_only_mended(
    store: Store, holder: Callable[[Path], Holder]
) -> None:
    one = holder(paths.CANDIDATE)
    sync({"champion": one}, mend=True)
    assert sync({"champion": replace(one, path="models/champion")}, mend=False) == []
    changed = replace(one, pin="0123.dir", path="models/champion")
    said = [f"MLflow: champion {one.version} has the DVC hash {one.pin}, not 0123.dir"]
    assert sync({"champion": changed}, mend=False) == said
    assert sync({"champion": changed}, mend=True) == said
    tags = store.client.get_model_version_by_alias(MODEL, "champion").tags
    assert (tags["dvc_hash"], tags["dvc_path"]) == ("0123.dir", "models/champion")


def test_the_model_of_a_published_run_is_registered_with_its_run_and_not_uploaded_again(
    store: Store, holder: Callable[[Path], Holder], brought: list[str], tmp_path: Path
) -> None:
    trees.from_workspace(tmp_path / "kept" / record.TREE)
    record.write_lineage(Lineage("2026-11-23T18:00:00+00:00", None, dirty=False), tmp_path / "kept")
    done = store.publish(record.read(tmp_path / "kept"))
    sync({"champion": holder(paths.CANDIDATE)}, mend=True)
    assert brought == []
    assert store.client.get_model_version_by_alias(MODEL, "champion").run_id == done.run_id
    assert len(store.client.search_logged_models([store.experiment])) == 1


def test_a_model_whose_upload_was_cut_off_is_not_registered(
    store: Store, holder: Callable[[Path], Holder], brought: list[str]
) -> None:
    one = holder(paths.CANDIDATE)
    store.client.create_logged_model(store.experiment, "model", tags={"version": one.version})
    sync({"champion": one}, mend=True)
    assert brought == ["models/candidate"]


def test_a_registered_model_is_loaded_by_its_alias(store: Store, holder: Callable[[Path], Holder]) -> None:
    import mlflow

    sync({"champion": holder(paths.CANDIDATE)}, mend=True)
    mlflow.set_tracking_uri(address.resolved())
    mlflow.set_registry_uri(address.resolved())
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    assert model.predict(model.input_example).shape == (len(model.input_example), 2)


def test_a_registry_that_is_down_is_one_line_that_names_the_mending_command(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(PipelineError, match=r"127\.0\.0\.1:9: .*Connection refused; `churn-drift models verify`"):
        sync({}, mend=True)


def test_whether_there_is_a_store_is_told_without_mlflow(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not registry.exists()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert registry.exists()
