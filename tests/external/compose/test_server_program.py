"""The program that runs on servers, in real shells, with real engines, Composes and proxies. Needs no Rust."""

import json
import os
import re
import shlex
import time

import pytest
import real_server as servers
import server_program

SHELLS = ["dash", "busybox"]
PROXIES = ["nginx", "caddy", "haproxy"]
# Each Compose and each shell, in few runs.
HOSTS = pytest.mark.parametrize("kind, shell", [("older", "dash"), ("newer", "busybox")])
ONE_HOST = servers.cases("kind, shell", [("older", "busybox"), ("newer", "dash")])
# How often traffic goes there and back under load.
SWITCHES = int(os.environ.get("SWITCHES", "1"))


def deployed(service, shop, version="v1", **more):
    """The first release: in place, whether or not there will be a proxy."""
    words = {name: "" for name in service.words if name.startswith("rs_proxy")} | {"rs_settle": 0} | more
    assert service.release(1, shop.image(version), **words) == "complete", service.log(1)
    if service.proxy:
        service.proxy.start(service.server, f"{service.project}-web-1")
    return service


def untouched(service, before, version="v1"):
    """What ran before still runs: the same containers, never started again."""
    assert service.running() == [version]
    assert service.fingerprint() == before


# --- deploy ----------------------------------------------------------------------------------------------------------

@HOSTS
def test_release_in_place_completes(service, shop, kind, shell):
    one = deployed(service(kind, shell), shop)
    assert one.release(2, shop.image("v2")) == "complete", one.log(2)
    one.took_the_states_of("in place, healthy", 2)
    assert one.running() == ["v2"]
    assert one.serving() == "2"
    assert one.server.run("readlink", f"{one.base}/current").strip() == "releases/2"
    running = one.server.containers(one.project)[0]["Image"]
    digests = one.server.run("docker", "image", "inspect", "-f", "{{.RepoDigests}}", running)
    assert shop.digests["v2"] in digests
    lines = one.dead(2)
    assert "attempt 2 dead run-1 2 1 complete" in lines, lines
    assert "newest 2" in lines and "serving 2" in lines


@pytest.mark.parametrize("shell, version, reason", [
    ("busybox", "unhealthy", "unhealthy"), ("dash", "crashing", "exits")])
def test_release_in_place_that_fails_goes_back(service, shop, shell, version, reason):
    one = deployed(service("older", shell), shop)
    # With a restart policy it is a matter of the moment whether it is seen as ended or as started again.
    one.app = one.app.replace("restart: unless-stopped\n    ", "")
    assert one.release(2, shop.image(version)).startswith("rolled-back "), one.log(2)
    one.took_the_states_of(f"in place, {reason}", 2)
    assert one.running() == ["v1"]
    assert one.serving() == "1"
    lines = one.status(2)
    assert [line for line in lines if line.startswith("failure-log starting")], lines
    if version == "unhealthy":
        assert [line for line in lines if line.startswith("failure-health ") and "database unreachable" in line], lines
    else:
        assert "failure-exit 3 false" in lines, lines


def test_release_that_dies_after_it_was_healthy_goes_back(service, shop):
    one = deployed(service("newer", rs_settle=8), shop)
    assert one.release(2, shop.image("dying")).startswith("rolled-back "), one.log(2)
    assert one.running() == ["v1"]


def test_service_that_was_started_by_hand_becomes_release_0_and_comes_back(service, shop):
    one = service("newer", "busybox")
    one.server.run("sh", "-c", f"umask 077; echo 'DRAIN=7' >{one.directory}/.env")
    one.by_hand(shop.image("v1"))
    before = one.fingerprint()
    assert one.stage(1, shop.image("v2"), env="DRAIN=8\n", rs_adopt="yes") == ["staged"]
    untouched(one, before)
    assert one.start(1, 1) == ["started 1"] and one.end(1) == "complete", one.log(1)
    assert one.running() == ["v2"] and one.server.run("cat", f"{one.directory}/.env") == "DRAIN=8\n"
    assert one.start(2, 0) == ["started 2"] and one.end(2) == "complete", one.log(2)
    assert one.running() == ["v1"] and one.server.run("cat", f"{one.directory}/.env") == "DRAIN=7\n"


