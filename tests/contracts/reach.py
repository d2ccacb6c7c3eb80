"""Which modules of the package a module reaches by its imports, lazy ones included."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"


def reached(module: str) -> set[str]:
    """Source files under src/ that importing this module can execute, as repository paths, package inits included
    where they hold code."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for part in _with_parents(name):
            if part not in seen:
                seen.add(part)
                waiting += _imports(part)
    files = {_file(name) for name in seen}
    return {str(file.relative_to(SOURCE.parent)) for file in files if _holds_code(file)}


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


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


def _holds_code(file: Path) -> bool:
    body = ast.parse(file.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


if __name__ == "__main__":
    for stage in ("ingest", "preprocess", "split_batches", "train_baseline", "drift_check", "retrain", "evaluate"):
        print(f"{stage}:", *sorted(reached(f"churn_drift.stages.{stage}")), sep="\n      - ")
