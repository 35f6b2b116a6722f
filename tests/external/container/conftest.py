"""What the container needs around it: the image, a registry that asks for a password, a repository checked out."""

import os
import pathlib
import secrets
import shutil
import subprocess

import bcrypt
import machine
import pytest
import requests
import runner

HELLO = machine.ROOT / "examples/hello"
DEPLOY = """
environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  hello:
    build: { context: . }
    repository: acme/hello
    ecs: { cluster: acme, service: hello, container: app }
"""


class Registry:
    """Debian's docker-registry on loopback, with one account: what ECR's token stands for."""

    def __init__(self, processes, folder):
        self.port, self.username, self.password = machine.free_port(), "AWS", secrets.token_urlsafe(48)
        self.host = f"127.0.0.1:{self.port}"
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        (folder / "htpasswd").write_text(f"{self.username}:{hashed}\n")
        config = folder / "config.yml"
        config.write_text(f"""
version: 0.1
storage: {{ filesystem: {{ rootdirectory: {folder}/images }} }}
http: {{ addr: "{self.host}", secret: {secrets.token_hex(16)} }}
auth: {{ htpasswd: {{ realm: test, path: {folder}/htpasswd }} }}
""")
        program = os.environ.get("DOCKER_REGISTRY", "docker-registry")
        processes.start("docker-registry", [program, "serve", config], folder / "registry.log", self.port)

    def digest(self, repository, tag):
        answer = requests.head(f"http://{self.host}/v2/{repository}/manifests/{tag}", timeout=10,
                               auth=(self.username, self.password), headers={"Accept": ", ".join([
                                   "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
                                   "application/vnd.docker.distribution.manifest.v2+json"])})
        return answer.headers["Docker-Content-Digest"] if answer.ok else None

    def tags(self, repository):
        answer = requests.get(f"http://{self.host}/v2/{repository}/tags/list", timeout=10,
                              auth=(self.username, self.password))
        return set(answer.json().get("tags") or []) if answer.ok else set()

    def scenario(self, *faults, **more):
        """A world whose ECR is this registry."""
        return {
            "services": [{"cluster": "acme", "name": "hello", "deployment": {"circuit-breaker": {}}}],
            "repositories": {"acme/hello": {}, "hello": {"images": [{"tags": ["v1"]}]}},
            "registry": {"endpoint": self.host, "username": self.username, "password": self.password},
            "faults": list(faults),
        } | more


@pytest.fixture(scope="session")
def image():
    name = os.environ.get("ROADSTEAD_IMAGE", "roadstead:test")
    found = subprocess.run(["docker", "image", "inspect", name], capture_output=True)
    assert found.returncode == 0, f"there is no image {name}: scripts/image {name} builds it"
    return name


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    with machine.Processes() as processes:
        yield Registry(processes, tmp_path_factory.mktemp("registry"))


@pytest.fixture
def job(tmp_path, image):
    """A job of a repository that is `examples/hello` with a deploy file, checked out as actions/checkout leaves it."""
    made = runner.Runner(tmp_path / "runner", image, machine.ROOT / "action.yml")
    shutil.copytree(HELLO, made.workspace, dirs_exist_ok=True)
    # Each test has its own content, so that none finds another's image.
    page = made.workspace / "page.html"
    page.write_text(page.read_text() + f"<!-- {secrets.token_hex(8)} -->\n")
    deploy = made.workspace / ".github/roadstead.yml"
    deploy.parent.mkdir()
    deploy.write_text(DEPLOY)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in ["init -q -b main", "add -A", "-c user.name=a -c user.email=a@b commit -q -m one"]:
        subprocess.run(["git", "-C", made.workspace, *command.split()], check=True, env=env)
    made.sha = subprocess.run(["git", "-C", made.workspace, "rev-parse", "HEAD"], check=True, env=env,
                              capture_output=True, text=True).stdout.strip()
    return made


def files(folder):
    """Every file below a folder."""
    return {str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*") if path.is_file()}