@servers.cases("had", ["DRAIN=7\n", None])
def test_release_that_fails_leaves_the_variables_as_they_were(service, shop, had):
    one = service("older")
    if had:
        one.server.run("sh", "-c", f"umask 077; cat >{one.directory}/.env", input=had)
    deployed(one, shop)
    assert one.release(2, shop.image("crashing"), env="DRAIN=9\n").startswith("rolled-back "), one.log(2)
    assert one.server.run("cat", f"{one.directory}/.env", check=False) == (had or "")


def test_first_release_that_fails_says_that_nothing_serves(service, shop):
    one = service("older")
    assert one.release(1, shop.image("unhealthy")) == "stuck unhealthy"
    one.took_the_states_of("in place, first release is unhealthy", 1)
    assert one.serving() == ""


@servers.cases("proxy", [*PROXIES, "nginx-newer"], 3)
def test_switch_there_and_back_loses_nothing(service, shop, proxy):
    one = deployed(service("older", proxy=proxy, rs_settle=1), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    load = one.load(seconds=60 + 120 * SWITCHES)
    for attempt in range(2, 2 + 2 * SWITCHES):
        release = 2 - attempt % 2
        assert one.start(attempt, release) == [f"started {attempt}"]
        assert one.end(attempt, 300) == "complete", one.log(attempt)
        one.took_the_states_of("proxy, healthy", attempt)
        assert one.running() == [f"v{release}"]
        assert one.server.get(one.proxy.url).split()[0] == f"v{release}"
    seen = load.end()
    print(f"{proxy}: {2 * SWITCHES} switches, {seen}")
    assert seen["lost"] == 0, seen
    assert set(seen["versions"]) == {"v1", "v2"}


@servers.cases("proxy", PROXIES[::-1])
def test_switch_that_is_not_confirmed_goes_back_and_loses_nothing(service, shop, proxy):
    one = deployed(service("older", proxy=proxy), shop)
    load = one.load()
    end = one.release(2, shop.image("v2"), rs_weights="50 100", rs_pause_limit=3)
    seen = load.end()
    assert end == "rolled-back not-continued", one.log(2)
    one.took_the_states_of("proxy, canary that nobody continues", 2)
    assert seen["lost"] == 0, seen
    assert {"v1", "v2"} == set(seen["versions"])
    assert one.running() == ["v1"]
    assert one.server.get(one.proxy.url).split()[0] == "v1"


@servers.thorough
def test_canary_gets_its_share(service, shop):
    one = deployed(service("newer", proxy="nginx"), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2, rs_weights="0 10 100", rs_pause_limit=60)
    one.pause(2, "paused 0")
    assert one.running() == ["v1", "v2"] and one.server.get(one.proxy.url).split()[0] == "v1"
    one.request("continue", rs_attempt=2, rs_weight=10)
    one.pause(2, "paused 10")
    load = one.load(keep=False)
    time.sleep(6)
    seen = load.end()
    share = seen["versions"].get("v2", 0) / seen["requests"]
    assert 0.08 <= share <= 0.12 and seen["lost"] == 0, seen
    assert one.request("continue", rs_attempt=2, rs_weight=100) == ["noted"]
    assert one.end(2) == "complete"
    one.took_the_states_of("proxy, canary", 2)


@servers.cases("shell, version", [("dash", "unhealthy"), ("busybox", "crashing")])
def test_bad_release_behind_a_proxy_gets_no_traffic(service, shop, version, shell):
    one = deployed(service("older", shell, "nginx"), shop)
    before = one.fingerprint()
    load = one.load()
    assert one.release(2, shop.image(version)).startswith("rolled-back "), one.log(2)
    seen = load.end()
    assert seen["lost"] == 0 and set(seen["versions"]) == {"v1"}, seen
    if version == "unhealthy":
        one.took_the_states_of("proxy, unhealthy", 2)
    untouched(one, before)


@servers.cases("proxy", ["haproxy", None])
def test_abort_goes_back(service, shop, proxy):
    one = deployed(service("older", proxy=proxy, rs_settle=30), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2)
    one.pause(2, "settling")
    assert one.request("abort", rs_attempt=2) == ["noted"]
    assert one.end(2, 150) == "rolled-back aborted"
    if proxy:
        one.took_the_states_of("proxy, aborted", 2)
    assert one.running() == ["v1"] and (not proxy or one.server.get(one.proxy.url).split()[0] == "v1")


def test_proxy_that_rejects_its_file_keeps_the_old_one(service, shop):
    one = deployed(service("older", proxy="nginx"), shop)
    before, file = one.fingerprint(), one.server.run("cat", one.proxy.file)
    load = one.load()
    assert one.release(2, shop.image("v2"), rs_proxy_single="upstream app { serve @NEW@:8080; }") == "rolled-back proxy", one.log(2)
    assert one.server.run("cat", one.proxy.file) == file
    assert [line for line in one.status(2) if line.startswith("failure-log ") and 'unknown directive "serve"' in line], one.status(2)
    seen = load.end()
    assert seen["lost"] == 0 and set(seen["versions"]) == {"v1"}, seen
    untouched(one, before)


@servers.cases("proxy", ["nginx", None])
def test_release_that_waits_for_the_other_hosts_completes_only_when_the_run_says_so(service, shop, proxy):
    one = deployed(service("newer", proxy=proxy), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2, rs_confirm="yes", rs_pause_limit=60)
    one.pause(2, "paused 100")
    assert one.running() == (["v1", "v2"] if proxy else ["v2"])
    assert one.request("continue", rs_attempt=2, rs_weight=101) == ["noted"]
    assert one.end(2) == "complete" and one.running() == ["v2"] and one.serving() == "2"
    one.took_the_states_of("proxy, confirmed" if proxy else "in place, confirmed", 2)
    # Nobody says so: it goes back.
    assert one.stage(3, shop.image("v3")) == ["staged"]
    one.start(3, 3, rs_confirm="yes", rs_pause_limit=1)
    assert one.end(3, 150) == "rolled-back not-continued", one.log(3)
    assert one.running() == ["v2"] and one.serving() == "2"


# --- one-off commands ------------------------------------------------------------------------------------------------

JOB = server_program.APP.replace("environment: {", "env_file: [.env]\n    environment: { EXIT: \"${EXIT:-0}\",")


def job_ends(one, name):
    def look():
        lines = one.request("task-status", rs_task=name)
        return lines if lines and lines[0].split()[2] == "exited" else None
    return servers.wait_until(look, 60, "the end of the command")


@ONE_HOST
def test_command_runs_once_with_the_new_version_and_changes_nothing(service, shop, kind, shell):
    one = service(kind, shell, app=JOB)
    one.server.run("sh", "-c", f"umask 077; echo 'MODE=old' >{one.directory}/.env")
    one.by_hand(shop.image("v1"))
    before = one.fingerprint()
    assert one.stage(1, shop.image("v2"), env="MODE=new\nEXIT=4\n", rs_adopt="yes") == ["staged"]
    words = {"rs_task": "migrate-1", "rs_release": 1, "rs_owner": "run-1", "rs_command": "'job'"}
    assert one.request("task-status", rs_task="migrate-1") == []
    assert one.request("task-start", **words) == ["started migrate-1"]
    assert one.request("task-start", **words) == ["started migrate-1"], "asked twice, it runs once"
    assert job_ends(one, "migrate-1")[0] == "task migrate-1 exited 4"
    env = one.server.run("docker", "inspect", "-f", "{{.Config.Env}}", f"{one.project}-web-task-migrate-1")
    assert "VERSION=v2" in env and "MODE=new" in env
    assert one.server.run("cat", f"{one.directory}/.env") == "MODE=old\n"
    assert one.request("task-remove", rs_task="migrate-1") == ["noted"]
    untouched(one, before)


def test_command_that_hangs_is_found_and_stopped(service, shop):
    one = deployed(service("older"), shop)
    words = {"rs_task": "long", "rs_release": 1, "rs_owner": "run-1", "rs_command": "'serve' 'it'\\''s'"}
    assert one.request("task-start", **words) == ["started long"]
    assert one.request("task-find", rs_owner="run-1") == ["task long running 0"]
    assert one.request("task-find", rs_owner="run-2") == []
    lines = one.request("task-status", rs_task="long")
    assert lines[0] == "task long running 0" and "task-log starting v1" in lines, lines
    assert one.request("task-stop", rs_task="long") == ["noted"]
    assert job_ends(one, "long")[0] == "task long exited 137"
    # The next one takes away what the last one left, but never the service.
    assert one.request("task-start", **words | {"rs_task": "next"}) == ["started next"]
    assert one.request("task-status", rs_task="long") == [] and one.running() == ["v1", "v1"]
    assert one.request("task-remove", rs_task="next") == ["noted"]


# --- killed ----------------------------------------------------------------------------------------------------------

KILLS = [("starting", True), ("completing", False), ("paused 50", True), ("settling", True), ("backup", True),
         ("completing", True), ("starting", False)]


@servers.cases("state, group", KILLS, 2)
def test_killed_behind_a_proxy_one_version_serves_and_the_next_attempt_finishes(service, shop, state, group):
    one = deployed(service("newer", "dash" if group else "busybox", "nginx", rs_backup="sleep 2"), shop)
    load = one.load()
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2, rs_weights="50 100", rs_pause_limit=30,
              **{"completing": {"rs_drain": 4}, "settling": {"rs_settle": 6}}.get(state, {}))
    if state not in ("backup", "starting", "paused 50"):
        servers.wait_until(lambda: one.state(2) == "paused 50", 90, "the pause")
        one.request("continue", rs_attempt=2, rs_weight=100)
    one.kill_in(2, state, group=group)
    servers.wait_until(lambda: "dead" in one.status(2)[1].split()[2:3], 20, "the lock is free")
    # Whatever it was, users have an answer.
    assert one.server.get(one.proxy.url).split()[0] in ("v1", "v2")
    assert one.release(3, shop.image("v3"), rs_weights="100") == "complete", one.log(3)
    seen = load.end()
    assert seen["lost"] == 0, seen
    assert one.running() == ["v3"]
    assert len(one.server.containers(one.project)) == 1
    assert one.server.get(one.proxy.url).split()[0] == "v3"
    assert one.state(2) == f"lost {state}"


