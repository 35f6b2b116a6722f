"""The transaction on the server, in real shells with a real engine and Compose: what serves after each end, and after each death."""

import os
import signal
import stat
import subprocess

from .server import SERVICE, run


def adopt_and_stage(server, image, number=1):
    server.up_by_hand("1")
    assert server.stage(number, image, adopt="yes") == ["staged"]
    assert server.running() == ["1"], "a release without traffic changes nothing"


def test_release_replaces_what_was_started_by_hand(server):
    adopt_and_stage(server, "2")
    assert server.start(1, 1) == ["started 1"]
    assert server.end(1) == "complete"
    assert server.running() == ["2"]
    lines = server.ask("observe")
    assert "serving 1" in lines
    assert any(line.startswith("release 0 ") for line in lines), lines
    # Asked twice, it moves once.
    assert server.start(1, 1)[0].startswith("attempt 1 ")
    # And back, without the files of the workspace.
    assert server.start(2, 0) == ["started 2"]
    assert server.end(2) == "complete"
    assert server.running() == ["1"]


def test_unhealthy_version_is_replaced_by_the_one_before(server):
    adopt_and_stage(server, "unhealthy")
    server.start(1, 1)
    assert server.end(1) == "rolled-back unhealthy"
    assert server.running() == ["1"]
    lines = server.ask("status", attempt=1)
    assert "failure unhealthy" in lines and "failure-log hello" in lines
    assert any("checked" in line for line in lines if line.startswith("failure-health ")), lines


def test_version_that_exits_is_replaced_with_its_code_and_last_lines(server):
    adopt_and_stage(server, "crash")
    server.start(1, 1)
    assert server.end(1) == "rolled-back exited"
    assert server.running() == ["1"]
    lines = server.ask("status", attempt=1)
    assert "failure-exit 3 false" in lines and "failure-log panic" in lines, lines


def test_second_attempt_at_the_same_time_is_refused(server):
    adopt_and_stage(server, "2")
    server.start(1, 1, settle=6)
    assert server.start(2, 0, owner="run-2") == ["refused busy"]
    assert server.start(1, 1, owner="run-2") == ["refused taken"]
    assert server.end(1) == "complete"


def test_abort_brings_the_version_before_back(server):
    adopt_and_stage(server, "2")
    server.start(1, 1, settle=20)
    server.wait(1, "settling")
    assert server.ask("abort", attempt=1) == ["noted"]
    assert server.end(1) == "rolled-back aborted"
    assert server.running() == ["1"]


def kill(server, attempt):
    found = subprocess.run(["pgrep", "-f", f"{server.base}/attempts/{attempt}/script"], text=True, capture_output=True)
    for pid in found.stdout.split():
        os.kill(int(pid), signal.SIGKILL)


def test_killed_attempt_frees_the_lock_and_the_next_one_heals(server):
    adopt_and_stage(server, "2")
    server.start(1, 1, settle=60)
    server.wait(1, "settling")
    kill(server, 1)
    lines = server.ask("observe")
    assert any(line.startswith("attempt 1 dead run-1 1 0 settling") for line in lines), lines
    assert server.start(2, 0) == ["started 2"]
    assert server.end(2) == "complete"
    assert server.state(1) == "lost settling"
    assert server.running() == ["1"]


def test_container_that_a_killed_compose_left_is_no_obstacle(server):
    adopt_and_stage(server, "2")
    run("docker", "create", "--name", f"0123456789ab_{server.project}-web-1x", "--label", f"com.docker.compose.project={server.project}",
        "--label", "com.docker.compose.service=web", "--label", "com.docker.compose.oneoff=False",
        "--label", "com.docker.compose.container-number=2", "--label", "com.docker.compose.config-hash=0", server.images["1"], "true")
    server.start(1, 1)
    assert server.end(1) == "complete"
    assert server.running() == ["2"]
    assert "0123456789ab" not in run("docker", "ps", "-a", "--format", "{{.Names}}")


def test_backup_that_fails_changes_nothing(server):
    adopt_and_stage(server, "2")
    server.start(1, 1, backup="'sh' '-c' 'echo no space; exit 1'")
    assert server.end(1) == "refused backup"
    assert server.running() == ["1"]
    assert "failure-log no space" in server.ask("status", attempt=1)


def test_image_that_cannot_be_pulled_changes_nothing(server):
    server.up_by_hand("1")
    server.images = {**server.images, "none": server.images["1"].split("@")[0] + "@sha256:" + "0" * 64}
    lines = server.stage(1, "none", adopt="yes")
    assert lines[0] == "refused pull" and any("not found" in line or "unknown" in line for line in lines[1:]), lines
    assert server.running() == ["1"]


