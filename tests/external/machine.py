"""Servers on loopback for the time of a test: start, wait until they listen, end them by pid."""

import contextlib
import json
import pathlib
import socket
import subprocess
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def open_url(request, timeout, context=None):
    """A request without a proxy. `urlopen` looks for one in the environment, which pytest changes while threads run."""
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    return urllib.request.build_opener(*handlers).open(request, timeout=timeout)


def listens(port, host="127.0.0.1"):
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


class Processes:
    """Child processes that end with the `with` block that holds them."""

    def __init__(self):
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self.running):
            child.terminate()
        for child in self.running:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def spawn(self, command, log, env=None):
        """Starts a process that listens on nothing, or not at once."""
        with open(log, "wb") as out:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env,
            )
        self.running.append(child)
        return child

    def start(self, name, command, log, port, env=None, within=30):
        child = self.spawn(command, log, env)
        end = time.monotonic() + within
        while time.monotonic() < end:
            if child.poll() is not None:
                break
            if listens(port):
                return child
            time.sleep(0.05)
        text = pathlib.Path(log).read_text(errors="replace")[-4000:]
        raise AssertionError(f"{name} does not listen on {port} (exit {child.poll()}):\n{text}")


class Cloud:
    """The embedded cloud, serving HTTP on loopback."""

    def __init__(self, processes, binary, folder, scenario, speed, seed, hosts=(), port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.scenario = scenario
        file = folder / f"scenario-{self.port}.yml"
        # JSON is YAML.
        file.write_text(json.dumps(scenario))
        self.log = folder / f"cloud-{self.port}.log"
        command = [binary, "cloud", "--listen", f"127.0.0.1:{self.port}", "--speed", speed, "--seed", seed, file]
        command += [part for host in hosts for part in ("--host", host)]
        self.process = processes.start("roadstead cloud", command, self.log, self.port)


class Nameserver:
    """Answers A questions for some names and knows no other: UDP on an address of 127.0.0.0/8, port 53."""

    def __init__(self, names, address="127.0.0.153"):
        self.names, self.address, self.asked = names, address, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                question, sender = self.socket.recvfrom(512)
                self.socket.sendto(self._answer(question), sender)

    def _answer(self, message):
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode())
            at += message[at] + 1
        name, kind = ".".join(labels).lower(), int.from_bytes(message[at + 1 : at + 3], "big")
        self.asked.append(name)
        address = self.names.get(name)
        record = b""
        if address and kind == 1:
            record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + socket.inet_aton(address)
        code = 0x8180 if address else 0x8183
        counts = b"\x00\x01" + (b"\x00\x01" if record else b"\x00\x00") + b"\x00\x00\x00\x00"
        return message[:2] + code.to_bytes(2, "big") + counts + message[12 : at + 5] + record
