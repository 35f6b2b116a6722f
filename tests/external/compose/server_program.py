"""The program that runs on a server, driven as the adapter drives it: words above the program, as one file, run by `sh`."""

import json
import re
import shlex
import textwrap
import time

import real_server as servers

TARGET = servers.ROOT / "src/targets/compose"
# The files of the program in the order in which they are one text.
PARTS = re.findall(r'include_str!\("(server/.*?)"\)', (TARGET / "write.rs").read_text())
APP = """
services:
  web:
    image: overridden
    stop_grace_period: 10s
    restart: unless-stopped
    environment: { DRAIN: "${DRAIN:-0}", READY_AFTER: "${READY_AFTER:-700}" }
    healthcheck: { test: ["CMD", "/app", "health"], interval: 1s, timeout: 2s, retries: 3, start_period: 8s, start_interval: 500ms }
"""
SITUATIONS = json.loads((servers.ROOT / "tests/external/compose/situations.json").read_text())
ENDS = ("complete", "rolled-back", "back-failed", "stuck", "refused", "lost")


def program():
    return "".join((TARGET / part).read_text() for part in PARTS)


class Proxy:
    """A reverse proxy with one file that is replaced. As src/targets/compose/proxy.rs writes it."""

    def __init__(self, kind, project, port):
        self.kind, self.project, self.port = kind, project, port
        self.container, self.folder = f"edge-{project}", f"/srv/{project}/proxy"
        self.url = f"http://127.0.0.1:{port}/"

    FILES = {"nginx": "web.conf", "nginx-newer": "web.conf", "caddy": "web.caddy", "haproxy": "web.cfg"}
    MAIN = {
        "nginx": ("nginx.conf", "/etc/nginx", """
            worker_processes 2; pid /tmp/nginx.pid; error_log /dev/stderr warn; user root;
            events { worker_connections 1024; }
            http { access_log off; include /etc/nginx/web.conf;
              server { listen 80; location / { proxy_pass http://app; proxy_connect_timeout 1s; proxy_http_version 1.1;
                                               proxy_set_header Connection ""; } } }"""),
        "caddy": ("Caddyfile", "/etc/caddy", "import web.caddy\n:80 {\n  import app\n}\n"),
        "haproxy": ("00-main.cfg", "/usr/local/etc/haproxy", """
            defaults
              mode http
              timeout connect 1s
              timeout client 30s
              timeout server 30s
              option redispatch 1
              retries 3
            frontend all
              bind :80
              default_backend app
            """),
    }
    RUN = {
        "nginx": ["nginx", "-g", "daemon off;"],
        "caddy": ["caddy", "run", "--config", "/etc/caddy/Caddyfile"],
        "haproxy": ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy"],
    }
    TEST = {"nginx": "nginx -t -q", "caddy": "caddy validate --config /etc/caddy/Caddyfile",
            "haproxy": "haproxy -c -q -f /usr/local/etc/haproxy"}
    RELOAD = {"nginx": "nginx -s reload", "caddy": "caddy reload --config /etc/caddy/Caddyfile", "haproxy": "signal USR2"}

    @property
    def base(self):
        return self.kind.removesuffix("-newer")

    @property
    def file(self):
        return f"{self.folder}/{self.FILES[self.kind]}"

    def texts(self):
        single = {
            "nginx": "upstream app {\n  server @NEW@:8080 weight=100;\n  keepalive 16;\n}",
            "caddy": "(app) {\n  reverse_proxy @NEW@:8080 {\n    lb_policy weighted_round_robin 100\n  }\n}",
            "haproxy": "backend app\n  server @NEW@ @NEW@:8080 weight 100",
        }[self.base]
        split = {
            "nginx": "upstream app {\n  server @OLD@:8080 weight=@OLD_WEIGHT@;\n  server @NEW@:8080 weight=@NEW_WEIGHT@;\n"
                     "  keepalive 16;\n}",
            "caddy": "(app) {\n  reverse_proxy @OLD@:8080 @NEW@:8080 {\n"
                     "    lb_policy weighted_round_robin @OLD_WEIGHT@ @NEW_WEIGHT@\n  }\n}",
            "haproxy": "backend app\n  server @OLD@ @OLD@:8080 weight @OLD_WEIGHT@\n"
                       "  server @NEW@ @NEW@:8080 weight @NEW_WEIGHT@",
        }[self.base]
        return single, split

    def words(self):
        single, split = self.texts()
        return {"rs_proxy_container": self.container, "rs_proxy_file": self.file, "rs_proxy_single": single,
                "rs_proxy_split": split, "rs_proxy_test": self.TEST[self.base], "rs_proxy_reload": self.RELOAD[self.base]}

    def start(self, server, first):
        """The proxy runs before the first release of ours, and sends everything to the container named `first`."""
        name, place, text = self.MAIN[self.base]
        server.run("mkdir", "-p", self.folder)
        server.run("sh", "-c", f"cat >{self.folder}/{name}", input=textwrap.dedent(text).strip() + "\n")
        server.run("sh", "-c", f"cat >{self.file}", input=self.texts()[0].replace("@NEW@", first) + "\n")
        server.root("sh", "-c", f"docker image inspect proxy:{self.kind} >/dev/null 2>&1 || "
                                f"docker import /opt/rig/{self.kind}.tar proxy:{self.kind} >/dev/null")
        server.run("docker", "run", "-d", "--name", self.container, "--label", f"test={self.project}", "--restart", "always",
                   "--network", f"{self.project}_default", "-p", f"127.0.0.1:{self.port}:80", "-v", f"{self.folder}:{place}",
                   "-e", "HOME=/tmp", f"proxy:{self.kind}", *self.RUN[self.base])
        try:
            servers.wait_until(lambda: server.succeeds("rig", "get", self.url), what="an answer through the proxy")
        except AssertionError as error:
            logs = server.run("sh", "-c", f"docker logs --tail 20 {self.container} 2>&1", check=False)
            raise AssertionError(f"{error}\n{logs}") from None


