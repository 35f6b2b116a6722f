"""The binary against real servers: SSH, the engine, Compose and the proxies are what others wrote."""

import os
import signal
import subprocess
import time

import machine
import pytest
import real_server as servers
import server_program
from server_job import first, print_of


@servers.cases("kind", ["noisy", "older", "newer"])
def test_deploy_then_unchanged_then_rollback(job, shop, kind):
    work = job(kind)
    one = first(work, shop)
    assert work.run(shop.image("v2")) == "deployed", work.log()
    assert one.running() == ["v2"]
    before = one.fingerprint()
    assert work.run(shop.image("v2")) == "unchanged", work.log()
    assert one.fingerprint() == before
    assert work.run(operation="verify") == "verified", work.log()
    assert work.run(operation="rollback") in ("deployed", "rolled-back"), work.log()
    assert one.running() == ["v1"]


@servers.cases("version, word", [("unhealthy", "database unreachable"), ("crashing", "no such table")])
def test_bad_release_is_taken_back_and_its_reason_is_in_the_summary(job, shop, version, word):
    work = job("older")
    one = first(work, shop)
    assert work.run(shop.image(version)) == "failed", work.log()
    assert one.running() == ["v1"] and "rolled back, confirmed: web:0 serves" in work.log()
    assert word in work.files["GITHUB_STEP_SUMMARY"].read_text() + work.log()


@servers.cases("proxy", ["haproxy", "caddy", "nginx"])
def test_nothing_is_lost_there_and_back(job, shop, proxy):
    work = job("newer", proxy=proxy)
    one = first(work, shop)
    load = one.load()
    assert work.run(shop.image("v2")) == "deployed", work.log()
    assert work.run(operation="rollback") in ("deployed", "rolled-back"), work.log()
    seen = load.end()
    assert seen["lost"] == 0 and set(seen["versions"]) == {"v1", "v2"}, seen
    assert one.running() == ["v1"]


def test_release_of_one_service_takes_no_more_than_ten_seconds_beyond_the_pull(job, shop):
    work = job("newer")
    one = first(work, shop)
    one.server.run("docker", "pull", "-q", shop.image("v2"))
    begin = time.monotonic()
    assert work.run(shop.image("v2")) == "deployed", work.log()
    took = time.monotonic() - begin
    print(f"a release took {took:.1f} s")
    # A busy machine gets as many times as long as others wait for it.
    assert took < 15 * max(1, os.getloadavg()[0] / os.cpu_count())


def test_other_host_key_is_refused_before_our_key_is_offered(job, shop):
    work = job("changing")
    one = first(work, shop)
    work.server.change_host_key()
    time.sleep(1)
    begin = len(work.server.logins())
    assert work.run(shop.image("v2")) == "invalid", work.log()
    assert print_of(work.server) in work.log(), "the print that was shown is said"
    said = work.server.logins()[begin:]
    assert "Connection closed by" in said or "Connection reset by" in said or "Disconnected" in said, said
    for word in ("Accepted", "Failed publickey", "Postponed", "user deploy"):
        assert word not in said, said
    assert one.running() == ["v1"]


def test_every_kind_of_pin_is_accepted_and_wrong_ones_beside_it(job, shop):
    work = job("older")
    first(work, shop)
    make = "ssh-keygen -q -t rsa -N '' -f /etc/ssh/ssh_host_rsa_key </dev/null; kill -HUP $(pgrep -o sshd)"
    work.server.root("sh", "-c", f"[ -e /etc/ssh/ssh_host_rsa_key ] || {{ {make}; }}")
    rsa = work.server.root("cat", "/etc/ssh/ssh_host_rsa_key.pub").strip().rsplit(" ", 1)[0]
    servers.wait_until(lambda: machine.listens(servers.PORT, work.server.address), what="sshd listens")
    for pins in [[rsa], ["SHA256:" + "A" * 43, print_of(work.server)]]:
        work.compose["hosts"][0]["host-keys"] = pins
        assert work.run(shop.image("v2"), operation="plan") == "planned", work.log()


def test_server_behind_another_is_reached_and_each_of_them_is_pinned(job, shop):
    work = job("older")
    one = first(work, shop)
    gate = work.estate["newer"]
    address = one.server.root("hostname", "-i").split()[0]
    jump = {"ssh": f"deploy@{gate.address}:{servers.PORT}", "host-keys": [print_of(gate)]}
    work.compose["hosts"] = [{"ssh": f"deploy@{address}", "host-keys": [print_of(one.server)], "jump": jump}]
    assert work.run(shop.image("v2"), operation="plan") == "planned", work.log()
    for wrong in (work.compose["hosts"][0], jump):
        right = wrong["host-keys"]
        wrong["host-keys"] = ["SHA256:" + "A" * 43]
        assert work.run(shop.image("v2"), operation="plan") == "invalid", work.log()
        assert "host-key-unknown" in work.log()
        wrong["host-keys"] = right


def test_connection_takes_a_tenth_of_a_second(job, shop):
    """From the first packet to the login, as sshd says it."""
    work = job("older")
    first(work, shop)
    took = []
    for _ in range(3):
        with servers.Logins(work.server) as logins:
            assert work.run(shop.image("v2"), operation="plan") == "planned", work.log()
        took.append(logins.took())
    print("from connection to login:", ", ".join(f"{seconds * 1000:.0f} ms" for seconds in took))
    assert min(took) < 0.2 * max(1, os.getloadavg()[0] / os.cpu_count())


FIXTURES = machine.ROOT / "tests/fixtures/ssh"


