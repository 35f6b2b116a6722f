"""A runner of GitHub Actions, as far as a container action can see it.

Order and shape of `docker run`, the folders, the environment, the commands on stdout, the files, and how a job is
cancelled follow actions/runner (DockerCommandManager.DockerRun, ContainerActionHandler, ProcessInvoker). One addition:
`--network host` stands where the runner puts its own network, because servers under test listen on loopback.
"""

import dataclasses
import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import threading
import time
import uuid

import yaml

UID, GID = 1001, 127  # who owns the workspace on a hosted runner; the container runs as root
MOUNTS = [
    ("_temp", "/github/runner_temp"),
    ("_temp/_github_home", "/github/home"),
    ("_temp/_github_workflow", "/github/workflow"),
    ("_temp/_runner_file_commands", "/github/file_commands"),
    ("app/app", "/github/workspace"),
]
FILES = {"GITHUB_OUTPUT": "set_output", "GITHUB_STEP_SUMMARY": "step_summary", "GITHUB_STATE": "save_state",
         "GITHUB_ENV": "set_env", "GITHUB_PATH": "add_path"}
ANNOTATIONS = {"error", "warning", "notice"}
COMMANDS = ANNOTATIONS | {"debug", "group", "endgroup", "add-mask", "stop-commands", "echo", "add-matcher", "remove-matcher"}
INT_WAIT, TERM_WAIT = 7.5, 2.5  # seconds


@dataclasses.dataclass
class Annotation:
    level: str
    message: str
    properties: dict


class Protocol:
    """Reads what a step prints as the runner does: commands, masks, and the log a person would see."""

    def __init__(self):
        self.raw, self.log, self.masks, self.annotations, self.unknown = [], [], [], [], []
        self.stopped = None
        self.leaks = []  # (line number, mask): a mask that came after the value was already in the log

    def line(self, text):
        self.raw.append(text)
        command = self._command(text)
        if self.stopped is not None:
            if command and command[0] == self.stopped:
                self.stopped = None
            else:
                self._show(text)
            return
        if command is None:
            self._show(text)
            return
        name, properties, data = command
        if name == "add-mask":
            self._mask(data)
        elif name == "stop-commands":
            self.stopped = data
        elif name in ANNOTATIONS:
            self.annotations.append(Annotation(name, self.hide(data)[:4096], properties))
            self._show(f"{name.capitalize()}: {data}")
        elif name == "group":
            self._show(data)
        elif name not in COMMANDS:
            self.unknown.append(name)
            self._show(text)

    def _command(self, text):
        found = re.match(r"\s*::([^ :]+)( [^:]*(?::(?!:)[^:]*)*)?::(.*)$", text)
        if found:
            properties = {}
            for pair in (found[2] or "").strip().split(","):
                key, _, value = pair.partition("=")
                if value:
                    properties[key.strip()] = unescape(value, True)
            return found[1].lower(), properties, unescape(found[3], False)
        found = re.search(r"##\[([^\] ]+)([^\]]*)\](.*)$", text)
        return (found[1].lower(), {}, found[3]) if found else None

    def _mask(self, data):
        for value in [data, *data.splitlines()]:
            if value.strip() and value.strip() not in self.masks:
                self.masks.append(value.strip())
                self.leaks += [(number, value) for number, line in enumerate(self.log) if value.strip() in line]

    def hide(self, text):
        for mask in sorted(self.masks, key=len, reverse=True):
            text = text.replace(mask, "***")
        return text

    def _show(self, text):
        self.log.append(self.hide(text))


def unescape(text, properties):
    if properties:
        text = text.replace("%3A", ":").replace("%2C", ",")
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def pairs(text):
    """Reads GITHUB_OUTPUT, GITHUB_STATE or GITHUB_ENV as the runner does, and refuses what it refuses."""
    found, lines, at = {}, text.split("\n"), 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            found[line[:equals]] = line[equals + 1 :]
        elif heredoc >= 0:
            name, delimiter, value = line[:heredoc], line[heredoc + 2 :], []
            assert name and delimiter, f"Invalid format {line!r}"
            while True:
                assert at < len(lines) - 1, f"Matching delimiter not found {delimiter!r}"
                if lines[at] == delimiter:
                    break
                value.append(lines[at])
                at += 1
            at += 1
            found[name] = "\n".join(value)
        else:
            raise AssertionError(f"Invalid format {line!r}")
    return found


