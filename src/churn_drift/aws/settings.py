"""The mode and the bucket, as the environment says them."""

import re
from collections.abc import Mapping

from churn_drift.errors import ConfigError

MODE, BUCKET = "USE_AWS", "S3_BUCKET"

_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"", "0", "false", "no", "off"})

_NAME = re.compile(r"(?!xn--)(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""


def use_aws(environment: Mapping[str, str]) -> bool:
    """Whether this is AWS mode. Raises ConfigError where USE_AWS is neither yes nor no.

    >>> use_aws({"USE_AWS": "True"}), use_aws({})
    (True, False)
    """
    said = environment.get(MODE, "").strip().lower()
    if said not in _TRUE | _FALSE:
        raise ConfigError(f"{MODE}: {environment[MODE]!r} is neither true nor false; set {MODE}=true or {MODE}=false")
    return said in _TRUE


def bucket(environment: Mapping[str, str]) -> str:
    """The name of the bucket. Raises ConfigError where S3_BUCKET is not set or no bucket can have that name.

    >>> bucket({"S3_BUCKET": "churn-drift"})
    'churn-drift'
    """
    name = environment.get(BUCKET, "").strip()
    if not name:
        raise ConfigError(f"{BUCKET} is not set; put {BUCKET}=your-bucket into .env, or export it")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{BUCKET}: {name!r} is no name of a bucket; give the bare name, "
            "3 to 63 lower-case letters, digits, dots and hyphens, as in S3_BUCKET=churn-drift"
        )
    return name
