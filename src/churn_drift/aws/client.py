"""One bucket as DVC's remote reaches it: the same settings, short waits, no second try."""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.session import Session

SECONDS = 4

PATH, VIRTUAL = "path", "virtual"

_URL = re.compile(r'"(https?://[^"?]*)[^"]*"')


class Bucket:
    """An s3:// url and what DVC's configuration says of the remote (`remote`)."""

    def __init__(self, url: str, remote: Mapping[str, Any]) -> None:
        parts = urlsplit(url)
        self.name = parts.netloc
        self.prefix = parts.path.strip("/")
        self._remote = remote
        self.endpoint = ""
        self._address = ""
        self.listed = cache(self._listed)

    @cached_property
    def session(self) -> Any:
        """botocore's, with the remote's options in place of the user's defaults."""
        session = Session(profile=self._remote.get("profile"))
        for variable, option in {"credentials_file": "credentialpath", "config_file": "configpath"}.items():
            if option in self._remote:
                session.set_config_variable(variable, str(self._remote[option]))
        if "access_key_id" in self._remote:
            session.set_credentials(*map(self._remote.get, ("access_key_id", "secret_access_key", "session_token")))
        return session

    @cached_property
    def _boto3(self) -> Any:
        return boto3.Session(botocore_session=self.session)

    @property
    def region(self) -> str | None:
        """The one set; None where none is."""
        region: str | None = self._remote.get("region") or self.session.get_config_variable("region")
        return region

    @property
    def home(self) -> str | None:
        """The region that the bucket lies in; None where the server does not tell."""
        with suppress(BotoCoreError, ClientError):
            home: str | None = self.client.head_bucket(Bucket=self.name).get("BucketRegion")
            return home
        return None

    @cached_property
    def client(self) -> Any:
        """boto3's, in the addressing style that the user's settings give."""
        client = self._client()
        client.meta.events.register("before-send.s3", self._note_address)
        return client

    def answer(self) -> Mapping[str, str]:
        """Headers of whatever the server says to an unsigned request at its own address.

        Raises BotoCoreError where nobody answers, ValueError where the endpoint is no address.
        """
        headers: dict[str, str] = {}
        client = self._client(style=PATH, signature_version=UNSIGNED)
        self.endpoint = client.meta.endpoint_url
        client.meta.events.register(
            "before-parse.s3", lambda response_dict, **_: headers.update(response_dict["headers"])
        )
        with suppress(ClientError, ResponseParserError):  # an answer is all that is asked for
            client.list_objects_v2(Bucket=self.name, MaxKeys=1)
        return {name.lower(): value for name, value in headers.items()}

    @property
    def address(self) -> str:
        """Scheme, host and, in path style, bucket of the last request."""
        parts = urlsplit(self._address)
        return f"{parts.scheme}://{parts.netloc}{f'/{self.name}' if self.style == PATH else ''}"

    @property
    def style(self) -> str:
        """The addressing style of the last request."""
        return PATH if urlsplit(self._address).path.startswith(f"/{self.name}") else VIRTUAL

    def _listed(self, style: str | None = None) -> Exception | None:
        """What went wrong when the bucket was listed, asked once; style: another than the settings give."""
        client = self._client(style=style) if style else self.client
        try:
            client.list_objects_v2(Bucket=self.name, Prefix=f"{self.prefix}/", MaxKeys=1)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            failure: Exception = error
            return failure
        return None

    def _client(self, *, style: str | None = None, **options: Any) -> Any:
        return self._boto3.client(
            "s3",
            endpoint_url=self._remote.get("endpointurl"),
            region_name=self.region,
            verify=self._remote.get("ssl_verify"),
            config=Config(
                connect_timeout=SECONDS,
                read_timeout=SECONDS,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": style} if style else None,
                **options,
            ),
        )

    def _note_address(self, request: Any, **_: Any) -> None:
        self._address = request.url


def code(error: Exception | None) -> str:
    """The server's own code, such as NoSuchBucket; empty where no server has answered."""
    return str(error.response["Error"].get("Code", "")) if isinstance(error, ClientError) else ""


def reason(error: Exception) -> str:
    """What the server said, or why it could not, in one line without full stop."""
    text = error.response["Error"].get("Message") or code(error) if isinstance(error, ClientError) else str(error)
    return _URL.sub(r"\1", " ".join(str(text).split())).rstrip(".")
