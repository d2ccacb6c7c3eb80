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

RUN = """Takes in what waits in data/inbox (CSV files of customers or of labels; what is
refused goes to data/quarantine), then reproduces: stages whose inputs have not
changed do not run again. A candidate that was never champion is promoted to
models/champion, with a line in models/ledger.jsonl; in AWS mode it goes to
SAGEMAKER_ENDPOINT, where that is set. People are told of drift, promotions,
holds and failures, each once. One run at a time; what a killed one has left
undone, the next one does."""

LAND = """The same content twice is once. `churn-drift run` takes in what has landed;
labels that landed count from the batch after the one they belong to.
--from-log lands the customers that the server has scored and that have not
arrived yet, each as scored last; without a PLACE, where SERVE_LOG says, or
data/inference. A day means its start for --since, its end for --until, UTC."""

REMOTE = """Without a name, the one of the mode: s3 where USE_AWS is true, else local.
The choice is kept in .dvc/config.local; `dvc push` and `dvc pull` follow it.
s3 takes the bucket from S3_BUCKET, endpoint and credentials from AWS_*."""

DOCTOR = """One line a check. S3 is checked where it is the default remote or USE_AWS is
true, MLflow where a store exists or MLFLOW_TRACKING_URI names one. --aws asks
AWS for every permission that the pipeline needs there; nothing is left behind
and nothing started. --policy prints the least that grants them, as JSON."""

UPLOAD = """To the bucket of S3_BUCKET: data, models, reports, inference; all of them where
none is named. Encrypted; a file that is there already is passed over, so doing
it again, or after a kill, sends the rest. Nothing is deleted there."""

DOWNLOAD = """From the bucket of S3_BUCKET: data, models, reports, inference; all of them
where none is named. Each file is verified; what is only here stays."""

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

DEPLOY = """In local mode the server here, which follows models/champion by itself, is asked
until it answers by that version (SERVE_URL, or PORT here). In AWS mode the
version goes to the endpoint of SAGEMAKER_ENDPOINT, blue/green, is asked its
golden records, and moved back where it answers otherwise. Twice is once; after
a kill, the next call goes on.

A VERSION is an id (its first 4 digits or more will do) or a role."""

RETRAIN = """By RETRAIN_WITH: ec2, ssm or sagemaker. The same batch is begun once; an
attempt that failed is followed by another, three in all."""

BUNDLE = """Where RETRAIN_REPOSITORY is s3://bucket/key: all branches and tags as one file.
A machine puts it back with the commits of its run; nobody's are overwritten."""

SCHEDULE = """`churn-drift run --schedule` starts runs; each run's output lies in
.churn-drift/runs. A probe asks `churn-drift schedule status --check`, or reads
.churn-drift/health.json."""

RUN_NOW = """The scheduler starts it at once, or as soon as its present run has ended. Where
no scheduler runs, this command is the run."""


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run one subcommand; its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    parsed = parser(prog).parse_args(arguments)
    try:
        os.chdir(_root(needed=parsed.command != "keys"))  # a server's image has keys and no repository
        if getattr(parsed, "schedule", None) is None:  # else each of its runs reads it anew
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
    run.add_argument("--push", action="store_true", help="then `dvc push`, and with AWS the copies of `upload`")
    run.add_argument("--commit", action="store_true", help="then commit what the run wrote, and nothing else")
    mode = run.add_mutually_exclusive_group()
    mode.add_argument("--aws", action="store_true", help="this run on AWS, whatever USE_AWS says")
    mode.add_argument("--local", action="store_true", help="this run on this machine, whatever USE_AWS says")
    _times(run.add_argument_group("again and again"))
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
    doctor = add("doctor", "say what is wrong with this machine's set-up, and how to mend it", DOCTOR)
    doctor.add_argument("--aws", action="store_true", help="check every permission of AWS mode instead")
    doctor.add_argument(
        "--policy", action="store_true", help="print the IAM policy that grants them, and check nothing"
    )
    for name, summary, more in (
        ("upload", "copy data, models, reports and the inference log to S3", UPLOAD),
        ("download", "copy them back", DOWNLOAD),
    ):
        add(name, summary, more).add_argument("folders", nargs="*", metavar="FOLDER", help="default: all of them")
    deploy = add("deploy", "roll a version out to where it answers, and prove that it does", DEPLOY)
    deploy.add_argument("version", nargs="?", metavar="VERSION", help="default: the champion")
    add("bundle", "put the repository where AWS's machines find it that reach no git server", BUNDLE)
    retrain = add("retrain", "start the pipeline on AWS for a batch", RETRAIN)
    retrain.add_argument("batch", metavar="BATCH", help="its name, such as inbox/x.csv, or the handle of its run")
    retrain.add_argument("--wait", type=float, metavar="SECONDS", help="for its end, and tell how it ended")
    for command in (deploy, retrain):
        mode = command.add_mutually_exclusive_group()
        mode.add_argument("--aws", action="store_true", default=None, help="AWS mode, whatever USE_AWS says")
        mode.add_argument("--local", action="store_false", dest="aws", help="local mode")
    publish = add("publish", "put what DVC made into MLflow", PUBLISH)
    publish.add_argument(
        "--exp", nargs="*", metavar="NAME", help="experiments of `dvc exp run`; all of them where none is named"
    )
    _schedule(add("schedule", "what the scheduler does, and what it did", SCHEDULE))
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


