"""Who may ask the server what: keys as a person makes them, and what each path asks for."""

import contextlib
import http.client
import io
import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from churn_drift.cli import main
from churn_drift.errors import ConfigError
from churn_drift.serving import keys
from churn_drift.serving.app import create_app
from churn_drift.serving.gate import FREE, Gate, gate_of
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.seat import Seat
from churn_drift.serving.settings import SAGEMAKER, Settings
from tests.serving.conftest import SMALL, Server, until
from tests.serving.test_problems import refused
from tests.serving.test_reload import CRAFTS

KEY = re.compile(r"cd_[a-z0-9-]+_[A-Za-z0-9_-]{43}")
NOBODY = f"cd_nobody_{'x' * 43}"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "serve-keys.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyed(seat: Seat, file: Path, clock: Clock) -> FlaskClient:
    """Of a server that asks for keys, and looks for them by a clock of its own."""
    chosen = replace(SMALL, keys=file, rate=0)
    return create_app(
        seat, settings=chosen, metrics=Metrics(), gate=Gate(chosen, keyed=True, clock=clock)
    ).test_client()


@pytest.fixture
def predict(file: Path, clock: Clock) -> dict[str, str]:
    """The header of who may predict."""
    return made("billing", "predict", file, clock)


@pytest.fixture
def admin(file: Path, clock: Clock) -> dict[str, str]:
    return made("ops", "admin", file, clock)


def made(name: str, scope: str, file: Path, clock: Clock) -> dict[str, str]:
    told = keys.add(name, scopes=[scope], path=file)
    clock.now += 2  # the server looks again
    return {"Authorization": f"Bearer {told}"}


def test_a_new_key_is_shown_once_and_only_its_hash_is_kept(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "billing"]) == 0
    told = capsys.readouterr().out.strip()
    assert KEY.fullmatch(told)
    kept = Path("serve-keys.json")
    assert told.removeprefix("cd_billing_") not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    found = keys.Keys(keys.read(kept)).find(told)
    assert found
    assert found[1].scopes == ("predict",)


