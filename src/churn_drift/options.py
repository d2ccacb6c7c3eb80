"""The options of every command, and their help."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from churn_drift.usage import Parser, examples

PROG = "churn-drift"

ABOUT = "Keep a churn model alive: watch each batch for drift, retrain, promote what is better, and tell why."

COMMANDS = {
    "the pipeline": {
        "run": "reproduce the pipeline, print the timeline, promote what is new",
        "step": "show what would be decided about a batch, without landing it",
        "land": "validate a batch of customers, or labels, and land it",
        "schedule": "what the scheduler does, and what it did",
    },
    "models": {
        "models": "list, show, compare, verify and roll back versions",
        "publish": "put what DVC made into MLflow",
        "deploy": "roll a version out to where it answers, and prove that it does",
    },
    "this machine": {
        "doctor": "say what is wrong with this machine's set-up, and how to mend it",
        "remote": "choose where `dvc push` and `dvc pull` go",
        "keys": "make, list and revoke keys of the server",
    },
    "AWS": {
        "upload": "copy data, models, reports and the inference log to S3",
        "download": "copy them back from S3",
        "retrain": "start the pipeline on AWS for a batch",
        "bundle": "copy the repository to S3, for machines that reach no git server",
    },
}
"""What each does, by groups and in the order in which a user meets them."""

EXIT_CODES = """exit codes:
  0  done
  1  a tool failed
  2  the input was refused, in one line that says how to mend it
  3  the policy was significantly worse than never retraining: nothing promoted"""

RUN = """Takes in what waits in data/inbox (CSV files of customers or of labels; what is refused goes to
data/quarantine), then reproduces: stages whose inputs have not changed do not run again. A candidate that was never
champion is promoted to models/champion, with a line in models/ledger.jsonl; in AWS mode it goes to
SAGEMAKER_ENDPOINT, where that is set.

People are told of drift, promotions, holds and failures, each once. One run at a time; what a killed one has left
undone, the next one does."""

LAND = """The same content twice is once. `churn-drift run` takes in what has landed; labels that landed count from the
batch after the one they belong to.

--from-log lands the customers that the server has scored and that have not arrived yet, each as scored last; without a
PLACE, where SERVE_LOG says, or data/inference. A day means its start for --since, its end for --until, UTC."""

REMOTE = """Without a name, the one of the mode: s3 where USE_AWS is true, else local. The choice is kept in
.dvc/config.local; `dvc push` and `dvc pull` follow it. s3 takes the bucket from S3_BUCKET, endpoint and credentials
from AWS_*."""

DOCTOR = """One line a check. S3 is checked where it is the default remote or USE_AWS is true, MLflow where a store
exists or MLFLOW_TRACKING_URI names one. --aws asks AWS for every permission that the pipeline needs there; nothing is
left behind and nothing started. --policy prints the least that grants them, as JSON.

Exit code 2 where something is wrong."""

UPLOAD = """To the bucket of S3_BUCKET. Encrypted; a file that is there already is passed over, so doing it again, or
after a kill, sends the rest. Nothing is deleted there."""

DOWNLOAD = """From the bucket of S3_BUCKET. Each file is verified; what is only here stays."""

PUBLISH = """Sends what an earlier call could not deliver, then this run; twice is once. The store is mlflow.db here,
or what MLFLOW_TRACKING_URI names. `churn-drift run` does the same at its end."""

MODELS = """A VERSION is an id (its first 4 digits or more will do) or a role: champion, previous, candidate,
baseline."""

VERSION = "an id, its first 4 digits or more, or a role"

AS_OF = "A day means its end, UTC; a moment without a zone is UTC, too."

DIFF = """Facts that differ, and the AUC of both on the labelled rows that neither was fitted on, with the 95 % interval
of the difference."""

ROLLBACK = """Without a VERSION, the model that served before the present champion. It comes from models/, DVC's cache
or its remote; the next run does not undo it."""

VERIFY = """models/champion.dvc and the ledger are the truth; the champion's folder, the ledger's last line and
MLflow's aliases follow them."""

KEYS = """The server asks for a key as soon as there is one: serve-keys.json, or the file that SERVE_KEYS names, keeps
their hashes. Running servers follow it."""

ADD_KEY = """The key alone goes to stdout, so that it can be piped to where it is kept; only its hash stays here."""

REVOKE_KEY = "Running servers refuse it within seconds. Its name cannot be used again."

STEP = """The timeline is folded over one batch more, in a scratch folder: what the pipeline would see and decide if the
batch landed now. Nothing is written. Fits are remembered, so that a second call is quick."""