def _times(run: argparse._ArgumentGroup) -> None:
    run.add_argument(
        "--schedule",
        metavar="TIMES",
        help="run at these times until SIGTERM or Ctrl-C: 'daily 02:00', 'hourly :15', 'weekly mon,thu 02:00', "
        "'every 15 minutes', or cron's '0 2 * * 1-5'; one run at a time, and one for all times that have passed",
    )
    run.add_argument("--zone", metavar="ZONE", help="whose clock TIMES goes by, such as Europe/Berlin (default: UTC)")
    run.add_argument(
        "--retry-minutes", type=float, metavar="N", help="pause before a failed run is tried once more (default: 5)"
    )


def _schedule(schedule: argparse.ArgumentParser) -> None:
    actions = schedule.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="whether it runs, the next time, the last run, what waits")
    status.add_argument("--check", action="store_true", help="one line; exit with 1 where something is not well")
    past = actions.add_parser("history", help="the last runs and what they did")
    past.add_argument("-n", type=int, default=20, metavar="N", help="how many (default: 20)")
    actions.add_parser("run-now", help="a run at once", description=RUN_NOW)


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
    if parsed.schedule is not None:
        return _run_for_ever(parsed)
    if parsed.zone is not None or parsed.retry_minutes is not None:
        raise ConfigError(
            "--zone and --retry-minutes are for a scheduler; give --schedule with them, or leave them out"
        )
    from churn_drift.commands.run import run

    return run(
        data=parsed.data,
        promote=not parsed.no_promote,
        publish=not parsed.no_publish,
        push=parsed.push,
        commit=parsed.commit,
        aws=True if parsed.aws else False if parsed.local else None,
    )


def _run_for_ever(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.schedule import run_for_ever

    own = ("command", "schedule", "zone", "retry_minutes")
    options = [word for name, value in vars(parsed).items() if name not in own for word in _as_typed(name, value)]
    retry = 5.0 if parsed.retry_minutes is None else parsed.retry_minutes
    return run_for_ever(parsed.schedule, zone=parsed.zone or "UTC", retry_minutes=retry, options=options)


def _as_typed(name: str, value: object) -> list[str]:
    """An option and its value, as words of a command line; none where it was not given."""
    if value is None or value is False:
        return []
    option = f"--{name.replace('_', '-')}"
    return [option] if value is True else [option, str(value)]


def _schedule_action(parsed: argparse.Namespace) -> int:
    from churn_drift.commands import schedule

    match parsed.action:
        case "status":
            return schedule.status(check=parsed.check)
        case "history":
            return schedule.show_history(count=parsed.n)
        case _:
            return schedule.run_now()


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
    from churn_drift.commands import doctor

    if parsed.policy:
        return doctor.policy()
    return doctor.permissions() if parsed.aws else doctor.doctor()


def _upload(parsed: argparse.Namespace) -> int:
    from churn_drift.commands import upload

    return upload.upload(parsed.folders) if parsed.command == "upload" else upload.download(parsed.folders)


def _deploy(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.deploy import deploy

    return deploy(parsed.version, aws=parsed.aws)


def _bundle(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.bundle import bundle

    return bundle()


def _retrain(parsed: argparse.Namespace) -> int:
    from churn_drift.commands.retrain import retrain

    return retrain(parsed.batch, seconds=parsed.wait, aws=parsed.aws)


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
    "upload": _upload,
    "download": _upload,
    "deploy": _deploy,
    "retrain": _retrain,
    "bundle": _bundle,
    "publish": _publish,
    "schedule": _schedule_action,
    "models": _models_action,
    "keys": _keys_action,
}

if __name__ == "__main__":
    sys.exit(main())
