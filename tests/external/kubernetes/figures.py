"""How soon Roadstead tells an end, and how often it asks, from what the API server wrote about requests."""

import datetime
import statistics

from . import access, plane

# A rollout that ends sooner says little of how often a longer one asks.
MIN_WATCH_SECONDS = 10
# How long pods must stay well before that counts.
STEADY_SECONDS = 10
SUCCESSES = ("deployment", "stateful-set", "daemon-set", "init-container", "recreate", "kubeconfig")
# The reason that a container waits for, how often it must have been started again, and how long that must last until it is
# taken for permanent.
FAILURES = {
    "image-missing": ("ImagePullBackOff", 0, 10), "image-missing-stateful-set": ("ImagePullBackOff", 0, 10),
    "secret-missing": ("CreateContainerConfigError", 0, 30), "crash": ("CrashLoopBackOff", 2, 0),
    "crash-stateful-set": ("CrashLoopBackOff", 2, 0), "crash-daemon-set": ("CrashLoopBackOff", 2, 0),
    "crash-init-container": ("CrashLoopBackOff", 2, 0),
}


def at(event):
    return datetime.datetime.fromisoformat(event["stageTimestamp"].replace("Z", "+00:00")).timestamp()


class Audit:
    """What was asked of the API server about one namespace."""

    def __init__(self, folder, namespace):
        self.account = f"system:serviceaccount:{namespace}:{access.ACCOUNT}"
        events = [one for one in plane.audited(folder) if one.get("objectRef", {}).get("namespace") == namespace]
        self.ours = [one for one in events if one["user"]["username"] == self.account]
        self.pods = [one for one in events if one["objectRef"].get("subresource") == "status"]
        changes = [one for one in self.ours if one["verb"] == "patch" and "dryRun" not in one["requestURI"]]
        self.changed = at(changes[0])

    def last_ready(self, until):
        """When the last pod became ready."""
        return max(at(one) for one in self.pods if at(one) < until and is_ready(one["requestObject"]["status"]))

    def first_waiting(self, reason, restarts):
        """When a container of the new version first waited for this reason."""
        return min(at(one) for one in self.pods if at(one) > self.changed and waits(one["requestObject"]["status"], reason, restarts))

    def reads_per_second(self, until):
        """None of a rollout that ended soon."""
        if until - self.changed < MIN_WATCH_SECONDS:
            return None
        reads = [one for one in self.ours if one["verb"] in ("get", "list") and self.changed < at(one) < until]
        return len(reads) / (until - self.changed)


def is_ready(status):
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))


def waits(status, reason, restarts):
    containers = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
    return any(one["state"].get("waiting", {}).get("reason") == reason and one["restartCount"] >= restarts for one in containers)


def told(done, words):
    """When the first line with these words came."""
    return next(time for time, text in done.lines if words in text)


def measure(folder, runs):
    """Lags and rates of the runs, by case."""
    success, failure, reads = {}, {}, {}
    for name in SUCCESSES:
        audit, end = Audit(folder, name), told(runs[name], " serves: ")
        success[name] = end - audit.last_ready(end) - STEADY_SECONDS
        reads[name] = audit.reads_per_second(end)
    for name, (reason, restarts, grace) in FAILURES.items():
        audit, end = Audit(folder, name), told(runs[name], "failed: ")
        failure[name] = end - audit.first_waiting(reason, restarts) - grace
        reads[name] = audit.reads_per_second(end)
    return success, failure, {name: rate for name, rate in reads.items() if rate is not None}


def table(success, failure, reads):
    lines = [f"{title}: mean {statistics.mean(values.values()):.2f}, most {max(values.values()):.2f} ("
             + ", ".join(f"{name} {value:.2f}" for name, value in values.items()) + ")"
             for title, values in (("success told after, s", success), ("failure told after, s", failure), ("reads a second", reads))]
    return "\n".join(lines)
