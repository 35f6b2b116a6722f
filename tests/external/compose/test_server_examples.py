"""The deploy files of the Compose examples on real servers. Only what names the outside world is written otherwise: addresses,
keys, folders, the proxies' file and the command of a migration; an image is given instead of built, and waits are shorter."""

import json

import machine
import pytest
import real_server as servers
import server_job
import yaml

KINDS = ["older", "newer", "noisy"]


def examples():
    """Folder and environment of each example that deploys to servers."""
    for path in sorted(machine.ROOT.glob("examples/*/roadstead.yml")):
        deploy = yaml.safe_load(path.read_text())
        if any("compose" in service for service in deploy["services"].values()):
            for environment in deploy["environments"]:
                yield pytest.param(path.parent, environment, id=f"{path.parent.name}-{environment}")


def test_there_are_examples():
    assert len(list(examples())) >= 3


def settings_of(service, environment):
    """What holds in an environment."""
    more = service.get("environments", {}).get(environment, {})
    return service | more | {"compose": service["compose"] | more.get("compose", {})}


def real_hosts(hosts, services):
    """The hosts of a deploy file, led to real servers; who stands behind another one does so here."""
    addresses = {host["ssh"]: one for host, one in zip(hosts, services, strict=True)}

    def lead(host):
        server = addresses[host["ssh"]].server
        pins = {"host-keys": [server_job.print_of(server)]}
        if "jump" in host:
            return pins | {"ssh": f"deploy@{server.root('hostname', '-i').split()[0]}", "jump": lead(host["jump"])}
        return pins | {"ssh": f"deploy@{server.address}:{servers.PORT}"}

    return [lead(host) for host in hosts]


def real_settings(settings, job):
    """The settings of an example on the servers of a job."""
    one, compose = job.service, dict(settings["compose"])
    compose |= {"hosts": real_hosts(compose["hosts"], job.services), "directory": one.directory, "project": one.project,
                "settle": "2s"}
    if "proxy" in compose:
        compose["proxy"] = compose["proxy"] | {one.proxy.base: one.proxy.file, "container": one.proxy.container}
    kept = {"strategy": {settings["strategy"]: {"bake": "1s"}}} if "strategy" in settings else {}
    before = {"before": settings["before"] | {"run": ["job"]}} if "before" in settings else {}
    return kept | before | {"compose": compose}


def compose_file(folder, project):
    """The Compose file of an example, whose outer network is the one that the proxy of a rig is in."""
    text = yaml.safe_load((folder / "compose.yaml").read_text())
    for network in text.get("networks", {}).values():
        network.update({"name": f"{project}_default"})
    return text


@pytest.mark.parametrize("folder, environment", list(examples()))
def test_deploy_file_of_an_example_deploys_verifies_and_returns(job, shop, folder, environment):
    deploy = yaml.safe_load((folder / "roadstead.yml").read_text())
    (name, service), = deploy["services"].items()
    settings = settings_of(service, environment)
    hosts, proxy = settings["compose"]["hosts"], settings["compose"].get("proxy", {})
    work = job(*KINDS[:len(hosts)], proxy=next((it for it in ("nginx", "caddy", "haproxy") if it in proxy), None))
    server_job.first(work, shop)
    for one in work.services:
        prepare(one, settings["compose"])
    work.config = {"environments": {environment: {"branches": ["main"]}}, "services": {"shop": real_settings(settings, work)}}
    work.env["INPUT_ENVIRONMENT"] = environment
    lay_out(work, folder)
    assert work.run(shop.image("v2")) == "deployed", work.log()
    assert [one.running() for one in work.services] == [["v2"]] * len(hosts), name
    assert work.run(operation="verify") == "verified", work.log()
    assert work.run(operation="rollback") in ("deployed", "rolled-back"), work.log()
    assert [one.running() for one in work.services] == [["v1"]] * len(hosts)


def prepare(one, compose):
    """What the example says a server has: the variables, and the command of its backup."""
    one.server.run("sh", "-c", f": >{one.directory}/.env")
    for command in [compose["backup"][0]] if "backup" in compose else []:
        one.server.run("sh", "-c", f"cd {one.directory} && echo '#!/bin/sh' >{command} && chmod +x {command}")


def lay_out(work, folder):
    """The repository of the example."""
    text = compose_file(folder, work.service.project)
    (work.folder / "compose.yaml").write_text(json.dumps(text))
    (work.folder / "deploy").mkdir()
    for file in (folder / "deploy").iterdir():
        (work.folder / "deploy" / file.name).write_bytes(file.read_bytes())
