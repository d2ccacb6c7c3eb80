"""dvc.yaml against the code: what a stage says it depends on is what it depends on, and nothing else."""

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from churn_drift import paths
from tests.contracts.reach import ROOT, STAGES, compact, expanded, reached

NON_DETERMINISTIC = {"datetime", "time", "socket", "platform", "getpass", "uuid", "secrets", "subprocess", "dvc", "git"}
PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


@cache
def pipeline() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())


@cache
def params() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text())


def stage(name: str) -> dict[str, Any]:
    return pipeline()["stages"][name]


def outputs(name: str) -> dict[str, bool]:
    """Paths that a stage writes; True where DVC caches them, False where git holds them."""
    found = {}
    for entry in [*stage(name).get("outs", []), *stage(name).get("metrics", []), *stage(name).get("plots", [])]:
        options = entry if isinstance(entry, dict) else {entry: {}}
        found |= {path: option.get("cache", True) for path, option in options.items()}
    return found


def inputs(name: str) -> set[str]:
    """Data that a stage reads: its dependencies outside src/, the user's source as params.yaml names it."""
    return {path for path in stage(name).get("deps", []) if not path.startswith(("src/", "${"))}


@cache
def tree(file: str | Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def module(name: str) -> ast.Module:
    return tree(f"src/churn_drift/stages/{name}.py")


def loaded_sections(code: ast.Module) -> list[str]:
    """Names of the sections of params.yaml that the code loads; "*" for all of them."""
    found = []
    for node in ast.walk(code):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called == "load_section":
                found.append(ast.literal_eval(node.args[1]))
            elif called == "load_params":
                found.append("*")
    return found


def named_paths(name: str) -> set[str]:
    """Every constant of `paths` that the stage's module mentions, as a path."""
    return {
        str(getattr(paths, node.attr))
        for node in ast.walk(module(name))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "paths"
    }


def imported(code: ast.Module) -> set[str]:
    """Top-level names of what the code imports."""
    found = set()
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def lies_in(path: str, declared: str) -> bool:
    return Path(path).is_relative_to(declared)


# --- the table of contents ---------------------------------------------------------------------------------------


def test_the_stages_have_the_names_and_the_order_of_the_design():
    assert tuple(pipeline()["stages"]) == STAGES


def test_the_folder_of_stages_lists_the_pipeline():
    files = {file.stem for file in (ROOT / "src/churn_drift/stages").glob("*.py")}
    assert files - {"__init__", "__main__", "entry"} == set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_module_of_its_name(name):
    assert stage(name)["cmd"] == f"python -m churn_drift.stages {name}"


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_does_with_a_verb_first(name):
    verbs = {"Read", "Type", "Cut", "Fit", "Watch", "Decide", "Compare"}
    said = stage(name)["desc"]
    assert said.split()[0].strip(",") in verbs
    assert len(said) <= 80  # `dvc stage list` cuts what is longer


def test_stages_come_first_and_nothing_is_frozen_or_always_changed():
    assert next(iter(pipeline())) == "stages"
    for name in STAGES:
        assert not {"frozen", "always_changed", "wdir"} & set(stage(name))


# --- dependencies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_exactly_the_sources_it_reaches(name):
    found = reached(f"churn_drift.stages.{name}")
    declared = expanded(stage(name)["deps"])
    remedy = "python tests/contracts/reach.py prints what dvc.yaml should list"
    assert declared - found == set(), f"declared but not reached; {remedy}"
    assert found - declared == set(), f"reached but not declared: DVC would serve stale results; {remedy}"


@pytest.mark.parametrize("name", STAGES)
def test_every_declared_source_exists(name):
    assert [path for path in stage(name)["deps"] if path.startswith("src/") and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_exactly_the_sections_of_params_it_loads(name):
    assert sorted(stage(name)["params"]) == sorted(set(loaded_sections(module(name))))


@pytest.mark.parametrize("name", STAGES)
def test_nothing_below_a_stage_loads_params_behind_its_back(name):
    below = reached(f"churn_drift.stages.{name}") - {f"src/churn_drift/stages/{name}.py"}
    assert {file for file in below if loaded_sections(tree(file))} - {"src/churn_drift/config.py"} == set()


def test_every_section_of_params_is_some_stages():
    assert {section for name in STAGES for section in stage(name)["params"]} == set(params())


def test_params_come_in_pipeline_order():
    first_use = {
        section: next(i for i, s in enumerate(STAGES) if section in stage(s)["params"]) for section in params()
    }
    assert list(first_use.values()) == sorted(first_use.values())


def test_the_users_source_is_a_dependency_of_ingest():
    assert "${ingest.source}" in stage("ingest")["deps"]


def test_the_landed_batches_are_a_dependency_of_split_batches():
    assert str(paths.LANDED) in stage("split_batches")["deps"]


def test_a_compact_listing_stands_for_the_same_files():
    files = reached("churn_drift.stages.retrain")
    assert expanded(compact(files)) == files


# --- outputs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STAGES)
def test_every_path_a_stage_names_is_one_it_declares(name):
    declared = [*outputs(name), *inputs(name)]
    assert {path for path in named_paths(name) if not any(lies_in(path, known) for known in declared)} == set()


@pytest.mark.parametrize("name", STAGES)
def test_every_output_a_stage_declares_is_one_it_names(name):
    assert {out for out in outputs(name) if not any(lies_in(path, out) for path in named_paths(name))} == set()


@pytest.mark.parametrize("name", STAGES)
def test_every_input_a_stage_declares_is_a_source_or_an_output_of_an_earlier_stage(name):
    earlier = {out for before in STAGES[: STAGES.index(name)] for out in outputs(before)}
    assert inputs(name) - earlier <= {str(paths.LANDED)}


def test_every_path_of_the_code_is_in_the_pipeline_or_known_to_lie_outside_it():
    known = {str(path) for path in vars(paths).values() if isinstance(path, Path)}
    beside = (paths.PARAMS, paths.CHAMPION, paths.CHAMPION_PIN, paths.LEDGER, paths.LANDED, paths.EVALUATION)
    outside = {str(p) for p in beside}
    written = {out for name in STAGES for out in outputs(name)}
    assert {path for path in known - outside if not any(lies_in(path, out) for out in written)} == set()


def test_the_champion_is_no_output_of_the_pipeline():
    written = {out for name in STAGES for out in outputs(name)}
    assert not any(lies_in(str(paths.CHAMPION), out) or lies_in(out, str(paths.CHAMPION)) for out in written)


def test_no_stage_depends_on_the_truth_about_the_injected_drift():
    truth = str(paths.SCENARIO_TRUTH)
    assert truth in outputs("split_batches")
    assert not any(lies_in(truth, path) for name in STAGES for path in stage(name)["deps"])


@pytest.mark.parametrize("name", STAGES)
def test_what_is_read_by_people_is_in_git_and_what_is_large_is_in_the_cache(name):
    for path, cached in outputs(name).items():
        assert cached == (path.startswith(("data/", "models/")) or path == str(paths.FIGURES)), path


def test_what_git_holds_of_the_results_is_below_a_megabyte():
    kept = [ROOT / path for name in STAGES for path, cached in outputs(name).items() if not cached]
    files = [file for path in kept for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    assert len(files) >= 10
    assert sum(file.stat().st_size for file in files) < 1_000_000


def test_dvc_lock_holds_the_stages_of_dvc_yaml():
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text())
    assert set(lock["stages"]) == set(STAGES)
    for name in STAGES:
        assert {out["path"] for out in lock["stages"][name]["outs"]} == set(outputs(name))
        assert lock["stages"][name]["params"]["params.yaml"].keys() == set(stage(name)["params"])


def test_every_plot_draws_from_an_output_and_from_columns_it_has():
    written = {out for name in STAGES for out in outputs(name)}
    for entry in pipeline()["plots"]:
        for options in [entry] if isinstance(entry, str) else entry.values():
            files = [options] if isinstance(options, str) else list(options["y"])
            assert not [file for file in files if not any(lies_in(file, out) for out in written)]
            for file, columns in {} if isinstance(options, str) else options["y"].items():
                header = (ROOT / file).read_text().splitlines()[0].split(",")
                assert {options["x"], *([columns] if isinstance(columns, str) else columns)} <= set(header)


# --- the same commit, the same bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", STAGES)
def test_no_stage_reaches_a_clock_a_host_or_a_commit(name):
    files = reached(f"churn_drift.stages.{name}")
    assert {file: found for file in files if (found := imported(tree(file)) & NON_DETERMINISTIC)} == {}


@pytest.mark.parametrize("name", STAGES)
def test_only_a_stages_entry_reads_the_environment(name):
    entries = {"src/churn_drift/stages/entry.py", "src/churn_drift/stages/__main__.py"}
    reading = {
        file
        for file in reached(f"churn_drift.stages.{name}")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "uname", "cpu_count"}
    }
    assert reading - entries == set()


def test_no_result_in_git_holds_a_time_or_a_host_or_a_folder_of_this_machine():
    date = re.compile(r"\b20\d\d-\d\d-\d\d\b|\d\d:\d\d:\d\d")
    for file in (ROOT / "reports").rglob("*.json"):
        text = file.read_text()
        assert not date.search(text), file
        assert str(ROOT) not in text, file


def test_no_module_of_the_package_knows_a_pickle():
    assert {file: found for file in sources() if (found := imported(tree(file)) & PICKLES)} == {}


def test_a_model_directory_holds_json_and_xgboosts_own_format_only():
    models = [file for file in (ROOT / "models").glob("*/**/*") if file.is_file()]
    assert {file.suffix for file in models} <= {".json", ".ubj"}
    for file in models:
        if file.suffix == ".json":
            json.loads(file.read_text())


@pytest.mark.parametrize("name", STAGES)
def test_a_stages_main_is_short_and_parses_no_arguments(name):
    main = next(node for node in module(name).body if isinstance(node, ast.FunctionDef) and node.name == "main")
    assert main.end_lineno - main.lineno < 40
    assert not imported(module(name)) & {"argparse", "logging", "sys"}


def sources() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py"))
