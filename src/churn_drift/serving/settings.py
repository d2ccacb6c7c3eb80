"""How the server runs, as the environment says it; .env.example documents the names."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from churn_drift.capture import place
from churn_drift.capture.fields import FIELDS, fields_of
from churn_drift.errors import ConfigError

MEBIBYTE = 2**20
KEYS = "keys"
SAGEMAKER = "sagemaker"


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
    auth             KEYS, SAGEMAKER, or "" for what `gate.gate_of` makes of the host and the keys file
    keys             the file of `churn-drift keys`
    rate             requests a second of each key; 0: no limit
    read             that a request may take to arrive; its answer may take twice that to be taken
    access_log       whether each request is a line of the log
    log_format       json, text, or "" for text on a terminal and json elsewhere
    log              the inference log: a folder, s3://bucket/prefix, or place.OFF
    log_fields       fields of a customer that it may store
    shadow           share of the requests that a challenger scores, too: 0 to 1
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
    auth: str = ""
    keys: Path = Path("serve-keys.json")
    rate: int = 200
    read: float = 30
    access_log: bool = True
    log_format: str = ""
    log: str = str(place.FOLDER)
    log_fields: frozenset[str] = frozenset(FIELDS)
    shadow: float = 0.1


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings, defaults where a name is not set. Raises ConfigError naming what is out of range.

    >>> from_environment({"PORT": "9000", "SERVE_MAX_BODY_MB": "1"}).port
    9000
    """

    def number(name: str, default: int, *, low: int, high: int) -> int:
        return _number(environment, name, default=default, low=low, high=high)

    def word(name: str, legal: Sequence[str], default: str = "") -> str:
        return _word(environment, name, legal=legal, default=default)

    usual = Settings()
    most = number("SERVE_MAX_RECORDS", usual.max_records, low=1, high=1_000_000)
    return Settings(
        host=environment.get("SERVE_HOST", "").strip() or usual.host,
        port=number("PORT", usual.port, low=0, high=65535),
        workers=number("WEB_CONCURRENCY", usual.workers, low=1, high=256),
        threads=number("SERVE_THREADS", usual.threads, low=1, high=256),
        max_body=MEBIBYTE * number("SERVE_MAX_BODY_MB", usual.max_body // MEBIBYTE, low=1, high=1024),
        max_records=most,
        max_explained=min(usual.max_explained, most),
        max_batch=MEBIBYTE * number("SERVE_MAX_BATCH_MB", usual.max_batch // MEBIBYTE, low=1, high=4096),
        max_rows=number("SERVE_MAX_ROWS", usual.max_rows, low=1, high=10_000_000),
        auth=word("SERVE_AUTH", (KEYS, SAGEMAKER)),
        keys=Path(environment.get("SERVE_KEYS", "").strip() or usual.keys),
        rate=number("SERVE_RATE", usual.rate, low=0, high=1_000_000),
        read=number("SERVE_READ_SECONDS", int(usual.read), low=1, high=3600),
        access_log=word("SERVE_ACCESS_LOG", ("on", "off"), "on") == "on",
        log_format=word("SERVE_LOG_FORMAT", ("json", "text")),
        log=environment.get("SERVE_LOG", "").strip() or usual.log,
        log_fields=fields_of(environment.get("SERVE_LOG_FIELDS", "")),
        shadow=number("SERVE_SHADOW_PERCENT", round(100 * usual.shadow), low=0, high=100) / 100,
    )


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether this host name or address is this machine's own, reached from nowhere else.

    >>> [is_loopback(name) for name in ("127.0.0.1", "127.9.9.9", "::1", "LocalHost", "0.0.0.0", "", "example.com")]
    [True, True, True, True, False, False, False]
    """
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _number(environment: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    said = environment.get(name, "").strip()
    if not said:
        return default
    if not (said.isascii() and said.isdigit() and low <= int(said) <= high):
        raise ConfigError(f"{name}: {said!r} is no whole number from {low} to {high}; set {name}={default}")
    return int(said)


def _word(environment: Mapping[str, str], name: str, *, legal: Sequence[str], default: str) -> str:
    said = environment.get(name, "").strip().lower()
    if said and said not in legal:
        raise ConfigError(f"{name}: {said!r} is none of {', '.join(legal)}; set {name}={legal[0]} or leave it unset")
    return said or default
