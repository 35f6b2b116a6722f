"""The binary against several real servers, and what belongs to a release beside its image: variables, commands, logins."""

import pytest
import real_server as servers
from server_job import first


def versions(work):
    return [one.running() for one in work.services]


@servers.thorough
def test_three_servers_get_the_release_and_return_together(job, shop):
    work = job("older", "newer", "noisy")
    first(work, shop)
    assert work.run(shop.image("v2")) == "deployed", work.log()
    assert versions(work) == [["v2"]] * 3
    assert work.run(operation="verify") == "verified", work.log()
    assert work.run(operation="rollback") in ("deployed", "rolled-back"), work.log()
    assert versions(work) == [["v1"]] * 3


def test_release_that_one_of_three_servers_cannot_run_is_on_none(job, shop):
    work = job("older", "newer", "noisy", proxy="nginx", strategy="rolling")
    work.extend('environment: { FAIL_HEALTH: "${FAIL_HEALTH:-}" }')
    first(work, shop)
    # What only the last server has, and only a new container reads.
    work.services[2].server.run("sh", "-c", f"echo FAIL_HEALTH=1 >{work.services[2].directory}/.env")
    loads = [one.load() for one in work.services]
    assert work.run(shop.image("v2")) == "failed", work.log()
    seen = [load.end() for load in loads]
    assert [each["lost"] for each in seen] == [0, 0, 0], seen
    assert "v2" in seen[0]["versions"] and set(seen[2]["versions"]) == {"v1"}, seen
    assert versions(work) == [["v1"]] * 3
    assert "rolled back" in work.log() and work.services[2].server.address in work.log()


def test_server_that_is_not_suitable_is_said_before_any_change(job, shop):
    work = job("older", "small")
    first(work, shop)
    before = [one.fingerprint() for one in work.services]
    assert work.run(shop.image("v2")) == "invalid", work.log()
    assert "MiB" in work.log() and work.services[1].server.address in work.log()
    assert [one.fingerprint() for one in work.services] == before


def test_variable_is_changed_and_comes_back(job, shop):
    work = job("newer", **{"env-file": "production.env"})
    work.extend("env_file: [.env]")
    value = """it's "$x" `id` \\"""
    (work.folder / "production.env").write_text("# of production\nMODE=old\nOTHER='stays $as it is'\n")
    one = work.service
    one.server.run("sh", "-c", f": >{one.directory}/.env")
    first(work, shop)
    assert work.run(shop.image("v2")) == "deployed", work.log()
    assert work.run(operation="set-env", set=f"shop.MODE={value}") == "deployed", work.log()
    assert value not in work.log().replace("::add-mask::" + value, "")
    assert {"MODE": value, "OTHER": "stays $as it is", "VERSION": "v2"}.items() <= one.environment().items()
    assert work.run(operation="rollback") in ("deployed", "rolled-back"), work.log()
    assert {"MODE": "old", "VERSION": "v2"}.items() <= one.environment().items()


@pytest.mark.parametrize("code, outcome", [(0, "deployed"), (4, "failed")])
def test_command_before_the_traffic_decides(job, shop, code, outcome):
    work = job("older", **{"env-file": "production.env"})
    work.extend('environment: { EXIT: "${EXIT:-0}" }')
    (work.folder / "production.env").write_text(f"EXIT={code}\n")
    work.config["services"]["shop"]["before"] = {"run": ["job"], "timeout": "1m"}
    one = first(work, shop)
    before = one.fingerprint()
    assert work.run(shop.image("v2")) == outcome, work.log()
    if code:
        assert one.fingerprint() == before
    else:
        assert one.running() == ["v2"]


def test_login_of_the_deploy_file_pulls_and_leaves_nothing(job, shop, registry):
    work = job("newer")
    one = first(work, shop)
    work.config["registries"] = {registry.host("locked"): {"username": registry.username, "password": "REGISTRY_PASSWORD"}}
    work.env["REGISTRY_PASSWORD"] = registry.password
    assert work.run(shop.image("v2", "locked")) == "deployed", work.log()
    assert one.running() == ["v2"]
    places = ["/srv", "/tmp", "/home", "/root", "/run/user"]
    assert one.server.root("grep", "-rlsF", "-e", registry.password, *places, check=False) == ""
    assert registry.password not in work.log().replace("::add-mask::" + registry.password, "")
