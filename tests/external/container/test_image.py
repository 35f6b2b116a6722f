"""What is in the image, and what is not."""

import json
import shutil
import subprocess
import tarfile

import machine
import network
import pytest

LIMIT = 45_000_000  # bytes, compressed


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def content(image, tmp_path_factory):
    """Path to tar entry, as the layers have them."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run(["docker", "save", "-o", folder / "image.tar", image], check=True)
    found = {}
    with tarfile.open(folder / "image.tar") as outer:
        for layer in json.load(outer.extractfile("manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
                found |= {entry.name.rstrip("/"): entry for entry in inner}
    return found


def test_nothing_is_in_it_that_is_not_needed(content):
    # The C library's two files are named by its architecture.
    known = {"roadstead", "roadstead-post", "usr/bin/docker-buildx", "etc/passwd", "etc/group", "etc/nsswitch.conf",
             "etc/ssl/certs/ca-certificates.crt"}
    files = {name for name, entry in content.items() if not entry.isdir()}
    assert known <= files
    for name in files - known:
        assert name.startswith(("usr/share/doc/", "lib/", "lib64/")), name
    assert len({name for name in files if name.startswith(("lib/", "lib64/"))}) == 2
    assert content["tmp"].mode & 0o7777 == 0o1777
    assert content["roadstead-post"].linkname == "roadstead"
    assert {entry.mtime for entry in content.values()} == {0}, "a build at another time is another image"


def test_it_is_small(image):
    save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
    size = len(subprocess.run([shutil.which("gzip")], stdin=save.stdout, check=True, capture_output=True).stdout)
    assert save.wait() == 0
    print(f"the image is {size / 1e6:.1f} MB compressed")
    assert size < LIMIT


def test_it_starts_the_binary_without_a_shell(image):
    found = json.loads(output("docker", "image", "inspect", image))[0]["Config"]
    assert found["Entrypoint"] == ["/roadstead"]
    assert not found["Cmd"]
    assert not found["User"], "a container action runs as root, or it cannot write the runner's files"
    assert found["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0 OR MIT"
    for shell in ("/bin/sh", "/bin/bash"):
        assert subprocess.run(["docker", "run", "--rm", "--entrypoint", shell, image], capture_output=True).returncode == 127


def test_its_buildx_runs(image):
    assert "0.13.1" in output("docker", "run", "--rm", "--entrypoint", "/usr/bin/docker-buildx", image, "version")


def test_its_binary_is_static(image, tmp_path):
    name = output("docker", "create", image).strip()
    try:
        subprocess.run(["docker", "cp", f"{name}:/roadstead", tmp_path], check=True)
    finally:
        subprocess.run(["docker", "rm", name], check=True, capture_output=True)
    with open(tmp_path / "roadstead", "rb") as file:
        head = file.read(4096)
    assert head.startswith(b"\x7fELF")
    assert b"ld-linux" not in head, "it asks for an interpreter"


def test_names_resolve_inside(image, cloud, tmp_path):
    """A static C library has no plug-ins to look names up with; files and DNS must work all the same."""
    served = cloud({"services": [{"cluster": "acme", "name": "hello"}],
                    "repositories": {"hello": {"images": [{"tags": ["v1"]}]}}})
    authority = network.Authority(tmp_path / "authority")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.153\n")
    (tmp_path / "roadstead.yml").write_text("""
environments: { production: { branches: [main], aws: { region: eu-west-1 } } }
services: { hello: { repository: acme/hello, ecs: { cluster: acme, service: hello, container: app } } }
""")

    def plan(endpoint):
        command = ["docker", "run", "--rm", "--network", "host", "-v", f"{tmp_path}:/work:ro",
                   "-v", f"{tmp_path}/resolv.conf:/etc/resolv.conf:ro", "-e", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
                   "-e", "AWS_SECRET_ACCESS_KEY=secret", "-e", f"AWS_ENDPOINT_URL={endpoint}",
                   "-e", f"AWS_CA_BUNDLE=/work/authority/{authority.pem.name}", image,
                   "plan", "--config", "/work/roadstead.yml", "--environment", "production",
                   "--image", "111111111111.dkr.ecr.eu-west-1.amazonaws.com/hello:v1"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    with network.Origin(served.url, authority) as origin, machine.Nameserver({"cloud.example.test": "127.0.0.1"}) as names:
        for endpoint in (f"http://localhost:{served.port}", f"https://cloud.example.test:{origin.secure.port}"):
            done = plan(endpoint)
            assert done.returncode == 0, done.stdout + done.stderr
        assert "cloud.example.test" in names.asked
        assert "cloud.example.test" in origin.hosts()
        lost = plan(f"https://nowhere.example.test:{origin.secure.port}")
        assert lost.returncode != 0 and "nowhere.example.test" in lost.stdout + lost.stderr
