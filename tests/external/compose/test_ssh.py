"""The binary against a real sshd, engine and Compose: deploy, rollback, and every refusal before anything is changed."""

import json
import os
import pathlib
import shutil
import socket
import subprocess

import machine
import pytest

from .server import SERVICE, Server, run

FIXTURES = machine.ROOT / "tests/fixtures/ssh"


def find_sshd():
    found = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    assert found, "sshd is missing: the package openssh-server"
    return found


class Sshd:
    """An sshd on loopback, with a host key of each type and one user's key."""

    def __init__(self, processes, folder: pathlib.Path, *more: str):
        self.port, self.folder = machine.free_port(), folder
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ["ed25519", "rsa"]:
            run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / f"host_{kind}")
        shutil.copy(FIXTURES / "ed25519.pub", folder / "authorized_keys")
        config = folder / "sshd_config"
        config.write_text("\n".join([
            f"ListenAddress 127.0.0.1:{self.port}", f"HostKey {folder}/host_ed25519", f"HostKey {folder}/host_rsa",
            f"AuthorizedKeysFile {folder}/authorized_keys", "StrictModes no", "UsePAM no", "PermitRootLogin yes",
            f"PidFile {folder}/pid", "MaxSessions 2", f"SetEnv PATH={os.environ['PATH']}", *more, "",
        ]))
        processes.start("sshd", [find_sshd(), "-D", "-e", "-f", config], folder / "sshd.log", self.port)

    def fingerprint(self, kind="ed25519"):
        return run("ssh-keygen", "-l", "-f", self.folder / f"host_{kind}.pub").split()[1]

    def log(self):
        return (self.folder / "sshd.log").read_text()


@pytest.fixture
def sshd(tmp_path):
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    with machine.Processes() as processes:
        yield Sshd(processes, tmp_path / "sshd")


@pytest.fixture
def shop(images, tmp_path):
    made = Server(tmp_path / "shop", images, ["sh"], f"rs{os.getpid()}{next_number()}")
    yield made
    made.remove()


_count = [0]


def next_number():
    _count[0] += 1
    return _count[0]


def roadstead(binary, tmp_path, sshd, shop, *arguments, key="ed25519", pins=None, service=SERVICE, variables=None):
    """Runs the binary as on a laptop; gives exit code and output."""
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    subprocess.run(["git", "init", "-q", workspace], check=True)
    (workspace / "compose.yaml").write_text(service)
    pins = [sshd.fingerprint()] if pins is None else pins
    (workspace / "roadstead.yml").write_text(json.dumps({
        "environments": {"production": {"branches": ["main"]}},
        "services": {"shop": {"repository": shop.images["1"].split("@")[0], "compose": {
            "hosts": [{"ssh": f"root@127.0.0.1:{sshd.port}", "host-keys": pins}], "directory": str(shop.folder),
            "project": shop.project, "service": "web", "settle": "2s", "start-timeout": "30s"}}},
    }))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **(variables or {})}
    if key:
        environment["ROADSTEAD_SSH_KEY"] = (FIXTURES / key).read_text()
    done = subprocess.run(
        [binary, *arguments, "--config", "roadstead.yml", "--environment", "production"],
        cwd=workspace, env=environment, text=True, capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def test_release_and_rollback_over_ssh(binary, tmp_path, sshd, shop):
    shop.up_by_hand("1")
    code, output = roadstead(binary, tmp_path, sshd, shop, "deploy", "--image", shop.images["2"])
    assert code == 0, output
    assert shop.running() == ["2"]
    code, output = roadstead(binary, tmp_path, sshd, shop, "deploy", "--image", shop.images["2"])
    assert code == 0 and "unchanged" in output, output
    code, output = roadstead(binary, tmp_path, sshd, shop, "deploy", "--image", shop.images["crash"])
    assert code == 3 and "exited with code 3" in output and "panic" in output, output
    assert shop.running() == ["2"]
    code, output = roadstead(binary, tmp_path, sshd, shop, "rollback", "--to", "web:0")
    assert code == 0, output
    assert shop.running() == ["1"]


def test_every_kind_of_pin_is_accepted(binary, tmp_path, sshd, shop):
    shop.up_by_hand("1")
    key = (sshd.folder / "host_rsa.pub").read_text().strip()
    for pins in [[sshd.fingerprint("rsa")], [key], ["SHA256:" + "A" * 43, sshd.fingerprint()]]:
        code, output = roadstead(binary, tmp_path, sshd, shop, "plan", "--image", shop.images["2"], pins=pins)
        assert code == 0, output


def test_other_host_key_is_refused_before_the_users_key_is_offered(binary, tmp_path, sshd, shop):
    shop.up_by_hand("1")
    code, output = roadstead(binary, tmp_path, sshd, shop, "plan", "--image", shop.images["2"], pins=["SHA256:" + "A" * 43])
    assert code == 2 and "host-key-unknown" in output, output
    assert "ssh-rsa" in output or sshd.fingerprint() in output
    assert "publickey" not in sshd.log().lower(), "no login was tried"


def test_key_that_is_not_allowed_is_named(binary, tmp_path, sshd, shop):
    code, output = roadstead(binary, tmp_path, sshd, shop, "plan", "--image", shop.images["2"], key="ecdsa")
    assert code == 2 and "SHA256:dczKate9k/0SMKgF6PN/aOoSgEnnk5foKGAlgQ8qmN0" in output, output


def test_damaged_key_is_found_before_a_connection(binary, tmp_path, sshd, shop):
    for key, words in [("ed25519.pub", "is a public key"), ("ed25519-passphrase", "no passphrase")]:
        code, output = roadstead(binary, tmp_path, sshd, shop, "plan", "--image", shop.images["2"], key=key)
        assert code == 2 and words in output, output
    assert "Connection from" not in sshd.log()


def test_host_that_does_not_answer_is_named(binary, tmp_path, sshd, shop):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        sshd.port = silent.getsockname()[1]
        code, output = roadstead(binary, tmp_path, sshd, shop, "plan", "--image", shop.images["2"])
    assert code != 0 and "host-unreachable" in output, output