def test_container_of_a_killed_attempt_that_was_not_noted_gets_no_share(service, shop):
    one = deployed(service("older", proxy="nginx"), shop)
    assert one.stage(2, shop.image("slow")) == ["staged"]
    one.start(2, 2)
    servers.wait_until(lambda: len(one.running()) == 2, 60, "the new container")
    one.kill_in(2, "starting")
    one.server.run("rm", "-f", f"{one.base}/attempts/2/new")
    assert one.stage(3, shop.image("v3")) == ["staged"]
    one.start(3, 3, rs_weights="0 50 100", rs_pause_limit=60)
    one.pause(3, "paused 0")
    assert one.running() == ["v1", "v3"]
    assert one.request("abort", rs_attempt=3) == ["noted"]
    assert one.end(3) == "rolled-back aborted" and one.running() == ["v1"]


def test_killed_attempt_whose_old_container_is_gone_is_no_obstacle(service, shop):
    one = deployed(service("newer", proxy="nginx"), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2, rs_weights="50 100", rs_pause_limit=60)
    one.kill_in(2, "paused 50")
    one.server.run("docker", "rm", "-f", f"{one.project}-web-1")
    assert one.release(3, shop.image("v3")) == "complete", one.log(3)
    assert one.running() == ["v3"] and one.server.get(one.proxy.url).split()[0] == "v3"


