"""Which modules of the package a module reaches by its imports, lazy ones included.

python tests/contracts/reach.py     each stage's sources, as dvc.yaml lists them
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
STAGES = ("ingest", "preprocess", "split_batches", "train_baseline", "drift_check", "retrain", "evaluate")


def reached(module: str) -> set[str]:
    """Source files under src/ that importing this module can execute, as repository paths, package inits included
    where they hold code."""
    seen: set[str] = set()
    waiting = [module, "churn_drift.stages.__main__"] if module.startswith("churn_drift.stages.") else [module]
    while waiting:
        name = waiting.pop()
        for part in _with_parents(name):
            if part not in seen:
                seen.add(part)
                waiting += _imports(part)
    return {_name(file) for file in map(_file, seen) if holds_code(file)}


def expanded(declared: Iterable[str]) -> set[str]:
    """The files that declared dependencies under src/ stand for: a directory is all its files. DVC sees what
    .dvcignore leaves; a file without code (a docstring only) changes nothing and is left out."""
    files: set[str] = set()
    for path in (ROOT / name for name in declared if name.startswith("src/")):
        within = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        files |= {_name(file) for file in within if "__pycache__" not in file.parts and holds_code(file)}
    return files


def compact(files: set[str]) -> list[str]:
    """The same files, with a folder in place of all of its files."""
    whole = {parent for file in files if expanded([parent := str(Path(file).parent)]) <= files}
    return sorted({file for file in files if str(Path(file).parent) not in whole} | whole)


@cache
def holds_code(file: Path) -> bool:
    """Whether the file is more than a docstring; data always is."""
    if file.suffix != ".py":
        return True
    body = ast.parse(file.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


@cache
def _imports(name: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(_file(name).read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in found if name.startswith("churn_drift") and _exists(name)]


def _exists(name: str) -> bool:
    base = SOURCE / name.replace(".", "/")
    return base.with_suffix(".py").exists() or (base / "__init__.py").exists()


def _file(name: str) -> Path:
    base = SOURCE / name.replace(".", "/")
    return base.with_suffix(".py") if base.with_suffix(".py").exists() else base / "__init__.py"


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


if __name__ == "__main__":
    for stage in STAGES:
        print(f"{stage}:", *compact(reached(f"churn_drift.stages.{stage}")), sep="\n      - ")
