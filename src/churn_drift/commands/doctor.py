"""`churn-drift doctor`: what is wrong with this machine's set-up, one line a check."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from churn_drift.aws import settings
from churn_drift.commands import machine
from churn_drift.errors import ConfigError
from churn_drift.findings import Check, Finding, examine, skip

WELL, WRONG = 0, 2


def doctor() -> int:
    """0, or 2 where something is wrong. A secret is never printed."""
    states = []
    for name, finding in examine(_checks()):
        print(finding.line(name), flush=True)
        states.append(finding.state)
    faults = states.count("WRONG")
    print(f"{faults} of {len(states)} checks found something wrong" if faults else "nothing is wrong")
    return WRONG if faults else WELL


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
