"""A repository that was moved or copied takes its MLflow artifacts along: mlflow.db keeps their absolute paths."""

import sqlite3
from contextlib import closing
from pathlib import Path

FILE = Path("mlflow.db")
ARTIFACTS = Path("mlruns")
PLACES = (("runs", "artifact_uri"), ("logged_models", "artifact_location"))
"""Where MLflow's tables hold paths, besides those of the experiments; a model version names a logged model."""


def follow(root: Path, experiment: str) -> None:
    """Point the store of a repository at the artifacts that lie in it, where it points at another folder's.

    Without this a copy would write into the original. Artifacts that did not come along stay where they are found.
    """
    if not (root / FILE).exists():
        return
    with closing(sqlite3.connect(root / FILE)) as database, database:
        was, now = _folder_of(database, experiment), str(root / ARTIFACTS)
        if was is None or was == now:
            return
        places = PLACES if (root / ARTIFACTS).is_dir() else ()
        for table, column in (("experiments", "artifact_location"), *places):
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608
                (now, len(was) + 1, len(was) + 1, f"{was}/"),
            )


def _folder_of(database: sqlite3.Connection, experiment: str) -> str | None:
    """The folder of artifacts that the experiment was made with; None where it is no local one, or not MLflow's own."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'experiments'").fetchone()
    if tables is None:
        return None
    query = "SELECT artifact_location FROM experiments WHERE name = ?"
    found = database.execute(query, (experiment,)).fetchone()
    folder = Path(found[0]).parent if found and str(found[0]).startswith("/") else None
    return str(folder) if folder and folder.name == ARTIFACTS.name else None