def test_the_list_shows_names_scopes_and_ends_but_nothing_that_opens(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["add", "billing"],
        ["add", "ops", "--scope", "admin", "--scope", "predict"],
        ["revoke", "billing"],
    ):
        assert main(["keys", *command]) == 0
    capsys.readouterr()
    assert main(["keys", "list"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"billing +predict +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +\d{4}-", said)
    assert re.search(r"ops +admin, predict +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d *\n", said)
    assert not any(key.sha256[:8] in said for key in keys.read(Path("serve-keys.json")))


def test_the_file_of_the_keys_may_lie_elsewhere(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_KEYS", str(scratch / "held.json"))
    assert main(["keys", "add", "billing"]) == 0
    assert [path.name for path in scratch.iterdir() if "json" in path.name] == ["held.json"]
    monkeypatch.setenv("SERVE_KEYS", "nowhere/held.json")
    assert main(["keys", "add", "billing"]) == 2


def test_a_key_can_be_made_where_there_is_no_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["keys", "add", "billing"]) == 0
    assert Path("serve-keys.json").exists()
    assert main(["models", "list"]) == 2
    assert "run this inside the repository" in capsys.readouterr().err


def test_what_root_makes_belongs_to_the_owner_of_the_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(keys.os, "geteuid", lambda: 0)
    monkeypatch.setattr(keys.os, "fchown", lambda _, user, group: given.append((user, group)))
    keys.add("billing", scopes=["predict"], path=file)
    assert given == [(file.parent.stat().st_uid, file.parent.stat().st_gid)]


@pytest.mark.parametrize("name", ["", "Billing", "a_b", "-a", "a" * 33, "ü", "a\n"])
def test_a_name_that_no_key_can_hold_is_refused(file: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a key's name is 1 to 32 of a-z, 0-9"):
        keys.add(name, scopes=["predict"], path=file)
    assert not file.exists()


def test_a_name_is_given_once_even_after_its_end(file: Path) -> None:
    keys.add("billing", scopes=["predict"], path=file)
    assert keys.revoke("billing", path=file) is True
    assert keys.revoke("billing", path=file) is False
    with pytest.raises(ConfigError, match=r"there is or was a key of this name; give another \(`billing-2`\)"):
        keys.add("billing", scopes=["predict"], path=file)
    with pytest.raises(ConfigError, match="`churn-drift keys list` names them"):
        keys.revoke("sales", path=file)


def test_keys_made_at_the_same_time_are_all_kept(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda place: keys.add(f"k{place}", scopes=["predict"], path=file), range(24)))
    kept = keys.Keys(keys.read(file))
    assert all(kept.find(key) for key in told)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_key_is_found_only_where_every_character_is_right(file: Path) -> None:
    told, other = (keys.add(name, scopes=["predict"], path=file) for name in ("billing", "sales"))
    kept = keys.Keys(keys.read(file))
    assert [found and found[0] for found in (kept.find(told), kept.find(other))] == [0, 1]
    for wrong in (told[:-1], told + "x", told.swapcase(), told.replace("billing", "sales"), NOBODY, "", "cd__", "ü"):
        assert kept.find(wrong) is None
    keys.revoke("billing", path=file)
    assert keys.Keys(keys.read(file)).find(told) is None


def test_a_name_that_nobody_has_is_compared_like_one_that_somebody_has(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.add("billing", scopes=["predict"], path=file)
    compared: list[tuple[int, int]] = []
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append((len(a), len(b))))
    for told in (NOBODY, NOBODY.replace("nobody", "billing")):
        keys.Keys(keys.read(file)).find(told)
    assert compared == [(64, 64)] * 2


ENTRY = {"name": "a", "sha256": "0" * 64, "scopes": ["predict"], "made": "2026-11-24T00:00:00+00:00", "revoked": None}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        '{"format": 1}',
        '{"format": 2, "keys": []}',
        json.dumps({"format": 1, "keys": [{**ENTRY, "scopes": ["root"]}]}),
        json.dumps({"format": 1, "keys": [{**ENTRY, "scopes": "predict"}]}),
        json.dumps({"format": 1, "keys": [{**ENTRY, "revoked": 0}]}),
        json.dumps({"format": 1, "keys": [{**ENTRY, "sha256": 7}]}),
        json.dumps({"format": 1, "keys": [{**ENTRY, "name": None}]}),
        json.dumps({"format": 1, "keys": [ENTRY, ENTRY]}),
    ],
)
def test_a_damaged_file_is_refused_by_name(file: Path, document: str) -> None:
    file.write_text(document)
    with pytest.raises(ConfigError, match=re.escape(f"{file}: ")):
        keys.read(file)
    with pytest.raises(ConfigError, match=re.escape(f"{file}: ")):
        gate_of(Settings(keys=file))


@pytest.mark.parametrize("path", sorted(FREE))
def test_health_and_documentation_need_no_key(keyed: FlaskClient, path: str) -> None:
    with keyed.get(path.replace("<path:filename>", "page.css")) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "method", "admitted"),
    [
        ("/predict", "POST", {"billing"}),
        ("/predict/batch", "POST", {"billing"}),
        ("/invocations", "POST", {"billing"}),
        ("/model", "GET", {"billing", "ops"}),
        ("/metrics", "GET", {"ops"}),
        ("/traffic", "GET", {"ops"}),
    ],
)
def test_every_other_path_needs_a_living_key_of_its_scope(
    keyed: FlaskClient, predict: dict[str, str], admin: dict[str, str], path: str, method: str, admitted: set[str]
) -> None:
    def ask(headers: dict[str, str]) -> object:
        body = {"data": "MonthsInService\n3\n", "content_type": "text/csv"} if "batch" in path else {"json": {}}
        return keyed.open(path, method=method, headers=headers, **(body if method == "POST" else {}))  # type: ignore[arg-type]

    anonymous, wrong = ask({}), ask({"Authorization": f"Bearer {NOBODY}"})
    refused(anonymous, 401, "no-key")  # type: ignore[arg-type]
    refused(wrong, 401, "no-key")  # type: ignore[arg-type]
    assert anonymous.headers["WWW-Authenticate"] == 'Bearer realm="churn-drift"'  # type: ignore[attr-defined]
    assert wrong.headers["WWW-Authenticate"].endswith('error="invalid_token"')  # type: ignore[attr-defined]
    for name, headers in (("billing", predict), ("ops", admin)):
        answer = ask(headers)
        if name in admitted:
            assert answer.status_code == 200  # type: ignore[attr-defined]
        else:
            assert "lacks the scope" in str(refused(answer, 403, "forbidden")["detail"])  # type: ignore[arg-type]
            assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]  # type: ignore[attr-defined]


