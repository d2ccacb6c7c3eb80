"""The command line: parse, call, map to an exit code."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from churn_drift.environment import read_env
from churn_drift.errors import ChurnDriftError, ConfigError, PipelineError
from churn_drift.options import PROG, parser
from churn_drift.terminal import complain


def main(arguments: Sequence[str] | None = None, *, prog: str = PROG) -> int:
    """Run one subcommand; its exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in a pipe, too: errors come after what was said before them
    try:
        return _run_command(parser(prog).parse_args(arguments))
    except BrokenPipeError:  # whoever reads has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        return 141  # what a shell calls "ended by SIGPIPE"
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, run it again to go on", file=sys.stderr)
        return 130
    except PipelineError as error:
        return _fail(error, 1)
    except ChurnDriftError as error:
        return _fail(error, 2)


def _run_command(parsed: argparse.Namespace) -> int:
    os.chdir(_root(needed=parsed.command != "keys"))  # a server's image has keys and no repository
    if getattr(parsed, "schedule", None) is None:  # else each of its runs reads it anew
        read_env()
    return _COMMANDS[parsed.command](parsed)


def _root(*, needed: bool) -> Path:
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "dvc.yaml").exists() and (folder / "params.yaml").exists():
            return folder
    if not needed:
        return Path.cwd()
    raise ConfigError(f"{Path.cwd()}: no dvc.yaml and params.yaml here or above; run this inside the repository")


def _fail(error: ChurnDriftError, code: int) -> int:
    complain(str(error))
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
