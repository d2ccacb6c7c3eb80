import sys
from pathlib import Path

import pytest

from churn_drift.errors import ChurnDriftError, PipelineError
from churn_drift.tracking import dvc


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.slow
def test_is_pinned_tells_what_dvc_pinned_from_anything_else(repository: Path) -> None:
    folder = Path("models/champion")
    for name in ("model.ubj", "b/facts.json", "a.json", "B.json", "größe.json"):
        write(folder / name, name)
    dvc.add(folder)
    assert dvc.is_pinned(folder)
    write(folder / "a.json", "other")
    assert not dvc.is_pinned(folder)
    write(folder / "a.json", "a.json")
    (folder / "B.json").rename(folder / "C.json")
    assert not dvc.is_pinned(folder)


def test_a_failed_command_says_which_and_why_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stands_for_dvc(monkeypatch, "sys.exit('ERROR: no space left\\non device')")
    with pytest.raises(PipelineError) as failed:
        dvc.add(Path("models/champion"))
    assert str(failed.value) == "`dvc add models/champion` failed: ERROR: no space left on device"


@pytest.mark.slow
def test_a_stage_that_refused_its_input_is_the_callers_fault(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refuse = "import sys; print(7, file=sys.stderr); sys.exit(2)"
    write(repository / "dvc.yaml", f"stages:\n  ingest:\n    cmd: python -c '{refuse}'\n")
    with pytest.raises(ChurnDriftError, match="a stage refused its input"):
        dvc.reproduce()
    assert "7\n" in capfd.readouterr().err


@pytest.mark.slow
def test_a_stage_that_broke_is_a_failed_pipeline(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(repository / "dvc.yaml", "stages:\n  ingest:\n    cmd: python -c 'raise SystemExit(1)'\n")
    with pytest.raises(PipelineError, match="`dvc repro` failed"):
        dvc.reproduce()
    assert "exited with 1" in capfd.readouterr().err


@pytest.mark.slow
def test_hints_that_a_run_gives_better_are_left_out(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(repository / "dvc.yaml", 'stages:\n  ingest:\n    cmd: python -c \'open("a", "w")\'\n    outs: [a]\n')
    dvc.reproduce()
    said = capfd.readouterr()
    assert "Running stage 'ingest'" in said.out
    assert not [hint for hint in ("dvc push", "git add", "autostage") if hint in said.out + said.err]


def stands_for_dvc(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(dvc, "_dvc", lambda: [sys.executable, "-c", f"import sys; {code}"])
