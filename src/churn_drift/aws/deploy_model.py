"""A model rolled out to a SageMaker endpoint, without a moment in which nothing answers.

archive, model, configuration, then create or move the endpoint, wait, ask it the golden records, clean up. Each step
looks at what is there: whoever was killed goes on with the next call, and the same version twice is once. What
disagrees with its golden records is moved back to the configuration that agreed last, which locks/deploy-ENDPOINT.json
remembers. Nothing that answers is ever deleted first.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from churn_drift import paths
from churn_drift.aws import settings
from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.endpoint import sagemaker_archive
from churn_drift.aws.endpoint.sagemaker_archive import Records
from churn_drift.aws.endpoint.sagemaker_endpoint import IN_SERVICE, Endpoint, State
from churn_drift.aws.endpoint.sagemaker_release import (
    Hosting,
    Release,
    archive_key,
    deployment,
    hosting,
    release,
    version_in,
)
from churn_drift.aws.leases import Hold, Leases, held
from churn_drift.aws.services import service
from churn_drift.aws.variables import number
from churn_drift.errors import ModelError, PipelineError
from churn_drift.model.bundle import Bundle, load
from churn_drift.tracking import ledger

WAIT = "SAGEMAKER_WAIT_SECONDS"
KEPT = 3
"""Configurations that stay, the newest first: what a rollback needs is there."""

TOLERANCE = 1.5e-6
"""Between a probability and its golden one: both are rounded to 6 decimals."""

_LEASE = 120.0


def deployer(
    environment: Mapping[str, str], *, tell: Callable[[str], object] = print, every: float = 15.0
) -> "SageMakerDeployer":
    """As the environment says. Raises ConfigError naming what is not set.

    tell   takes a line of progress
    every  seconds between two looks at the endpoint
    """
    host = hosting(environment)
    s3, sagemaker, runtime = service("s3"), service("sagemaker"), service("sagemaker-runtime", read_timeout=65)
    return SageMakerDeployer(
        host,
        s3=s3,
        endpoint=Endpoint(host.endpoint, sagemaker=sagemaker, runtime=runtime, every=every, tell=tell),
        leases=Leases(s3, settings.bucket(environment)),
        seconds=number(environment, WAIT, 3600, low=60, high=28800),
    )


@dataclass(frozen=True)
class SageMakerDeployer:
    """The port ports.Deployer.

    s3       boto3's client
    seconds  that a roll-out may take
    lease    that the lease of the endpoint lasts without a word
    """

    host: Hosting
    s3: Any
    endpoint: Endpoint
    leases: Leases
    seconds: float
    lease: float = _LEASE

    def deploy(self, folder: Path, *, version: str) -> str:
        """Serve the model in this folder; what answers now, in one line.

        Raises PipelineError where it does not come up, or answers otherwise than it did when it was made: then the
        model before it answers again, and that was proved. ModelError where the folder holds another version.
        """
        bundle = load(folder, expected=version)
        if not bundle.golden:
            raise ModelError(f"{version}: carries no golden records to be asked; `dvc repro` makes one that does")
        archive, tags = sagemaker_archive.packed(folder), _tags(bundle, version)
        wanted = release(self.host, version, archive=archive, tags=tags)
        with held(
            self.leases,
            f"deploy-{self.endpoint.name}",
            seconds=self.lease,
            patience=self.seconds,
            tell=self.endpoint.tell,
        ) as hold:
            end = time.monotonic() + self.seconds
            self._store(archive, version)
            self.endpoint.ensure(wanted)
            state, former = self._roll_out(wanted, hold, tags=tags, end=end)
            fault = self._fault(sagemaker_archive.golden(archive), version, end=end)
            if fault:
                raise PipelineError(f"{wanted.name}: {fault}; {self._back(former, hold)}")
            hold.remember(good=wanted.name, tried="")
            self.endpoint.tag(state.arn, tags)
            gone = self.endpoint.remove_old(keep=KEPT, used=frozenset({wanted.name, former or wanted.name}))
        removed = f"; removed {len(gone)} old" if gone else ""
        return f"{self.endpoint.name} answers with {version}, as its golden records say ({wanted.name}{removed})"

    def _store(self, archive: bytes, version: str) -> None:
        digest, place = hashlib.sha256(archive).digest(), {"Bucket": self.host.bucket, "Key": archive_key(version)}
        with asked(f"s3://{self.host.bucket}/{archive_key(version)}"):
            try:
                if self.s3.head_object(**place)["Metadata"].get("sha256") == digest.hex():
                    return
            except ClientError as error:
                if code(error) not in ("404", "NoSuchKey"):
                    raise
            checksum = base64.b64encode(digest).decode()
            self.s3.put_object(**place, Body=archive, ChecksumSHA256=checksum, Metadata={"sha256": digest.hex()})

    def _roll_out(
        self, wanted: Release, hold: Hold, *, tags: Mapping[str, str], end: float
    ) -> tuple[State, str | None]:
        """The endpoint as it answers with the release, and the configuration to go back to, if there is one."""
        begun = False
        while True:
            state = self.endpoint.settled(end=end)
            hold.check()
            if state is None and not begun:
                hold.remember(good="", tried=wanted.name)
                self.endpoint.create(wanted.name, tags)
                begun = True
            elif state is None or state.status != IN_SERVICE:
                raise PipelineError(_stuck(self.endpoint.name, state))
            elif state.config == wanted.name:
                good = hold.note.get("good")
                return state, good if good != wanted.name else None
            elif begun:
                why = state.reason or "AWS gives no reason"
                raise PipelineError(f"{wanted.name}: did not come up: {why}; {self._answers(state.config)}")
            else:
                unproved = hold.note.get("tried") == state.config  # of a call that was killed before its smoke test
                hold.remember(good=hold.note["good"] if unproved else state.config, tried=wanted.name)
                begun = self.endpoint.update(wanted.name, deployment(self.host))

    def _back(self, former: str | None, hold: Hold) -> str:
        """To the former configuration, and whether it answers. Raises PipelineError where it does not come up."""
        if not former:
            return (
                "there is no model before it to go back to: nobody should ask this endpoint; "
                f"`aws sagemaker delete-endpoint --endpoint-name {self.endpoint.name}` ends it"
            )
        end, begun = time.monotonic() + self.seconds, False
        while (state := self.endpoint.settled(end=end)) is None or state.config != former:
            hold.check()
            if begun or state is None or state.status != IN_SERVICE:
                raise PipelineError(f"going back to {former} failed: {_stuck(self.endpoint.name, state)}")
            begun = self.endpoint.update(former, deployment(self.host, guarded=False))
        return f"moved back, {self._answers(former)}"

    def _answers(self, config: str) -> str:
        """Whether a configuration that answered before does so now, in words."""
        version = version_in(config, self.endpoint.name)
        if version is None:
            return f"{config} is in service, which is not of our making: nothing to hold its answers against"
        fault = self._fault(self._golden(version), version, end=time.monotonic() + self.lease)
        return f"{version} answers as before" if fault is None else f"{version} is in service, but {fault}"

    def _golden(self, version: str) -> Records:
        with asked(f"s3://{self.host.bucket}/{archive_key(version)}"):
            stored = self.s3.get_object(Bucket=self.host.bucket, Key=archive_key(version))
            return sagemaker_archive.golden(stored["Body"].read())

    def _fault(self, golden: Records, version: str, *, end: float) -> str | None:
        """What is wrong with the answer to the golden records; None where it is theirs."""
        body = json.dumps([one["record"] for one in golden]).encode()
        try:
            said = json.loads(self.endpoint.answer(body, end=end))
            answered, probabilities = said["model_version"], [one["probability"] for one in said["predictions"]]
        except PipelineError as error:
            return f"the smoke test is not answered ({error})"
        except (ValueError, KeyError, TypeError):
            return "the smoke test's answer is not one of our container"
        if answered != version:
            return f"{answered} answers, not {version}"
        wanted = [one["probability"] for one in golden]
        if len(wanted) != len(probabilities):
            return f"{len(probabilities)} answers to {len(wanted)} golden records"
        for place, (was, found) in enumerate(zip(wanted, probabilities, strict=True)):
            if abs(found - was) > TOLERANCE:
                return f"golden record {place} scores {found:.6f}, was {was:.6f} when the model was made"
        return None


def _tags(bundle: Bundle, version: str) -> dict[str, str]:
    """Where the model came from; commit and pin where it was champion."""
    lines = [one for one in ledger.entries(paths.LEDGER) if one["version"] == version]
    line = lines[-1] if lines else {}
    told = {
        "version": version,
        "data": bundle.facts.get("data"),
        "params": bundle.facts.get("params"),
        "commit": line.get("commit"),
        "pin": line.get("pin"),
    }
    return {name: str(value) for name, value in told.items() if value}


def _stuck(endpoint: str, state: State | None) -> str:
    if state is None:
        return f"{endpoint} is gone; somebody has deleted it"
    told = state.reason or "AWS gives no reason"
    if state.status == "Failed":
        return (
            f"{endpoint} is Failed and answers nothing: {told}; `aws sagemaker delete-endpoint "
            f"--endpoint-name {endpoint}` clears it away, the next call makes it anew"
        )
    return f"{endpoint} is {state.status}: {told}; AWS's console says what is to be done, then run this again"