DEPLOY = """In local mode the server here, which follows models/champion by itself, is asked until it answers by that
version, 30 s at most (SERVE_URL, or PORT here). In AWS mode the version goes to the endpoint of SAGEMAKER_ENDPOINT,
blue/green, is asked its golden records, and moved back where it answers otherwise: some minutes. Twice is once; after
a kill, the next call goes on."""

RETRAIN = """By RETRAIN_WITH: ec2, ssm or sagemaker. The same batch is begun once; an attempt that failed is followed
by another, three in all. The handle of the run goes to stdout."""

BUNDLE = """Where RETRAIN_REPOSITORY is s3://bucket/key: all branches and tags as one file. A machine puts it back with
the commits of its run; nobody's are overwritten."""

SCHEDULE = """`churn-drift run --schedule` starts runs; each run's output lies in .churn-drift/runs. A probe asks
`churn-drift schedule status --check`, or reads .churn-drift/health.json."""

STATUS = "Times are UTC, with those of the schedule's own zone beside them. Exit code 0, but for --check."

HISTORY = "Start (UTC), length in seconds, why it ran, how it ended and what it did; oldest first."

RUN_NOW = """The scheduler starts it at once, or as soon as its present run has ended. Where no scheduler runs, this
command is the run."""


def parser(prog: str = PROG) -> Parser:
    """Every subcommand and its options."""
    shown = examples(f"{PROG} run", f"{PROG} models diff baseline champion", f"{PROG} land --help")
    about = f"{ABOUT}\n\n{_contents()}"
    top = Parser(prog=prog, usage=f"{prog} COMMAND ...", description=about, epilog=f"{shown}\n\n{EXIT_CODES}")
    commands = top.add_subparsers(
        dest="command", prog=prog, required=True, metavar="COMMAND", help=argparse.SUPPRESS, title=argparse.SUPPRESS
    )
    summaries = {name: said for group in COMMANDS.values() for name, said in group.items()}

    def add(name: str, more: str, *example: str) -> Parser:
        return _made(commands, name, summaries[name], more, example)

    run = add("run", RUN)
    run.prog = f"{prog} run" if prog == PROG else prog  # run_pipeline.py is this one command
    shown = examples(run.prog, f"{run.prog} --data customers.csv.gz", f"{run.prog} --push --commit")
    run.epilog = f"{shown}\n\n{EXIT_CODES}"
    run.add_argument("--data", type=_path, metavar="PATH", help="a Cell2Cell CSV (plain, gz, s3://) for this run only")
    run.add_argument("--no-publish", action="store_true", help="do not put the run into MLflow")
    run.add_argument("--no-promote", action="store_true", help="leave models/champion as it is")
    run.add_argument("--push", action="store_true", help="then `dvc push`, and with AWS the copies of `upload`")
    run.add_argument("--commit", action="store_true", help="then commit what the run wrote, and nothing else")
    mode = run.add_mutually_exclusive_group()
    mode.add_argument("--aws", action="store_true", help="this run on AWS, whatever USE_AWS says")
    mode.add_argument("--local", action="store_true", help="this run on this machine, whatever USE_AWS says")
    _times(run.add_argument_group("again and again"))
    step = add("step", STEP, "--batch november.csv")
    step.add_argument(
        "--batch", type=_path, required=True, metavar="FILE", help="CSV of raw records; labels are not needed"
    )
    land = add("land", LAND, "november.csv", "--from-log --since 2026-11-23")
    what = land.add_mutually_exclusive_group(required=True)
    what.add_argument("file", type=_path, nargs="?", metavar="FILE", help="CSV of raw records, or of CustomerID,Churn")
    what.add_argument(
        "--from-log", type=_path, nargs="?", const=True, metavar="PLACE", help="the inference log: a folder, s3:// URL"
    )
    land.add_argument("--since", metavar="TIME", help="with --from-log: such as 2026-11-23 or 2026-11-23T18:00")
    land.add_argument("--until", metavar="TIME", help="with --from-log: the same, included")
    _schedule(add("schedule", SCHEDULE, "status"))
    _models(add("models", MODELS, "list", "diff baseline champion"))
    publish = add("publish", PUBLISH, "", "--exp")
    publish.add_argument(
        "--exp", nargs="*", metavar="NAME", help="experiments of `dvc exp run`; all of them where none is named"
    )
    deploy = add("deploy", DEPLOY, "", "--aws 0911")
    deploy.add_argument("version", nargs="?", metavar="VERSION", help=f"{VERSION} (default: champion)")
    doctor = add("doctor", DOCTOR, "", "--aws")
    doctor.add_argument("--aws", action="store_true", help="check every permission of AWS mode instead")
    doctor.add_argument(
        "--policy", action="store_true", help="print the IAM policy that grants them, and check nothing"
    )
    remote = add("remote", REMOTE, "local")
    remote.add_argument("name", nargs="?", choices=("local", "s3"), help="default: by USE_AWS")
    _keys(add("keys", KEYS, "add crm", "list"))
    for name, more in (("upload", UPLOAD), ("download", DOWNLOAD)):
        add(name, more, "", "models reports").add_argument(
            "folders", nargs="*", metavar="FOLDER", help="data, models, reports or inference (default: all of them)"
        )
    retrain = add("retrain", RETRAIN, "inbox/november.csv --wait 3600")
    retrain.add_argument("batch", metavar="BATCH", help="its name, such as inbox/x.csv, or the handle of its run")
    retrain.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="wait so long for its end (default: do not), and tell how it ended",
    )
    add("bundle", BUNDLE, "")
    for command in (deploy, retrain):
        mode = command.add_mutually_exclusive_group()
        mode.add_argument("--aws", action="store_true", default=None, help="AWS mode, whatever USE_AWS says")
        mode.add_argument("--local", action="store_false", dest="aws", help="local mode, whatever USE_AWS says")
    return top