def test_killed_in_place_the_next_attempt_finishes(service, shop):
    one = deployed(service("newer", "busybox", rs_settle=60), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2)
    one.kill_in(2, "settling", group=False)
    assert "attempt 2 dead run-1 2 1 settling" in one.dead(2)
    assert one.start(3, 1, rs_settle=2) == ["started 3"]
    assert one.end(3) == "complete", one.log(3)
    assert one.running() == ["v1"] and one.state(2) == "lost settling"


@HOSTS
def test_compose_killed_while_the_old_container_drains_is_healed_by_the_next_attempt(service, shop, kind, shell):
    """Compose alone stays down after this: with 2.26 for ever (`<hex>_name` containers that were never started)."""
    one = deployed(service(kind, shell), shop, env="DRAIN=3000\n")
    assert one.stage(2, shop.image("v2"), env="DRAIN=3000\n") == ["staged"]
    old, = one.server.containers(one.project)
    address = old["NetworkSettings"]["Networks"][f"{one.project}_default"]["IPAddress"]
    one.start(2, 2)
    left = f"docker ps -a --filter label=com.docker.compose.project={one.project} --filter status=created --format '{{{{.Names}}}}'"
    name = one.server.run("sh", "-c", f"""
      for _ in $(seq 200); do
        name=$({left})
        # The old container drains: it was told to end, and is not healthy any more.
        if [ -n "$name" ] && ! rig get http://{address}:8080/health >/dev/null 2>&1; then
          pkill -9 -s "$(pgrep -o -f '^sh {one.base}/attempts/2/script transaction')"; echo "$name"; exit
        fi
        sleep 0.05
      done""").strip()
    assert re.match(r"[0-9a-f]{12}_", name), f"nothing was left: {name!r}, {one.state(2)}"
    servers.wait_until(lambda: one.running() == [], 20, "the old container ends")
    assert one.release(3, shop.image("v3")) == "complete", one.log(3)
    assert one.running() == ["v3"]
    assert len(one.server.containers(one.project)) == 1
    assert one.state(2).startswith("lost ")


