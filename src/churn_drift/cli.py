"""The command line: parse, call, map to an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from churn_drift.environment import read_env
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
labels that landed count from the batch after the one they belong to.
--from-log lands the customers that the server has scored and that have not
arrived yet, each as scored last; without a PLACE, where SERVE_LOG says, or
data/inference. A day means its start for --since, its end for --until, UTC."""

REMOTE = """Without a name, the one of the mode: s3 where USE_AWS is true, else local.
The choice is kept in .dvc/config.local; `dvc push` and `dvc pull` follow it.
s3 takes the bucket from S3_BUCKET, endpoint and credentials from AWS_*."""

DOCTOR = """One line a check. S3 is checked where it is the default remote or USE_AWS is
true, MLflow where a store exists or MLFLOW_TRACKING_URI names one."""

PUBLISH = """Sends what an earlier call could not deliver, then this run; twice is once.
The store is mlflow.db here, or what MLFLOW_TRACKING_URI names."""

MODELS = """A VERSION is an id (its first 4 digits or more will do) or a role: champion,
previous, candidate, baseline."""

ROLLBACK = """Without a VERSION, the model that served before the present champion. It comes
from models/, DVC's cache or its remote; the next run does not undo it."""

VERIFY = """models/champion.dvc and the ledger are the truth; the champion's folder, the
ledger's last line and MLflow's aliases follow them."""

KEYS = """The server asks for a key as soon as there is one: serve-keys.json, or the file
that SERVE_KEYS names, keeps their hashes. Running servers follow it."""

STEP = """The timeline is folded over one batch more, in a scratch folder: what the
pipeline would see and decide if the batch landed now."""


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run one subcommand; its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parsed = parser(prog).parse_args(arguments)
    try:
        os.chdir(_root(needed=parsed.command != "keys"))  # a server's image has keys and no repository
        read_env()
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
    run.add_argument("--no-publish", action="store_true", help="do not put the run into MLflow")
    run.add_argument("--no-promote", action="store_true", help="leave models/champion as it is")
    land = add("land", "validate a batch of customers, or labels, and land it", LAND)
    what = land.add_mutually_exclusive_group(required=True)
    what.add_argument("file", type=_path, nargs="?", metavar="FILE", help="CSV of raw records, or of CustomerID,Churn")
    what.add_argument(
        "--from-log", type=_path, nargs="?", const=True, metavar="PLACE", help="the inference log: a folder, s3:// URL"
    )
    land.add_argument("--since", metavar="TIME", help="with --from-log: such as 2026-11-23 or 2026-11-23T18:00")
    land.add_argument("--until", metavar="TIME", help="with --from-log: the same, included")
    step = add("step", "show what would be decided about a batch, without landing it", STEP)
    step.add_argument(
        "--batch", type=_path, required=True, metavar="FILE", help="CSV of raw records; labels are not needed"
    )
    remote = add("remote", "choose where `dvc push` and `dvc pull` go", REMOTE)
    remote.add_argument("name", nargs="?", choices=("local", "s3"), help="default: by USE_AWS")
    add("doctor", "say what is wrong with this machine's set-up, and how to mend it", DOCTOR)
    publish = add("publish", "put what DVC made into MLflow", PUBLISH)
    publish.add_argument(
        "--exp", nargs="*", metavar="NAME", help="experiments of `dvc exp run`; all of them where none is named"
    )
    _keys(add("keys", "make, list and revoke keys of the server", KEYS))
    _models(add("models", "list, show, compare, verify and roll back versions", MODELS))
    return top


def _models(models: argparse.ArgumentParser) -> None:
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name: str, summary: str, more: str = MODELS) -> argparse.ArgumentParser:
        text = f"{summary[0].upper()}{summary[1:]}.\n\n{more}"
        raw = argparse.RawDescriptionHelpFormatter
        return actions.add_parser(name, help=summary, description=text, formatter_class=raw)

    add("list", "every version that is known here, and its role")
    add("show", "all that is known of one version").add_argument("version", metavar="VERSION")
    as_of = add("as-of", "who was champion then", "A day means its end, UTC.")
    as_of.add_argument("when", metavar="DATE-or-REV", help="2026-11-23, 2026-11-23T18:00, or a git revision")
    diff = add("diff", "what differs between two versions")
    diff.add_argument("first", metavar="A")
    diff.add_argument("second", metavar="B")
    rollback = add("rollback", "make an older version champion", ROLLBACK)
    rollback.add_argument("version", nargs="?", metavar="VERSION")
    rollback.add_argument("--reason", default="asked for", help="for the ledger")
    verify = add("verify", "find and mend what disagrees with the pin", VERIFY)
    verify.add_argument("--check", action="store_true", help="mend nothing; exit with 2 where something disagrees")


def _keys(keys: argparse.ArgumentParser) -> None:
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="make a key and show it once")
    add.add_argument("name", metavar="NAME", help="whom it is for; stands in the key and in the server's log")
    add.add_argument(
        "--scope",
        action="append",
        choices=("predict", "admin"),
        default=[],
        help="what it opens: predictions (the default), or metrics; may be given twice",
    )
    actions.add_parser("list", help="every key, its scopes, when it was made and revoked")
    actions.add_parser("revoke", help="end a key for good").add_argument("name", metavar="NAME")


def _path(text: str) -> str:
    """As the user meant it, before this process moves to the repository's root."""
    return text if "://" in text else str(Path(text).resolve())


def _root(*, needed: bool) -> Path:
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "dvc.yaml").exists() and (folder / "params.yaml").exists():
            return folder
    if not needed:
        return Path.cwd()
    raise ConfigError(f"{Path.cwd()}: no dvc.yaml and params.yaml here or above; run this inside the repository")


def _fail(error: ChurnDriftError, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


def _run(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.run import run

    return run(data=parsed.data, promote=not parsed.no_promote, publish=not parsed.no_publish)


def _land(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.land import land, land_log

    if parsed.from_log is not None:
        return land_log(None if parsed.from_log is True else parsed.from_log, since=parsed.since, until=parsed.until)
    if parsed.since or parsed.until:
        raise ConfigError("--since and --until choose rows of the log; give --from-log with them, or leave them out")
    return land(parsed.file)


def _step(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.step import step

    return step(parsed.batch)


def _remote(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.remote import remote

    return remote(parsed.name)


def _doctor(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.doctor import doctor

    return doctor()


def _publish(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.publish import publish

    return publish(experiments=parsed.exp)


def _models_action(parsed: argparse.Namespace) -> int:
    from churn_drift.commands import models

    match parsed.action:
        case "list":
            return models.show_all()
        case "show":
            return models.show(parsed.version)
        case "as-of":
            return models.as_of(parsed.when)
        case "diff":
            return models.diff(parsed.first, parsed.second)
        case "rollback":
            return models.rollback(parsed.version, reason=parsed.reason)
        case _:
            return models.verify(mend=not parsed.check)


def _keys_action(parsed: argparse.Namespace) -> int:
    from churn_drift.commands import keys

    match parsed.action:
        case "add":
            return keys.add(parsed.name, scopes=parsed.scope)
        case "list":
            return keys.show_all()
        case _:
            return keys.revoke(parsed.name)


_COMMANDS = {
    "run": _run,
    "land": _land,
    "step": _step,
    "remote": _remote,
    "doctor": _doctor,
    "publish": _publish,
    "models": _models_action,
    "keys": _keys_action,
}

if __name__ == "__main__":
    sys.exit(main())
