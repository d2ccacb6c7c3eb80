"""The command line: parse, call, map to an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from churn_drift.errors import ChurnDriftError, ConfigError, PipelineError

PROG = "churn-drift"

EXIT_CODES = """exit codes:
  0  done
  1  a tool failed
  2  the input was refused, in one line that says how to mend it
  3  the policy was significantly worse than never retraining: nothing promoted"""

RUN = """Stages whose inputs have not changed do not run again. A candidate that was
never champion is promoted to models/champion, with a line in
models/ledger.jsonl."""

LAND = """The same content twice is once. `churn-drift run` takes in what has landed;
labels that landed count from the batch after the one they belong to."""

STEP = """The timeline is folded over one batch more, in a scratch folder: what the
pipeline would see and decide if the batch landed now."""


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run one subcommand; its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parsed = parser(prog).parse_args(arguments)
    try:
        os.chdir(_root())
        return _COMMANDS[parsed.command](parsed)
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, run it again to go on", file=sys.stderr)
        return 130
    except PipelineError as error:
        return _fail(error, 1)
    except ChurnDriftError as error:
        return _fail(error, 2)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    """Every subcommand and its options."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog=prog,
        description="Keep a churn model alive: watch, retrain, promote.",
        epilog=EXIT_CODES,
        formatter_class=raw,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, more: str) -> argparse.ArgumentParser:
        text = f"{summary[0].upper()}{summary[1:]}.\n\n{more}"
        return commands.add_parser(name, help=summary, description=text, epilog=EXIT_CODES, formatter_class=raw)

    run = add("run", "reproduce the pipeline, print the timeline, promote what is new", RUN)
    run.prog = f"{prog} run" if prog == PROG else prog  # run_pipeline.py is this one command
    run.add_argument("--data", type=_path, metavar="PATH", help="a Cell2Cell CSV (plain, gz, s3://) for this run only")
    run.add_argument("--no-promote", action="store_true", help="leave models/champion as it is")
    land = add("land", "validate a batch of customers, or labels, and land it", LAND)
    land.add_argument("file", type=_path, metavar="FILE", help="CSV of raw records, or of CustomerID,Churn")
    step = add("step", "show what would be decided about a batch, without landing it", STEP)
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
