"""params.yaml: what the repository ships loads; any fault is one line that names the key."""

import copy
from pathlib import Path
from typing import Any

import pydantic
import pytest
import yaml

from churn_drift.config import Ingest, Params, Scenario, SplitBatches, load_params, load_section
from churn_drift.errors import ConfigError

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
SHIPPED = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))


def shipped_with(changes: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(SHIPPED)
    for path, value in changes.items():
        *sections, key = path.split(".")
        place = document
        for section in sections:
            place = place[section]
        place[key] = value
    return document


def fault(folder: Path, document: object) -> str:
    path = folder / "params.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_params(path)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value).removeprefix(f"{path}: ")


def test_the_parameters_of_the_repository_load():
    params = load_params(PARAMS)
    assert params.split_batches.batches == 10
    assert params.split_batches.reference_batches == 2
    assert params.retrain.policy == "evidence"


def test_the_sections_stand_in_the_order_of_the_pipeline():
    assert list(SHIPPED) == list(Params.model_fields)


def test_a_section_loads_alone_however_faulty_the_others_are(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"ingest": SHIPPED["ingest"], "train": 3}), encoding="utf-8")
    assert load_section(Ingest, "ingest", path).rows == SHIPPED["ingest"]["rows"]


def test_parameters_cannot_be_changed_after_loading():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        load_params(PARAMS).ingest.rows = 5


@pytest.mark.parametrize(
    "path", [f"{section}.{key}" for section, keys in SHIPPED.items() for key in keys] + ["split_batches.scenario.onset"]
)
def test_a_missing_key_is_named(tmp_path, path):
    document = copy.deepcopy(SHIPPED)
    *sections, key = path.split(".")
    place = document
    for section in sections:
        place = place[section]
    del place[key]
    assert fault(tmp_path, document).startswith(f"{path}: Field required")


@pytest.mark.parametrize("path", ["ingset", "ingest.row", "split_batches.scenario.sizes", "retrain.threshold"])
def test_an_unknown_key_is_named(tmp_path, path):
    message = fault(tmp_path, shipped_with({path: 1}))
    assert message.startswith(f"{path}: Extra inputs are not permitted (is 1)")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ingest.source", ""),
        ("ingest.rows", 0),
        ("ingest.seed", -1),
        ("ingest.seed", 2**32),
        ("split_batches.batches", 2),
        ("split_batches.batches", 201),
        ("split_batches.reference_share", 0.0),
        ("split_batches.order", "reversed"),
        ("split_batches.scenario.kind", "label"),
        ("split_batches.scenario.size", 5.5),
        ("split_batches.scenario.period", 0),
        ("train.trees", 0),
        ("train.learning_rate", 1.5),
        ("train.max_depth", 17),
        ("train.subsample", 0.0),
        ("train.max_bin", 1),
        ("train.folds", 1),
        ("drift_check.label_delay", -1),
        ("drift_check.fdr", 0.0),
        ("drift_check.fdr", 1.0),
        ("drift_check.drift_share", 1.1),
        ("drift_check.psi_threshold", -0.1),
        ("drift_check.label_floor", -0.01),
        ("retrain.policy", "sometimes"),
        ("retrain.window", "first_n"),
        ("retrain.window_batches", 0),
        ("retrain.z_promote", -1.0),
        ("retrain.price", -0.1),
        ("evaluate.confidence", 0.5),
        ("evaluate.confidence", 1.0),
    ],
)
def test_a_value_out_of_range_is_named_with_its_value(tmp_path, path, value):
    message = fault(tmp_path, shipped_with({path: value}))
    assert message.startswith(f"{path}: ")
    assert f"(is {value!r})" in message


@pytest.mark.parametrize("path", ["retrain.price", "drift_check.psi_threshold", "split_batches.scenario.size"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(tmp_path, path, value):
    assert fault(tmp_path, shipped_with({path: value})).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ingest.rows", "many"),
        ("ingest.rows", 100.0),
        ("ingest.rows", True),
        ("ingest.rows", None),
        ("preprocess.zero_is_missing", 1),
        ("preprocess.zero_is_missing", "yes"),
        ("drift_check.fdr", "0.01"),
        ("train.trees", [200]),
        ("ingest.source", 5),
        ("train", 5),
        ("split_batches.scenario", None),
    ],
)
def test_a_wrong_type_is_named_with_its_value(tmp_path, path, value):
    message = fault(tmp_path, shipped_with({path: value}))
    assert message.startswith(f"{path}: Input should be a valid ")
    assert f"(is {value!r})" in message


def test_every_fault_is_told_at_once(tmp_path):
    message = fault(tmp_path, shipped_with({"ingest.rows": 0, "train.trees": 0}))
    assert "ingest.rows: " in message
    assert "train.trees: " in message


def test_the_remedy_is_told(tmp_path):
    assert fault(tmp_path, shipped_with({"ingest.rows": 0})).endswith("params.yaml, its comments state the ranges")


def test_a_whole_number_may_stand_for_a_share_or_a_size():
    assert Scenario(kind="prior", shape="sudden", onset=4, size=1, period=1).size == 1.0


@pytest.mark.parametrize(("share", "batches"), [(0.05, 10), (0.9, 10), (0.5, 3)])
def test_a_reference_that_leaves_too_little_on_one_side_is_refused(tmp_path, share, batches):
    message = fault(tmp_path, shipped_with({"split_batches.reference_share": share, "split_batches.batches": batches}))
    assert message.startswith(f"split_batches: reference_share {share:g} of {batches} batches makes ")


def test_the_smallest_split_is_one_reference_batch_and_two_after_it(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(
        yaml.safe_dump(shipped_with({"split_batches.reference_share": 0.34, "split_batches.batches": 3})),
        encoding="utf-8",
    )
    assert load_section(SplitBatches, "split_batches", path).reference_batches == 1


@pytest.mark.parametrize("onset", [0, 1, 10])
def test_a_drift_cannot_begin_in_the_reference_nor_after_the_last_batch(tmp_path, onset):
    changes = {"split_batches.scenario.kind": "prior", "split_batches.scenario.onset": onset}
    assert fault(tmp_path, shipped_with(changes)).startswith(
        f"split_batches: scenario.onset {onset} is not a batch after the reference (2 to 9)"
    )


@pytest.mark.parametrize("size", [-0.1, 1.1])
def test_the_size_of_a_concept_drift_is_a_share(tmp_path, size):
    changes = {"split_batches.scenario.kind": "concept", "split_batches.scenario.size": size}
    assert fault(tmp_path, shipped_with(changes)).startswith(f"split_batches.scenario: size {size:g} of a concept")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just a word"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    assert "not a mapping of sections" in fault(tmp_path, text)


def test_a_file_that_is_no_yaml_is_refused_in_one_line(tmp_path):
    assert fault(tmp_path, "ingest: [1,\n").startswith("not YAML: ")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(b"ingest: \xff\n")
    with pytest.raises(ConfigError, match="not YAML"):
        load_params(path)


def test_a_missing_file_says_where_to_run(tmp_path):
    with pytest.raises(ConfigError, match="run this in the repository's root"):
        load_params(tmp_path / "params.yaml")


def test_a_missing_section_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("train: {}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="ingest: section missing"):
        load_section(Ingest, "ingest", path)


def test_a_fault_in_a_section_loaded_alone_carries_the_sections_name(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(shipped_with({"ingest.rows": 0})), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params.yaml: ingest\.rows: "):
        load_section(Ingest, "ingest", path)
