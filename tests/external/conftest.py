"""What every external test may ask for: the built binary, a free port, a cloud, moto."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import machine  # noqa: E402

ROOT = machine.ROOT


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A skipped test is a failure: an incomplete machine must be reported."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session")
def binary():
    path = (ROOT / os.environ.get("ROADSTEAD_BINARY", "target/debug/roadstead")).resolve()
    assert path.is_file(), f"{path} is not built: scripts/test external builds it"
    return path


@pytest.fixture
def cloud(binary, tmp_path):
    """Starts embedded clouds: `cloud(scenario, speed=…, seed=…, hosts=…, port=…)` gives one that listens; all end with the test."""
    with machine.Processes() as processes:

        def start(scenario, speed=60, seed=1, hosts=(), port=None):
            return machine.Cloud(processes, binary, tmp_path, scenario, speed, seed, hosts, port)

        yield start


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """The address of a moto server."""
    with machine.Processes() as processes:
        port = machine.free_port()
        log = tmp_path_factory.mktemp("moto") / "log"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        processes.start("moto", command, log, port)
        yield f"http://127.0.0.1:{port}"
