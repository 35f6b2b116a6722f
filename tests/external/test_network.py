"""The binary in a company's network: everything goes through a real forward proxy, with servers that a private authority
vouches for. What cannot work is said at once.
"""

import dataclasses
import json
import os
import subprocess
import time

import network
import pytest

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/backend:v2"
DEPLOY = """
notify: { webhook: { url: HOOK, secret: HOOK_KEY }, success: true }
environments:
  production: { branches: [main], aws: { region: eu-west-1, role: "arn:aws:iam::123456789012:role/deploy" } }
services:
  backend:
    repository: backend
    ecs: { cluster: acme, service: backend, container: app }
    verify: [ { http: "https://app.corp.example/health", body: healthy, within: 20s } ]
  web:
    argocd:
      repository: acme/manifests
      files: [ { path: apps/web/kustomization.yaml } ]
      application: web
      server: https://argocd.corp.example
"""
SCENARIO = {
    "account": "123456789012",
    "services": [{"cluster": "acme", "name": "backend", "deployment": {"circuit-breaker": {}}}],
    "repositories": {"backend": {"images": [{"tags": ["v1"]}, {"tags": ["v2"]}]}},
    "github": {"repositories": [
        {"name": "acme/app", "files": {"README.md": "x\n"}},
        {"name": "acme/manifests", "files": {
            "apps/web/kustomization.yaml": "images:\n  - name: registry.corp.example/acme/web\n    newTag: v1\n"}}]},
    "argocd": {"applications": [{"name": "web", "automated": True, "sources": [
        {"repository": "acme/manifests", "files": ["apps/web/kustomization.yaml"]}]}]},
    "workflow": {"repository": "acme/app"},
}
FILES = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")
SHA = "0123456789abcdef0123456789abcdef01234567"
# Everything that a deploy of both services reaches.
HOSTS = {
    "sts.eu-west-1.amazonaws.com", "ecs.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com",
    "oidc.corp.example", "github.corp.example", "argocd.corp.example", "app.corp.example", "hooks.corp.example",
}
NO_NAMESERVER = "Temporary failure in name resolution"  # of a machine that has none at all
LOGIN = "corp user:p@ss:w/rd%25"


def page(status=200, text="healthy"):
    return lambda *_: (status, {"content-type": "text/plain"}, text.encode())


