"""`churn-drift doctor`: what is wrong with this machine's set-up, one line a check."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_drift.aws import settings
from churn_drift.commands import machine
from churn_drift.errors import ConfigError
from churn_drift.findings import NEEDS, Check, Finding, State, examine, skip
from churn_drift.terminal import Colour, fitted, say, working

if TYPE_CHECKING:
    from churn_drift.aws.policy_document import Account

WELL, WRONG = 0, 2

_COLOURS: Mapping[State, Colour] = {"ok": "green", "WRONG": "red", "skip": "dim"}

_UNTRIED = "were not tried: have iam:SimulatePrincipalPolicy allowed, and IAM is asked for them"


def doctor() -> int:
    """0, or 2 where something is wrong. A secret is never printed."""
    return _tell(_checks())


def permissions() -> int:
    """0, or 2 where AWS does not grant what the pipeline needs there. Nothing is started and nothing left behind."""
    from churn_drift.aws import permissions, policy_document

    return _tell(permissions.checks(os.environ, policy_document.grants(os.environ, _account())), untried=_UNTRIED)


def policy() -> int:
    """0: the IAM policy is on stdout."""
    from churn_drift.aws import policy_document

    print(json.dumps(policy_document.policy(policy_document.grants(os.environ, _account())), indent=2))
    return WELL


def _tell(checks: Iterable[Check], *, untried: str = "") -> int:
    """The exit code; untried: what is said of checks that could not be made, and not for want of another's."""
    states, skipped = [], 0
    with working("checking") as tell:
        for name, finding in examine(checks):
            below = len(Finding("ok", "").line(""))
            tell(fitted(finding.line(name), hang=below, paint=(finding.state, _COLOURS[finding.state])))
            states.append(finding.state)
            skipped += finding.state == "skip" and not finding.said.startswith(NEEDS)
    faults = states.count("WRONG")
    result = f"{faults} of {len(states)} checks found something wrong" if faults else "nothing is wrong"
    say(f"{result}; {skipped} {untried}" if untried and skipped else result)
    return WRONG if faults else WELL


def _account() -> "Account":
    """As the environment's ARNs name it, else as AWS does."""
    from botocore.session import Session

    from churn_drift.aws import sns
    from churn_drift.aws.asking import asked
    from churn_drift.aws.endpoint import sagemaker_release
    from churn_drift.aws.policy_document import INSTANCE_ROLE, Account, names_no_account
    from churn_drift.aws.services import service

    region = Session().get_config_variable("region")
    if not region:
        raise ConfigError("AWS_DEFAULT_REGION is not set; put AWS_DEFAULT_REGION=eu-central-1 into .env, or export it")
    if names_no_account(os.environ):
        return Account("", region)
    said = " ".join(os.environ.get(name, "") for name in (sns.VARIABLE, INSTANCE_ROLE, sagemaker_release.ROLE))
    if found := re.search(r":(\d{12}):", said):
        return Account(found[1], region)
    with asked("the account's number"):
        return Account(service("sts").get_caller_identity()["Account"], region)


def _checks() -> Iterator[Check]:
    config, committed = _configuration()
    yield from machine.checks(config, committed)
    url, options = _s3(config)
    if not url:
        yield Check("s3", _not_used)
        return
    from dotenv import dotenv_values

    from churn_drift.aws import checks

    yield from checks.checks(url, options, dotenv=dotenv_values(".env"))


def _configuration() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """DVC's configuration as it holds here, and that of .dvc/config alone."""
    from dvc.config import Config
    from dvc.config import ConfigError as Refused

    if not Path(".dvc").exists():
        raise ConfigError(".dvc: not there, so DVC does not work here; `git checkout .dvc`")
    try:
        config = Config.from_cwd()
        return config, config.load_one("repo")
    except Refused as error:
        raise ConfigError(f".dvc/config: {' '.join(str(error).split())}; `git diff .dvc/config`") from None


def _s3(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The s3:// url to check, and DVC's options of that remote; an empty url where S3 is not used."""
    remotes = config.get("remote", {})
    default = machine.default_url(config)
    if default.startswith("s3://"):
        return default, remotes[config["core"]["remote"]]
    try:
        if not settings.use_aws(os.environ):
            return "", {}
        return f"s3://{settings.bucket(os.environ)}/dvc", remotes.get("s3", {})
    except ConfigError:  # a check of its own tells that
        return "", {}


def _not_used() -> Finding:
    return skip("not used: `dvc push` goes elsewhere and USE_AWS is not set")
