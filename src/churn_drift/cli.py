"""The command line: parse, call, map to an exit code.

Exit codes: 0 done; 1 a tool failed; 2 the input was refused; 3 the policy was significantly worse than never.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from churn_drift.errors import ChurnDriftError, ConfigError, PipelineError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parsed = parser().parse_args(arguments)
    try:
        os.chdir(_root())
        return _COMMANDS[parsed.command](parsed)
    except PipelineError as error:
        return _fail(error, 1)
    except ChurnDriftError as error:
        return _fail(error, 2)


def parser() -> argparse.ArgumentParser:
    """Every subcommand and its options."""
    top = argparse.ArgumentParser(
        prog="churn-drift", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="reproduce the pipeline, print the timeline, promote what is new")
    run.add_argument(
        "--data",
        type=_path,
        metavar="PATH",
        help="a Cell2Cell CSV (plain, gz, s3://) for this run instead of ingest.source",
    )
    run.add_argument("--no-promote", action="store_true", help="leave models/champion as it is")
    land = commands.add_parser("land", help="validate a batch of customers, or labels, and land it")
    land.add_argument("file", type=_path, metavar="FILE", help="CSV of raw records, or of CustomerID,Churn")
    step = commands.add_parser("step", help="show what would be decided about a batch, without landing it")
    step.add_argument(
        "--batch", type=_path, required=True, metavar="FILE", help="CSV of raw records; labels are not needed"
    )
    return top


def _path(text: str) -> str:
    """As the user meant it, before this process moves to the repository's root."""
    return text if "://" in text else str(Path(text).resolve())


def _root() -> Path:
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "dvc.yaml").exists() and (folder / "params.yaml").exists():
            return folder
    raise ConfigError(f"{Path.cwd()}: no dvc.yaml and params.yaml here or above; run this inside the repository")


def _fail(error: ChurnDriftError, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


def _run(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.run import run

    return run(data=parsed.data, promote=not parsed.no_promote)


def _land(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.land import land

    return land(parsed.file)


def _step(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.step import step

    return step(parsed.batch)


_COMMANDS = {"run": _run, "land": _land, "step": _step}

if __name__ == "__main__":
    sys.exit(main())
