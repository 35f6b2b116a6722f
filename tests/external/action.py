"""The action as a job of a workflow runs it: the real binary, beside a GitHub that the embedded cloud plays."""

import json
import subprocess
import threading
import time

from runner import pairs

REPOSITORY = "acme/app"
# As many runs as one job's repository knows.
RUNS = (7, 8, 9)


def repository(attempts=1):
    """The repository of the workflow, for a scenario of the embedded cloud."""
    runs = [{"id": number, "attempt": attempts, "status": "in_progress"} for number in RUNS]
    return {"name": REPOSITORY, "history": [{"id": "c1"}], "runs": runs}


class Outcome:
    """What a run did."""

    def __init__(self, code, outcome, lines):
        self.code, self.outcome, self.lines = code, outcome, lines

    @property
    def log(self):
        return "".join(text for _, text in self.lines)

    def __repr__(self):
        return f"exit code {self.code}, outcome {self.outcome!r}\n{self.log}"


class Job:
    """One run, in a folder of its own. Its lines are kept with the time at which each came."""

    def __init__(self, binary, folder, deploy_file, environment):
        folder.mkdir(parents=True)
        (folder / "roadstead.yml").write_text(json.dumps(deploy_file))
        (folder / "event.json").write_text("{}")
        for name in ("output", "summary", "state"):
            (folder / name).touch()
        self.binary, self.folder, self.lines = binary, folder, []
        self.environment = files(folder) | environment

    def start(self, post=False):
        environment, program = self.environment, self.binary
        if post:
            # The image of the action starts its binary under this name for the post step.
            program = self.folder / "roadstead-post"
            program.symlink_to(self.binary)
            environment = environment | {f"STATE_{name}": value for name, value in pairs((self.folder / "state").read_text()).items()}
        self.child = subprocess.Popen([str(program)], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, args=(self.child,))
        self.reader.start()
        return self

    def _read(self, child):
        for line in child.stdout:
            self.lines.append((time.time(), line.decode(errors="replace")))

    def wait(self, seconds):
        try:
            code = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            self.kill()
        done = Outcome(code, pairs((self.folder / "output").read_text()).get("outcome"), self.lines)
        (self.folder / "log").write_text(done.log)
        return done

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.reader.join(10)


def files(folder):
    """The variables of the files that a runner makes."""
    return {
        "GITHUB_EVENT_PATH": str(folder / "event.json"), "GITHUB_WORKSPACE": str(folder),
        "GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary"), "GITHUB_STATE": str(folder / "state"),
    }


def environment(url, number, inputs):
    """The variables of the `number`th run in a repository at this GitHub."""
    return {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "workflow_dispatch", "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SERVER_URL": url, "GITHUB_API_URL": f"{url}/api/v3", "GITHUB_GRAPHQL_URL": f"{url}/api/graphql",
        "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
        "GITHUB_SHA": "c1".ljust(40, "0"), "GITHUB_RUN_ID": str(RUNS[number - 1]), "GITHUB_RUN_ATTEMPT": "1",
        "INPUT_CONFIG": "roadstead.yml", "INPUT_ENVIRONMENT": "production", "INPUT_GITHUB-TOKEN": "t",
    } | {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