def test_the_documentation_says_what_each_path_needs_and_how_a_key_is_sent(keyed: FlaskClient) -> None:
    paths = keyed.get("/openapi.json").get_json()["paths"]
    needed = {path: o.get("security") for path, methods in paths.items() for o in methods.values()}
    assert needed["/predict"] == [{"key": ["predict"]}]
    assert needed["/model"] == [{"key": ["predict"]}, {"key": ["admin"]}]
    assert needed["/health"] is None
    assert {"401", "403", "408", "429"} <= set(paths["/predict"]["post"]["responses"])
    assert "Authorization: Bearer $KEY" in keyed.get("/docs").text


def test_a_path_that_is_on_no_list_needs_an_admin(keyed: FlaskClient, file: Path) -> None:
    gate = Gate(replace(SMALL, keys=file), keyed=True)
    rules = {rule.rule for rule in keyed.application.url_map.iter_rules()}
    assert {rule for rule in rules if not gate.needs(rule)} == FREE
    assert gate.needs("/made/tomorrow") == ("admin",)


@pytest.mark.parametrize("told", ["Basic {}", "{}", "Bearer", "Bearer {}, Bearer {}", "Bearer {} {}", "Token {}"])
def test_only_one_bearer_key_opens(keyed: FlaskClient, predict: dict[str, str], told: str) -> None:
    key = predict["Authorization"].removeprefix("Bearer ")
    refused(keyed.post("/predict", json={}, headers={"Authorization": told.format(key, key)}), 401, "no-key")
    assert keyed.post("/predict", json={}, headers={"Authorization": f"bearer  {key}"}).status_code == 200


def test_a_browser_is_asked_for_a_key_and_sends_it_as_a_password(
    keyed: FlaskClient, predict: dict[str, str], admin: dict[str, str]
) -> None:
    anonymous = keyed.get("/", headers={"Accept": "text/html"})
    assert anonymous.status_code == 401
    assert anonymous.headers["WWW-Authenticate"].startswith("Basic ")
    assert "A key is needed" in anonymous.text
    of_predict, of_admin = (headers["Authorization"].removeprefix("Bearer ") for headers in (predict, admin))
    for key in (of_predict, of_admin):
        assert keyed.get("/", auth=("anybody", key)).status_code == 200
    assert keyed.post("/predict", json={}, auth=("", of_predict)).status_code == 200
    assert keyed.get("/", auth=("anybody", NOBODY)).status_code == 401


def test_who_has_no_key_is_refused_before_the_body_is_read(keyed: FlaskClient) -> None:
    class Untouched(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise AssertionError("read")

    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "10000000"}
    answer = keyed.post("/predict", input_stream=Untouched(), content_type="text/csv", environ_overrides=environ)
    refused(answer, 401, "no-key")


def test_a_key_ends_a_second_after_it_is_revoked(
    keyed: FlaskClient, predict: dict[str, str], file: Path, clock: Clock
) -> None:
    assert keyed.post("/predict", json={}, headers=predict).status_code == 200
    keys.revoke("billing", path=file)
    clock.now += 1
    refused(keyed.post("/predict", json={}, headers=predict), 401, "no-key")