def test_second_attempt_is_refused_while_one_lives(service, shop):
    one = deployed(service("older", "busybox", rs_settle=12), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    assert one.stage(3, shop.image("v3")) == ["staged"]
    assert one.start(2, 2) == ["started 2"]
    assert one.start(3, 3, owner="run-2") == ["refused busy"]
    # The same words again change nothing: the answer of the first may have been lost.
    again = one.start(2, 2)
    assert again and again[0].startswith("attempt 2 alive run-1 2 1 "), again
    assert one.start(2, 3, owner="run-2") == ["refused taken"]
    assert one.end(2) == "complete"
    assert one.state(3) == "", "a refused attempt leaves no record"
    assert one.running() == ["v2"]


@servers.thorough
def test_engine_that_restarts_meanwhile_leaves_one_version(service, shop):
    one = deployed(service("older", proxy="nginx", rs_settle=15), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2)
    servers.wait_until(lambda: one.state(2) == "settling", 90, "settling")
    one.server.restart_engine()
    end = one.end(2, 90)
    version = {"complete": "v2"}.get(end, "v1")
    assert end == "complete" or end.startswith("rolled-back "), (end, one.log(2))
    servers.wait_until(lambda: one.server.succeeds("rig", "get", one.proxy.url), 30, "an answer through the proxy")
    assert one.running() == [version]
    assert one.server.get(one.proxy.url).split()[0] == version


def test_server_that_crashes_meanwhile_serves_one_version_and_the_next_attempt_finishes(service, shop):
    one = deployed(service("changing", proxy="nginx", rs_settle=30), shop)
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.start(2, 2)
    servers.wait_until(lambda: one.state(2) == "settling", 90, "settling")
    one.server.crash()
    servers.wait_until(lambda: one.server.succeeds("rig", "get", one.proxy.url), 30, "an answer through the proxy")
    assert one.server.get(one.proxy.url).split()[0] == "v2", "the file alone says who has the traffic"
    assert "attempt 2 dead run-1 2 1 settling" in one.dead(2)
    assert one.release(3, shop.image("v3"), rs_settle=2) == "complete", one.log(3)
    assert one.running() == ["v3"] and one.state(2) == "lost settling"


# --- refused before any change ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("which, word", [
    ("locked", "no basic auth credentials|unauthorized|authentication required"), ("missing", "manifest unknown|not found"),
    ("limited", "toomanyrequests|429|rate limit"), ("foreign", "no matching manifest|platform"),
])
def test_pull_that_fails_changes_nothing(service, shop, which, word):
    one = deployed(service("older"), shop)
    before = one.fingerprint()
    reference = {"missing": shop.missing(), "foreign": shop.image("foreign")}.get(which) or shop.image("v2", which)
    lines = one.stage(2, reference)
    assert lines and lines[0] == "refused pull", lines
    assert re.search(word, "\n".join(lines), re.IGNORECASE), lines
    untouched(one, before)
    assert not one.server.succeeds("test", "-e", f"{one.base}/releases/2")
    assert one.start(2, 2) == ["refused release"]


