"""What the container needs around it: the image, a registry that asks for a password, a repository checked out."""

import hashlib
import json
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

    def seed(self, repository, tag):
        """Puts an image there that needs no builder: the version that runs before the job."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}})
        digest = "sha256:" + hashlib.sha256(config.encode()).hexdigest()
        session = requests.Session()
        session.auth = (self.username, self.password)
        base = f"http://{self.host}/v2/{repository}"
        place = session.post(f"{base}/blobs/uploads/", timeout=10)
        place.raise_for_status()
        session.put(place.headers["Location"], params={"digest": digest}, data=config, timeout=10).raise_for_status()
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)}}
        session.put(f"{base}/manifests/{tag}", data=json.dumps(manifest), headers={"Content-Type": kind},
                    timeout=10).raise_for_status()

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

    def forget(self):
        """Takes what was built for this registry out of the daemon."""
        listed = subprocess.run(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"],
                                capture_output=True, text=True, check=True)
        if names := [name for name in listed.stdout.split() if name.startswith(f"{self.host}/")]:
            subprocess.run(["docker", "rmi", *names], capture_output=True, check=True)

    def scenario(self, *faults, **more):
        """A world whose ECR is this registry."""
        return {
            "services": [{"cluster": "acme", "name": "hello", "image": f"{self.host}/acme/hello:v1",
                          "deployment": {"circuit-breaker": {}}}],
            "repositories": {"acme/hello": {}},
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
        made = Registry(processes, tmp_path_factory.mktemp("registry"))
        made.seed("acme/hello", "v1")
        yield made
        made.forget()


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
    made.sha = commit(made.workspace)
    return made


def commit(folder):
    """Everything below a folder as the first commit of a repository; its name is returned."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null"}
    for command in ["init -q -b main", "add -A", "-c user.name=a -c user.email=a@b commit -q -m one"]:
        subprocess.run(["git", "-C", folder, *command.split()], check=True, env=env)
    named = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True, env=env, capture_output=True, text=True)
    return named.stdout.strip()


def files(folder):
    """Every file below a folder."""
    return {str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*") if path.is_file()}
