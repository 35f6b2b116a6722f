"""Roadstead on a real Argo CD beside a real control plane, and on the embedded one, in the same situations (argocd/cases.py).

The cases of a worker run side by side: they share Argo CD and have a namespace, an application and a GitHub of their own.
"""

import pytest

from argocd import cases, world
from argocd.answers import ask_all
from argocd.case import Case
from argocd.manifests import service
from argocd.rig import Rig
from kubernetes.answers import unknown_fields

AT_ONCE = 8
# The outcomes that these cases should have are not yet those that they have; one that passes is taken off this list.
PENDING = {"real-unknown-health-before", "real-unrenderable-by-another-commit", "embedded-sync-window"}


def name_of(case):
    return f"{case[0]}-{case[1].name}"


def parameters():
    pairs = [(kind, case) for case in cases.CASES for kind in ("real", "embedded") if kind == "real" or case.embedded is not None]
    for pair in pairs:
        marks = [pytest.mark.xfail(reason="not yet")] if name_of(pair) in PENDING else []
        yield pytest.param(pair, id=name_of(pair), marks=marks)


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    with Rig(tmp_path_factory.mktemp("argocd")) as started:
        yield started


@pytest.fixture(scope="module")
def runs(request, rig, binary, tmp_path_factory):
    """What came of the cases that were selected, by name: all are begun at once."""
    folder = tmp_path_factory.mktemp("cases")
    selected = [item.callspec.params["pair"] for item in request.session.items
                if item.path == request.path and "runs" in item.fixturenames]
    jobs = {name_of(pair): (play, rig, binary, folder / name_of(pair), *pair) for pair in selected}
    with rig.network.run_all(jobs, AT_ONCE) as begun:
        yield begun


def play(rig, binary, folder, kind, case):
    """One case: what Roadstead did, and the files that it should have put back."""
    made = world.RealWorld(rig, binary, folder, case) if kind == "real" else world.EmbeddedWorld(binary, folder, case)
    with made:
        made.prepare()
        before = {path: made.read(path) for path in case.restored}
        done = made.run(case.tag, during=case.during)
        if case.rolls_back and done.outcome == "deployed":
            done = made.run(None, operation="rollback")
        done.changed = [path for path, text in before.items() if made.read(path) != text]
        done.images = made.live_images() if done.outcome == "deployed" else []
        return done


@pytest.mark.parametrize("pair", list(parameters()))
def test_situation_has_its_outcome(runs, pair):
    kind, case = pair
    done = runs[name_of(pair)].result()
    assert (done.code, done.outcome) == (case.code, case.outcome), done
    assert [word for word in case.words if word not in done.log] == [], done
    assert done.changed == [], done
    if done.images:
        assert case.tag in done.images[0], (done.images, done)


# Fields that the embedded Argo CD has and the real one has not in the same situation. No other may come.
KNOWN_DIFFERENCES = {
    "live Deployment": [".spec.paused: bool"],
    # Whoever plays the kubelet writes another source.
    "events of a Pod": [".items[].source.component: text"],
    "list": [".items[].status.resources[].health.status: text"],
}


@pytest.fixture(scope="module")
def answers(rig, binary, tmp_path_factory):
    """What both say of an application after one release."""
    case, folder = Case("answers", 0, "deployed", manifests=cases.beside(service()), embedded={}), tmp_path_factory.mktemp("answers")

    def collect(made):
        with made:
            made.prepare()
            made.run(case.tag)
            return ask_all(made)

    real = rig.network.run(lambda: collect(world.RealWorld(rig, binary, folder / "real", case)))
    return real, collect(world.EmbeddedWorld(binary, folder / "embedded", case))


def test_answers_have_the_same_status_and_no_field_that_is_unknown(answers):
    real, embedded = answers
    assert {name: status for name, (status, _) in embedded.items()} == {name: status for name, (status, _) in real.items()}
    unknown = {name: set(unknown_fields(embedded[name][1], real[name][1])) for name in real}
    assert {name: new for name, fields in unknown.items() if (new := fields - set(KNOWN_DIFFERENCES.get(name, ())))} == {}


@pytest.mark.parametrize("name", ["no token", "nothing", "nothing in a project", "a sync beside automation"])
def test_errors_have_the_same_words(answers, name):
    real, embedded = ((answer[name][1].get("code"), answer[name][1]["message"]) for answer in answers)
    assert embedded == real
