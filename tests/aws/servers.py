"""Buckets on real servers, and this process as a user of theirs."""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from tests.remote.conftest import client

_NUMBERS = itertools.count(1)
ISOLATED = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/not-there",
    "AWS_CONFIG_FILE": "/not-there",
}


@dataclass(frozen=True)
class Place:
    """A bucket of its own. settings: of a user who may do all."""

    bucket: str
    settings: Mapping[str, str]

    @cached_property
    def s3(self) -> Any:
        return client(self.settings)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.settings, **ISOLATED, "S3_BUCKET": self.bucket}

    @property
    def keys(self) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def put(self, key: str, body: bytes | str, **more: Any) -> str:
        """The ETag of what lies there now."""
        body = body.encode() if isinstance(body, str) else body
        return str(self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)["ETag"])

    def get(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())


def new_bucket(settings: Mapping[str, str]) -> Place:
    place = Place(f"bucket-{next(_NUMBERS)}", settings)
    place.s3.create_bucket(Bucket=place.bucket)
    return place


@contextmanager
def user_of(environment: Mapping[str, str]) -> Iterator[None]:
    """This process, with these settings and none of this machine's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "S3_", "USE_AWS", "SNS_", "NOTIFY_"))]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        yield