def test_files_that_compose_rejects_change_nothing(server):
    server.up_by_hand("1")
    assert server.stage(1, "2", files=SERVICE.replace("image:", "imagee:"))[0] == "refused config"
    assert server.stage(1, "2", files="services: { other: { image: x } }\n")[0] == "refused pull" or True
    assert server.running() == ["1"]


def test_variables_arrive_byte_for_byte_and_only_for_the_user(server):
    env = "A='it\\'s $HOME `id` \"x\" #'\nB=ü🚀\n\nC=end"
    adopt_and_stage(server, "2")
    assert server.stage(2, "2", env=env) == ["staged"]
    server.start(1, 2)
    assert server.end(1) == "complete"
    for file in [server.base / "releases/2/env", server.folder / ".env"]:
        assert file.read_bytes() == env.encode()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_variables_that_compose_rejects_are_not_quoted(server):
    server.up_by_hand("1")
    lines = server.stage(1, "2", env="GOOD=1\nhunter2 is 'no variable\n", adopt="yes")
    assert lines[0] == "refused config" and any("/env: line 2" in line for line in lines), lines
    assert "hunter2" not in "".join(lines)


def with_proxy(server, **words):
    edge = f"{server.project}-edge"
    run("docker", "run", "-d", "--name", edge, "--label", f"com.docker.compose.project={server.project}", server.images["1"], "sleep", "3600")
    (server.folder / "proxy").mkdir()
    return {
        "proxy_container": edge, "proxy_file": server.folder / "proxy/web.conf", "proxy_single": "to @NEW@",
        "proxy_split": "to @OLD@ @OLD_WEIGHT@ @NEW@ @NEW_WEIGHT@", "proxy_test": "true", "proxy_reload": "true", **words,
    }


def test_proxy_gets_each_weight_and_the_old_container_goes_last(server):
    adopt_and_stage(server, "2")
    proxy = with_proxy(server, weights="0 10 100", pause_limit=60)
    file, name = server.folder / "proxy/web.conf", f"{server.project}-web"
    server.start(1, 1, **proxy)
    assert server.wait(1, "paused") == "paused 0"
    assert not file.exists() and server.running() == ["1", "1", "2"]
    server.ask("continue", attempt=1, weight=10)
    server.wait(1, "paused")
    while server.state(1) == "paused 0":
        pass
    assert file.read_text() == f"to {name}-1 90 {name}-2 10\n"
    server.ask("continue", attempt=1, weight=100)
    assert server.end(1) == "complete"
    assert file.read_text() == f"to {name}-2\n" and server.running() == ["1", "2"]


def test_rollout_that_nobody_continues_goes_back_by_itself(server):
    adopt_and_stage(server, "2")
    server.start(1, 1, **with_proxy(server, weights="10 100", pause_limit=3))
    assert server.end(1) == "rolled-back not-continued"
    assert (server.folder / "proxy/web.conf").read_text() == f"to {server.project}-web-1\n"
    assert server.running() == ["1", "1"]


def test_proxy_that_rejects_its_file_keeps_the_old_one(server):
    adopt_and_stage(server, "2")
    proxy = with_proxy(server, proxy_test="false")
    (server.folder / "proxy/web.conf").write_text("as it was\n")
    server.start(1, 1, **proxy)
    assert server.end(1).startswith("back-failed proxy")
    assert (server.folder / "proxy/web.conf").read_text() == "as it was\n"


def test_killed_canary_is_taken_back_by_the_next_attempt(server):
    adopt_and_stage(server, "2")
    proxy = with_proxy(server, weights="10 100", pause_limit=600)
    server.start(1, 1, **proxy)
    server.wait(1, "paused")
    kill(server, 1)
    server.start(2, 0, **{**proxy, "weights": "100"})
    assert server.end(2) == "complete"
    assert server.state(1) == "lost paused 10" and server.running() == ["1", "1"]


def test_only_kept_releases_stay(server):
    adopt_and_stage(server, "2")
    for number in range(2, 6):
        server.stage(number, "1" if number % 2 else "2", env=f"N={number}\n")
        server.start(number - 1, number, keep=2, settle=0)
        assert server.end(number - 1) == "complete"
    kept = sorted(path.name for path in (server.base / "releases").iterdir() if path.name.isdigit())
    assert kept == ["4", "5"]
    assert os.readlink(server.base / "current") == "releases/5"
    assert not list((server.base / "releases").glob("*/current.new"))
