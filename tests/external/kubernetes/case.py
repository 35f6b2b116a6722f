"""What a case is: a workload, one run of Roadstead on it, and what must come of it."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass
class Case:
    """A situation, and what comes of it. The same on both sides, unless `embedded` is None: then it is made on the real cluster
    alone."""

    name: str
    code: int
    outcome: str
    # Words that the log must have.
    words: tuple[str, ...] = ()
    # The name of the image that is deployed.
    image: str = "v2"
    # The workloads by name; the cases with one call it `web`.
    workloads: dict = dataclasses.field(default_factory=lambda: {"web": "Deployment"})
    replicas: int = 2
    # Further keys of the workload's spec, of its pods' spec and labels, and of its metadata.
    spec: dict = dataclasses.field(default_factory=dict)
    pod: dict = dataclasses.field(default_factory=dict)
    labels: dict = dataclasses.field(default_factory=dict)
    metadata: dict = dataclasses.field(default_factory=dict)
    # The image that the workload has when Roadstead begins, and whether it is well then.
    from_image: str = "v1"
    is_well: bool = True
    # Who made the workload, by the name of its field manager.
    manager: str = "tests"
    # Further keys of the service, and of its `kubernetes` block.
    service: dict = dataclasses.field(default_factory=dict)
    deploy: dict = dataclasses.field(default_factory=dict)
    # Objects that exist before the workload, and objects that come after it.
    objects: tuple = ()
    later: tuple = ()
    # Changes the rules that the account gets, how the cluster is named, and the workload; and what is done while Roadstead runs.
    rules: Callable | None = None
    access: Callable | None = None
    disturb: Callable | None = None
    during: Callable | None = None
    # Plays the whole case in place of one run.
    play: Callable | None = None
    # How many attempts its only run has; otherwise each run is another one.
    attempts: int = 1
    # What is asked for: an operation, with more inputs.
    operation: str = "deploy"
    inputs: dict = dataclasses.field(default_factory=dict)
    # The image of the template in the end; `None` if there is no workload. By default what the outcome says.
    serves: str | None = ""
    # The time that Roadstead has, in seconds.
    seconds: int = 120
    # Keys of the embedded workload, and `faults`, `cluster` and `commands` of its scenario.
    embedded: dict | None = None

    @property
    def kind(self):
        return next(iter(self.workloads.values()))

    def final_image(self):
        if self.serves != "":
            return self.serves
        return self.image if self.outcome in ("deployed", "unchanged") else self.from_image
