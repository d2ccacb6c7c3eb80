"""Another champion under a running server, and what becomes of a broken one."""

import contextlib
import http.client
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from churn_drift import paths
from churn_drift.errors import ModelError
from churn_drift.model.bundle import MODEL, Bundle, save, version_of
from churn_drift.serving import seat as places
from churn_drift.serving.model import ServedModel
from churn_drift.serving.seat import Mark, Seat
from churn_drift.serving.watcher import Watcher
from churn_drift.tracking import dvc
from tests.serving.conftest import Server, until, version_with

CRAFTS = json.dumps({"MonthsInService": 3, "Occupation": "Crafts"})
Serve = Callable[..., Server]


class World:
    """A champion that is there, or why it is not, and a clock."""

    def __init__(self, served: ServedModel) -> None:
        self.now, self.place, self.loads = 0.0, 0, 0
        self.champion: ServedModel | str = served
        self.seat = Seat(served)
        self.alarms: list[str | None] = []
        self.watcher = Watcher(
            self.seat,
            patience=5.0,
            told=lambda seat: self.alarms.append(seat.alarm),
            mark=self.mark,
            load=self.load,
            clock=lambda: self.now,
        )

    def mark(self) -> Mark:
        return (("champion", self.place, 0, 0),)

    def load(self) -> ServedModel:
        self.loads += 1
        if isinstance(self.champion, str):
            raise ModelError(self.champion)
        return self.champion

    def becomes(self, champion: ServedModel | str) -> None:
        self.champion, self.place = champion, self.place + 1

    def look_at(self, *moments: float) -> None:
        for self.now in moments:
            self.watcher.look()


@pytest.fixture
def world(served: ServedModel) -> World:
    return World(served)


@pytest.fixture
def newer(other: Bundle, tmp_path: Path) -> ServedModel:
    save(other, tmp_path / "newer")
    return ServedModel.of_folder(tmp_path / "newer")


def test_a_champion_that_has_not_changed_is_loaded_once(world: World) -> None:
    world.look_at(0, 1, 2)
    assert world.loads == 1


def test_a_new_champion_takes_the_seat_at_the_next_look(world: World, newer: ServedModel) -> None:
    world.look_at(0)
    world.becomes(newer)
    world.look_at(1)
    assert world.seat.model is newer


def test_files_that_were_only_touched_leave_the_model_in_its_seat(
    world: World, served: ServedModel, bundle: Bundle, tmp_path: Path
) -> None:
    save(bundle, tmp_path / "again")
    world.becomes(ServedModel.of_folder(tmp_path / "again"))
    world.look_at(0)
    assert world.seat.model is served


def test_a_broken_champion_is_an_alarm_after_patience_and_the_old_one_stays(world: World, served: ServedModel) -> None:
    world.becomes("model.ubj was altered")
    world.look_at(0, 1, 4.9)
    assert (world.seat.model, world.seat.alarm) == (served, None)
    world.look_at(5)
    assert (world.seat.model, world.seat.alarm) == (served, "model.ubj was altered")


def test_a_folder_that_is_away_for_a_moment_is_no_alarm(world: World, newer: ServedModel) -> None:
    world.becomes("no such model directory")
    world.look_at(0, 1, 2)
    world.becomes(newer)
    world.look_at(3, 9)
    assert world.seat.model is newer
    assert set(world.alarms) == {None}


def test_a_refused_champion_is_not_loaded_again_until_it_changes(world: World) -> None:
    world.becomes("broken")
    world.look_at(0, 5, 6, 7, 8)
    assert world.loads == 2


def test_a_champion_that_is_mended_ends_the_alarm(world: World, newer: ServedModel) -> None:
    world.becomes("broken")
    world.look_at(0, 5)
    world.becomes(newer)
    world.look_at(6)
    assert (world.seat.model, world.seat.alarm) == (newer, None)
    assert world.alarms == ["broken", None]


