"""The wheel: built twice to the same bytes; what is in it runs, and asks nobody on the network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.cli import Done

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
ALONE = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def built(out: Path) -> Path:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


def test_two_builds_give_the_same_bytes(wheel, tmp_path):
    assert built(tmp_path).read_bytes() == wheel.read_bytes()


def may_be_alone() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not may_be_alone(), reason="network namespaces are not permitted here")
def test_the_wheel_runs_without_a_network_and_with_an_empty_home(wheel, tmp_path):
    installed, home = tmp_path / "installed", tmp_path / "home"
    home.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--target", str(installed), str(wheel)], check=True, capture_output=True)
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed),  # before what this environment has of us
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*ALONE, sys.executable, *arguments]
        return subprocess.run(
            command, cwd=home, env=environment, check=False, capture_output=True, text=True
        )

    where = run("-c", "import profiler; print(profiler.__file__)")
    assert where.stdout.startswith(str(installed)), where.stderr
    ran = run("-m", "profiler", "run", "smoke", "--out", str(tmp_path / "run"))
    assert Done(ran.returncode, ran.stdout, ran.stderr).is_done, ran.stderr
    profile = json.loads((tmp_path / "run" / "profile.json").read_bytes())
    assert profile["sample"]["succeeded"] == profile["sample"]["interactions"] > 0
    assert not list(home.iterdir()), "nothing is left in the home directory"
