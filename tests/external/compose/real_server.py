"""Servers: containers with an sshd, an engine and Compose of their own. All of them end with the `with` block, by id."""

import json
import os
import pathlib
import secrets
import subprocess
import threading
import time

import pytest

# No container here is privileged: an engine inside needs mounts, networks and control groups, and nothing of the machine's.
NESTED = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined",
          "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
          "--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
PLUGIN = "/usr/libexec/docker/cli-plugins/docker-compose"
PORT = 2222
# Runs and workers beside each other have addresses of their own.
NETWORK = f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 250}"


def docker(*command, timeout=120, check=True, **more):
    done = subprocess.run(["docker", *map(str, command)], capture_output=True, timeout=timeout, **more)
    assert not check or done.returncode == 0, f"docker {' '.join(map(str, command))}: {done.stderr.decode(errors='replace')}"
    return done


def cases(names, table, few=1):
    """Each case of a table, or the first few that differ most: `EVERY=1` takes all."""
    return pytest.mark.parametrize(names, table if os.environ.get("EVERY") == "1" else table[:few])


# A case that takes long, and of which another one shows the same with less: `EVERY=1` plays it.
thorough = pytest.mark.thorough


class Server:
    """One server. Its sshd listens on `address` and port 2222 of this machine."""

    def __init__(self, image, registry, number, *, newer=False, disk="3g", noisy=False):
        self.registry, self.newer, self.address = registry, newer, f"{NETWORK}.{number}"
        self.name = f"roadstead-compose-{secrets.token_hex(4)}-{number}"
        # In memory an engine starts at once, however busy the machine's disk is; on a disk it survives a crash.
        storage = ["--tmpfs", f"/var/lib/docker:exec,size={disk}"] if disk else ["-v", "/var/lib/docker"]
        command = ["--name", self.name, "--hostname", f"server{number}", *NESTED, *storage,
                   "-v", f"{registry.folder}:{registry.folder}:ro", "-v", f"{registry.program}:/usr/local/bin/docker-registry:ro",
                   "-p", f"{self.address}:{PORT}:22"]
        self.client = None
        if disk:
            # Held by this process: it is gone with it, also when nobody is left to say so.
            self.client = subprocess.Popen(["docker", "run", "--rm", "-i", "-e", "HELD=yes", *command, image],
                                           stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            wait_until(lambda: self.succeeds("true", user="root"), 60, f"the start of {self.name}")
        else:
            docker("run", "-d", *command, image)
        try:
            if newer:
                self.root("cp", "/opt/rig/compose-newer/docker-compose", PLUGIN)
            if noisy:
                self.root("sh", "-c", "cat >/home/deploy/.bashrc", input=NOISE)
            self.serve()
        except BaseException:
            self.remove()
            raise

    def serve(self):
        """What is there after a start of the machine."""
        self.root("/opt/rig/engine", timeout=60)
        for command in self.registry.commands():
            docker("exec", "-d", self.name, *command)

    def allow(self, public_key, sessions=2):
        """The key of a deploy user without root, and as few sessions as a server can be made to give."""
        self.root("sh", "-c", "umask 077; mkdir -p ~deploy/.ssh; cat >~deploy/.ssh/authorized_keys; chown -R deploy: ~deploy/.ssh",
                  input=public_key)
        self.root("sh", "-c", f"printf 'MaxSessions {sessions}\\nLogLevel VERBOSE\\nPasswordAuthentication no\\n' "
                              ">/etc/ssh/sshd_config.d/tests.conf; kill -HUP $(pgrep -o sshd)")

    def host_key(self):
        return self.root("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split(" ")[1]

    def change_host_key(self):
        self.root("sh", "-c", "rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; kill -HUP $(pgrep -o sshd)")

    def logins(self):
        """What its sshd says."""
        return self.root("cat", "/var/log/sshd.log")

    def run(self, *command, user="deploy", input="", check=True, timeout=120, path=None):
        env = ["-e", f"PATH={path}:/usr/local/bin:/usr/bin:/bin"] if path else []
        done = docker("exec", "-i", "-u", user, *env, "-w", "/home/deploy" if user == "deploy" else "/", self.name, *command,
                      check=False, timeout=timeout, input=input.encode())
        text = done.stdout.decode(errors="replace")
        assert not check or done.returncode == 0, \
            f"{' '.join(command)} ended with {done.returncode}:\n{text}{done.stderr.decode(errors='replace')}"
        return text

    def root(self, *command, **more):
        return self.run(*command, user="root", **more)

    def succeeds(self, *command, user="deploy"):
        return docker("exec", "-u", user, self.name, *command, check=False).returncode == 0

    def containers(self, project, *more):
        """Every container of a project as `docker inspect` shows it; one that was removed in the meantime is not there."""
        ids = self.run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={project}", *more).split()
        return json.loads(self.run("docker", "inspect", *ids, check=False)) if ids else []

    def get(self, url, check=True):
        return self.run("rig", "get", url, check=check).strip()

    def restart_engine(self):
        """What an upgrade of the engine does: every container ends, and comes again as its restart policy says."""
        self.root("sh", "-c", "kill $(pidof dockerd); while pidof dockerd >/dev/null; do sleep 0.2; done", timeout=60)
        self.root("/opt/rig/engine", timeout=60)

    def crash(self):
        """The machine goes down without a word to anybody, and is started again."""
        docker("restart", "-t", "0", self.name)
        self.serve()

    def clean(self, project, directory):
        """Takes away what a test made, of which the script under test takes only a part."""
        self.root("sh", "-c", f"""
          docker ps -aq --filter label=com.docker.compose.project={project} --filter name={project} | xargs -r docker rm -fv
          docker ps -aq --filter label=com.docker.compose.project={project} | xargs -r docker rm -fv
          docker ps -aq --filter label=test={project} | xargs -r docker rm -fv
          docker network ls -q --filter label=com.docker.compose.project={project} | xargs -r docker network rm
          docker volume ls -q --filter label=com.docker.compose.project={project} | xargs -r docker volume rm
          rm -rf '{directory}'""", check=False)

    def remove(self):
        docker("rm", "-fv", self.name, check=False)
        if self.client:
            self.client.stdin.close()
            self.client.wait(30)


class Load:
    """Requests at a steady rate from inside of a server, each of them counted."""

    def __init__(self, server, url, rate=100, workers=8, keep=True, seconds=120):
        command = ["docker", "exec", server.name, "rig", "load", url, seconds, rate, workers, int(keep)]
        self.server, self.child = server, subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        word, self.pid = self.child.stdout.readline().split()
        assert word == "loading"

    def stop(self):
        # The client hands no signal on, so the process inside is told.
        if self.child.poll() is None:
            self.server.root("kill", self.pid, check=False)

    def end(self):
        self.stop()
        out, _ = self.child.communicate(timeout=30)
        return json.loads(out)


class Logins:
    """The lines of a server's sshd with the moment in which each came."""

    def __init__(self, server):
        command = ["docker", "exec", server.name, "stdbuf", "-oL", "tail", "-n", "0", "-s", "0.01", "-F", "/var/log/sshd.log"]
        self.server, self.lines = server, []
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)

    def _read(self):
        for line in self.child.stdout:
            self.lines.append((time.monotonic(), line))

    def __enter__(self):
        self.reader.start()
        time.sleep(1)
        return self

    def __exit__(self, *_):
        time.sleep(0.3)
        self.server.root("pkill", "-f", "^tail -n 0 -s 0.01", check=False)
        self.child.kill()
        self.child.wait()

    def took(self):
        """Seconds from the first connection to its login."""
        begin = next(at for at, line in self.lines if line.startswith("Connection from"))
        return next(at for at, line in self.lines if line.startswith("Accepted publickey")) - begin


def wait_until(check, within=30, what="it"):
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen within {within} s")


def program_of(image):
    """The service's program, out of the image of a server."""
    return docker("run", "--rm", "--entrypoint", "cat", image, "/usr/local/bin/rig").stdout


NOISE = """echo 'Welcome to server3! 14 updates can be applied immediately.'
echo 'stty: standard input: Inappropriate ioctl for device' >&2
"""
PATHS = {"dash": None, "busybox": "/opt/rig/busybox"}
ROOT = pathlib.Path(__file__).resolve().parents[3]