def test_image_of_another_platform_is_taken_where_the_compose_file_asks_for_it(service, shop):
    one = deployed(service("newer", "busybox"), shop)
    one.app = one.app.replace("image: overridden", "image: overridden\n    platform: linux/arm64")
    assert one.stage(2, shop.image("foreign")) == ["staged"]


@pytest.mark.parametrize("killed", [False, True])
@ONE_HOST
def test_login_pulls_and_leaves_nothing(service, shop, registry, kind, shell, killed):
    one = deployed(service(kind, shell), shop)
    login = {"rs_registry": registry.host("locked"), "rs_credential": json.dumps(
        {"ServerURL": registry.host("locked"), "Username": registry.username, "Secret": registry.password})}
    if killed:
        one.server.run("sh", "-c", f"""
          (until grep -qs {registry.password} /proc/[0-9]*/environ; do sleep 0.02; done
           pkill -9 -u deploy -f '/tmp/request-{one.project}-|docker.compose') >/dev/null 2>&1 &""")
        assert one.stage(2, shop.image("large", "locked"), **login) != ["staged"]
    else:
        assert one.stage(2, shop.image("v2", "locked"), **login) == ["staged"]
        wrong = login | {"rs_credential": login["rs_credential"].replace(registry.password, "wrong")}
        lines = one.stage(3, shop.image("v3", "locked"), **wrong)
        assert lines[0] == "refused pull" and re.search("unauthorized|authentication required", "\n".join(lines)), lines
    found = one.server.root("grep", "-rlsF", "-e", registry.password, "/srv", "/tmp", "/home", "/root", "/run/user", check=False)
    assert found == "", "a file has the password"


def test_full_disk_refuses_the_pull_and_the_old_version_serves(service, shop):
    one = deployed(service("small"), shop)
    before = one.fingerprint()
    lines = one.stage(2, shop.image("large"))
    assert lines and lines[0] == "refused pull" and "no space left" in "\n".join(lines), lines
    untouched(one, before)
    # Room is there again for one that fits.
    assert one.release(2, shop.image("v2")) == "complete", one.log(2)


def test_observe_says_how_much_room_the_images_have(service, shop):
    one = deployed(service("small"), shop)
    lines = one.request("observe")
    free = [int(line.split()[1]) for line in lines if line.startswith("free-images ")]
    assert free and free[0] < 110_000, lines


@servers.cases("shell", SHELLS[::-1])
def test_observe_sees_tools_engine_compose_and_containers(service, shop, shell):
    one = deployed(service("older", shell), shop)
    lines = one.request("observe")
    assert not [line for line in lines if line.startswith("missing")], lines
    assert [line for line in lines if line.startswith("docker ")], lines
    assert [line for line in lines if line.startswith("compose 2.26")], lines
    container = [line.split() for line in lines if line.startswith("container ")]
    assert len(container) == 1 and container[0][2:4] == ["running", "healthy"], lines
    assert shop.digests["v1"] in container[0][-2] and container[0][-1] == f"{one.project}-web-1", lines


def test_backup_that_fails_changes_nothing(service, shop):
    one = deployed(service("older", "busybox"), shop)
    before = one.fingerprint()
    backup = shlex.join(["sh", "-c", "echo \"pg_dump: error: it's gone\"; exit 3"])
    assert one.release(2, shop.image("v2"), rs_backup=backup) == "refused backup"
    assert [line for line in one.status(2) if "it's gone" in line], one.status(2)
    untouched(one, before)
    assert one.serving() == "1"


def test_backup_that_hangs_is_ended(service, shop):
    one = deployed(service("older"), shop)
    before = one.fingerprint()
    assert one.release(2, shop.image("v2"), rs_backup="sleep 300", rs_backup_limit=2) == "refused backup"
    untouched(one, before)


