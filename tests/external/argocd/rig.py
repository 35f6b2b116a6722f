"""The control plane and Argo CD of one test session, in a network namespace of their own."""

from kubernetes.rig import Rig as ClusterRig

from . import server


class Rig(ClusterRig):
    """Runs until the `with` block ends."""

    def _start(self):
        super()._start()
        tokens = server.start(self.processes, self.setup, self.folder, self.api)
        self.tokens = tokens | {"nobody": tokens["reader"][:-4] + "AAAA"}
