"""What the Lambda's variables set."""

import pytest

from churn_drift.aws.look.lambda_settings import Settings
from churn_drift.drift import Limits
from churn_drift.errors import ConfigError

BUCKET = {"S3_BUCKET": "churn-drift"}


def test_what_is_not_set_is_as_in_the_pipeline():
    settings = Settings.of(BUCKET)
    assert settings.limits == Limits()
    assert (settings.topic, settings.trainer, settings.urgent, settings.largest) == ("", "", True, 128_000_000)


def test_limits_come_from_the_variables():
    given = {"DRIFT_FDR": "0.05", "DRIFT_PSI_THRESHOLD": "0.1", "DRIFT_SHARE": "0.3", "DRIFT_MIN_ROWS": "50"}
    limits = Settings.of({**BUCKET, **given}).limits
    assert limits == Limits(fdr=0.05, psi_threshold=0.1, drift_share=0.3, min_rows=50)


@pytest.mark.parametrize("policy", ["always", "periodic", "triggered", "evidence", "price", "never"])
def test_a_drifted_batch_is_urgent_under_every_policy_that_can_promote(policy):
    assert Settings.of({**BUCKET, "RETRAIN_POLICY": policy}).urgent is (policy != "never")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DRIFT_FDR", "high"),
        ("DRIFT_FDR", "1.5"),
        ("DRIFT_MIN_ROWS", "2.5"),
        ("DRIFT_SHARE", "-1"),
        ("RETRAIN_POLICY", "sometimes"),
        ("BATCH_MAX_MB", "0"),
        ("S3_BUCKET", "No Bucket"),
    ],
)
def test_a_variable_that_is_wrong_is_named(variable, value):
    with pytest.raises(ConfigError, match=variable):
        Settings.of({**BUCKET, variable: value})
