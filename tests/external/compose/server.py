"""A server for the transaction of the target `compose`: this machine's Docker Engine, a folder, and images in a registry of its own."""

import shlex
import shutil
import subprocess
import time
from pathlib import Path

PROGRAM = Path(__file__).parents[3] / "src/targets/compose/server/transaction.sh"

SERVICE = """
services:
  web:
    image: ${IMAGE:-unused}
    command: ["sh", "-c", "echo hello; $$BEGIN; exec sleep 3600"]
    stop_grace_period: 1s
    init: true
    healthcheck: { test: ["CMD-SHELL", "echo checked; test \\"$$HEALTH\\" != bad"], interval: 1s, timeout: 5s, retries: 2 }
"""

# How each image behaves.
IMAGES = {
    "1": [],
    "2": [],
    "unhealthy": ["ENV HEALTH=bad"],
    "crash": ["ENV BEGIN='eval echo panic; exit 3'"],
}


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout.strip()


class Server:
    """A service `web` in a folder of its own, as somebody set it up by hand."""

    def __init__(self, folder: Path, images: dict[str, str], shell: list[str], project: str):
        self.folder, self.images, self.shell, self.project = folder, images, shell, project
        folder.mkdir(parents=True, exist_ok=True)
        self.base = folder / ".roadstead/web"

    def up_by_hand(self, image: str):
        (self.folder / "compose.yaml").write_text(SERVICE)
        (self.folder / ".env").write_text(f"IMAGE={self.images[image]}\n")
        run("docker-compose", "-p", self.project, "up", "-d", "--wait", cwd=self.folder)

    def script(self, operation: str, writer: str = "", **words) -> str:
        defaults = {
            "directory": self.folder, "service": "web", "project": self.project, "keep": 5, "start_limit": 30,
            "settle": 2, "drain": 0, "stop_limit": 2, "backup_limit": 20, "backup": "", "proxy_container": "",
            "proxy_file": "", "proxy_single": "", "proxy_split": "", "proxy_test": "", "proxy_reload": "",
            "weights": "100", "pause_limit": 5, "adopt": "no", "owner": "run-1",
        }
        all_words = {**defaults, **words, "operation": operation}
        lines = [f"rs_{name}={shlex.quote(str(value))}" for name, value in all_words.items()]
        return "\n".join(lines) + "\n" + writer + PROGRAM.read_text()

    def ask(self, operation: str, **words) -> list[str]:
        file = self.folder / f".script-{time.monotonic_ns()}"
        file.write_text(self.script(operation, **words))
        try:
            done = subprocess.run([*self.shell, file], text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)
        finally:
            file.unlink()
        assert done.returncode == 0, done
        return done.stdout.splitlines()

    def stage(self, number: int, image: str, files: str = SERVICE, env: str | None = None, **words) -> list[str]:
        pinned = f'{{"services":{{"web":{{"image":"{self.images[image]}"}}}}}}'
        parts = [f"printf %s {shlex.quote(files)} >\"$1/files/10.yaml\"", f"printf %s {shlex.quote(pinned)} >\"$1/files/99-images.yaml\""]
        if env is not None:
            parts.append(f"printf %s {shlex.quote(env)} >\"$1/env\"")
        writer = "write_release() { " + " && ".join([*parts, 'printf "%s\\n" "$rs_facts" >"$1/facts"']) + "; }\n"
        facts = f"{self.images[image]} files none none"
        return self.ask("stage", release=number, facts=facts, writer=writer, **words)

    def start(self, attempt: int, release: int, **words) -> list[str]:
        return self.ask("start", attempt=attempt, release=release, **words)

    def state(self, attempt: int) -> str:
        lines = self.ask("status", attempt=attempt)
        return next(line.split(" ", 6)[6] for line in lines if line.startswith(f"attempt {attempt} "))

    def wait(self, attempt: int, *states: str, seconds: int = 60) -> str:
        for _ in range(seconds * 4):
            state = self.state(attempt)
            if state.split(" ")[0] in states:
                return state
            time.sleep(0.25)
        log = (self.base / f"attempts/{attempt}/log").read_text()
        raise AssertionError(f"attempt {attempt} is {state}, not {states}: {log}")

    def end(self, attempt: int) -> str:
        return self.wait(attempt, "complete", "rolled-back", "back-failed", "stuck", "refused", "lost")

    def running(self) -> list[str]:
        """The images of the containers that run, by the names that the tests give them."""
        names = {digest: name for name, digest in self.images.items()}
        ids = run("docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={self.project}").split()
        found = []
        for one in ids:
            image = run("docker", "inspect", "-f", "{{.Image}}", one)
            digests = run("docker", "image", "inspect", "-f", "{{range .RepoDigests}}{{.}} {{end}}", image).split()
            found.append(next((names[digest] for digest in digests if digest in names), image))
        return sorted(found)

    def remove(self):
        ids = run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        if ids:
            run("docker", "rm", "-f", *ids)
        networks = run("docker", "network", "ls", "-q", "--filter", f"label=com.docker.compose.project={self.project}").split()
        if networks:
            subprocess.run(["docker", "network", "rm", *networks], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
