"""The AWS mode on this machine, from an arriving batch to the endpoint that answers with a new champion.

    python scripts/aws_local.py [--batches 3] [--keep]

An emulator, ministack, gets the stack of infra/template.yaml by scripts/aws_stack.py, over HTTP and by boto3's own
clients, and really runs the Lambda's zip when a batch arrives. Two things stand in for AWS here: this script for the
EC2 instance (it runs what the instance's user data runs, in a new clone), and tests/aws/fake_sagemaker.py for the
endpoint (it really starts our container's program on the model's archive). All of it stays in .cache/aws-local; what
the tools say and this leaves out stands in said.log there.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from s3_server import free_port  # noqa: E402

from churn_drift.aws.machines import remote_runs  # noqa: E402
from churn_drift.data.simulator import load_statistics, simulate  # noqa: E402
from churn_drift.usage import Parser  # noqa: E402
from tests.aws.fake_sagemaker import FakeSageMaker, served  # noqa: E402

MINISTACK = "ministack==1.5.33"
HOME = ROOT / ".cache/aws-local"
BUCKET, ENDPOINT, STACK = "churn-drift-local", "churn-drift", "churn-drift"
BUNDLE = f"s3://{BUCKET}/releases/repository.bundle"
REGION = "eu-central-1"
ROWS = 5_000
PATIENCE = 300.0
CHATTER = re.compile(
    r"A\s+\S+/|Stage '|Running stage|> python|Updating lock|To track|To enable|\s+git add|\s+dvc config|Verifying data"
    r"|Use `dvc push`|\d\d (hold|promote): |\d\d \d+ 0\.|Each batch, scored| # rows|drift: share of features"
    r"|  \w+_IN_PROGRESS |  UPDATE_COMPLETE "
)
"""Lines that would hide the others."""

Found = TypeVar("Found")


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--batches", type=int, default=3, metavar="N", help="one after the other (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the emulators running at the end, until Ctrl-C")
    chosen = parser.parse_args()
    if not (ROOT / "models/champion/manifest.json").exists():
        sys.exit("models/champion is not here; `make run` makes it")
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    start = time.monotonic()
    with emulator() as environment:
        os.environ.update(environment)
        fake = FakeSageMaker(boto3.client("s3"), HOME / "endpoint")
        (HOME / "endpoint").mkdir()
        with served(fake) as address:
            world = World({**environment, "AWS_ENDPOINT_URL_SAGEMAKER": address}, address)
            world.set_up()
            for number, batch in enumerate(batches(chosen.batches), start=1):
                world.arrive(f"day-{number}.csv", batch)
            say("done", f"{chosen.batches} batches in {time.monotonic() - start:.0f} s; {world.summary()}")
            if chosen.keep:
                say("done", f"AWS_ENDPOINT_URL={environment['AWS_ENDPOINT_URL']}; Ctrl-C ends it")
                with contextlib.suppress(KeyboardInterrupt):
                    threading.Event().wait()


@contextlib.contextmanager
def emulator() -> Iterator[dict[str, str]]:
    """ministack in an environment of its own, which uv makes; the variables by which it is reached."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    own = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_REGION": REGION, "TMPDIR": str(HOME)}
    uv = [str(Path(sys.executable).with_name("uv")), "tool", "run", "--quiet", "--python", sys.executable]
    with (HOME / "emulator.log").open("w") as log:
        process = subprocess.Popen(
            [*uv, "--from", MINISTACK, "--with", "boto3", "ministack"],
            env={**os.environ, **environment, **own},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            client = boto3.client("s3", endpoint_url=address, region_name=REGION, **_keys(environment))
            patiently("the emulator", lambda: _answers(client) or _ended(process), log=HOME / "emulator.log")
            say("emulator", f"{MINISTACK} answers on {address}; its log: {HOME / 'emulator.log'}")
            yield environment
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(20)


@dataclass
class World:
    """The stack, who set it up, and who is told. environment: of all of them; endpoint: SageMaker's address."""

    environment: Mapping[str, str]
    endpoint: str

    def __post_init__(self) -> None:
        self.environment = {
            **self.environment,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.endpoint,
            "USE_AWS": "true",
            "S3_BUCKET": BUCKET,
            "RETRAIN_WITH": "ec2",
            "RETRAIN_REPOSITORY": BUNDLE,
            "SAGEMAKER_ENDPOINT": ENDPOINT,
            "SAGEMAKER_IMAGE_URI": "000000000000.dkr.ecr.eu-central-1.amazonaws.com/churn-drift:local",
            "SAGEMAKER_ROLE_ARN": "arn:aws:iam::000000000000:role/churn-drift",
            "CHURN_DRIFT_CACHE": str(ROOT / ".cache/fits"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{HOME}/mlflow.db",
            "DVC_NO_ANALYTICS": "1",
        }
        self.s3, self.ec2, self.sqs = boto3.client("s3"), boto3.client("ec2"), boto3.client("sqs")
        self.runs = 0

    def set_up(self) -> None:
        """The Lambda's zip, the stack, a subscriber of its alerts, the repository and its data in the bucket."""
        if not (ROOT / "dist/lambda.zip").exists():
            self.do("lambda", ROOT, sys.executable, "scripts/build_lambda.py")
        self.do("stack", ROOT, sys.executable, "scripts/aws_stack.py", "deploy", "--yes", "--stack", STACK)
        outputs = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
        self.environment = {**self.environment, "SNS_TOPIC_ARN": _output(outputs, "SNS_TOPIC_ARN")}
        self.alerts = self.sqs.create_queue(QueueName="alerts")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.alerts, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        boto3.client("sns").subscribe(TopicArn=self.environment["SNS_TOPIC_ARN"], Protocol="sqs", Endpoint=arn)
        laptop = HOME / "laptop"
        self.do("laptop", HOME, "git", "clone", "--quiet", str(ROOT), str(laptop))
        shutil.copytree(ROOT / ".dvc/cache", laptop / ".dvc/cache")
        self.do(
            "laptop", laptop, "git", "bundle", "create", "--quiet", str(HOME / "repository.bundle"), "--all", "HEAD"
        )
        self.s3.upload_file(str(HOME / "repository.bundle"), BUCKET, BUNDLE.removeprefix(f"s3://{BUCKET}/"))
        self.do("laptop", laptop, sys.executable, "run_pipeline.py", "--push", "--no-publish")
        self.do("laptop", laptop, sys.executable, "-m", "churn_drift.cli", "deploy")

    def arrive(self, name: str, content: bytes) -> None:
        """A batch in the inbox, and all that follows from it."""
        say("inbox", f"{name} arrives ({len(content) / 2**20:.1f} MiB)")
        self.s3.put_object(Bucket=BUCKET, Key=f"inbox/{name}", Body=content)
        report = patiently(f"the Lambda's report on {name}", lambda: self.read(f"inbox/{name[:-4]}.drift.json"))
        say("lambda", f"inbox/{name[:-4]}.drift.json: {report['verdict']}: {report['reason']}")
        self.hear()
        instance = patiently("the instance", self.launched)
        self.run(instance)
        self.hear()

    def run(self, instance: Mapping[str, Any]) -> None:
        """What the instance's user data does: clone, run, tell, end."""
        self.runs += 1
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        run, commit = tags[remote_runs.RUN_TAG], tags[remote_runs.COMMIT_TAG]
        say("ec2", f"instance {instance['InstanceId']} starts for run {run}")
        machine, bundle = HOME / f"machine-{self.runs}", HOME / f"machine-{self.runs}.bundle"
        self.s3.download_file(BUCKET, BUNDLE.removeprefix(f"s3://{BUCKET}/"), str(bundle))
        self.do("ec2", HOME, "git", "clone", "--quiet", str(bundle), str(machine))
        command = ["-m", "churn_drift.aws.machines.remote_run", "--run", run, "--batch", tags[remote_runs.BATCH_TAG]]
        self.do("ec2", machine, sys.executable, *command, "--commit", commit)
        self.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
        outcome = self.read(remote_runs.outcome_key(run))
        say("ec2", f"run {run}: {outcome['told'] if outcome else 'told nothing'}")

    def launched(self) -> Any:
        """An instance that waits for its work; None where there is none yet."""
        states = {"Name": "instance-state-name", "Values": ["pending", "running"]}
        tagged = {"Name": "tag-key", "Values": [remote_runs.RUN_TAG]}
        found = self.ec2.describe_instances(Filters=[states, tagged])["Reservations"]
        return found[0]["Instances"][0] if found else None

    def hear(self) -> None:
        """Print what the topic's subscribers got."""
        while messages := self.sqs.receive_message(QueueUrl=self.alerts, WaitTimeSeconds=1).get("Messages"):
            for message in messages:
                told = json.loads(message["Body"])
                for line in (f"{told.get('Subject')}", *told["Message"].splitlines()[1:]):
                    say("alert", line)
                self.sqs.delete_message(QueueUrl=self.alerts, ReceiptHandle=message["ReceiptHandle"])

    def read(self, key: str) -> Any:
        """A JSON object of the bucket; None where it is not there."""
        try:
            return json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise

    def do(self, who: str, folder: Path, *command: str) -> None:
        """Run it, every line of it under a name."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))},
            **self.environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(folder / "src"),
            "COLUMNS": "110",
        }
        said = ["$", *(Path(word).name if word == sys.executable else word for word in command)]
        say(who, " ".join(said))
        with (
            (HOME / "said.log").open("a") as log,
            subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as process,
        ):
            for line in process.stdout or ():
                log.write(line)
                if line.strip() and not CHATTER.match(line):
                    say(who, line.rstrip())
        if process.returncode not in (0, 3):
            sys.exit(f"{who}: `{' '.join(said[1:])}` ended with {process.returncode}")

    def summary(self) -> str:
        """Who answers now."""
        runtime = boto3.client("sagemaker-runtime", endpoint_url=self.endpoint)
        answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="application/json", Body=b"{}")
        return f"the endpoint answers with {json.loads(answer['Body'].read())['model_version']}"


def batches(number: int) -> list[bytes]:
    """Labelled customers who come after those of the history, as raw CSV."""
    world = simulate(load_statistics(), rows=50_000 + number * ROWS, seed=21)[-number * ROWS :]
    world = world.assign(CustomerID=world["CustomerID"] + 1_000_000)
    parts = [world[start : start + ROWS] for start in range(0, number * ROWS, ROWS)]
    return [part.to_csv(index=False, na_rep="NA").encode() for part in parts]


def patiently(what: str, look: Callable[[], Found | None], *, log: Path | None = None) -> Found:
    """What `look` finds, within PATIENCE."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.3)
    sys.exit(f"{what} did not come within {PATIENCE:.0f} s; see {log or HOME / 'emulator.log'}")


def say(who: str, line: str) -> None:
    print(f"{who:>9} | {line}", flush=True)


def _output(outputs: Any, name: str) -> str:
    return next(str(output["OutputValue"]) for output in outputs if output.get("Description") == name)


def _answers(client: Any) -> bool:
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        sys.exit(f"the emulator ended with {process.returncode}; see {HOME / 'emulator.log'}")
    return False


def _keys(environment: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


if __name__ == "__main__":
    main()
