"""One toggle: local mode knows nothing of AWS, and .env.example knows every variable of AWS mode."""

import ast
import re

import pandas as pd
import pytest

from churn_drift.data.simulator import load_statistics, simulate
from tests.contracts.reach import ROOT

HOOK = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("boto3", "botocore", "s3transfer", "aiobotocore", "s3fs"):
            raise ImportError(f"{name} is imported in local mode")

sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture
def local(workspace, tmp_path):
    """`local(*words)`: what churn-drift says in local mode, where nothing of AWS can be imported."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    path = f"{hook}:{workspace.root / 'src'}"
    assert "is imported in local mode" in workspace.run("python", "-c", "import boto3", code=1, PYTHONPATH=path)
    names = ("USE_AWS", "S3_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL")
    unset = [word for name in names for word in ("-u", name)]
    return lambda *words, code=0: workspace.run("env", *unset, "churn-drift", *words, code=code, PYTHONPATH=path)


def test_local_mode_imports_nothing_of_aws_and_asks_for_no_credential(local, workspace):
    batch = workspace.root.parent / "batch.csv"
    customers = simulate(load_statistics(), rows=400, seed=9)
    customers["CustomerID"] = pd.to_numeric(customers["CustomerID"]) + 10_000_000
    customers.to_csv(batch, index=False, na_rep="NA")
    for line in ("--help", "run --help", "doctor --help", "models list", "models verify --check"):
        local(*line.split())
    assert "nothing is wrong" in local("doctor")
    assert "Champion" in local("run")
    assert "400 customers" in local("step", "--batch", str(batch))
    assert "landed 400" in local("land", str(batch))


def test_every_variable_that_is_read_is_documented():
    read = {
        node.value
        for path in (ROOT / "src/churn_drift").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value)
    }
    documented = set(re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {"S3_BUCKET", "SNS_TOPIC_ARN", "RETRAIN_WITH"} <= read
    assert read - documented - OF_THE_LAMBDA == set()


NAME = re.compile(r"(USE_AWS|(S3|SNS|NOTIFY|RETRAIN|EC2|SAGEMAKER|INBOX|SERVE)_[A-Z0-9_]+)")
OF_THE_LAMBDA = {"RETRAIN_POLICY"}
"""Set by infra/template.yaml."""
