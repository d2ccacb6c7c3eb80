import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from churn_drift.model import curves
from churn_drift.model.metrics import Estimate
from churn_drift.plotting.heatmap import psi_heatmap
from churn_drift.plotting.house import save
from churn_drift.plotting.quality import calibration_gain
from churn_drift.plotting.timeline import timeline

NEVER = [Estimate(v, v - 0.02, v + 0.02) for v in (0.66, 0.64, 0.61)]
POLICY = [Estimate(v, v - 0.02, v + 0.02) for v in (0.66, 0.65, 0.67)]
LABELS = np.tile([0.0, 0.0, 1.0], 50)
SCORES = np.linspace(0.1, 0.6, 150)


def draw_timeline(path: Path) -> None:
    save(
        timeline(
            batches=["0", "1", "2"],
            never=NEVER,
            policy=POLICY,
            drifted=[None, 0.2, 0.5],
            promoted=[False, True, False],
            policy_name="evidence",
            confidence=0.95,
        ),
        path,
    )


def draw_psi_heatmap(path: Path) -> None:
    save(
        psi_heatmap(
            features=["tenure", "price"],
            batches=["1", "2"],
            psi=[[0.1, 7.7], [None, 0.004]],
            drifted=[[False, True], [False, False]],
        ),
        path,
    )


def draw_calibration_gain(path: Path) -> None:
    calibration, gain = curves.calibration(LABELS, SCORES, confidence=0.95), curves.gain(LABELS, SCORES)
    save(
        calibration_gain(
            never_calibration=calibration,
            policy_calibration=calibration,
            never_gain=gain,
            policy_gain=gain,
            policy_name="evidence",
            confidence=0.95,
        ),
        path,
    )


Drawn = tuple[Callable[[Path], None], bytes]


@pytest.fixture(scope="module", params=[draw_timeline, draw_psi_heatmap, draw_calibration_gain])
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    path = tmp_path_factory.mktemp("pictures") / "one.png"
    request.param(path)
    return request.param, path.read_bytes()


def chunks(png: bytes) -> list[str]:
    """The names of a PNG's chunks."""
    names, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        names.append(png[at + 4 : at + 8].decode())
        at += 12 + length
    return names


def test_the_same_numbers_give_the_same_bytes(drawn: Drawn, tmp_path: Path) -> None:
    draw, png = drawn
    draw(tmp_path / "two.png")
    assert (tmp_path / "two.png").read_bytes() == png


def test_a_picture_says_neither_when_nor_by_what_it_was_made(drawn: Drawn) -> None:
    assert set(chunks(drawn[1])) == {"IHDR", "pHYs", "IDAT", "IEND"}


def test_a_picture_is_1080_pixels_wide_and_under_200_kb(drawn: Drawn) -> None:
    assert struct.unpack(">I", drawn[1][16:20]) == (1080,)
    assert len(drawn[1]) < 200_000


def test_settings_of_the_user_change_nothing_and_stay(tmp_path: Path) -> None:
    draw_timeline(tmp_path / "one.png")
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "lines.linewidth": 9}):
        draw_timeline(tmp_path / "two.png")
        assert matplotlib.rcParams["font.size"] == 20
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_importing_draws_in_no_matplotlib_and_drawing_no_pyplot(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from churn_drift.plotting import heatmap, house, quality, timeline\n"
        "assert 'matplotlib' not in sys.modules\n"
        "with house.style(): house.save(house.new_figure(height=1), Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "one.png")], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_an_undefined_auc_no_promotion_and_a_single_batch_are_drawn(tmp_path: Path) -> None:
    save(
        timeline(
            batches=["0"],
            never=[Estimate()],
            policy=[Estimate(0.6)],
            drifted=[None],
            promoted=[False],
            policy_name="never",
            confidence=0.9,
        ),
        tmp_path / "one.png",
    )
    assert (tmp_path / "one.png").stat().st_size > 0


def test_a_heat_map_shows_the_features_that_drift_most(tmp_path: Path) -> None:
    values = {"calm": 0.01, "wild": 5.0, "mild": 0.3}

    def draw(name: str, features: list[str], top: int) -> bytes:
        save(
            psi_heatmap(
                features=features,
                batches=["1"],
                psi=[[values[feature]] for feature in features],
                drifted=[[False] for _ in features],
                top=top,
            ),
            tmp_path / name,
        )
        return (tmp_path / name).read_bytes()

    assert draw("one.png", ["calm", "wild", "mild"], 2) == draw("two.png", ["wild", "mild"], 2)


def test_a_heat_map_of_no_feature_or_of_many_batches_is_drawn(tmp_path: Path) -> None:
    save(psi_heatmap(features=[], batches=["1"], psi=[], drifted=[]), tmp_path / "none.png")
    save(
        psi_heatmap(
            features=["tenure"],
            batches=[str(i) for i in range(60)],
            psi=[[0.01 * i for i in range(60)]],
            drifted=[[i > 30 for i in range(60)]],
        ),
        tmp_path / "many.png",
    )
    assert (tmp_path / "none.png").stat().st_size > 0
    assert (tmp_path / "many.png").stat().st_size > 0
