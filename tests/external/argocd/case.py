"""What a case is: a situation, one run of Roadstead in it, and what must come of it."""

import dataclasses
from collections.abc import Callable

from . import manifests

AUTOMATED = {"automated": {"prune": True}}


@dataclasses.dataclass
class Case:
    """A situation, and what comes of it. The same on both sides, unless `embedded` is None: then it is made on the real
    Argo CD alone."""

    name: str
    code: int
    outcome: str
    # Words that the log must have.
    words: tuple[str, ...] = ()
    tag: str = "v2"
    # What the repository has.
    manifests: dict = dataclasses.field(default_factory=lambda: manifests.folder(manifests.workload()))
    # Further keys of the deploy file's `argocd` block.
    deploy: dict = dataclasses.field(default_factory=dict)
    sync_policy: dict = dataclasses.field(default_factory=lambda: AUTOMATED)
    # Further keys of the application's source; or several sources.
    source: dict = dataclasses.field(default_factory=dict)
    sources: tuple = ()
    own_project: bool = False
    account: str = "deployer"
    # Somebody syncs it once, because nothing is automated.
    first_sync: bool = False
    application_exists: bool = True
    # Sync and health when Roadstead begins.
    before: tuple[str, str] = ("Synced", "Healthy")
    # Objects that exist before the application, and labels of its namespace.
    objects: tuple = ()
    labels: dict = dataclasses.field(default_factory=dict)
    # What is done before the application is made, once it is synced and healthy, and while Roadstead runs.
    arrange: Callable | None = None
    disturb: Callable | None = None
    during: Callable | None = None
    # The workload, its kind by version.
    workload: tuple[str, str] = ("apps/v1", "Deployment")
    # What the name of the application that has the workload ends with, where that is a child of ours.
    child: str = ""
    # Whether somebody rolls the release back: then the outcome is that of the rollback.
    rolls_back: bool = False
    # Files that are as they were, byte for byte, when the run is over.
    restored: tuple[str, ...] = ()
    # The time that Roadstead has, in seconds.
    seconds: int = 100
    # Keys of the embedded application, and `faults` and `argocd` of its scenario.
    embedded: dict | None = None

    def files(self):
        return self.manifests