@dataclasses.dataclass
class Job:
    """One job of a self-hosted runner, as the process sees it."""

    binary: object
    folder: object

    def prepare(self, deploy=DEPLOY, inputs=None):
        """Writes the files of a run, and gives its variables."""
        (self.folder / ".github").mkdir(exist_ok=True)
        (self.folder / ".github/roadstead.yml").write_text(deploy)
        (self.folder / "event.json").write_text(json.dumps({"ref": "refs/heads/main"}))
        files = {name: self.folder / name.lower() for name in FILES}
        for file in files.values():
            file.write_text("")
        github = {
            "ACTIONS": "true", "API_URL": "https://github.corp.example/api/v3", "EVENT_NAME": "push",
            "GRAPHQL_URL": "https://github.corp.example/api/graphql", "REF": "refs/heads/main", "REF_NAME": "main",
            "REF_TYPE": "branch", "REPOSITORY": "acme/app", "RUN_ATTEMPT": "1", "RUN_ID": "77", "JOB": "deploy",
            "SERVER_URL": "https://github.corp.example", "SHA": SHA, "WORKSPACE": str(self.folder), "ACTOR": "octocat",
            "EVENT_PATH": str(self.folder / "event.json"), "RUN_NUMBER": "7", "WORKFLOW": "Deploy",
        }
        values = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "HOOK": "https://hooks.corp.example/T/secret-path",
            "HOOK_KEY": "k" * 32, "ACTIONS_ID_TOKEN_REQUEST_URL": "https://oidc.corp.example/oidc/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token", "INPUT_GITHUB-TOKEN": "ghs_" + "t" * 36,
            "INPUT_MANIFESTS-TOKEN": "ghs_" + "m" * 36, "INPUT_ARGOCD-TOKEN": "argo-" + "a" * 36,
            "INPUT_OPERATION": "deploy", "INPUT_IMAGE": f"backend={IMAGE}\nweb=registry.corp.example/acme/web:v2",
        } | {f"GITHUB_{name}": value for name, value in github.items()} | {n: str(f) for n, f in files.items()}
        return values | {"INPUT_" + name.upper(): value for name, value in (inputs or {}).items()}

    def written(self):
        """What is in the runner's files."""
        return "".join((self.folder / name.lower()).read_text(errors="replace") for name in FILES)

    def run(self, env=None, deploy=DEPLOY, timeout=240, **inputs):
        values = self.prepare(deploy, inputs)
        begin = time.monotonic()
        done = subprocess.run([str(self.binary)], env=values | (env or {}), cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        done.seconds = time.monotonic() - begin
        done.said = done.stdout + done.stderr
        done.everything = done.said + self.written()
        return done


@pytest.fixture
def job(binary, tmp_path):
    return Job(binary, tmp_path)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return network.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def origin(cloud, authority):
    pages = {"app.corp.example": page(), "hooks.corp.example": page()}
    with network.Origin(cloud(SCENARIO, speed=120).url, authority, pages) as started:
        yield started


def settings(proxy, authority, login=None, **more):
    return {"HTTPS_PROXY": proxy.url(login), "AWS_CA_BUNDLE": str(authority.pem)} | more


@pytest.mark.parametrize("login", [None, LOGIN], ids=["open", "login"])
def test_the_proxy_sees_every_host(job, origin, authority, login):
    with network.Proxy(origin, login) as proxy:
        done = job.run(settings(proxy, authority, login))
        assert done.returncode == 0, done.said
        assert HOSTS <= proxy.hosts(), HOSTS - proxy.hosts()
        assert origin.hosts() == proxy.hosts(), "what the servers saw came through the proxy"
        assert {port for _, port in proxy.seen} == {443}
        assert not {"github.com", "api.github.com"} & proxy.hosts()
        # Connections are reused: far fewer tunnels than requests.
        assert len(proxy.seen) * 2 < len(origin.visits), (len(proxy.seen), len(origin.visits))
    for secret in ("p@ss:w/rd%25", "p%40ss%3Aw%2Frd%2525", "secret-path"):
        lines = [line for line in done.everything.splitlines() if secret in line and not line.startswith("::add-mask::")]
        assert not lines, lines


def test_plain_http_is_forwarded_and_lower_case_is_read(job, origin, authority):
    deploy = DEPLOY.replace("https://app.corp.example", "http://app.corp.example")
    with network.Proxy(origin, LOGIN) as proxy:
        done = job.run({"all_proxy": proxy.url(LOGIN), "SSL_CERT_FILE": str(authority.pem)}, deploy)
        assert done.returncode == 0, done.said
        assert ("app.corp.example", 80) in proxy.seen and ("github.corp.example", 443) in proxy.seen
    assert any(visit.scheme == "http" and visit.host == "app.corp.example" for visit in origin.visits)


def test_a_proxy_that_uses_tls_itself(job, origin, authority):
    with network.Proxy(origin, LOGIN, secure=authority.context("127.0.0.1")) as proxy:
        done = job.run(settings(proxy, authority, LOGIN))
        assert done.returncode == 0, done.said
        assert HOSTS <= proxy.hosts()


def test_excepted_hosts_and_this_machine_do_not_use_the_proxy(job, cloud, origin, authority):
    """The emulator is on loopback, which never needs a proxy; the host of `NO_PROXY` is asked of the nameserver."""
    served = cloud(SCENARIO, speed=120)
    with network.Proxy(origin) as proxy:
        done = job.run(settings(proxy, authority, AWS_ENDPOINT_URL=served.url, NO_PROXY="x.example, .corp.example:8443"))
        assert done.returncode == 0, done.said
        assert not [host for host in proxy.hosts() if host.startswith("127.") or host.endswith("amazonaws.com")]
        assert "github.corp.example" in proxy.hosts(), "another port is not excepted"
        proxy.seen.clear()
        done = job.run(settings(proxy, authority, AWS_ENDPOINT_URL=served.url, no_proxy="oidc.corp.example"))
        assert "oidc.corp.example" not in proxy.hosts()
    assert done.returncode != 0 and ("`oidc.corp.example` has no address" in done.said or NO_NAMESERVER in done.said), done.said


def failed_at_once(done, *words, within=20):
    assert done.returncode not in (0, 130), done.said
    assert "connection-failed" in done.said, done.said
    for word in words:
        assert word in done.said, (word, done.said)
    assert done.seconds < within, f"{done.seconds} s\n{done.said}"


def test_an_untrusted_certificate_is_said_at_once_with_the_fix(job, origin, authority):
    with network.Proxy(origin) as proxy:
        done = job.run({"HTTPS_PROXY": proxy.url()})
        failed_at_once(done, "`oidc.corp.example`", "not trusted", "AWS_CA_BUNDLE")
        assert len([host for host in proxy.seen if host[0] == "oidc.corp.example"]) == 1, proxy.seen
        keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "s" * 40}
        without_role = DEPLOY.replace(', role: "arn:aws:iam::123456789012:role/deploy"', "")
        proxy.seen.clear()
        done = job.run({"HTTPS_PROXY": proxy.url(), **keys}, without_role)
        failed_at_once(done, "amazonaws.com`", "not trusted", "AWS_CA_BUNDLE")
        for host in proxy.hosts():
            assert len([one for one in proxy.seen if one[0] == host]) <= 8, f"{host} was tried again and again: {proxy.seen}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name_of": lambda _: "other.corp.example"}, "it is for another name"),
        ({"days": -1, "since": -9}, "it has expired"),
    ],
    ids=["wrong name", "expired"],
)
def test_a_wrong_certificate_is_said_at_once(job, origin, authority, change, words):
    for name, value in change.items():
        setattr(origin, name, value)
    with network.Proxy(origin) as proxy:
        failed_at_once(job.run(settings(proxy, authority)), "`oidc.corp.example`", words)


