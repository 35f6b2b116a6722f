"""What the tests of the Compose target need: an engine, Compose, a registry with a few images."""

import itertools
import os
import shutil
import socket
import subprocess
import time

import machine
import pytest

from .server import IMAGES, Server, run

BASE_IMAGE = "debian:trixie-slim"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    binary = os.environ.get("DOCKER_REGISTRY") or run(machine.ROOT / "scripts/setup-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("registry")
    settings = folder / "config.yml"
    settings.write_text(
        f"version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {folder}/data }} }}\n"
        f"http: {{ addr: 127.0.0.1:{port} }}\n"
    )
    process = subprocess.Popen([binary, "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def images(registry):
    """The test images by name, each by digest."""
    digests = {}
    for name, changes in IMAGES.items():
        container = run("docker", "create", BASE_IMAGE, "true")
        reference = f"{registry}/shop/web:{name}"
        changes = [*changes, f"LABEL version={name}"]
        run("docker", "commit", *itertools.chain.from_iterable(("-c", change) for change in changes), container, reference)
        run("docker", "rm", container)
        run("docker", "push", "-q", reference)
        listed = run("docker", "image", "inspect", "-f", "{{range .RepoDigests}}{{println .}}{{end}}", reference).split()
        digests[name] = next(one for one in listed if one.startswith(registry))
    yield digests
    subprocess.run(["docker", "rmi", "-f", *(f"{registry}/shop/web:{name}" for name in IMAGES)], capture_output=True)


@pytest.fixture(params=["dash", "busybox"])
def server(request, images, tmp_path):
    """A server whose service `web` somebody started with image 1."""
    shell = {"dash": ["dash"], "busybox": ["busybox", "sh"]}[request.param]
    if shutil.which(shell[0]) is None:
        pytest.fail(f"{shell[0]} is missing")
    made = Server(tmp_path / "shop", images, shell, f"rs{next(_numbers)}x{int(time.time()) % 100000}")
    yield made
    made.remove()