@pytest.mark.parametrize("key, word", [
    ("ecdsa", "SHA256:dczKate9k/0SMKgF6PN/aOoSgEnnk5foKGAlgQ8qmN0"), ("ed25519.pub", "is a public key"),
    ("ed25519-passphrase", "no passphrase")])
def test_key_that_does_not_open_the_server_is_named_and_nothing_changes(job, shop, key, word):
    work = job("older", key=(FIXTURES / key).read_text())
    one = first(work, shop)
    before, said = one.fingerprint(), len(work.server.logins())
    assert work.run(shop.image("v2")) == "invalid", work.log()
    assert word in work.log()
    if key != "ecdsa":
        assert "Connection from" not in work.server.logins()[said:], "it is found before a connection"
    assert one.fingerprint() == before


def test_server_that_nobody_reaches_is_said_in_time(job, shop):
    work = job("older")
    one = first(work, shop)
    work.config["services"]["shop"]["compose"]["hosts"][0]["ssh"] = f"deploy@127.0.76.250:{machine.free_port()}"
    begin = time.monotonic()
    assert work.run(shop.image("v2")) in ("invalid", "failed", "inconclusive"), work.log()
    assert time.monotonic() - begin < 60
    assert "127.0.76.250" in work.log()
    assert one.running() == ["v1"]


@servers.cases("which", ["locked", "missing"])
def test_image_that_the_server_cannot_pull_changes_nothing(job, shop, which):
    work = job("older")
    one = first(work, shop)
    before = one.fingerprint()
    image = shop.missing() if which == "missing" else shop.image("v2", "locked")
    assert work.run(image) in ("invalid", "failed"), work.log()
    assert one.fingerprint() == before


def test_small_disk_is_refused_before_anything_changes(job, shop):
    work = job("small")
    one = first(work, shop)
    before = one.fingerprint()
    assert work.run(shop.image("v2")) == "invalid", work.log()
    assert "MiB" in work.log()
    assert one.fingerprint() == before


@servers.cases("state", ["starting", "switching", "settling"])
def test_runner_that_is_killed_leaves_one_version_and_the_next_run_finishes(job, shop, state):
    work = job("newer", proxy="nginx", settle="6s", strategy="rolling")
    one = first(work, shop)
    load = one.load()
    child = work.begin(shop.image("v2"))
    try:
        servers.wait_until(lambda: newest_state(one).startswith(state) or child.poll() is not None, 90, state)
        assert child.poll() is None, work.log()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    servers.wait_until(lambda: newest_state(one).startswith(server_program.ENDS), 60, "the end on the server")
    assert len(one.running()) == 1
    work.env["GITHUB_RUN_ATTEMPT"] = "2"
    assert work.run(shop.image("v2")) in ("deployed", "unchanged"), work.log()
    seen = load.end()
    assert seen["lost"] == 0, seen
    assert one.running() == ["v2"]


def test_canary_gets_its_share_and_then_all(job, shop):
    work = job("newer", proxy="nginx", strategy={"canary": {"percent": 10, "bake": "6s", "final-bake": "1s"}})
    one = first(work, shop)
    load = one.load()
    assert work.run(shop.image("v2")) == "deployed", work.log()
    seen = load.end()
    assert seen["lost"] == 0 and set(seen["versions"]) == {"v1", "v2"}, seen
    assert one.running() == ["v2"]
    log = one.log(1)
    assert "paused 10" in log and log.rstrip().endswith("complete"), log


def test_connection_that_is_cut_is_made_again_and_the_server_never_stopped(job, shop):
    work = job("newer", settle="8s")
    one = first(work, shop)
    child = work.begin(shop.image("v2"))
    try:
        for state in ("starting", "settling"):
            servers.wait_until(lambda state=state: newest_state(one).startswith(state) or child.poll() is not None, 90, state)
            # Only the sessions: the listener stays.
            one.server.root("sh", "-c", "pgrep -u deploy sshd | xargs -r kill -9")
        child.wait(120)
    finally:
        child.kill()
        child.wait()
    assert work.outcome() == "deployed", work.log()
    assert one.running() == ["v2"]


@servers.thorough
def test_runner_that_is_killed_while_the_server_waits_for_it_is_followed_by_the_next_run(job, shop):
    work = job("older", proxy="haproxy", strategy={"canary": {"percent": 20, "bake": "30s", "final-bake": "1s"}})
    one = first(work, shop)
    load, child = one.load(), work.begin(shop.image("v2"))
    try:
        servers.wait_until(lambda: newest_state(one) == "paused 20" or child.poll() is not None, 90, "the pause")
    finally:
        child.kill()
        child.wait()
    work.env["GITHUB_RUN_ATTEMPT"] = "2"
    assert work.run(shop.image("v2")) == "deployed", work.log()
    seen = load.end()
    assert seen["lost"] == 0 and set(seen["versions"]) == {"v1", "v2"}, seen
    assert one.running() == ["v2"]


def test_cancelled_job_goes_back(job, shop):
    work = job("newer", proxy="nginx", settle="20s")
    one = first(work, shop)
    child = work.begin(shop.image("v2"))
    try:
        servers.wait_until(lambda: newest_state(one).startswith("settling") or child.poll() is not None, 90, "settling")
        child.send_signal(signal.SIGINT)
        child.wait(60)
    finally:
        child.kill()
        child.wait()
    servers.wait_until(lambda: newest_state(one).startswith("rolled-back"), 60, "the way back on the server")
    assert work.outcome() in ("cancelled", "rolled-back"), work.log()
    assert one.running() == ["v1"]


def newest_state(one):
    return one.server.run("sh", "-c", f"cat {one.base}/attempts/$(ls {one.base}/attempts | sort -n | tail -n 1)/state",
                          check=False).strip()
