"""`dvc push` and `dvc pull` against boto3's own transfer of the same files, on one S3 server here: trust the ratios.

    python benchmarks/transfer.py [--megabytes 1000] [--files 50] [--repeat 3]

boto3 moves one file after another by upload_file and download_file, with its own threads within a file. DVC does more:
it asks the server what is there, and a pull also copies the files from its cache into the workspace. It needs six
times the room of the files, below TMPDIR, and leaves nothing.
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[1]
BUCKET = "transfer"


def main() -> None:
    """Print seconds, speed and ratio of each way, both up and down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000, help="size of all files together")
    parser.add_argument("--files", type=int, default=50, help="how many they are")
    parser.add_argument("--repeat", type=int, default=3, help="times that each is measured; the middle one counts")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start (above 0.5: others run beside us)")
    with tempfile.TemporaryDirectory(prefix="churn-drift-") as folder:
        user = repository(Path(folder) / "user", megabytes=chosen.megabytes, files=chosen.files)
        rounds = []
        for number in range(chosen.repeat):
            rounds.append(measure(user, Path(folder) / str(number)))
            shutil.rmtree(Path(folder) / str(number))
    up, push, down, fetch, pull = (sorted(times)[len(rounds) // 2] for times in zip(*rounds, strict=True))
    print(f"\n{chosen.files} files, {chosen.megabytes} MB{'':13}{'seconds':>9}{'MB/s':>9}{'ratio':>9}")
    row("boto3 upload_file", up, chosen.megabytes, base=up)
    row("dvc push", push, chosen.megabytes, base=up)
    row("boto3 download_file", down, chosen.megabytes, base=down)
    row("dvc fetch, into the cache", fetch, chosen.megabytes, base=down)
    row("dvc pull", pull, chosen.megabytes, base=down)


def row(name: str, taken: float, megabytes: int, *, base: float) -> None:
    """One line; the ratio is to boto3."""
    print(f"{name:28}{taken:9.1f}{megabytes / taken:9.0f}{taken / base:9.2f}")


def measure(user: Path, folder: Path) -> tuple[float, ...]:
    """Seconds of boto3 up, push, boto3 down, fetch and pull, on a server of their own that is empty at first."""
    with served(folder / "s3") as settings:
        s3 = boto3.client(
            "s3",
            endpoint_url=settings["AWS_ENDPOINT_URL"],
            aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
            region_name=settings["AWS_DEFAULT_REGION"],
        )
        files = sorted((user / "data").iterdir())
        (folder / "raw").mkdir()
        up = seconds(lambda: [s3.upload_file(str(file), BUCKET, f"raw/{file.name}") for file in files])
        push = seconds(lambda: call(["dvc", "push", "--quiet"], user, settings))
        down = seconds(
            lambda: [s3.download_file(BUCKET, f"raw/{file.name}", str(folder / "raw" / file.name)) for file in files]
        )
        shutil.rmtree(folder / "raw")
        for name in ("fetched", "pulled"):
            call(["git", "clone", "--quiet", str(user), str(folder / name)], folder, settings)
        fetch = seconds(lambda: call(["dvc", "fetch", "--quiet"], folder / "fetched", settings))
        shutil.rmtree(folder / "fetched")
        pull = seconds(lambda: call(["dvc", "pull", "--quiet"], folder / "pulled", settings))
        for file in files:
            if (folder / "pulled" / "data" / file.name).read_bytes() != file.read_bytes():
                sys.exit(f"{file.name} came back with other bytes")
    return up, push, down, fetch, pull


def repository(folder: Path, *, megabytes: int, files: int) -> Path:
    """Noise that DVC tracks, in one commit."""
    (folder / "data").mkdir(parents=True)
    for number in range(files):
        with (folder / "data" / f"{number:04}.bin").open("wb") as stream:
            for _ in range(10):
                stream.write(os.urandom(megabytes * 100_000 // files))
    call(["git", "init", "--quiet"], folder)
    call(["dvc", "init", "--quiet"], folder)
    for option in ("core.analytics", "core.check_update"):
        call(["dvc", "config", option, "false"], folder)
    call(["dvc", "remote", "add", "--quiet", "--default", "s3", f"s3://{BUCKET}/dvc"], folder)
    call(["dvc", "add", "--quiet", "data"], folder)
    call(["git", "add", "--all"], folder)
    call(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "-m", "Start"], folder)
    return folder


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """A server with an empty bucket; the variables that it tells its users to set."""
    command = [
        sys.executable,
        str(ROOT / "scripts/s3_server.py"),
        "--folder",
        str(folder),
        "--port",
        "0",
        "--bucket",
        BUCKET,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        told = (line.removeprefix("export ").strip().partition("=") for line in server.stdout or ())
        yield {name: value for name, _, value in itertools.takewhile(lambda parts: parts[1], told)}
        server.terminate()
        server.communicate()


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of some work, after the disk has caught up with what was written before."""
    os.sync()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def call(command: list[str], folder: Path, settings: Mapping[str, str] | None = None) -> None:
    """Run a command of this environment, with no settings and caches of this machine's user."""
    environment = {
        **os.environ,
        **(settings or {}),
        "DVC_NO_ANALYTICS": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{f"DVC_{name}_DIR": str(folder / ".git" / name) for name in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")},
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
