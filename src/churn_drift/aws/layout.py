"""Where things lie in the bucket. docs/runbook.md shows the same as a table."""

DVC = "dvc"
"""DVC's remote: `dvc push` and `dvc pull`. Only DVC writes there."""

INBOX = "inbox"
"""inbox/NAME.csv arrives; the Lambda writes inbox/NAME.drift.json beside it."""

LANDED = "landed"
"""landed/NAME.csv: what has been taken in from the inbox, kept as it came."""

QUARANTINE = "quarantine"
"""quarantine/NAME and quarantine/NAME.error.txt, NAME with its ending."""

CHAMPION = "models/champion"
"""The files of models/champion, profile.json last: who reads it sees a whole model or the one before."""

DATA, MODELS, REPORTS, INFERENCE = "data", "models", "reports", "inference"
"""Copies of the folders of these names, for people and tools without DVC."""

RELEASES = "releases"
"""releases/HASH/lambda.zip, releases/VERSION/model.tar.gz, and where there is no git server releases/NAME.bundle."""

LOCKS = "locks"
"""locks/NAME.json: leases, made by conditional writes, and what a run on EC2 told: .outcome.json and .log."""
