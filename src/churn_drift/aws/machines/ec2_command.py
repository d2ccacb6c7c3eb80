"""A run on an EC2 instance that is there already, by a command of Systems Manager."""

import shlex
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.machines import remote_runs
from churn_drift.aws.machines.remote_runs import Run, State
from churn_drift.aws.services import service
from churn_drift.aws.variables import needed, number

INSTANCE, FOLDER = "EC2_INSTANCE_ID", "EC2_FOLDER"
CHECKOUT = "/opt/churn-drift/repository"
"""The default of EC2_FOLDER: a clone with its .venv, as `make run` makes it."""

DELIVERED = 600
"""Seconds in which the instance must take the command."""

_RUNNING = {"Pending", "InProgress", "Delayed", "Cancelling"}
_COMMENT = "churn-drift {}"


class Command:
    """The port remote_runs.Machine. An id is COMMAND/INSTANCE."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @cached_property
    def _ssm(self) -> Any:
        return service("ssm")

    def begin(self, run: Run) -> str:
        """One command for the run; SendCommand knows no token, so what was sent is looked through first."""
        instance = needed(self._environment, INSTANCE, example="i-0123456789abcdef0")
        with asked(f"SSM, instance {instance}"):
            return f"{self._find(run, instance) or self._send(run, instance)}/{instance}"

    def state(self, name: str) -> State:
        """Of the command on its instance."""
        command, _, instance = name.partition("/")
        with asked(f"SSM command {command}"):
            try:
                found = self._ssm.get_command_invocation(CommandId=command, InstanceId=instance)
            except ClientError as error:
                if code(error) == "InvocationDoesNotExist":
                    return State("unknown", f"SSM knows no command {command} on {instance}")
                raise
        status, detail = found["Status"], found.get("StatusDetails") or found["Status"]
        if status in _RUNNING:
            return State("running", f"command {command} is {status}")
        if status == "Success":
            return State("done", _last(found.get("StandardOutputContent")) or "done")
        told = _last(found.get("StandardErrorContent")) or _last(found.get("StandardOutputContent"))
        return State("failed", f"{detail}, exit code {found.get('ResponseCode', -1)}: {told or 'it said nothing'}")

    def _send(self, run: Run, instance: str) -> str:
        seconds = number(self._environment, remote_runs.SECONDS, 7200, low=60, high=172800)
        sent = self._ssm.send_command(
            InstanceIds=[instance],
            DocumentName="AWS-RunShellScript",
            Comment=_COMMENT.format(run.key),
            TimeoutSeconds=DELIVERED,
            Parameters={"commands": script(run, self._environment), "executionTimeout": [str(seconds)]},
        )
        return str(sent["Command"]["CommandId"])

    def _find(self, run: Run, instance: str) -> str | None:
        for page in self._ssm.get_paginator("list_commands").paginate(InstanceId=instance):
            for command in page["Commands"]:
                if command.get("Comment") == _COMMENT.format(run.key):
                    return str(command["CommandId"])
        return None


def script(run: Run, environment: Mapping[str, str]) -> list[str]:
    """The lines that the instance's shell runs."""
    folder = shlex.quote(environment.get(FOLDER, "").strip() or CHECKOUT)
    words = ["--commit", run.commit, "--batch", run.batch, "--run", run.key]
    return [
        "set -eu",
        'export HOME="${HOME:-/root}"',
        f"cd {folder}",
        f"exec .venv/bin/python -m churn_drift.aws.machines.remote_run {shlex.join(words)}",
    ]


def _last(said: str | None) -> str:
    lines = [line.strip() for line in (said or "").splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""
