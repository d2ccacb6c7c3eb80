"""Where things lie in the bucket. docs/runbook.md shows the same as a table."""

DVC = "dvc"
"""DVC's remote: `dvc push` and `dvc pull`. Only DVC writes there."""

INBOX = "inbox"
"""inbox/NAME.csv arrives; the Lambda writes inbox/NAME.drift.json beside it."""

LANDED = "landed"
"""landed/NAME.csv: what has been taken in from the inbox, kept as it came."""

QUARANTINE = "quarantine"
"""quarantine/NAME.csv and quarantine/NAME.error.txt."""

CHAMPION = "models/champion"
"""The files of models/champion, profile.json last: who reads it sees a whole model or the one before."""

DATA, MODELS, REPORTS, INFERENCE = "data", "models", "reports", "inference"
"""Copies of the folders of these names, for people and tools without DVC."""

RELEASES = "releases"
"""releases/VERSION/lambda.zip and model.tar.gz: what CloudFormation and SageMaker are given."""

LOCKS = "locks"
"""locks/NAME.json: leases, made by conditional writes."""
