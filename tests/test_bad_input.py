"""At the command's edge: the refused is one line and changes nothing, the mended is counted, the legal works.

The modules' own tests hold the corner cases.
"""

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from churn_drift import cli, paths
from churn_drift.data import files, io
from churn_drift.data.batch_files import write_batches
from churn_drift.errors import PipelineError
from churn_drift.model import bundle
from churn_drift.ports import STATE
from churn_drift.stages import drift_check, entry, preprocess, train_baseline
from churn_drift.tracking import dvc

COMMANDS = {"run": ["run", "--data"], "land": ["land"], "step": ["step", "--batch"]}


def contents(folder):
    """Every file but those in which a machine remembers its own runs."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(f"{STATE}/")}


@pytest.fixture(autouse=True)
def no_pipeline(monkeypatch):
    """Whoever starts DVC before the input is found good fails the test."""
    monkeypatch.setattr(dvc, "_run", lambda arguments: pytest.fail(f"dvc {arguments} ran"))
    monkeypatch.setattr(dvc, "_quietly", lambda arguments: pytest.fail(f"dvc {arguments} ran"))


@pytest.fixture
def refused(scratch, capsys):
    """`refused(arguments)`: the one line with which the command refuses; the folder is as before."""

    def run(*arguments, code=2):
        before = contents(scratch)
        assert cli.main([str(argument) for argument in arguments]) == code
        assert contents(scratch) == before
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        return err.removeprefix("error: ").removesuffix("\n")

    return run


@pytest.fixture
def given(tmp_path_factory):
    """`given(content)`: the path of a file with these bytes, or of this frame as CSV; outside the repository."""

    def write(content, name="given.csv"):
        path = tmp_path_factory.mktemp("given") / name
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(index=False).encode()
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def change(scratch):
    """`change("section.key", value)`: params.yaml of the scratch repository with another value."""

    def write(path, value):
        section, key = path.split(".")
        document = yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))
        document[section][key] = value
        paths.PARAMS.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    return write


# --- refused: files ----------------------------------------------------------------------------------------------


@pytest.fixture(params=COMMANDS, name="command")
def every_command(request):
    return COMMANDS[request.param]


def test_an_empty_file_is_refused(refused, given, command):
    file = given(b"")
    assert refused(*command, file) == (
        f"{file}: the file is empty; give a CSV with the columns of src/churn_drift/schema.py"
    )


def test_a_file_with_a_header_only_is_refused(refused, given, command, raw_records):
    file = given(raw_records(0))
    assert refused(*command, file) == f"{file}: no rows below the header; give a file with customers in it"


def test_a_file_cut_in_its_last_row_is_refused(refused, given, command, raw_records):
    text = raw_records(9).to_csv(index=False).encode()
    file = given(text[: text.rindex(b",")])
    assert refused(*command, file) == (
        f"{file}: row 10: 57 cells, but the header has 58; is the file cut? fetch it again, or mend the row"
    )


def test_a_cut_gz_file_is_refused(refused, given, command, raw_records):
    packed = gzip.compress(raw_records(90).to_csv(index=False).encode())
    file = given(packed[: len(packed) // 2], "given.csv.gz")
    message = refused(*command, file)
    assert message.startswith(f"{file}: cannot be read to its end (")
    assert message.endswith("); is it cut? fetch it again")


def test_a_missing_column_is_refused(refused, given, command, raw_records):
    file = given(raw_records(9).drop(columns="Handsets"))
    assert refused(*command, file) == (
        f"{file}: row 1: missing column Handsets; the file needs the 58 columns of src/churn_drift/schema.py"
    )


def test_an_extra_column_is_refused(refused, given, command, raw_records):
    file = given(raw_records(9).assign(Loyalty="gold"))
    assert refused(*command, file).startswith(f"{file}: row 1: unknown column Loyalty; the file needs the 58 columns")


def test_a_wrong_type_is_refused(refused, given, command, raw_records):
    records = raw_records(9)
    records.loc[4, "MonthlyMinutes"] = "many"
    file = given(records)
    assert refused(*command, file) == (
        f"{file}: row 6: MonthlyMinutes: 'many' is not a number; mend the cell or leave it empty"
    )


def test_one_customer_with_different_content_is_refused(refused, given, command, raw_records):
    records = raw_records(9).assign(Handsets="1")
    file = given(pd.concat([records, records.iloc[[3]].assign(Handsets="2")]))
    customer = records["CustomerID"].iloc[3]
    assert refused(*command, file) == (
        f"{file}: rows 5 and 11: CustomerID {customer} stands twice with different Handsets: '1' and '2'; "
        "keep the right one"
    )


def test_a_missing_file_is_refused(refused, command, tmp_path):
    assert refused(*command, tmp_path / "absent.csv").startswith(f"{tmp_path}/absent.csv: no such file; check the path")


def test_a_file_is_found_from_where_the_user_stands(refused, scratch, given, monkeypatch, command):
    file = given(b"")
    monkeypatch.chdir(file.parent)
    (file.parent / "dvc.yaml").touch()
    shutil.copy(scratch / "params.yaml", file.parent)
    (file.parent / "below").mkdir()
    monkeypatch.chdir(file.parent / "below")
    assert refused(*command, "../given.csv").startswith(f"{file}: the file is empty")


# --- refused: the reference --------------------------------------------------------------------------------------


@pytest.fixture
def stage_refused(scratch, capsys):
    """`stage_refused(stage)`: the one line with which a stage refuses, as DVC would run it."""

    def run(stage):
        before = contents(scratch)
        with pytest.raises(SystemExit) as left:
            entry.run(stage.main)
        assert left.value.code == 2
        assert contents(scratch) == before
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return run


def test_a_missing_label_in_the_reference_is_refused(stage_refused, clean_records):
    frames = [clean_records(40, start=start) for start in (0, 40, 80, 120)]
    frames[1].loc[6, "Churn"] = None
    write_batches(frames, paths.BATCHES, reference_batches=2, landed=0, zero_is_missing=True)
    assert stage_refused(train_baseline) == (
        f"error: data/batches/batch_01.parquet: row 7: Churn: the label of customer {frames[1]['CustomerID'].iloc[6]} "
        "is missing (1 such rows) in a reference batch; label the rows or lower split_batches.reference_share\n"
    )


@pytest.mark.parametrize(("label", "said"), [(0.0, "stayed"), (1.0, "churned")])
def test_a_training_window_of_one_class_is_refused(stage_refused, clean_records, label, said):
    frames = [clean_records(40, start=start).assign(Churn=label) for start in (0, 40, 80)]
    write_batches(frames, paths.BATCHES, reference_batches=1, landed=0, zero_is_missing=True)
    assert f"all 40 rows of the window {said}; a model needs both classes" in stage_refused(train_baseline)


# --- refused: parameters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["run"], ["run", "--data"], ["step", "--batch"]], ids=" ".join)
def test_an_unknown_parameter_is_refused(refused, given, change, raw_records, command):
    change("drift_check.psi_treshold", 0.2)
    file = [given(raw_records(9))] if len(command) > 1 else []
    assert refused(*command, *file) == (
        "params.yaml: drift_check.psi_treshold: Extra inputs are not permitted (is 0.2); "
        "edit params.yaml, its comments state the ranges"
    )


@pytest.mark.parametrize("command", [["run"], ["run", "--data"], ["step", "--batch"]], ids=" ".join)
def test_a_parameter_out_of_range_is_refused(refused, given, change, raw_records, command):
    change("evaluate.confidence", 1.5)
    file = [given(raw_records(9))] if len(command) > 1 else []
    assert refused(*command, *file).startswith("params.yaml: evaluate.confidence: Input should be less than 1 (is 1.5)")


def test_a_stage_refuses_a_faulty_parameter_of_its_own(stage_refused, change, raw_records):
    io.write_csv(raw_records(9), paths.RAW)
    change("preprocess.zero_is_missing", "maybe")
    assert "params.yaml: preprocess.zero_is_missing: Input should be a valid boolean" in stage_refused(preprocess)


def test_a_command_outside_the_repository_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run"]) == 2
    assert "no dvc.yaml and params.yaml here or above" in capsys.readouterr().err


# --- a repository with a small model -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, repository, clean_records):
    """What the stages leave behind, of few customers and a small model; copied for each test."""
    folder = tmp_path_factory.mktemp("reproduced")
    document = yaml.safe_load((repository / "params.yaml").read_text(encoding="utf-8"))
    document["train"] |= {"trees": 8, "min_child_weight": 5}
    document["retrain"]["policy"] = "never"
    (folder / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    frames = [clean_records(300, start=start) for start in (0, 300, 600)]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("CHURN_DRIFT_CACHE", "off")
        write_batches(frames, paths.BATCHES, reference_batches=2, landed=0, zero_is_missing=True)
        train_baseline.main()
        files.write_json([], paths.RETRAIN_EVENTS)
    return folder


@pytest.fixture
def with_model(scratch, reproduced):
    shutil.copytree(reproduced, scratch, dirs_exist_ok=True)
    return scratch


def test_an_altered_model_is_refused(refused, with_model, given, raw_records):
    model = with_model / "models/baseline/model.ubj"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))
    assert refused("step", "--batch", given(raw_records(9, start=900))) == (
        "models/baseline: model.ubj was altered (its sha256 is not the one in manifest.json); "
        "`dvc checkout --force models/baseline` brings the pinned model back"
    )


@pytest.mark.parametrize("name", [bundle.MANIFEST, *bundle.FILES])
def test_an_incomplete_model_is_refused(refused, with_model, given, raw_records, name):
    (with_model / "models/baseline" / name).unlink()
    assert refused("step", "--batch", given(raw_records(9, start=900))).startswith(
        f"models/baseline: {name} is missing; `dvc checkout --force models/baseline` brings"
    )


def test_no_model_at_all_is_refused(refused, with_model, given, raw_records):
    shutil.rmtree(with_model / "models/baseline")
    assert refused("step", "--batch", given(raw_records(9, start=900))).startswith(
        "models/baseline: no such model directory; "
    )


def test_a_pipeline_that_never_ran_is_told_apart_from_bad_input(refused, given, raw_records):
    assert refused("step", "--batch", given(raw_records(9)), code=1) == (
        "data/batches/index.json: not there; `dvc repro` makes it"
    )


# --- mended and counted ------------------------------------------------------------------------------------------


def test_duplicates_are_dropped_and_rows_sorted_and_the_report_counts_them(scratch, raw_records):
    records = raw_records(9)
    io.write_csv(pd.concat([records.iloc[::-1], records.iloc[[2, 2]]]), paths.RAW)
    entry.run(preprocess.main)
    report = files.read_json(paths.PREPROCESS_REPORT)
    assert {key: report[key] for key in ("rows", "duplicates_dropped", "rows_reordered", "unlabelled")} == {
        "rows": 9,
        "duplicates_dropped": 2,
        "rows_reordered": True,
        "unlabelled": 0,
    }
    clean = io.read_frame(paths.PROCESSED)["CustomerID"].tolist()
    assert clean == [int(number) for number in records["CustomerID"]]


def test_step_counts_the_duplicates_that_it_dropped(with_model, given, raw_records, capsys):
    records = raw_records(9, start=900)
    assert cli.main(["step", "--batch", str(given(pd.concat([records, records.iloc[:3]])))]) == 0
    assert "9 customers, 3 identical duplicates dropped" in capsys.readouterr().out


def test_a_good_file_is_the_source_for_one_run_and_params_yaml_is_put_back(
    scratch, given, raw_records, monkeypatch, capsys
):
    before, sources = paths.PARAMS.read_bytes(), []

    def stop():
        sources.append(yaml.safe_load(paths.PARAMS.read_text(encoding="utf-8"))["ingest"]["source"])
        raise PipelineError("stopped")

    monkeypatch.setattr(dvc, "reproduce", stop)
    file = given(raw_records(60).iloc[::-1])
    assert cli.main(["run", "--data", str(file)]) == 1
    assert sources == [str(file)]
    assert paths.PARAMS.read_bytes() == before


# --- legal -------------------------------------------------------------------------------------------------------


@pytest.fixture
def step(with_model, given, capsys):
    """`step(records)`: what the command says about a batch; the pipeline's own folders stay as they were."""

    def run(records):
        before = contents(with_model)
        code = cli.main(["step", "--batch", str(given(records))])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        assert contents(with_model) == before
        return " ".join(out.split())

    return run


