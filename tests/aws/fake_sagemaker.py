"""SageMaker's hosting and training calls over HTTP, for what cannot run here: moto's update_endpoint answers 500, its
invoke_endpoint a canned text, and its training jobs are done at once.

It speaks JSON 1.1 as botocore sends it, keeps models, configurations and endpoints in memory, and goes from Creating or
Updating to what comes of it with each look (DescribeEndpoint), never by the clock. What a configuration hosts is real:
its model.tar.gz is fetched from the S3 server and unpacked, our own `deploy/serve` is started on it as SageMaker starts
it, it must answer /ping, and /invocations go to it. A container that runs is shared by all that want the same.

It stands for AWS as AWS documents it: blue/green, so that the former fleet answers until the new one is healthy.
It knows no IAM, no instances, no alarms and no time: that a real endpoint comes up, only AWS can show.
"""

import contextlib
import http.client
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.contracts.reach import ROOT
from tests.serving.conftest import Server, end

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


class Refused(Exception):  # noqa: N818  what AWS does
    """An error that the service answers."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Container:
    """Our server on an unpacked model, as `docker run IMAGE serve` is it."""

    process: subprocess.Popen[str]
    server: Server

    @property
    def is_healthy(self) -> bool:
        return self.ask("GET", "/ping")[0] == 200

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)) as connection:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@dataclass
class Endpoint:
    """config: what answers; next: what it moves to; looks: that it still takes."""

    config: str
    status: str = "Creating"
    next: str = ""
    looks: int = 1
    reason: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Faults:
    """What goes wrong next; each is used up by happening, but for `looks`.

    refuse    call to errors that it answers, in turn
    unfit     names of configurations that never get healthy; "": none
    looks     DescribeEndpoint calls that a change takes
    answers   bodies that InvokeEndpoint gives instead of the container's
    then      call to what happens just before it is answered
    """

    refuse: dict[str, list[Refused]] = field(default_factory=dict)
    unfit: Callable[[str], bool] = lambda name: False
    looks: int = 1
    answers: list[bytes] = field(default_factory=list)
    then: dict[str, Callable[[], object]] = field(default_factory=dict)


class FakeSageMaker:
    """The service's state. s3: boto3's client of the server that has the archives; folder: of the containers."""

    def __init__(self, s3: Any, folder: Path) -> None:
        self._s3, self._folder = s3, folder
        self.models: dict[str, Any] = {}
        self.configs: dict[str, Any] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.jobs: dict[str, Any] = {}
        self.containers: dict[str, Container] = {}
        self.calls: Counter[str] = Counter()
        self.faults = Faults()
        self.lock = threading.RLock()

    def call(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.calls[name] += 1
            self._trip(name)
            method = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
            answer: dict[str, Any] = getattr(self, f"_{method}")(asked)
            return answer

    def invoke(self, name: str, body: bytes, kind: str) -> tuple[int, bytes]:
        with self.lock:
            self.calls["InvokeEndpoint"] += 1
            self._trip("InvokeEndpoint")
            found = self._endpoint(name)
            if found.status == "Creating" or found.status == "Failed":
                raise Refused("ValidationError", f"Endpoint {name} of account 123456789012 not found.")
            if self.faults.answers:
                return 200, self.faults.answers.pop(0)
            container = self.containers[self._model_of(found.config)]
        return container.ask("POST", "/invocations", body, **{"Content-Type": kind})

    def stop(self) -> None:
        for container in {id(one): one for one in self.containers.values()}.values():
            end(container.process)

    def _trip(self, name: str) -> None:
        if name in self.faults.then:
            self.faults.then.pop(name)()
        waiting = self.faults.refuse.get(name)
        if waiting:
            raise waiting.pop(0)

    def _create_model(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["ModelName"]
        if name in self.models:
            raise Refused("ValidationException", f'Cannot create already existing model "{ARN}:model/{name}".')
        self.models[name] = asked
        return {"ModelArn": f"{ARN}:model/{name}"}

    def _create_endpoint_config(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["EndpointConfigName"]
        if name in self.configs:
            raise Refused("ValidationException", f'Cannot create already existing endpoint configuration "{name}".')
        if asked["ProductionVariants"][0]["ModelName"] not in self.models:
            raise Refused("ValidationException", "Could not find model.")
        self.configs[name] = asked
        return {"EndpointConfigArn": f"{ARN}:endpoint-config/{name}"}

    def _create_endpoint(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["EndpointName"]
        if name in self.endpoints:
            raise Refused("ValidationException", f'Cannot create already existing endpoint "{ARN}:endpoint/{name}".')
        config = self._config(asked["EndpointConfigName"])
        self.endpoints[name] = Endpoint(config, next=config, looks=self.faults.looks, tags=_tags(asked))
        return {"EndpointArn": f"{ARN}:endpoint/{name}"}

    def _update_endpoint(self, asked: dict[str, Any]) -> dict[str, Any]:
        found, config = self._endpoint(asked["EndpointName"]), self._config(asked["EndpointConfigName"])
        if found.status != "InService":
            what = "in-progress" if found.status in ("Creating", "Updating", "RollingBack") else "failed"
            raise Refused("ValidationException", f'Cannot update {what} endpoint "{asked["EndpointName"]}".')
        found.deployments.append(asked.get("DeploymentConfig", {}))
        found.status, found.next, found.looks, found.reason = "Updating", config, self.faults.looks, ""
        return {"EndpointArn": f"{ARN}:endpoint/{asked['EndpointName']}"}

    def _describe_endpoint(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["EndpointName"]
        found = self._endpoint(name)
        self._go_on(found)
        reason = {"FailureReason": found.reason} if found.reason else {}
        return {
            "EndpointName": name,
            "EndpointArn": f"{ARN}:endpoint/{name}",
            "EndpointConfigName": found.config,
            "EndpointStatus": found.status,
            "CreationTime": 1.0,
            "LastModifiedTime": 1.0,
            **reason,
        }

    def _go_on(self, found: Endpoint) -> None:
        """One look nearer to what comes of it."""
        if found.status not in ("Creating", "Updating", "RollingBack"):
            return
        found.looks -= 1
        if found.looks > 0:
            return
        if found.status == "RollingBack":
            found.status = "InService"
        elif self._comes_up(found.next):
            found.status, found.config = "InService", found.next
        else:
            found.reason = "The primary container for production variant AllTraffic did not pass the ping health check."
            found.status = "Failed" if found.status == "Creating" else "RollingBack"

    def _comes_up(self, config: str) -> bool:
        if self.faults.unfit(config):
            return False
        model = self._model_of(config)
        if model not in self.containers:
            try:
                self.containers[model] = self._started(self.models[model]["PrimaryContainer"])
            except AssertionError:  # the server refused what it was given
                return False
        return self.containers[model].is_healthy

    def _started(self, asked: dict[str, Any]) -> Container:
        url, environment = asked["ModelDataUrl"], asked["Environment"]
        same = json.dumps([url, environment, asked["Image"]], sort_keys=True)
        if same in self.containers:
            return self.containers[same]
        bucket, _, key = url.removeprefix("s3://").partition("/")
        place = Path(tempfile.mkdtemp(dir=self._folder))
        (place / "tmp").mkdir()
        with tarfile.open(fileobj=io.BytesIO(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())) as archive:
            archive.extractall(place / "model", filter="data")
        process = subprocess.Popen(
            ["sh", str(ROOT / "deploy/serve"), "--port", "0"],
            env={
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "MODEL_DIR": str(place / "model"),
                "TMPDIR": str(place / "tmp"),
                "WEB_CONCURRENCY": "1",
                "PYTHONPATH": str(ROOT / "src"),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            self.containers[same] = Container(process, Server(process))
        except AssertionError:
            end(process)
            raise
        return self.containers[same]

    def _model_of(self, config: str) -> str:
        return str(self.configs[config]["ProductionVariants"][0]["ModelName"])

    def _list_endpoint_configs(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert (asked["SortBy"], asked["SortOrder"]) == ("CreationTime", "Descending")
        found = [{"EndpointConfigName": name, "EndpointConfigArn": "a", "CreationTime": 1.0} for name in self.configs]
        return {"EndpointConfigs": found[::-1]}

    def _delete_endpoint_config(self, asked: dict[str, Any]) -> dict[str, Any]:
        del self.configs[self._config(asked["EndpointConfigName"])]
        return {}

    def _delete_model(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["ModelName"] not in self.models:
            raise Refused("ValidationException", f'Could not find model "{asked["ModelName"]}".')
        del self.models[asked["ModelName"]]
        return {}

    def _add_tags(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._endpoint(asked["ResourceArn"].rsplit("/", 1)[-1]).tags.update(_tags(asked))
        return {"Tags": asked["Tags"]}

    def _create_training_job(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["TrainingJobName"]
        if name in self.jobs:
            raise Refused("ResourceInUse", f"Job name must be unique within an AWS account and region: {name}")
        self.jobs[name] = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Starting", "asked": asked}
        return {"TrainingJobArn": f"{ARN}:training-job/{name}"}

    def _describe_training_job(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.jobs.get(asked["TrainingJobName"])
        if found is None:
            raise Refused("ValidationException", "Requested resource not found.")
        return {"TrainingJobName": asked["TrainingJobName"], **{k: v for k, v in found.items() if k != "asked"}}

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Refused("ValidationException", f'Could not find endpoint "{ARN}:endpoint/{name}".')
        return self.endpoints[name]

    def _config(self, name: str) -> str:
        if name not in self.configs:
            raise Refused("ValidationException", f'Could not find endpoint configuration "{name}".')
        return name


def _tags(asked: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in asked.get("Tags", ())}


@contextlib.contextmanager
def served(fake: FakeSageMaker) -> Iterator[str]:
    """The address of both of its services, SageMaker and its runtime."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                if invoked := re.fullmatch(r"/endpoints/([^/]+)/invocations", self.path):
                    status, content = fake.invoke(invoked[1], body, self.headers["Content-Type"])
                    if status >= 400:
                        told = {"Message": f"Received {status} from primary", "OriginalStatusCode": status}
                        self._answer(424, json.dumps(told).encode(), "ModelError")
                    else:
                        self._answer(200, content)
                else:
                    name = self.headers["X-Amz-Target"].removeprefix("SageMaker.")
                    self._answer(200, json.dumps(fake.call(name, json.loads(body))).encode())
            except Refused as error:
                told = {"__type": error.code, "message": str(error), "Message": str(error)}
                self._answer(error.status, json.dumps(told).encode(), error.code)

        def _answer(self, status: int, content: bytes, error: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *told: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        fake.stop()
