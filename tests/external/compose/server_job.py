"""A job that runs the binary as an action against real servers."""

import base64
import hashlib
import json
import subprocess

import real_server as servers

COMPOSE = """
services:
  web:
    image: shop
    restart: unless-stopped
    stop_grace_period: 10s
    healthcheck: { test: ["CMD", "/app", "health"], interval: 1s, timeout: 2s, retries: 3, start_period: 8s }
    logging: { options: { max-size: 10m } }
"""


class Job:
    """A job of a repository with one service on one server or several, its runs one after the other."""

    def __init__(self, binary, github, folder, estate, services, key=None, strategy=None, **compose):
        service = services[0]
        self.binary, self.folder, self.server, self.service, self.services = binary, folder, service.server, service, services
        hosts = [{"ssh": f"deploy@{one.server.address}:{servers.PORT}", "host-keys": [print_of(one.server)]} for one in services]
        settings = {"hosts": hosts,
                    "directory": service.directory, "project": service.project, "service": "web", "settle": "2s",
                    "start-timeout": "40s", "keep": 3} | compose
        if service.proxy:
            settings["proxy"] = {service.proxy.base: service.proxy.file, "container": service.proxy.container, "port": 8080}
        strategy = {"strategy": strategy or {"blue-green": {"bake": "1s"}}} if service.proxy else {}
        self.config = {"environments": {"production": {"branches": ["main"]}},
                       "services": {"shop": {"compose": settings} | strategy}}
        self.extend("")
        (folder / "event.json").write_text("{}")
        self.compose, self.estate = settings, estate
        self.key = key or estate.key.read_text()
        self.env = {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_WORKSPACE": str(folder), "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": f"{github.url}/api/v3", "GITHUB_GRAPHQL_URL": f"{github.url}/api/graphql",
            "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
            "GITHUB_SHA": "c2".ljust(40, "0"), "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1", "RUNNER_TEMP": str(folder),
            "INPUT_CONFIG": "roadstead.yml", "INPUT_ENVIRONMENT": "production", "INPUT_GITHUB-TOKEN": "t",
            "INPUT_TIMEOUT": "10m", "INPUT_SSH-KEY": self.key,
        }

    def extend(self, line):
        """Adds a line to the service of the Compose file, here and by hand."""
        text = COMPOSE.rstrip() + f"\n    {line}\n"
        (self.folder / "compose.yaml").write_text(text)
        for one in self.services:
            one.app = text.replace("image: shop", "image: overridden")

    def begin(self, image="", operation="deploy", **inputs):
        (self.folder / "roadstead.yml").write_text(json.dumps(self.config))
        self.files = {name: self.folder / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_STATE")}
        for file in self.files.values():
            file.write_text("")
        given = {"operation": operation, "image": image} | inputs
        env = (self.env | {name: str(file) for name, file in self.files.items()}
               | {f"INPUT_{name.upper()}": value for name, value in given.items() if value})
        self.log_file = self.folder / "log"
        with open(self.log_file, "wb") as out:
            return subprocess.Popen([str(self.binary)], env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=subprocess.STDOUT)

    def run(self, *image, **inputs):
        """Runs to the end and returns the outcome."""
        child = self.begin(*image, **inputs)
        try:
            child.wait(180)
        finally:
            child.kill()
            child.wait()
        for line in self.log().splitlines():
            assert line.startswith("::add-mask::") or "PRIVATE KEY" not in line, "the key is in the log"
        return self.outcome()

    def log(self):
        return self.log_file.read_text(errors="replace")

    def outcome(self):
        lines = self.files["GITHUB_OUTPUT"].read_text().splitlines()
        for number, line in enumerate(lines):
            if line.startswith("outcome="):
                return line.removeprefix("outcome=")
            if line.startswith("outcome<<"):
                return lines[number + 1]
        return None


def print_of(server):
    return "SHA256:" + base64.b64encode(hashlib.sha256(base64.b64decode(server.host_key())).digest()).decode().rstrip("=")


def first(job, shop, version="v1"):
    """The version before: started by hand, as people did until now."""
    for one in job.services:
        one.by_hand(shop.image(version))
    return job.service
