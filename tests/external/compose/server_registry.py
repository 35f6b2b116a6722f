"""Registries that the servers of these tests and the runner see under one address: 127.0.0.1 and a port.

The images lie in one folder. The runner's registry writes it; each server runs its own, which reads the same folder.
"""

import gzip
import hashlib
import io
import json
import secrets
import tarfile

import bcrypt
import machine
import requests

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """The images of the tests: `plain` asks for nothing, `locked` for a password, `limited` answers 429 (on servers only)."""

    def __init__(self, processes, folder, program):
        self.folder, self.program = folder, program
        self.ports = {kind: machine.free_port() for kind in ("plain", "locked", "limited")}
        self.username, self.password = "deployer", secrets.token_urlsafe(40)
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        (folder / "htpasswd").write_text(f"{self.username}:{hashed}\n")
        for kind in ("plain", "locked"):
            (folder / f"{kind}.yml").write_text(self._config(kind, False))
            (folder / f"{kind}-server.yml").write_text(self._config(kind, True))
            processes.start(f"{kind} registry", [program, "serve", folder / f"{kind}.yml"], folder / f"{kind}.log",
                            self.ports[kind])

    def _config(self, kind, on_server):
        text = f"""
version: 0.1
log: {{ level: warn }}
storage:
  filesystem: {{ rootdirectory: {self.folder}/images }}
  maintenance: {{ readonly: {{ enabled: {str(on_server).lower()} }} }}
http: {{ addr: "{self.host(kind)}", secret: {secrets.token_hex(16)} }}
"""
        lock = f"auth: {{ htpasswd: {{ realm: tests, path: {self.folder}/htpasswd }} }}\n"
        return text + (lock if kind == "locked" else "")

    def host(self, kind="plain"):
        return f"127.0.0.1:{self.ports[kind]}"

    def commands(self):
        """What a server runs to have the same registries."""
        for kind in ("plain", "locked"):
            yield ["docker-registry", "serve", f"{self.folder}/{kind}-server.yml"]
        yield ["rig", "limited", self.host("limited")]

    def push(self, repository, tag, layer, config, architecture="amd64"):
        """Puts an image of one layer there and returns its digest."""
        content = {"architecture": architecture, "os": "linux", "config": config,
                   "rootfs": {"type": "layers", "diff_ids": [_digest(gzip.decompress(layer))]}}
        text = json.dumps(content).encode()
        base = f"http://{self.host()}/v2/{repository}"
        for blob in (layer, text):
            place = requests.post(f"{base}/blobs/uploads/", timeout=20)
            place.raise_for_status()
            requests.put(place.headers["Location"], params={"digest": _digest(blob)}, data=blob, timeout=60).raise_for_status()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": _digest(text), "size": len(text)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": _digest(layer),
                        "size": len(layer)}]}).encode()
        requests.put(f"{base}/manifests/{tag}", data=manifest, headers={"Content-Type": MANIFEST}, timeout=20).raise_for_status()
        return _digest(manifest)


class Shop:
    """The images of the tests' service by name: `shop.image("v1")` is a reference by digest."""

    # What is in the image, so that a release differs by its digest alone.
    KINDS = {
        "v1": {}, "v2": {}, "v3": {}, "v4": {}, "v5": {},
        "unhealthy": {"FAIL_HEALTH": "1"},
        "crashing": {"DIE_AFTER": "200"},
        "dying": {"DIE_AFTER": "4000"},
        "slow": {"READY_AFTER": "6000"},
    }

    def __init__(self, registry, program):
        self.registry, self.digests = registry, {}
        layer = _layer({"app": program})
        for name, env in self.KINDS.items():
            values = {"VERSION": name, "READY_AFTER": "700", "WORK": "10"} | env
            self.digests[name] = registry.push("shop", name, layer, _config(values))
        self.digests["foreign"] = registry.push("shop", "foreign", layer, _config({}), "arm64")
        # As large as a server with a small disk has no room for, and not to be pressed into less.
        heavy = _layer({"app": program, "assets": secrets.token_bytes(120_000_000)})
        self.digests["large"] = registry.push("shop", "large", heavy, _config({"VERSION": "large"}))

    def image(self, name, kind="plain"):
        return f"{self.registry.host(kind)}/shop@{self.digests[name]}"

    def missing(self):
        return f"{self.registry.host()}/shop@sha256:{'0' * 64}"


def _config(env):
    return {"Entrypoint": ["/app"], "Env": [f"{key}={value}" for key, value in env.items()]}


def _layer(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(out.getvalue(), 1, mtime=0)


def _digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()