@dataclasses.dataclass
class Result:
    """What a step left behind."""

    code: int
    seconds: float
    protocol: Protocol
    outputs: dict
    state: dict
    summary: str
    argv: list
    inspected: dict
    argvs: set  # command lines of every process seen on the machine meanwhile
    survived: bool  # the container outlived the client: on a real runner it would go on unseen
    ended_by: str

    @property
    def log(self):
        return "\n".join(self.protocol.log)

    @property
    def annotations(self):
        return self.protocol.annotations

    @property
    def masks(self):
        return self.protocol.masks

    def errors(self):
        return [note.message for note in self.annotations if note.level == "error"]

    def assert_hidden(self, *values):
        """These values are in no line that a person can see, in no file the runner reads, in no command line."""
        for value in values:
            assert value and len(value) > 3, "too short to look for"
            assert value not in self.log, "in the log"
            assert value not in self.summary, "in the summary"
            assert value not in json.dumps(self.outputs), "in an output"
            assert value not in json.dumps(self.state), "in the state"
            assert not [note for note in self.annotations if value in note.message], "in an annotation"
            assert not [line for line in self.argvs if value in line], "in the arguments of a process"
            assert value not in json.dumps(self.inspected), "in docker inspect"
        assert not self.protocol.leaks, "masked after it was printed"
        assert not self.protocol.unknown, f"commands no runner knows: {self.protocol.unknown}"


