"""The real binary against `roadstead cloud`: killed by SIGKILL at a random moment, perhaps cancelled before, with or without
its post step, and started again as attempt 2. In the end one healthy version serves, and a run that changed something leaves no lease.

ROADSTEAD_KILLS=n plays so many seeds, ROADSTEAD_KILLS_FROM=k begins there; a failure names its seed.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import time
import urllib.request

import boto3
import pytest

REGISTRY = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
SPEED = 60
COUNT = int(os.environ.get("ROADSTEAD_KILLS", "12"))
FIRST = int(os.environ.get("ROADSTEAD_KILLS_FROM", "0"))
SCENARIO = {
    "services": [{"cluster": "acme", "name": "backend"}],
    "repositories": {"backend": {"images": [{"tags": ["v1"]}, {"tags": ["v2"]}]}},
    "github": {"repositories": [{"name": "acme/shop", "private": True, "history": [{"id": "c1"}, {"id": "c2"}],
                                "runs": [{"id": 7, "attempt": 2, "status": "in_progress"}]}]},
}
CONFIG = """
environments: { production: { branches: [main], aws: { region: eu-west-1 } } }
services: { backend: { repository: backend, ecs: { cluster: acme, service: backend, container: app } } }
"""


class Job:
    """One attempt of the run, on a machine of its own."""

    def __init__(self, binary, served, folder, attempt):
        self.binary, self.folder = binary, folder / f"attempt-{attempt}"
        self.folder.mkdir()
        (self.folder / "roadstead.yml").write_text(CONFIG)
        (self.folder / "event.json").write_text("{}")
        self.files = {name: self.folder / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")}
        for file in self.files.values():
            file.write_text("")
        self.env = {
            **KEYS,
            **{name: str(file) for name, file in self.files.items()},
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_WORKSPACE": str(self.folder), "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": f"{served.url}/api/v3", "GITHUB_GRAPHQL_URL": f"{served.url}/api/graphql",
            "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
            "GITHUB_SHA": "c2".ljust(40, "0"), "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": str(attempt),
            "AWS_ENDPOINT_URL": served.url, "INPUT_CONFIG": "roadstead.yml", "INPUT_ENVIRONMENT": "production",
            "INPUT_GITHUB-TOKEN": "t", "INPUT_IMAGE": f"{REGISTRY}/backend:v2", "INPUT_TIMEOUT": "60m",
        }

    def start(self, post=False):
        env, argv = dict(self.env), [str(self.binary)]
        if post:
            env |= {f"STATE_{name}": value for name, value in self.pairs("GITHUB_STATE").items()}
            # The action's image starts its binary under this name for the post step.
            argv = [str(self.post_binary())]
        out = open(self.folder / ("post.log" if post else "main.log"), "wb")
        return subprocess.Popen(argv, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def post_binary(self):
        link = self.folder / "roadstead-post"
        if not link.exists():
            link.symlink_to(self.binary)
        return link

    def pairs(self, name):
        found, lines = {}, iter(self.files[name].read_text().split("\n"))
        for line in lines:
            key, heredoc, end = line.partition("<<")
            if heredoc:
                value = []
                for more in lines:
                    if more == end:
                        break
                    value.append(more)
                found[key] = "\n".join(value)
        return found

    def log(self):
        return "\n".join(file.read_text(errors="replace") for file in sorted(self.folder.glob("*.log")))


def wait(child, seconds):
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return None


def kill_at(child, dice, after):
    """Sleeps, cancels perhaps, and kills."""
    cancel = dice.random() < 0.5
    if wait_alive(child, after) and cancel:
        child.send_signal(signal.SIGINT)
        wait_alive(child, dice.uniform(0, 0.4))
    child.kill()
    child.wait()


def wait_alive(child, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and child.poll() is None:
        time.sleep(0.005)
    return child.poll() is None


def serving(client):
    """The versions that run, with how many tasks each, and what is wanted."""
    service = client.describe_services(cluster="acme", services=["backend"])["services"][0]
    running = {one["taskDefinition"].rsplit("/")[-1]: one["runningCount"] for one in service["deployments"] if one["runningCount"]}
    return running, service["desiredCount"]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_killed_run_ends_on_one_healthy_version(seed, binary, cloud, tmp_path):
    dice = random.Random(seed)
    served = cloud(SCENARIO, speed=SPEED, seed=seed)
    first = Job(binary, served, tmp_path, 1)
    kill_at(first.start(), dice, dice.uniform(0, 2.2))
    if dice.random() < 0.6:
        post = first.start(post=True)
        if dice.random() < 0.3:
            kill_at(post, dice, dice.uniform(0, 0.6))
        else:
            assert wait(post, 60) is not None, f"seed {seed}: the post step does not end\n{first.log()}"
    time.sleep(dice.uniform(0, 1.5))
    second = Job(binary, served, tmp_path, 2)
    code = wait(second.start(), 120)
    outcome = second.pairs("GITHUB_OUTPUT").get("outcome")
    words = f"seed {seed}: {code} {outcome}\n{first.log()}\n---\n{second.log()}"
    assert (code, outcome) in [(0, "deployed"), (0, "unchanged")], words
    client = boto3.client("ecs", endpoint_url=served.url, region_name="eu-west-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
                          aws_secret_access_key="secret")
    end = time.monotonic() + 20
    while True:
        running, desired = serving(client)
        if len(running) == 1 and list(running.values()) == [desired] and "backend:1" not in running:
            break
        assert time.monotonic() < end, f"{running} of {desired}; {words}"
        time.sleep(0.2)
    request = urllib.request.Request(f"{served.url}/api/v3/repos/acme/shop/git/matching-refs/roadstead/",
                                     headers={"Authorization": "Bearer t"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        # The lease of a run that has ended is taken over by the next change; a run without a change leaves it.
        assert outcome == "unchanged" or json.load(answer) == [], words
