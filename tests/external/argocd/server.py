"""Argo CD: its definitions and settings in a cluster, tokens that need no login, and its three processes with Redis."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
import urllib.error
import urllib.request

import machine
import yaml
from kubernetes.plane import wait_until

API, REPOSITORIES, REDIS, METRICS = 8080, 8081, 6379, 8082
URL = f"http://127.0.0.1:{API}"
NAMESPACE = "argocd"
POLICY = """
p, role:deployer, applications, get, */*, allow
p, role:deployer, applications, sync, */*, allow
p, role:reader, applications, get, */*, allow
g, deployer, role:deployer
g, reader, role:reader
"""
# What nobody can assess: an object with this health script is neither healthy nor degraded.
FAILING_HEALTH = 'hs = {}\nerror("the health script of the test fails")\n'


def _part_of(kind, name, data=None, **more):
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "argocd"}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata} | ({"data": data} if data else {}) | more


def _settings(key, issued):
    yield _part_of("ConfigMap", "argocd-cm", {
        "accounts.deployer": "apiKey", "accounts.reader": "apiKey", "admin.enabled": "false",
        "resource.customizations.health.LimitRange": FAILING_HEALTH,
    })
    yield _part_of("ConfigMap", "argocd-rbac-cm", {"policy.csv": POLICY})
    for name in ("cmd-params", "tls-certs", "ssh-known-hosts", "gpg-keys"):
        yield _part_of("ConfigMap", f"argocd-{name}-cm")
    tokens = {f"accounts.{who}.tokens": json.dumps([{"id": f"{who}-1", "iat": issued}]) for who in ("deployer", "reader")}
    yield _part_of("Secret", "argocd-secret", stringData={"server.secretkey": key} | tokens)


def _token(who, key, issued):
    """A token as `argocd account generate-token` makes it: the server keeps its number, and signs with its secret."""

    def encode(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = {"iss": "argocd", "sub": f"{who}:apiKey", "iat": issued, "nbf": issued, "jti": f"{who}-1"}
    text = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())}"


def _environment(folder, setup):
    argo = folder / "argocd"
    for name in ("tls", "ssh", "gpg/source", "gpg/keys", "tmp", "home", "plugins"):
        (argo / name).mkdir(parents=True)
    (argo / "ssh/ssh_known_hosts").touch()
    # The wrapper that checks signatures is called for each commit, also without any key.
    return {
        "PATH": f"{setup / 'bin'}:{os.environ['PATH']}", "KUBECONFIG": str(folder / "admin.conf"),
        "HOME": str(argo / "home"), "XDG_CONFIG_HOME": str(argo / "home"), "TMPDIR": str(argo / "tmp"),
        "ARGOCD_FAKE_IN_CLUSTER": "true", "ARGOCD_GPG_ENABLED": "false", "ARGOCD_TLS_DATA_PATH": str(argo / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(argo / "ssh"), "ARGOCD_GPG_DATA_PATH": str(argo / "gpg/source"),
        "ARGOCD_GNUPGHOME": str(argo / "gpg/keys"), "ARGOCD_PLUGINSOCKFILEPATH": str(argo / "plugins"),
    }


def start(processes, setup, folder, api):
    """Starts Argo CD beside a control plane whose files are in a folder; gives its tokens when it answers."""
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for file in sorted((setup / "crds").iterdir()):
        api.apply(yaml.load(file.read_text(), yaml.CSafeLoader))
    key, issued = secrets.token_urlsafe(24), int(time.time())
    for item in _settings(key, issued):
        api.apply(item)
    for kind in ("Application", "AppProject", "ApplicationSet"):
        wait_until(lambda kind=kind: api.get("argoproj.io/v1alpha1", kind, NAMESPACE), 30, f"{kind} is defined")
    env, program = _environment(folder, setup), setup / "clusterkit"
    processes.start("Redis", [
        setup / "bin/redis-server", "--bind", "127.0.0.1", "--port", REDIS, "--save", "", "--appendonly", "no",
        "--dir", folder / "argocd",
    ], folder / "redis.log", REDIS, env)
    processes.start("repository server", [
        program, "repo-server", "--address", "127.0.0.1", "--port", REPOSITORIES, "--metrics-address", "127.0.0.1",
        "--metrics-port", METRICS, "--redis", f"127.0.0.1:{REDIS}", "--disable-tls", "--client-ca-path", "",
    ], folder / "repo-server.log", REPOSITORIES, env)
    shared = ["--namespace", NAMESPACE, "--redis", f"127.0.0.1:{REDIS}", "--repo-server", f"127.0.0.1:{REPOSITORIES}",
              "--repo-server-plaintext"]
    processes.spawn([
        program, "controller", *shared, "--metrics-port", METRICS + 1,
    ], folder / "controller.log", env)
    processes.start("server", [
        program, "server", *shared, "--address", "127.0.0.1", "--port", API, "--insecure", "--metrics-address", "127.0.0.1",
        "--metrics-port", METRICS + 2, "--staticassets", folder / "none",
    ], folder / "server.log", API, env)
    tokens = {who: _token(who, key, issued) for who in ("deployer", "reader")}
    wait_until(lambda: ask(URL, "/api/v1/applications", tokens["deployer"])[0] == 200, 60, "Argo CD answers")
    return tokens


def ask(url, path, token, body=None, method=None):
    """A request to Argo CD's API: the status and the answer."""
    request = urllib.request.Request(
        url + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"})
    try:
        with machine.open_url(request, 60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read()
        try:
            return error.code, json.loads(text)
        except json.JSONDecodeError:
            return error.code, {"message": text.decode(errors="replace")}
