"""A run as a SageMaker training job, in the container that the Dockerfile's stage `train` makes."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from churn_drift.aws import settings
from churn_drift.aws.asking import asked
from churn_drift.aws.client import code
from churn_drift.aws.machines import remote_runs
from churn_drift.aws.machines.remote_runs import Run, State
from churn_drift.aws.services import service
from churn_drift.aws.variables import needed, number

IMAGE, ROLE, TYPE = "SAGEMAKER_TRAIN_IMAGE_URI", "SAGEMAKER_ROLE_ARN", "SAGEMAKER_TRAIN_INSTANCE_TYPE"
OUTPUT = "training"
"""training/JOB/output/model.tar.gz: the champion that the run left, kept by SageMaker."""

SOURCE = "source"
"""The channel of a bundle: /opt/ml/input/data/source in the container."""

PASSED_ON = ("AWS_DEFAULT_REGION", "MLFLOW_TRACKING_URI", remote_runs.REPOSITORY, "S3_BUCKET", "SNS_TOPIC_ARN")
"""Variables that the container gets. No secret: AWS shows them to whoever may describe the job."""

_GONE = {"ValidationException", "ResourceNotFound", "ResourceNotFoundException"}


class Job:
    """The port remote_runs.Machine. An id is the job's name."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    @cached_property
    def _sagemaker(self) -> Any:
        return service("sagemaker")

    def begin(self, run: Run) -> str:
        """One job for the run: its name can be used once."""
        request = self._request(run)
        name = str(request["TrainingJobName"])
        with asked(f"SageMaker training job {name}"):
            try:
                self._sagemaker.create_training_job(**request)
            except ClientError as error:
                if code(error) != "ResourceInUse":
                    raise
        return name

    def state(self, name: str) -> State:
        """Of the job."""
        with asked(f"SageMaker training job {name}"):
            try:
                found = self._sagemaker.describe_training_job(TrainingJobName=name)
            except ClientError as error:
                if code(error) in _GONE:
                    return State("unknown", f"SageMaker knows no training job {name}")
                raise
        status = found["TrainingJobStatus"]
        if status == "Completed":
            return State("done", "completed")
        if status in ("Failed", "Stopped"):
            return State("failed", f"{status}: {found.get('FailureReason') or found.get('SecondaryStatus', status)}")
        return State("running", f"{status}, {found.get('SecondaryStatus', 'no detail')}")

    def _request(self, run: Run) -> dict[str, Any]:
        environment, bucket = self._environment, settings.bucket(self._environment)
        sources = remote_runs.repository(environment)
        seconds = number(environment, remote_runs.SECONDS, 7200, low=60, high=432000)
        image = needed(environment, IMAGE, example="123456789012.dkr.ecr.us-east-1.amazonaws.com/train:1")
        role = needed(environment, ROLE, example="arn:aws:iam::123456789012:role/churn-drift-sagemaker")
        bundled = sources.startswith("s3://")
        return {
            "TrainingJobName": f"churn-drift-{run.key}",
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "RoleArn": role,
            "HyperParameters": {
                "batch": run.batch,
                "run": run.key,
                "commit": run.commit,
                **({} if bundled else {"repository": sources}),
            },
            **({"InputDataConfig": [_channel(sources)]} if bundled else {}),
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/{OUTPUT}"},
            "ResourceConfig": {
                "InstanceType": environment.get(TYPE, "").strip() or "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
            "Environment": {name: environment[name] for name in PASSED_ON if environment.get(name)},
            "Tags": [
                {"Key": remote_runs.RUN_TAG, "Value": run.key},
                {"Key": remote_runs.COMMIT_TAG, "Value": run.commit},
            ],
        }


def _channel(bundle: str) -> dict[str, Any]:
    place = {"S3DataType": "S3Prefix", "S3Uri": bundle, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": SOURCE, "DataSource": {"S3DataSource": place}}