def test_a_file_that_is_damaged_shuts_the_server_and_leaves_it_alive(
    keyed: FlaskClient, predict: dict[str, str], file: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    clock.now += 1
    for headers in (predict, {}):
        detail = refused(keyed.post("/predict", json={}, headers=headers), 503, "no-keys")["detail"]
        assert str(file) not in str(detail)
    assert keyed.get("/health").status_code == keyed.get("/ready", headers=predict).status_code == 200
    assert [f"{file}: is damaged" in message for message in caplog.messages] == [True]
    file.write_bytes(whole)
    clock.now += 1
    assert keyed.post("/predict", json={}, headers=predict).status_code == 200
    file.unlink()
    clock.now += 1
    refused(keyed.post("/predict", json={}, headers=predict), 401, "no-key")


def test_the_text_of_an_alarm_is_for_those_with_a_key(keyed: FlaskClient, predict: dict[str, str], seat: Seat) -> None:
    seat.alarm = "/srv/models/champion: model.ubj was altered"
    for headers in ({}, {"Authorization": f"Bearer {NOBODY}"}):
        told = keyed.get("/ready", headers=headers).get_json()["alarm"]
        assert told
        assert "/srv" not in told
    assert keyed.get("/ready", headers=predict).get_json()["alarm"] == seat.alarm


def test_in_sagemaker_only_its_own_two_paths_are_open(seat: Seat, tmp_path: Path) -> None:
    chosen = Settings(host="0.0.0.0", auth=SAGEMAKER, keys=tmp_path / "none.json")
    client = create_app(seat, settings=chosen, metrics=Metrics(), gate=gate_of(chosen)).test_client()
    assert client.get("/ping").status_code == 200
    assert client.post("/invocations", json={}, headers={"Host": "model.endpoint"}).status_code == 200
    for path in ("/model", "/metrics"):
        refused(client.get(path), 401, "no-key")
    refused(client.post("/predict", json={}), 401, "no-key")


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:80", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("a.b", 403)]
)
def test_a_server_without_keys_answers_to_the_names_of_this_machine_only(
    client: FlaskClient, host: str, status: int
) -> None:
    assert client.post("/predict", json={}, headers={"Host": host}).status_code == status
    assert client.get("/health", headers={"Host": host}).status_code == 200


def test_a_server_without_keys_starts_on_this_machine_only_and_says_so(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        assert not gate_of(Settings(host=host, keys=file)).needs("/predict")
    assert [message.partition(" is open without a key")[0] for message in caplog.messages] == [
        "127.0.0.1",
        "::1",
        "localhost",
    ]
    for host in ("0.0.0.0", "::", "10.0.0.7", "churn.example.com"):
        with pytest.raises(ConfigError, match="is open to others; `churn-drift keys add NAME` makes one"):
            gate_of(Settings(host=host, keys=file))


def test_where_there_was_ever_a_key_no_server_opens_without_one(file: Path) -> None:
    keys.add("billing", scopes=["predict"], path=file)
    assert gate_of(Settings(keys=file)).needs("/predict") == ("predict",)
    keys.revoke("billing", path=file)
    for auth in ("", "keys"):
        with pytest.raises(ConfigError, match="no living key; `churn-drift keys add NAME` makes one"):
            gate_of(Settings(keys=file, auth=auth))


def test_an_address_that_others_reach_is_refused_at_the_start_without_a_key(place: Path) -> None:
    command = [sys.executable, "serve-model.py", "--port", "0", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: serve-keys.json: no living key, and 0.0.0.0 is open to others" in done.stderr
    assert "`churn-drift keys add NAME` makes one" in done.stderr


def test_every_worker_of_a_running_server_follows_the_keys(place: Path, serve: Callable[..., Server]) -> None:
    file = Path("serve-keys.json")
    first = keys.add("first", scopes=["predict"], path=file)
    server = serve()
    assert [send(server, told) for told in (first, NOBODY, None)] == [200, 401, 401]
    second = keys.add("second", scopes=["predict"], path=file)
    assert until(lambda: {send(server, second) for _ in range(8)} == {200}, seconds=20)
    keys.revoke("first", path=file)
    assert until(lambda: {send(server, first) for _ in range(8)} == {401}, seconds=20)
    assert send(server, second) == 200
    assert CRAFTS not in "".join(server.said)
    assert first not in "".join(server.said)


def send(server: Server, key: str | None) -> int:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", "/predict", body=CRAFTS, headers=headers)
        return connection.getresponse().status
