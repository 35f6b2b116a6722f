"""Roadstead on a real Kubernetes control plane, and on the embedded cluster, in the same situations (kubernetes/cases.py).

All run side by side, each in a namespace of its own, with the rights of the documented Role and a GitHub of its own.
"""

import json

import pytest

from kubernetes import cases, figures, world
from kubernetes.answers import ask_all, unknown_fields
from kubernetes.case import Case
from kubernetes.rig import Rig

AT_ONCE = 32
SIDES = {"real": world.RealWorld, "embedded": world.EmbeddedWorld}


def name_of(pair):
    return f"{pair[0]}-{pair[1].name}"


PAIRS = [(side, case) for case in cases.CASES for side in SIDES if side == "real" or case.embedded is not None]

MEASURED = [("real", case) for case in cases.CASES if case.name in {*figures.SUCCESSES, *figures.FAILURES}]


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    with Rig(tmp_path_factory.mktemp("kubernetes")) as started:
        yield started


@pytest.fixture(scope="module")
def runs(request, rig, binary, tmp_path_factory):
    """What came of the cases that were selected, by name: all are begun at once."""
    folder = tmp_path_factory.mktemp("cases")
    items = [item for item in request.session.items if item.path == request.path]
    selected = [item.callspec.params["pair"] for item in items if "pair" in item.fixturenames]
    if any(item.name == test_figures.__name__ for item in items):
        selected += [pair for pair in MEASURED if pair not in selected]
    jobs = {name_of(pair): (play, rig, binary, folder / name_of(pair), *pair) for pair in selected}
    with rig.network.run_all(jobs, AT_ONCE) as begun:
        yield begun


def play(rig, binary, folder, side, case):
    """One case: what Roadstead did, and what the workload is in the end."""
    made = world.RealWorld(rig, binary, folder, case) if side == "real" else world.EmbeddedWorld(binary, folder, case)
    with made:
        made.prepare()
        done = made.play()
        done.images = {name: made.images(name) for name in case.workloads}
        return done


@pytest.mark.parametrize("pair", PAIRS, ids=name_of)
def test_situation_has_its_outcome(runs, pair):
    wrong = differences(pair[1], runs[name_of(pair)].result())
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def differences(case, done):
    """What is not as it should be, and the log."""
    expected, found = (case.code, case.outcome), (done.code, done.outcome)
    wrong = [] if expected == found else [f"exit code and outcome: {found}, not {expected}"]
    wrong += [f"the log has no `{word}`" for word in case.words if word not in done.log]
    container, serving = case.deploy.get("container", "app"), case.final_image()
    for name, images in done.images.items():
        image = images and images.get(container, images["app"])
        wrong += [] if image == serving else [f"{name} has {image}, not {serving}"]
    return [*wrong, done.log] if wrong else []


def test_figures(rig, runs):
    """Prints them (`-rP`). The limits leave room for a busy machine; docs/measurements.md has the targets."""
    success, failure, reads = figures.measure(rig.folder, {case.name: runs[name_of((side, case))].result() for side, case in MEASURED})
    print(figures.table(success, failure, reads))
    assert max(success.values()) < 10 and max(failure.values()) < 10
    assert max(reads.values()) < 2


# Fields that the embedded cluster has and the real one has not after the same release. No other may come.
KNOWN_DIFFERENCES = set()


@pytest.fixture(scope="module")
def answers(rig, binary, tmp_path_factory):
    """What both say after one release."""
    rolling = {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
    case, folder = Case("answers", 0, "deployed", spec=rolling, metadata={"labels": {"app": "web"}}, embedded={}), tmp_path_factory.mktemp("answers")

    def collect(made):
        with made:
            made.prepare()
            made.play()
            return ask_all(made)

    return [rig.network.run(lambda made=made: collect(made)) for made in (
        world.RealWorld(rig, binary, folder / "real", case), world.EmbeddedWorld(binary, folder / "embedded", case))]


def test_answers_have_the_same_status_and_no_field_that_is_unknown(answers):
    real, embedded = answers
    assert {name: status for name, (status, _) in embedded.items()} == {name: status for name, (status, _) in real.items()}
    unknown = {name: set(unknown_fields(embedded[name][1], real[name][1])) - KNOWN_DIFFERENCES for name in real}
    unknown = {name: sorted(fields) for name, fields in unknown.items() if fields}
    assert not unknown, json.dumps(unknown, indent=1)


@pytest.mark.parametrize("name", ["failed test", "no such path", "no image", "unknown kind of patch", "wrong token"])
def test_errors_have_the_same_reason_and_words(answers, name):
    real, embedded = ((answer[name][1].get("reason"), answer[name][1].get("message")) for answer in answers)
    assert embedded == real
