"""The control plane and Argo CD of one test session, in a network namespace of their own."""

import pathlib
import subprocess

import machine

from . import plane, server
from .network import Namespace


class Rig:
    """Runs until the `with` block ends."""

    def __init__(self, folder):
        self.folder, self.processes = folder, machine.Processes()

    def __enter__(self):
        self.setup = built()
        self.network = Namespace()
        try:
            self.network.run(self._start)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        self.api = plane.start(self.processes, self.setup / "clusterkit", self.folder)
        tokens = server.start(self.processes, self.setup, self.folder, self.api)
        self.tokens = tokens | {"nobody": tokens["reader"][:-4] + "AAAA"}

    def __exit__(self, *_):
        self.processes.__exit__()
        self.network.close()


def built():
    """Builds what is missing; the other tests run on in the meantime."""
    done = subprocess.run([str(machine.ROOT / "scripts/setup-argocd")], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(done.stdout.strip())
