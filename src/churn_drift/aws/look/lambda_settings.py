"""What the Lambda's environment sets; infra/template.yaml writes it from params.yaml's values and the stack's own."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from churn_drift.aws import settings, variables
from churn_drift.aws.sns import VARIABLE as TOPIC
from churn_drift.aws.trigger_retrain import WITH
from churn_drift.drift import Limits
from churn_drift.errors import ConfigError

LIMITS = {
    "DRIFT_FDR": "fdr",
    "DRIFT_PSI_THRESHOLD": "psi_threshold",
    "DRIFT_SHARE": "drift_share",
    "DRIFT_MIN_ROWS": "min_rows",
}
"""Variables of the limits that a verdict on features needs; unset ones are those of `drift.Limits`."""

POLICY, LARGEST = "RETRAIN_POLICY", "BATCH_MAX_MB"
POLICIES = ("evidence", "never", "always", "periodic", "triggered", "price")


@dataclass(frozen=True)
class Settings:
    """The function's settings.

    topic    ARN of the SNS topic; empty: alerts stand in the log only
    trainer  what the pipeline runs on; empty: on nothing that is started from here
    urgent   whether a drifted batch starts a run at once. `never` cannot promote, so that nothing is urgent; under
             every other policy the run may end with a new champion. The schedule takes in all other batches
    largest  bytes of a batch, unpacked, above which it is refused
    """

    bucket: str
    topic: str
    trainer: str
    urgent: bool
    limits: Limits
    largest: int

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises ConfigError naming the variable that is wrong."""
        policy = variables.word({POLICY: POLICIES[0], **environment}, POLICY, *POLICIES)
        return cls(
            bucket=settings.bucket(environment),
            topic=environment.get(TOPIC, "").strip(),
            trainer=environment.get(WITH, "").strip(),
            urgent=policy != "never",
            limits=_limits(environment),
            largest=variables.number(environment, LARGEST, 128, low=1, high=4096) * 10**6,
        )


def _limits(environment: Mapping[str, str]) -> Limits:
    limits = Limits()
    for variable, name in LIMITS.items():
        if said := environment.get(variable, "").strip():
            try:
                value: Any = int(said) if name == "min_rows" else float(said)
                limits = dataclasses.replace(limits, **{name: value})
            except ValueError as error:
                raise ConfigError(
                    f"{variable}: {said!r}: {error}; set it as drift_check.{name} in params.yaml"
                ) from None
    return limits
