"""Every server that the action reaches, hostile in every way: the run ends in time, in little memory, with an outcome,
and without a secret where it does not belong. All of it through a forward proxy, over TLS.

Many cases run at the same time, so that waiting costs little.
"""

import concurrent.futures
import dataclasses
import resource
import signal
import subprocess
import time

import hostile
import machine
import network
import pytest
from test_network import DEPLOY, IMAGE, SCENARIO, Job, page

WORKERS = 12
MEMORY = 400 << 20  # bytes, of a debug build; an idle run takes 60 MB
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "s" * 40}
ROLE = ', role: "arn:aws:iam::123456789012:role/deploy"'
SECRETS = ["s" * 40, "ghs_" + "t" * 36, "ghs_" + "m" * 36, "argo-" + "a" * 36, "request-token", "secret-path", "k" * 32]
WEB_ONLY = DEPLOY.split("  backend:")[0] + "  web:" + DEPLOY.split("  web:")[1]
BACKEND_ONLY = DEPLOY.split("  web:")[0]
CANARY = BACKEND_ONLY.replace("    verify:", """    strategy:
      canary:
        percent: 10
        bake: 5m
        final-bake: 1m
        metrics:
          - prometheus: { name: errors, url: "https://prometheus.corp.example", total: "sum(x)", bad: "sum(y)" }
    verify:""")
BALANCED = SCENARIO | {
    "services": [{"cluster": "acme", "name": "backend", "deployment": {"circuit-breaker": {}}, "target-groups": [
        {"arn": "backend", "alternate": "backend-alternate", "balancer": "front"}]}],
    "balancers": [{"name": "front", "groups": [{"arn": "backend", "weight": 100}, {"arn": "backend-alternate"}]}],
}


@dataclasses.dataclass
class Client:
    """One client of the action: which hosts are hostile to it, and a run that uses it."""

    hosts: object  # a predicate
    limit: int  # seconds
    deploy: str = DEPLOY
    inputs: dict = dataclasses.field(default_factory=dict)
    env: dict = dataclasses.field(default_factory=dict)
    scenario: dict = dataclasses.field(default_factory=lambda: SCENARIO)
    speed: int = 120
    cancel_after: int = 0  # seconds after the first connection to it; 0: the run ends by itself
    codes: tuple = (1, 2, 3, 4)
    failing_page: bool = False


def host(name):
    return lambda found: found == name


CLIENTS = {
    "aws": Client(lambda found: found.endswith(".amazonaws.com"), 120, BACKEND_ONLY.replace(ROLE, ""),
                  {"operation": "plan"}, KEYS),
    "oidc": Client(host("oidc.corp.example"), 90, BACKEND_ONLY, {"operation": "plan"}),
    "github": Client(host("github.corp.example"), 240, WEB_ONLY.replace(ROLE, ""), {"timeout": "3m"}, KEYS),
    "argocd": Client(host("argocd.corp.example"), 120, WEB_ONLY.replace(ROLE, ""), {"operation": "plan"}, KEYS),
    "verify": Client(host("app.corp.example"), 120, BACKEND_ONLY.replace(ROLE, ""), {"operation": "verify", "image": ""}, KEYS),
    "webhook": Client(host("hooks.corp.example"), 120, BACKEND_ONLY.replace(ROLE, ""), {"operation": "verify", "image": ""}, KEYS,
                      failing_page=True),
    "registry": Client(host("registry"), 180, BACKEND_ONLY.replace(ROLE, ""), {"operation": "plan"}, KEYS),
    "prometheus": Client(host("prometheus.corp.example"), 420, CANARY.replace(ROLE, ""), {}, KEYS, BALANCED, 5, cancel_after=20,
                         codes=(130,)),
}
CASES = [(client, way) for client in CLIENTS for way in [*hostile.WAYS, "wrong_name"]
         if not (client == "registry" and way in {"wrong_name", "downgrade"})]


@dataclasses.dataclass
class Ended:
    """How a run ended."""

    code: int
    seconds: float
    peak: int
    said: str
    everything: str
    hostile_visits: list
    elsewhere: list
    plain: list


def watch(child, proxy, client):
    """Waits for the end, measures, and cancels where the case asks for it. Gives the peak memory in bytes."""
    peak, first, cancelled, begin = 0, None, False, time.monotonic()
    while child.poll() is None:
        try:
            with open(f"/proc/{child.pid}/status") as status:
                for line in status:
                    if line.startswith("VmHWM:"):
                        peak = max(peak, int(line.split()[1]) * 1024)
        except OSError:
            break
        now = time.monotonic()
        if first is None and any(client.hosts(host) for host in proxy.hosts()):
            first = now
        if client.cancel_after and first and not cancelled and now - first > client.cancel_after:
            child.send_signal(signal.SIGINT)
            cancelled = True
        if now - begin > client.limit + 20:
            child.kill()
        time.sleep(0.05)
    return peak


def limit_memory():
    # A run that takes everything must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))