class Runner:
    """One job on one machine: its folders stay between the steps."""

    def __init__(self, folder, image, action=None):
        self.folder, self.image = pathlib.Path(folder), image
        self.manifest = yaml.safe_load(pathlib.Path(action).read_text()) if action else {"inputs": {}, "runs": {}}
        for place, _ in MOUNTS:
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        self.workspace = self.folder / "app/app"
        self.label = secrets.token_hex(3)
        # Nobody is there, unless a test says who is.
        self.api_url, self.graphql_url = "http://127.0.0.1:9", "http://127.0.0.1:9/graphql"
        self.context = {}  # what this run has otherwise, such as {"REF": "refs/heads/develop"}
        self.event("push", {"ref": "refs/heads/main"})

    def event(self, name, payload):
        self.event_name = name
        (self.folder / "_temp/_github_workflow/event.json").write_text(json.dumps(payload))

    def inputs(self, given):
        """INPUT_ variables: every declared input, its default only where the step does not name it."""
        declared = {name: str(spec.get("default", "")) for name, spec in (self.manifest.get("inputs") or {}).items()}
        declared = {k: v.replace("${{ github.token }}", "ghs_" + "t" * 36) for k, v in declared.items()}
        values = declared | {name: str(value) for name, value in given.items()}
        return {"INPUT_" + name.replace(" ", "_").upper(): value for name, value in values.items()}

    def environment(self, given, env, state, files):
        sha = env.get("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
        github = {
            "ACTION": "__app_roadstead", "ACTION_REF": "main", "ACTION_REPOSITORY": "roadstead/roadstead",
            "ACTOR": "octocat", "ACTOR_ID": "583231", "API_URL": self.api_url, "BASE_REF": "",
            "EVENT_NAME": self.event_name, "EVENT_PATH": "/github/workflow/event.json",
            "GRAPHQL_URL": self.graphql_url, "HEAD_REF": "", "JOB": "deploy", "REF": "refs/heads/main",
            "REF_NAME": "main", "REF_PROTECTED": "false", "REF_TYPE": "branch", "REPOSITORY": "acme/app",
            "REPOSITORY_ID": "1296269", "REPOSITORY_OWNER": "acme", "REPOSITORY_OWNER_ID": "1", "RETENTION_DAYS": "90",
            "RUN_ATTEMPT": "1", "RUN_ID": "9876543210", "RUN_NUMBER": "7", "SERVER_URL": "https://github.com",
            "SHA": sha, "TRIGGERING_ACTOR": "octocat", "WORKFLOW": "Deploy",
            "WORKFLOW_REF": "acme/app/.github/workflows/deploy.yml@refs/heads/main", "WORKFLOW_SHA": sha,
            "WORKSPACE": "/github/workspace",
        } | self.context
        runner = {"OS": "Linux", "ARCH": "X64", "NAME": "runner-1", "ENVIRONMENT": "github-hosted",
                  "TOOL_CACHE": "/opt/hostedtoolcache", "TEMP": "/github/runner_temp", "WORKSPACE": "/home/runner/work/app"}
        return (
            dict(env)
            | {f"STATE_{name}": value for name, value in state.items()}
            | self.inputs(given)
            | {"HOME": "/github/home"}
            | {f"GITHUB_{name}": value for name, value in github.items()}
            | {name: f"/github/file_commands/{file.name}" for name, file in files.items()}
            | {f"RUNNER_{name}": value for name, value in runner.items()}
        )

    def step(self, given=None, env=None, *, post=False, state=None, entrypoint=None, args=(), cancel_when=None,
             mounts=(), timeout=300):
        """Runs the action once. `cancel_when` is text; the job is cancelled when the log shows it."""
        guid = uuid.uuid4()
        files = {name: self.folder / f"_temp/_runner_file_commands/{stem}_{guid}" for name, stem in FILES.items()}
        for file in files.values():
            file.touch()
        subprocess.run(["chown", "-R", f"{UID}:{GID}", str(self.folder)], check=True)
        if post:
            entrypoint = self.manifest["runs"]["post-entrypoint"]
        values = self.environment(given or {}, env or {}, state or {}, files)
        name = re.sub(r"[^a-z0-9]", "", self.image)[:30] + "_" + secrets.token_hex(3)
        argv = ["docker", "run", "--name", name, "--label", self.label, "--workdir", "/github/workspace", "--rm"]
        for key in values:
            argv += ["-e", key]
        argv += ["-e", "GITHUB_ACTIONS=true"]
        if "CI" not in values:
            argv += ["-e", "CI=true"]
        if entrypoint:
            argv += ["--entrypoint", entrypoint]
        argv += ["--network", "host", "-v", "/var/run/docker.sock:/var/run/docker.sock"]
        for place, inside in MOUNTS:
            argv += ["-v", f"{self.folder / place}:{inside}"]
        for outside, inside in mounts:
            argv += ["-v", f"{outside}:{inside}"]
        argv += [self.image, *args]
        return self._run(argv, name, values, files, cancel_when, timeout)

    def _run(self, argv, name, values, files, cancel_when, timeout):
        protocol, seen = Protocol(), threading.Event()
        begin = time.monotonic()
        # The client gets the values in its environment; its own settings must survive the container's HOME.
        env = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(self.folder / "docker-client")} | values
        child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

        def read():
            for line in child.stdout:
                text = line.decode(errors="replace").rstrip("\n")
                protocol.line(text)
                if cancel_when and cancel_when in text:
                    seen.set()

        reader = threading.Thread(target=read)
        reader.start()
        with Watch(name) as watch:
            ended_by = ""
            try:
                if cancel_when:
                    while not seen.wait(0.05) and child.poll() is None and time.monotonic() - begin < timeout:
                        pass
                    log = "\n".join(protocol.raw)
                    assert seen.is_set(), f"{cancel_when!r} never came (exit {child.poll()}):\n{log}"
                    begin = time.monotonic()
                    ended_by = self._cancel(child)
                else:
                    child.wait(timeout)
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
                    ended_by = ended_by or "timeout"
        seconds = time.monotonic() - begin
        survived = bool(subprocess.run(["docker", "ps", "-q", "--filter", f"name=^{name}$"], capture_output=True).stdout)
        if survived:
            subprocess.run(["docker", "rm", "-f", name], capture_output=True)
        reader.join(10)
        assert ended_by != "timeout", "\n".join(protocol.raw)
        text = {key: file.read_text() for key, file in files.items()}
        return Result(
            code=child.returncode, seconds=seconds, protocol=protocol, outputs=pairs(text["GITHUB_OUTPUT"]),
            state=pairs(text["GITHUB_STATE"]), summary=text["GITHUB_STEP_SUMMARY"], argv=argv,
            inspected=watch.inspected, argvs=watch.argvs, survived=survived, ended_by=ended_by,
        )

    @staticmethod
    def _cancel(child):
        for sent, wait in ((signal.SIGINT, INT_WAIT), (signal.SIGTERM, TERM_WAIT)):
            child.send_signal(sent)
            try:
                child.wait(wait)
                return sent.name
            except subprocess.TimeoutExpired:
                pass
        child.kill()  # the client only: the runner does not know the container
        child.wait()
        return "SIGKILL"


class Watch:
    """Looks at the command lines of all processes, and at the container, while a step runs."""

    def __init__(self, name):
        self.name, self.argvs, self.inspected, self.over = name, set(), {}, threading.Event()
        self.threads = [threading.Thread(target=self._processes), threading.Thread(target=self._inspect)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(10)

    def _processes(self):
        while True:
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    try:
                        line = pathlib.Path(entry.path, "cmdline").read_bytes()
                    except OSError:
                        continue
                    if line:
                        self.argvs.add(line.replace(b"\0", b" ").decode(errors="replace"))
            if self.over.wait(0.02):
                return

    def _inspect(self):
        while not self.over.wait(0.05):
            shown = subprocess.run(["docker", "inspect", self.name], capture_output=True)
            if shown.returncode == 0 and (found := json.loads(shown.stdout)):
                # The environment is what the runner itself hands over: it is taken out, everything else is looked at.
                found[0]["Config"].pop("Env", None)
                self.inspected = found[0]
                return