def test_another_authority_is_not_trusted(job, origin, tmp_path):
    other = network.Authority(tmp_path / "other", "Other Authority")
    with network.Proxy(origin) as proxy:
        failed_at_once(job.run(settings(proxy, other)), "not trusted", "no authority that is trusted here")


@pytest.mark.parametrize(
    ("login", "refused", "words"),
    [
        ("a:b", {}, ["requires a login", "USER:PASSWORD"]),
        (None, {"oidc.corp.example": 403}, ["`oidc.corp.example:443`", "403", "NO_PROXY"]),
    ],
    ids=["login required", "forbidden host"],
)
def test_a_proxy_that_refuses_is_said_at_once(job, origin, authority, login, refused, words):
    with network.Proxy(origin, login, refused) as proxy:
        done = job.run(settings(proxy, authority))
        failed_at_once(done, "proxy", *words)
        # GitHub is asked beside the credentials.
        assert len([host for host, _ in proxy.seen if host == "oidc.corp.example"]) <= 3, proxy.seen


def test_a_busy_proxy_is_tried_again(job, origin, authority):
    with network.Proxy(origin, None, {"oidc.corp.example": 503}) as proxy:
        done = job.run(settings(proxy, authority))
        assert done.returncode != 0 and "503" in done.said and "connection-failed" not in done.said, done.said
        assert len(proxy.seen) >= 5, proxy.seen


def test_an_unknown_host_is_said_after_few_tries(job, authority):
    done = job.run({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://nobody.invalid/oidc/token"})
    if NO_NAMESERVER in done.said:
        assert done.returncode != 0 and done.seconds < 120
        return
    failed_at_once(done, "`nobody.invalid`", "has no address")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"HTTPS_PROXY": "socks5://u:hunter2@127.0.0.1:1"}, ["The variable `HTTPS_PROXY` names a SOCKS proxy"]),
        ({"https_proxy": "http://u:hunter2@127.0.0.1:port"}, ["The variable `https_proxy` is not the URL"]),
        ({"AWS_CA_BUNDLE": "/nowhere/ca.pem"}, ["The variable `AWS_CA_BUNDLE` names `/nowhere/ca.pem`", "github.workspace"]),
    ],
    ids=["socks", "port", "bundle"],
)
def test_a_setting_that_cannot_be_used_ends_the_run_before_the_first_request(job, variables, words):
    done = job.run(variables)
    failed_at_once(done, *words, within=5)
    assert "hunter2" not in done.everything
    assert "outcome" in (job.folder / "github_output").read_text()
