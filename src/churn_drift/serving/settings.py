"""How the server runs, as the environment says it; .env.example documents the names."""

from collections.abc import Mapping
from dataclasses import dataclass

from churn_drift.errors import ConfigError

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Settings:
    """What a deployment may choose. Sizes are bytes after unpacking, times are seconds.

    host, port       where the server listens; loopback unless asked otherwise
    workers          processes; threads: requests that each of them answers at a time
    max_body         largest JSON body; max_records: customers in one
    max_explained    customers in one request that asks for explanations (some 4 ms each)
    max_batch        largest CSV or Parquet body; max_rows: customers in one
    contributions    features that an explanation names
    watch            between two looks at the champion; 0: never look
    patience         that a champion may be unfit to serve (being replaced, its pin on the way) before it is an alarm
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 2
    threads: int = 4
    max_body: int = 4 * MEBIBYTE
    max_records: int = 1_000
    max_explained: int = 100
    max_batch: int = 64 * MEBIBYTE
    max_rows: int = 100_000
    contributions: int = 5
    watch: float = 1.0
    patience: float = 5.0


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings, defaults where a name is not set. Raises ConfigError naming what is out of range.

    >>> from_environment({"PORT": "9000", "SERVE_MAX_BODY_MB": "1"}).port
    9000
    """

    def number(name: str, default: int, *, low: int, high: int) -> int:
        return _number(environment, name, default=default, low=low, high=high)

    usual = Settings()
    return Settings(
        host=environment.get("SERVE_HOST", "").strip() or usual.host,
        port=number("PORT", usual.port, low=0, high=65535),
        workers=number("WEB_CONCURRENCY", usual.workers, low=1, high=256),
        threads=number("SERVE_THREADS", usual.threads, low=1, high=256),
        max_body=MEBIBYTE * number("SERVE_MAX_BODY_MB", usual.max_body // MEBIBYTE, low=1, high=1024),
        max_records=number("SERVE_MAX_RECORDS", usual.max_records, low=1, high=1_000_000),
        max_batch=MEBIBYTE * number("SERVE_MAX_BATCH_MB", usual.max_batch // MEBIBYTE, low=1, high=4096),
        max_rows=number("SERVE_MAX_ROWS", usual.max_rows, low=1, high=10_000_000),
    )


def _number(environment: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    said = environment.get(name, "").strip()
    if not said:
        return default
    if not (said.isascii() and said.isdigit() and low <= int(said) <= high):
        raise ConfigError(f"{name}: {said!r} is no whole number from {low} to {high}; set {name}={default}")
    return int(said)