def _made(
    commands: "argparse._SubParsersAction[Parser]", name: str, summary: str, more: str, example: Sequence[str]
) -> Parser:
    """A command; more: what else is to know of it; example: what one may type after its name."""
    made = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.\n\n{more}".strip())
    made.epilog = examples(*(f"{made.prog} {words}".rstrip() for words in example)) if example else None
    return made


def _actions(command: Parser) -> Callable[..., Parser]:
    """Adds what a command can do: by its name, a summary, more, and examples."""
    listed = command.add_subparsers(title="actions", dest="action", required=True, metavar="ACTION")

    def add(name: str, summary: str, more: str, *example: str) -> Parser:
        return _made(listed, name, summary, more, example)

    return add


def _contents() -> str:
    """The commands by groups, instead of argparse's one list."""
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:<10}{said}" for name, said in commands.items())])
        for title, commands in COMMANDS.items()
    )


def _models(models: Parser) -> None:
    add = _actions(models)
    add("list", "every version that is known here, and its role", "", "")
    add("show", "all that is known of one version", MODELS, "champion").add_argument(
        "version", metavar="VERSION", help=VERSION
    )
    as_of = add("as-of", "who was champion then", AS_OF, "2026-11-23", "HEAD~3")
    as_of.add_argument("when", metavar="DATE-or-REV", help="2026-11-23, 2026-11-23T18:00, or a git revision")
    diff = add("diff", "what differs between two versions", f"{DIFF}\n\n{MODELS}", "baseline champion")
    diff.add_argument("first", metavar="A", help=VERSION)
    diff.add_argument("second", metavar="B", help="the same")
    rollback = add(
        "rollback", "make an older version champion", f"{ROLLBACK}\n\n{MODELS}", "", "0911 --reason 'a bad batch'"
    )
    rollback.add_argument("version", nargs="?", metavar="VERSION", help=f"{VERSION} (default: previous)")
    rollback.add_argument("--reason", default="asked for", metavar="TEXT", help="for the ledger (default: asked for)")
    verify = add("verify", "find and mend what disagrees with the pin", VERIFY, "--check")
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


def _schedule(schedule: Parser) -> None:
    add = _actions(schedule)
    status = add("status", "whether it runs, the next time, the last run, what waits", STATUS, "--check")
    status.add_argument("--check", action="store_true", help="one line; exit with 1 where something is not well")
    past = add("history", "the last runs and what they did", HISTORY, "-n 5")
    past.add_argument("-n", type=int, default=20, metavar="N", help="how many (default: 20)")
    add("run-now", "a run at once", RUN_NOW, "")


def _keys(keys: Parser) -> None:
    actions = _actions(keys)
    add = actions("add", "make a key and show it once", ADD_KEY, "crm", "grafana --scope admin")
    add.add_argument("name", metavar="NAME", help="whom it is for; stands in the key and in the server's log")
    add.add_argument(
        "--scope",
        action="append",
        choices=("predict", "admin"),
        default=[],
        metavar="SCOPE",
        help="predict: predictions (the default); admin: metrics and drift; may be given twice",
    )
    actions("list", "every key, its scopes, when it was made and revoked", "", "")
    revoke = actions("revoke", "end a key for good", REVOKE_KEY, "crm")
    revoke.add_argument("name", metavar="NAME", help="as `churn-drift keys list` shows it")


def _path(text: str) -> str:
    """As the user meant it, before this process moves to the repository's root."""
    return text if "://" in text else str(Path(text).resolve())
