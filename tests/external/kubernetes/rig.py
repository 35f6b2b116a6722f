"""The control plane of one test session, in a network namespace of its own."""

import machine

from . import plane
from .network import Namespace


class Rig:
    """Runs until the `with` block ends."""

    def __init__(self, folder):
        self.folder, self.processes = folder, machine.Processes()

    def __enter__(self):
        self.setup = plane.built()
        self.network = Namespace()
        try:
            self.network.run(self._start)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        self.api = plane.start(self.processes, self.setup / "clusterkit", self.folder)

    def __exit__(self, *_):
        self.processes.__exit__()
        self.network.close()