def test_labels_that_have_not_arrived_are_legal(step, raw_records):
    assert "batch 250 customers" in step(raw_records(250, start=900).drop(columns="Churn"))


def test_missing_values_are_legal(step, raw_records):
    records = raw_records(250, start=900).assign(
        MonthlyRevenue="NA", AgeHH1="0", HandsetPrice="Unknown", PrizmCode="", Churn=""
    )
    assert "batch 250 customers" in step(records)


def test_a_category_that_nobody_has_seen_is_legal(step, raw_records):
    assert "batch 250 customers" in step(raw_records(250, start=900).assign(Occupation="Astronaut"))


def test_a_batch_too_small_to_judge_is_insufficient_and_no_error(step, raw_records):
    said = step(raw_records(20, start=900))
    assert "drift insufficient: " in said
    assert "could have been shown" in said
    assert "decision hold" in said


@pytest.mark.parametrize("rows", [1, 2])
def test_a_batch_of_a_handful_of_customers_is_insufficient_and_no_error(step, raw_records, rows):
    assert "drift insufficient: " in step(raw_records(rows, start=900))


def test_the_timeline_counts_unseen_categories_and_never_calls_a_small_batch_drifted(with_model, clean_records):
    small = clean_records(25, start=900).assign(Occupation="Astronaut", MonthlyRevenue=1e6)
    frames = [*(clean_records(300, start=start) for start in (0, 300, 600)), small]
    write_batches(frames, paths.BATCHES, reference_batches=2, landed=1, zero_is_missing=True)
    entry.run(drift_check.main)
    drift = files.read_json(paths.DRIFT_EVENTS)[-1]["drift"]
    assert drift["verdict"] == "insufficient"
    assert drift["detectable_psi"] > 0
    (occupation,) = [feature for feature in drift["features"] if feature["name"] == "Occupation"]
    assert occupation["unseen"] == 25
    assert occupation["examples"] == ["Astronaut"]


def test_a_batch_of_records_lands_and_so_do_its_labels(scratch, given, raw_records, capsys, monkeypatch):
    pinned = []
    monkeypatch.setattr(dvc, "add", lambda path: (pinned.append(str(path)), path.with_suffix(".dvc").touch()))
    records = raw_records(9)
    assert cli.main(["land", str(given(records.drop(columns="Churn")))]) == 0
    assert cli.main(["land", str(given(records[["CustomerID", "Churn"]]))]) == 0
    assert cli.main(["land", str(given(records))]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" in ")[0] for line in said] == [
        "landed 9 customers",
        "landed 9 labels",
        "these 9 customers have landed before,",
    ]
    assert len(list(Path("data/landed/batches").iterdir())) == 1
    assert pinned == ["data/landed/batches", "data/landed/labels"]


def test_the_help_is_no_bad_input(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    assert "2  the input was refused" in capsys.readouterr().out
