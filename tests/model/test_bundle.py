import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from churn_drift.errors import ModelError
from churn_drift.model import bundle
from churn_drift.model.bundle import Bundle, Calibration, Golden, load, save, version_of

BUNDLE = Bundle(
    model=b"trees",
    features=("MonthsInService", "PrizmCode"),
    levels={"PrizmCode": ("Town", "Rural")},
    zero_is_missing=True,
    calibration=Calibration(0.9, -0.1),
    threshold=0.25,
    profile={"MonthsInService": [1, 2]},
    facts={"parent": None, "rows": 7, "reason": "first model"},
    golden=(Golden({"MonthsInService": 3.0, "PrizmCode": None}, 0.125),),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(BUNDLE, tmp_path / "champion")
    return tmp_path / "champion"


def test_what_was_saved_is_what_is_loaded(folder: Path) -> None:
    assert load(folder) == BUNDLE


def test_the_same_bundle_makes_the_same_bytes_and_version(folder: Path, tmp_path: Path) -> None:
    version = save(BUNDLE, tmp_path / "again")
    assert version == version_of(folder)
    assert contents(tmp_path / "again") == contents(folder)


def test_the_version_is_twelve_hex_digits_of_the_manifest(folder: Path) -> None:
    assert version_of(folder) == "bc193bc4dfc8"


def test_another_threshold_is_another_version(folder: Path) -> None:
    before = version_of(folder)
    assert save(replace(BUNDLE, threshold=0.26), folder) != before


def test_saving_replaces_the_whole_directory_and_leaves_nothing_beside_it(folder: Path) -> None:
    (folder / "left_over.txt").write_text("old")
    save(BUNDLE, folder)
    assert load(folder) == BUNDLE
    assert [path.name for path in folder.parent.iterdir()] == ["champion"]


def test_a_bundle_that_json_cannot_hold_leaves_the_old_one_in_place(folder: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save(replace(BUNDLE, threshold=float("nan")), folder)
    assert load(folder) == BUNDLE


@pytest.mark.parametrize(
    "name", ["model.ubj", "scoring.json", "features.json", "profile.json", "facts.json", "golden.json"]
)
def test_one_flipped_bit_in_any_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"champion: {name} was altered.*`dvc checkout --force .*champion`"):
        load(folder)


def test_a_missing_file_is_refused_by_name(folder: Path) -> None:
    (folder / "scoring.json").unlink()
    with pytest.raises(ModelError, match=r"champion: scoring\.json is missing; `dvc checkout"):
        load(folder)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "zz"])
def test_an_extra_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).write_text("?")
    with pytest.raises(ModelError, match=f"champion: {name} does not belong to the model"):
        load(folder)


def test_an_extra_folder_is_refused(folder: Path) -> None:
    (folder / "more").mkdir()
    with pytest.raises(ModelError, match="more does not belong"):
        load(folder)


def test_a_missing_manifest_is_refused(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"manifest\.json is missing"):
        load(folder)


@pytest.mark.parametrize("content", ["", "[]", "null", '{"format": 1}', '{"format": 1, "files": {"model.ubj": 3}}'])
def test_a_manifest_that_is_not_one_is_refused(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(ModelError, match=r"manifest\.json (cannot be read|was altered)"):
        load(folder)


def test_a_manifest_written_in_another_way_is_refused_so_that_a_model_has_one_version(folder: Path) -> None:
    document = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"manifest\.json was altered"):
        load(folder)


def test_a_manifest_that_forgets_a_file_is_refused_though_that_file_is_gone_too(folder: Path) -> None:
    document = json.loads((folder / "manifest.json").read_text())
    del document["files"]["golden.json"]
    (folder / "manifest.json").write_text(json.dumps(document, indent=1) + "\n")
    (folder / "golden.json").unlink()
    with pytest.raises(ModelError, match=r"manifest\.json was altered"):
        load(folder)


def test_a_format_that_this_release_does_not_read_says_which_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bundle.LAST_READERS, 0, "0.0.9")
    for form, says in {
        "2": "format 2: made by a newer release; this one, .*, reads format 1: upgrade churn-drift",
        "0": r"format 0: the last release that reads it is 0\.0\.9: `pip install churn-drift==0\.0\.9`",
        "-1": "format -1: no release writes it; this one, .*, reads format 1",
        '"1"': "format '1': no release writes it",
    }.items():
        save(BUNDLE, folder)
        text = (folder / "manifest.json").read_text().replace('"format": 1', f'"format": {form}')
        (folder / "manifest.json").write_text(text)
        with pytest.raises(ModelError, match=says):
            load(folder)


def test_another_version_than_expected_is_refused(folder: Path) -> None:
    assert load(folder, expected=version_of(folder)) == BUNDLE
    with pytest.raises(ModelError, match="not 0123456789ab; `dvc checkout"):
        load(folder, expected="0123456789ab")


def test_an_absent_directory_names_the_command_that_brings_it(folder: Path) -> None:
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match=r"champion: no such model directory; `dvc checkout"):
        load(folder)
    with pytest.raises(ModelError, match="no such model directory"):
        version_of(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