def test_every_file_of_the_champion_and_its_pin_are_looked_at(place: Path, bundle: Bundle) -> None:
    marks = [places.mark()]
    save(bundle, paths.CHAMPION)
    marks.append(places.mark())
    (paths.CHAMPION / MODEL).write_bytes((paths.CHAMPION / MODEL).read_bytes() + b"x")
    marks.append(places.mark())
    Path("models/champion.dvc").write_text("outs:\n- md5: abc\n")
    marks.append(places.mark())
    shutil.rmtree(paths.CHAMPION)
    marks.append(places.mark())
    assert len(set(marks)) == 5


def test_where_the_repository_is_the_pin_must_agree(place: Path, bundle: Bundle, other: Bundle) -> None:
    Path(".dvc").mkdir()
    Path("models/champion.dvc").write_text(f"outs:\n- md5: {dvc.hash_of(paths.CHAMPION)}\n")
    assert places.champion().version == version_of(paths.CHAMPION)
    save(other, paths.CHAMPION)
    with pytest.raises(ModelError, match=r"not what models/champion.dvc pins; `churn-drift models verify` mends it"):
        places.champion()


def test_promotion_and_rollback_under_load_fail_no_request(
    place: Path, serve: Serve, bundle: Bundle, other: Bundle
) -> None:
    server = serve()
    first, second = version_of(paths.CHAMPION), save(other, place / "elsewhere")
    load = Load(server.port, clients=4)
    for champion, version in ((other, second), (bundle, first), (other, second)):
        save(champion, paths.CHAMPION)
        assert until(lambda: load.settled_on(version), seconds=20), load.seen  # noqa: B023
    load.stop()
    assert load.failed == []
    assert set(load.seen) == {first, second}
    for version, workers in ((first, 0), (second, 2)):
        assert f'churn_drift_model_workers{{version="{version}"}} {workers}.0' in get(server, "/metrics")


def test_a_broken_champion_is_refused_with_an_alarm_while_the_old_one_serves(
    place: Path, serve: Serve, bundle: Bundle
) -> None:
    server = serve(WEB_CONCURRENCY="1")
    version = version_of(paths.CHAMPION)
    save(version_with(bundle, "another"), paths.CHAMPION)
    (paths.CHAMPION / MODEL).write_bytes(b"not the model")
    assert until(lambda: "alarm" in get(server, "/ready"), seconds=20)
    ready = json.loads(get(server, "/ready"))
    assert (ready["status"], ready["version"]) == ("ready", version)
    assert "model.ubj was altered" in ready["alarm"]
    assert "churn_drift_model_refused 1.0" in get(server, "/metrics")
    assert ask(server)["model_version"] == version
    save(bundle, paths.CHAMPION)
    assert until(lambda: "alarm" not in get(server, "/ready"), seconds=20)
    assert "churn_drift_model_refused 0.0" in get(server, "/metrics")


class Load:
    """Clients that ask one after another, each on a connection that it keeps."""

    def __init__(self, port: int, *, clients: int) -> None:
        self.port, self.going = port, True
        self.seen: dict[str, int] = {}
        self.failed: list[str] = []
        self.recent: list[str] = []
        self.threads = [threading.Thread(target=self.ask) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while self.going:
            try:
                version = post(connection)["model_version"]
            except Exception as error:  # noqa: BLE001  every kind is a failed request
                self.failed.append(repr(error))
                return
            self.seen[version] = self.seen.get(version, 0) + 1
            self.recent = [*self.recent[-199:], version]
        connection.close()

    def settled_on(self, version: str) -> bool:
        return len(self.recent) == 200 and set(self.recent) == {version}

    def stop(self) -> None:
        self.going = False
        for thread in self.threads:
            thread.join()


def ask(server: Server) -> dict[str, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        return post(connection)


def post(connection: http.client.HTTPConnection) -> dict[str, str]:
    connection.request("POST", "/predict", body=CRAFTS, headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise AssertionError(f"{answer.status} {content!r}")
    found: dict[str, str] = json.loads(content)
    return found


def get(server: Server, path: str) -> str:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