class Service:
    """A service on a server, as a deploy file would name it."""

    def __init__(self, server, project, shell="dash", proxy=None, app=APP, **words):
        self.server, self.project, self.shell, self.proxy, self.app = server, project, shell, proxy, app
        self.loads = []
        self.directory = f"/srv/{project}"
        self.base = f"{self.directory}/.roadstead/web"
        self.words = {"rs_directory": self.directory, "rs_service": "web", "rs_project": project, "rs_keep": 5,
                      "rs_start_limit": 20, "rs_settle": 2, "rs_drain": 1, "rs_stop_limit": 10, "rs_backup_limit": 20,
                      "rs_backup": "", "rs_proxy_container": "", "rs_proxy_file": "", "rs_proxy_single": "",
                      "rs_proxy_split": "", "rs_proxy_test": "", "rs_proxy_reload": "", "rs_attempt": "", "rs_owner": "",
                      "rs_release": "", "rs_adopt": "no", "rs_facts": "", "rs_weights": "100", "rs_pause_limit": 5,
                      "rs_weight": ""} | (proxy.words() if proxy else {}) | words
        server.root("install", "-d", "-o", "deploy", "-g", "deploy", self.directory)

    def by_hand(self, image):
        """The version before: started by hand, as people did until now."""
        text = self.app.replace("image: overridden", f"image: {image}")
        self.server.run("sh", "-c", f"cat >{self.directory}/compose.yaml", input=text)
        self.server.run("sh", "-c", f"cd {self.directory} && docker compose -p {self.project} up -d --wait 2>&1")
        if self.proxy:
            self.proxy.start(self.server, f"{self.project}-web-1")

    def request(self, operation, writer="", **words):
        """Runs one request and returns its lines."""
        values = self.words | words | {"rs_operation": operation}
        text = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in values.items())
        file = f"/tmp/request-{self.project}-{time.monotonic_ns()}"
        script = text + writer + "# --- program ---\n" + program()
        self.server.run("sh", "-c", f"umask 077; cat >{file}", input=script)
        try:
            path = servers.PATHS[self.shell]
            return self.server.run("sh", file, path=path, check=False).splitlines()
        finally:
            self.server.run("rm", "-f", file)

    def stage(self, release, image, env=None, **words):
        """Brings a release, and returns the lines of the answer."""
        lines = ["write_release() {"]
        files = {"10": self.app, "99-images": f'{{"services":{{"web":{{"image":"{image}"}}}}}}\n'}
        for name, text in files.items():
            name = f"{name}.yaml"
            lines.append(f'printf %s {shlex.quote(text)} >"$1/files/{name}" || return 1')
        if env is not None:
            lines.append(f'printf %s {shlex.quote(env)} >"$1/env" || return 1')
        lines.append("printf '%s\\n' \"$rs_facts\" >\"$1/facts\"\n}\n")
        facts = f"{image} sha-{release} none none"
        return self.request("stage", "\n".join(lines), rs_release=release, rs_facts=facts, **words)

    def start(self, attempt, release, owner="run-1", **words):
        return self.request("start", rs_attempt=attempt, rs_release=release, rs_owner=owner, **words)

    def state(self, attempt):
        return self.server.run("cat", f"{self.base}/attempts/{attempt}/state", check=False).strip()

    def end(self, attempt, within=120):
        """Waits for the last word of an attempt."""
        servers.wait_until(lambda: self.state(attempt).startswith(ENDS), within, f"the end of attempt {attempt}")
        return self.state(attempt)

    def release(self, number, image, attempt=None, within=120, env=None, **words):
        """Stages and starts a release, and waits for its end."""
        attempt = attempt or number
        staged = self.stage(number, image, env, **words)
        assert staged == ["staged"], staged
        started = self.start(attempt, number, **words)
        assert started == [f"started {attempt}"], started
        return self.end(attempt, within)

    def log(self, attempt):
        return self.server.run("cat", f"{self.base}/attempts/{attempt}/log", check=False)

    def took_the_states_of(self, situation, attempt):
        """That it went through what crates/cloud/src/compose/situations.rs expects of the model, in the same situation."""
        found = re.findall(r"^\d{10} (.+)$", self.log(attempt), re.MULTILINE)
        # `switching` is over at once: the model has no time for it.
        assert [state for state in found if state != "switching"] == SITUATIONS[situation]["states"], self.log(attempt)

    def pause(self, attempt, word, within=90):
        servers.wait_until(lambda: self.state(attempt) == word, within, word)

    def status(self, attempt):
        return self.request("status", rs_attempt=attempt)

    def serving(self):
        return self.server.run("cat", f"{self.base}/serving", check=False).strip()

    def running(self):
        """Version and health of each running container of the service."""
        found = [one for one in self.server.containers(self.project) if one["State"]["Running"]]
        env = [dict(pair.split("=", 1) for pair in one["Config"]["Env"]) for one in found]
        return sorted(values["VERSION"] for values in env)

    def environment(self):
        """The variables of the container that runs."""
        found = [one for one in self.server.containers(self.project) if one["State"]["Running"]]
        return dict(pair.split("=", 1) for pair in found[0]["Config"]["Env"])

    def fingerprint(self):
        """Which containers of the service there are, and since when they run; commands that ran once are none of them."""
        return [(one["Id"], one["State"]["StartedAt"]) for one in self.server.containers(self.project)
                if one["Config"]["Labels"].get("com.docker.compose.oneoff") != "True"]

    def dead(self, attempt, within=5):
        """What the server says once nobody holds the lock: a question to Docker that was asked just before ends by itself."""
        def ended():
            lines = self.status(attempt)
            return None if f"attempt {attempt} alive" in "\n".join(lines) else lines

        return servers.wait_until(ended, within, f"the end of attempt {attempt}")

    def kill_in(self, attempt, state, *, group=True, within=90):
        """Ends the transaction with SIGKILL as soon as it has that state; with the group, what it started dies too. The session has
        all of it: `timeout` puts Compose into a group of its own."""
        file = f"{self.base}/attempts/{attempt}"
        kill = "pkill -9 -s" if group else "kill -9"
        done = self.server.run("sh", "-c", f"""
          end=$(($(date +%s) + {within}))
          until grep -q '^{state}' {file}/state 2>/dev/null; do
            [ $(date +%s) -lt $end ] || exit 1
            sleep 0.05
          done
          pid=$(pgrep -o -f '^sh {file}/script transaction') && {kill} $pid && cat {file}/state""", check=False)
        assert done.startswith(state), f"it was not killed in {state}, but is {self.state(attempt)}"

    def load(self, **more):
        """Requests through the proxy, until the test ends at the latest."""
        self.loads.append(servers.Load(self.server, self.proxy.url, **more))
        return self.loads[-1]

    def clean(self):
        for load in self.loads:
            load.stop()
        self.server.clean(self.project, self.directory)