def play(binary, folder, authority, name, way):
    client = CLIENTS[name]
    folder.mkdir(parents=True)
    pages = {"app.corp.example": page(500 if client.failing_page else 200), "hooks.corp.example": page(),
             "elsewhere.corp.example": page()}
    with machine.Processes() as processes:
        scenario = client.scenario
        image = "web=registry.corp.example/acme/web:v2" if "  web:" in client.deploy else f"backend={IMAGE}"
        origin = network.Origin("", authority, pages)
        if name == "registry":
            registry = f"127.0.0.1:{origin.plain.port}"
            scenario = scenario | {"registry": {"endpoint": registry, "username": "AWS", "password": "p" * 40}}
            image = f"backend={registry}/backend:v2"
            origin.is_hostile = lambda found: found == "127.0.0.1"
        else:
            origin.is_hostile = client.hosts
        cloud = machine.Cloud(processes, binary, folder, scenario, client.speed, 1)
        origin.upstream = cloud.url
        if way == "wrong_name":
            origin.name_of = lambda asked: "other.corp.example" if client.hosts(asked) else asked
        else:
            origin.hostile = hostile.WAYS[way]
        with origin, network.Proxy(origin) as proxy:
            job = Job(binary, folder)
            values = job.prepare(client.deploy, {"image": image} | client.inputs)
            values |= client.env | {"HTTPS_PROXY": proxy.url(), "HTTP_PROXY": proxy.url(), "AWS_CA_BUNDLE": str(authority.pem)}
            begin = time.monotonic()
            with open(folder / "said", "wb") as said:
                child = subprocess.Popen([str(binary)], env=values, cwd=folder, stdin=subprocess.DEVNULL, stdout=said,
                                         stderr=subprocess.STDOUT, preexec_fn=limit_memory)
                peak = watch(child, proxy, client)
                code = child.wait()
            seconds = time.monotonic() - begin
    said = (folder / "said").read_text(errors="replace")
    visits = list(origin.visits)
    return Ended(
        code, seconds, peak, said, said + job.written(), [visit for visit in visits if origin.is_hostile(visit.host)],
        [visit for visit in visits if visit.host == "elsewhere.corp.example"],
        [visit for visit in visits if visit.scheme == "http" and visit.host != "127.0.0.1"])


@pytest.fixture(scope="session")
def runs(request, binary, tmp_path_factory):
    """All selected cases, started together; the longest first."""
    authority = network.Authority(tmp_path_factory.mktemp("authority"))
    folder = tmp_path_factory.mktemp("hostile")
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    chosen = [(spec.params["client"], spec.params["way"]) for spec in specs if spec and "way" in spec.params]
    chosen.sort(key=lambda case: -CLIENTS[case[0]].limit)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        yield {case: pool.submit(play, binary, folder / case[0] / case[1], authority, *case) for case in chosen}


@pytest.mark.parametrize(("client", "way"), CASES, ids=[f"{client}-{way}" for client, way in CASES])
def test_a_hostile_server_is_survived(runs, client, way):
    known, ended = CLIENTS[client], runs[client, way].result()
    tail = f"exit {ended.code} after {ended.seconds:.0f} s with {ended.peak >> 20} MB\n" + "\n".join(ended.said.splitlines()[-40:])
    print(tail.splitlines()[0], f"and {len(ended.hostile_visits)} requests")
    assert ended.seconds < known.limit, tail
    assert ended.peak < MEMORY, tail
    assert ended.code in known.codes, tail
    assert "outcome" in ended.everything, tail
    if way != "wrong_name":
        assert ended.hostile_visits, f"nobody was hostile\n{tail}"
        assert len(ended.hostile_visits) < 300, f"{len(ended.hostile_visits)} requests\n{tail}"
    else:
        assert not ended.hostile_visits, f"a request reached a server without a valid certificate\n{tail}"
        assert "another name" in ended.said or known.cancel_after, tail
    if client != "verify":  # a check follows redirects where the deploy file says so
        assert not ended.elsewhere and not ended.plain, f"{ended.elsewhere + ended.plain}\n{tail}"
    assert not [visit for visit in ended.elsewhere + ended.plain if visit.authorized], tail
    lines = [line for line in ended.everything.splitlines() if not line.startswith("::add-mask::")]
    for secret in SECRETS:
        assert not [line for line in lines if secret in line], f"{secret}\n{tail}"


def test_the_harness_sees_a_run_without_hostility(binary, tmp_path, tmp_path_factory):
    """The same run against good servers does not end like one against hostile ones."""
    authority = network.Authority(tmp_path_factory.mktemp("good"))
    origin = network.Origin("", authority, {"app.corp.example": page(), "hooks.corp.example": page()})
    with machine.Processes() as processes:
        origin.upstream = machine.Cloud(processes, binary, tmp_path, SCENARIO, 120, 1).url
        with origin, network.Proxy(origin) as proxy:
            job = Job(binary, tmp_path)
            values = job.prepare(BACKEND_ONLY.replace(ROLE, ""), {"operation": "plan", "image": f"backend={IMAGE}"})
            values |= KEYS | {"HTTPS_PROXY": proxy.url(), "AWS_CA_BUNDLE": str(authority.pem)}
            done = subprocess.run([str(binary)], env=values, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
