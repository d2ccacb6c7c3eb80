"""Every example of the README's section "Serve it" that shows its output, run as it stands against a real server.

The output shown is the committed champion's. A checkout has that model only after `dvc pull` or `dvc repro`. Where it
is there, the output must be the same to the byte, the request id aside. Where it is not, a small model answers, whose
probabilities, decisions and reasons are its own: then what does not come from the model must be the same, and the rest
must be of the same form. In either case what is shown must fit /openapi.json, and name the version that the ledger has
as the champion.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from churn_drift import paths
from churn_drift.model.bundle import Bundle, load, save, version_of
from churn_drift.tracking import ledger
from tests.contracts.reach import ROOT
from tests.serving.conftest import Server, command, end
from tests.serving.test_reload import get

SECTION = (ROOT / "README.md").read_text().split("\n## Serve it\n")[1].split("\n## ")[0]
CONSOLE = re.findall(r"^```console\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```\n\n```\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
SHOWN = re.findall(r'"model_version": "(\w+)"', SECTION)

SAYS = re.compile(r"(?P<number>\b0\.\d+)|(?P<flag>\b(?:true|false|True|False)\b)|(?P<id>\b[0-9a-f]{16}\b)")
OF_THE_MODEL = (re.compile(r'(?<="model_version": ")\w+'), re.compile(r"(?<=^    )[^\"{}\[\]]+$", re.MULTILINE))
REQUEST_ID = re.compile(r"\b[0-9a-f]{16}\b")


@pytest.fixture(scope="module")
def shown_model_is_here() -> bool:
    champion = ROOT / paths.CHAMPION
    return champion.exists() and version_of(champion) == SHOWN[0]


@pytest.fixture(scope="module")
def server(shown_model_is_here: bool, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("examples")
    save(load(ROOT / paths.CHAMPION) if shown_model_is_here else bundle, folder / paths.CHAMPION)
    (folder / "serve-model.py").write_bytes((ROOT / "serve-model.py").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        process = command()
    yield Server(process)
    end(process)


@pytest.mark.parametrize("block", CONSOLE, ids=lambda block: block.splitlines()[0][:60])
def test_a_session_of_the_readme_says_what_it_shows(
    block: str, server: Server, shown_model_is_here: bool, tmp_path: Path
) -> None:
    said = ""
    for typed in commands(block):
        said += "".join(f"$ {typed}\n") + run(["bash", "-ec", here(typed, server)], tmp_path)
    assert comparable(said, exact=shown_model_is_here) == comparable(block, exact=shown_model_is_here)


@pytest.mark.parametrize(("program", "shown"), PYTHON)
def test_a_program_of_the_readme_prints_what_it_shows(
    program: str, shown: str, server: Server, shown_model_is_here: bool, tmp_path: Path
) -> None:
    said = run([sys.executable, "-c", here(program, server)], tmp_path)
    assert comparable(said, exact=shown_model_is_here) == comparable(shown, exact=shown_model_is_here)


def test_every_answer_that_is_shown_fits_the_contract(server: Server) -> None:
    schemas = json.loads(get(server, "/openapi.json"))["components"]["schemas"]
    documents = [json.loads(found) for found in re.findall(r"^\{\n.*?^\}$", SECTION, re.MULTILINE | re.DOTALL)]
    kinds = ["Problem" if "status" in document else "Predictions" for document in documents]
    assert kinds == ["Predictions", "Problem"]
    for kind, document in zip(kinds, documents, strict=True):
        schema = {"$ref": f"#/components/schemas/{kind}", "components": {"schemas": schemas}}
        Draft202012Validator(schema).validate(document)


def test_the_version_that_is_shown_is_the_champion_of_the_ledger() -> None:
    assert set(SHOWN) == {ledger.standing(ledger.entries(ROOT / paths.LEDGER))[-1]}


def test_examples_are_found() -> None:
    assert (len(CONSOLE), len(PYTHON)) == (3, 1)


def commands(block: str) -> list[str]:
    """What is typed at each prompt, with the lines that it goes on with."""
    return re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)


def here(text: str, server: Server) -> str:
    return text.replace("localhost:8080", f"localhost:{server.port}")


def run(arguments: list[str], folder: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        arguments, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def comparable(text: str, *, exact: bool) -> str:
    """What must be the same: without request ids, and under another model without what that model makes of it."""
    text = REQUEST_ID.sub("ID", text)
    if exact:
        return text
    for pattern in OF_THE_MODEL:
        text = pattern.sub("MODEL", text)
    return SAYS.sub(lambda found: str(found.lastgroup).upper(), text)