def test_wrong_compose_file_is_refused(service, shop):
    one = deployed(service("older"), shop)
    before = one.fingerprint()
    one.app = "services: { web: { imagee: x } }\n"
    lines = one.stage(2, shop.image("v2"))
    assert lines[0] == "refused config" and "imagee" in "\n".join(lines), lines
    # The file that pins the image has the service in any case; the user's own files do not.
    one.app = "services: { other: { image: x } }\n"
    assert one.stage(2, shop.image("v2"))[0] == "refused service"
    one.app = server_program.APP
    lines = one.stage(2, shop.image("v2"), env="GOOD=1\nhunter2 is 'no variable\n")
    assert lines[0] == "refused config" and any("/env: line 2" in line for line in lines), lines
    assert "hunter2" not in "".join(lines), "a secret is not quoted"
    untouched(one, before)


@ONE_HOST
def test_published_port_that_something_else_has_is_refused(service, shop, kind, shell):
    ports = "image: overridden\n    ports: ['127.0.0.1:{}:8080']"
    one = service(kind, shell, app=server_program.APP.replace("image: overridden", ports.format(9100)))
    deployed(one, shop)
    before = one.fingerprint()
    # Its own port is no obstacle, and neither is the same port of another address.
    assert one.stage(2, shop.image("v2")) == ["staged"]
    one.app = one.app.replace("127.0.0.1:9100", "22")
    assert one.stage(3, shop.image("v2")) == ["refused port", "error port 22 is in use"]
    one.app = one.app.replace("22:8080", "127.0.0.9:9100:8080")
    assert one.stage(3, shop.image("v2"), rs_project=f"{one.project}-other") == ["staged"]
    one.app = one.app.replace("127.0.0.9:9100", "9100")
    assert one.stage(4, shop.image("v2"), rs_project=f"{one.project}-other") == ["refused port", "error port 9100 is in use"]
    untouched(one, before)


def test_service_that_the_new_release_depends_on_is_started(service, shop):
    one = deployed(service("newer", "busybox", "nginx"), shop)
    cache = f"  cache:\n    image: {shop.image('v5')}\n    labels: {{ test: {one.project} }}\n"
    one.app = one.app.replace("image: overridden", "image: overridden\n    depends_on: [cache]") + cache
    assert one.release(2, shop.image("v2")) == "complete", one.log(2)
    assert one.running() == ["v2", "v5"]


# --- what is kept ----------------------------------------------------------------------------------------------------

NASTY = {
    "dollar": "a$b", "dollars": "a$$b", "braces": "${HOME}", "single": "it's", "double": 'say "hi"', "hash": "a #b",
    "hash_first": "#x", "backslash": "C:\\new\\table", "backslash_end": "end\\", "newline": "one\ntwo", "return": "a\rb",
    "tab": "a\tb", "lead": "  lead", "trail": "trail  ", "emoji": "🚀é", "ticks": "`id`", "subst": "$(id)",
    "json": '{"a": "b$c", "d": [1, \'2\']}', "empty": "",
}


def single_quoted(value):
    """Fits every value in which no backslash stands before a quote or at the end: there it would hide the quote."""
    return "'" + value.replace("'", "\\'") + "'"


def double_quoted(value):
    """Fits every value."""
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        value = value.replace(character, escaped)
    return f'"{value}"'


@ONE_HOST
def test_values_arrive_byte_for_byte_and_are_only_the_owners(service, shop, kind, shell):
    written = {f"D_{name.upper()}": (value, double_quoted(value)) for name, value in NASTY.items()}
    written |= {f"S_{name.upper()}": (value, single_quoted(value)) for name, value in NASTY.items() if not value.endswith("\\")}
    passed_on = "".join(f"      VIA_{name}: '${{{name}}}'\n" for name in written)
    # Of a profile, too, that nobody names: the service itself is asked for.
    app = f"services:\n  web:\n    image: overridden\n    profiles: [shop]\n    env_file: [.env]\n    environment:\n{passed_on}"
    one = service(kind, shell, app=app)
    env = "".join(f"{name}={text}\n" for name, (_, text) in written.items())
    one.server.run("sh", "-c", f"umask 077; : >{one.directory}/.env")
    assert one.release(1, shop.image("v1"), env=env) == "complete", one.log(1)
    for file in (f"{one.directory}/.env", f"{one.base}/releases/1/env"):
        assert one.server.run("stat", "-c", "%a %U", file).strip() == "600 deploy"
        assert one.server.run("cat", file) == env
    found = one.server.containers(one.project)[0]["Config"]["Env"]
    values = dict(pair.split("=", 1) for pair in found)
    for name, (value, _) in written.items():
        assert values[name] == value, name
        assert values[f"VIA_{name}"] == value, name


