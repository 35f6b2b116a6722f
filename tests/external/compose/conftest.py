"""Three servers, and two that are there for one thing: a small disk, and a host key that changes."""

import concurrent.futures
import itertools
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import machine  # noqa: E402
import real_server as servers  # noqa: E402
import server_job  # noqa: E402
import server_program  # noqa: E402
import server_registry as registries  # noqa: E402

NUMBERS = itertools.count(1)
# Only `scripts/test container` has made what is needed here.
collect_ignore_glob = [] if "COMPOSE_HOST_IMAGE" in os.environ else ["test_*.py"]


def pytest_configure(config):
    config.addinivalue_line("markers", "thorough: played with EVERY=1 only")


def pytest_collection_modifyitems(items):
    if os.environ.get("EVERY") != "1":
        items[:] = [item for item in items if item.get_closest_marker("thorough") is None]


@pytest.fixture(scope="session")
def server_image():
    """The image that scripts/setup-compose prints."""
    return os.environ["COMPOSE_HOST_IMAGE"]


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    with machine.Processes() as processes:
        program = os.environ.get("DOCKER_REGISTRY", "docker-registry")
        yield registries.Registry(processes, tmp_path_factory.mktemp("registry"), program)


@pytest.fixture(scope="session")
def shop(registry, server_image):
    return registries.Shop(registry, servers.program_of(server_image))


class Estate:
    """Servers by what is said of them, each started when a test first asks, all removed at the end."""

    KINDS = {"older": {}, "newer": {"newer": True}, "noisy": {"newer": True, "noisy": True}, "small": {"disk": "110m"},
             "changing": {"disk": None}}

    def __init__(self, image, registry, key):
        self.image, self.registry, self.key, self.made = image, registry, key, {}

    def __getitem__(self, kind):
        if kind not in self.made:
            number = list(self.KINDS).index(kind) + 1
            made = servers.Server(self.image, self.registry, number, **self.KINDS[kind])
            self.made[kind] = made
            made.allow(self.key.with_suffix(".pub").read_text())
        return self.made[kind]

    def end(self):
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda made: made.remove(), self.made.values()))


@pytest.fixture(scope="session")
def estate(server_image, registry, shop, tmp_path_factory):
    key = tmp_path_factory.mktemp("key") / "deploy"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    made = Estate(server_image, registry, key)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def service(estate):
    """Makes services: `service("older", shell=…, proxy="nginx")`; what they leave is taken away."""
    made = []

    def make(kind="older", shell="dash", proxy=None, project=None, **words):
        number = next(NUMBERS)
        project = project or f"shop{number}"
        edge = server_program.Proxy(proxy, project, 8000 + number) if proxy else None
        one = server_program.Service(estate[kind], project, shell, edge, **words)
        made.append(one)
        return one

    yield make
    for one in made:
        one.clean()


SCENARIO = {"github": {"repositories": [{"name": "acme/shop", "private": True, "history": [{"id": "c1"}, {"id": "c2"}],
                                         "runs": [{"id": 7, "attempt": 1, "status": "in_progress"}]}]}}


@pytest.fixture
def job(binary, cloud, estate, service, tmp_path):
    """A job with one service on one server or several: `job("older", "newer", proxy="nginx", settle="6s")`."""

    def make(*kinds, proxy=None, **more):
        services = []
        for kind in kinds or ["older"]:
            services.append(service(kind, proxy=proxy, project=services[0].project if services else None))
        return server_job.Job(binary, cloud(SCENARIO), tmp_path, estate, services, **more)

    return make