def test_only_the_last_releases_are_kept_and_never_a_volume_is_lost(service, shop):
    app = ("services:\n  web:\n    image: overridden\n    volumes: ['data:/data']\n    healthcheck: { test: ['CMD', '/app', 'health'], "
           "interval: 1s, start_period: 8s, start_interval: 500ms }\nvolumes: { data: {} }\n")
    one = service("newer", app=app, rs_keep=2)
    stranger = one.server.run("docker", "volume", "create", f"{one.project}-of-somebody").strip()
    one.server.run("sh", "-c", f"for n in $(seq 30); do mkdir -p {one.base}/attempts/$n; echo complete >{one.base}/attempts/$n/state; done")
    for number in range(1, 6):
        assert one.release(number, shop.image(f"v{number}"), attempt=30 + number) == "complete", one.log(30 + number)
        if number == 1:
            where = one.server.run("docker", "volume", "inspect", "-f", "{{.Mountpoint}}", f"{one.project}_data").strip()
            one.server.root("sh", "-c", f"echo precious >{where}/orders")
    kept = one.server.run("ls", f"{one.base}/releases").split()
    assert kept == ["4", "5"]
    attempts = one.server.run("ls", f"{one.base}/attempts").split()
    assert sorted(map(int, attempts)) == list(range(16, 36))
    images = one.server.run("docker", "images", "--digests", "--format", "{{.Digest}}")
    assert shop.digests["v5"] in images and shop.digests["v4"] in images
    assert one.server.root("cat", f"{where}/orders").strip() == "precious"
    assert stranger in one.server.run("docker", "volume", "ls", "-q").split()
    one.server.run("docker", "volume", "rm", stranger)


def test_release_is_never_written_again(service, shop):
    one = deployed(service("older"), shop)
    assert one.stage(1, shop.image("v1")) == ["staged"], "the same release again is the same"
    assert one.stage(1, shop.image("v2")) == ["refused taken"]
    listed = "cd {0}/releases/1 && find . -type f | sort | xargs sha256sum".format(one.base)
    before = one.server.run("sh", "-c", listed)
    assert one.release(2, shop.image("v2")) == "complete"
    assert one.release(3, shop.image("v3")) == "complete"
    assert one.server.run("sh", "-c", listed) == before


def test_kept_release_comes_back_without_a_registry(service, shop):
    one = deployed(service("older"), shop)
    assert one.release(2, shop.image("v2")) == "complete"
    pid = one.server.root("pgrep", "-f", "^docker-registry serve .*plain").split()
    one.server.root("kill", "-STOP", *pid)
    try:
        assert one.start(3, 1) == ["started 3"]
        assert one.end(3) == "complete", one.log(3)
    finally:
        one.server.root("kill", "-CONT", *pid)
    assert one.running() == ["v1"] and one.serving() == "1"


def test_part_of_the_program_does_nothing(service, shop):
    """A connection that is cut while the program arrives."""
    one = deployed(service("older"), shop)
    before = one.fingerprint()
    words = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in (one.words | {
        "rs_operation": "start", "rs_attempt": "2", "rs_release": "1", "rs_owner": "x"}).items())
    text = words + server_program.program()
    for share in (0.3, 0.6, 0.9, 0.99):
        part = text[: int(len(text) * share)]
        one.server.run("sh", "-c", "cat >part && sh part", input=part, check=False)
    one.server.run("rm", "-f", "part")
    assert one.state(2) == ""
    untouched(one, before)
