"""The compose file: the Compose specification's own rules, and whether its parts fit each other and the programs."""

import copy
from pathlib import Path

import yaml
from compose_spec import PyCompose
from container import image_problems
from programs import Programs, port_of
from report import Report

# Settings that name an address to listen on.
LISTENERS = ("HEADLAND_API", "HEADLAND_SYNC", "HEADLAND_ADMIN", "HEADLAND_HTTP")


def check(path: Path, programs: Programs, report: Report) -> None:
    document = yaml.safe_load(path.read_text())
    folder = path.parent
    report.result(f"{path.name}: the Compose specification", _specification(document))
    report.result(f"{path.name}: its parts fit", _fits(document, folder))
    for name, service in document["services"].items():
        if _program(service):
            report.result(f"{path.name}: settings of {name}", _settings(service, programs))
    _refuse_wrong_copies(document, folder, programs, report)


def _refuse_wrong_copies(document: dict, folder: Path, programs: Programs, report: Report) -> None:
    def wrong(service: str, key: str, value: object) -> dict:
        changed = copy.deepcopy(document)
        changed["services"][service][key] = value
        return changed

    report.refused("a misspelt compose field", lambda: _specification(wrong("etcd", "helthcheck", {})), "helthcheck")
    report.refused("a compose port out of range", lambda: _specification(wrong("edge-1", "ports", ["70000:1"])), "70000")
    report.refused("a volume nobody declares", lambda: _fits(wrong("etcd", "volumes", ["x:/x"]), folder), "volume x")
    report.refused("a service nobody declares", lambda: _fits(wrong("etcd", "depends_on", ["x"]), folder), "depends on x")
    report.refused("a port nobody listens on", lambda: _fits(wrong("edge-1", "ports", ["1:2"]), folder), "port 2")
    edge = copy.deepcopy(document["services"]["edge-1"])
    edge["environment"]["HEADLAND_LOKATION"] = "x"
    report.refused("a misspelt HEADLAND_* variable", lambda: _settings(edge, programs), "HEADLAND_LOKATION")


def _specification(document: dict) -> list[str]:
    # YAML's own "<<" is resolved first: the specification's rules are about what it stands for.
    try:
        PyCompose.from_yaml(yaml.safe_dump(document)).validate()
    except ValueError as error:
        return [str(error)]
    return []


def _program(service: dict) -> str | None:
    name = service["image"].partition(":")[0]
    return name if name.startswith("headland") else None


def _settings(service: dict, programs: Programs) -> list[str]:
    name = _program(service)
    environment = {k: str(v) for k, v in service.get("environment", {}).items()}
    problems = programs.unknown_variables(name, set(environment))
    if name != "headland":
        problems += programs.settings(name, None, environment)[1]
    return problems


def _fits(document: dict, folder: Path) -> list[str]:
    services, problems = document["services"], []
    for name, service in services.items():
        problems += image_problems(service["image"])
        problems += _references(name, service, document, folder)
        listens = {port_of(v) for k, v in service.get("environment", {}).items() if k in LISTENERS and _program(service)}
        for port in service.get("ports", []):
            inside = port_of(port)
            if inside not in listens:
                problems.append(f"{name} publishes port {inside}, and nothing in it listens there")
            if not str(port).startswith("127.0.0.1:"):
                problems.append(f"{name} publishes port {port} beyond this machine")
        problems += _targets(name, service, services)
    return problems


def _references(name: str, service: dict, document: dict, folder: Path) -> list[str]:
    problems = []
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            if not (folder / source).exists():
                problems.append(f"{name} mounts {source}, which does not exist")
        elif source not in document["volumes"]:
            problems.append(f"{name} mounts volume {source}, which is not declared")
    problems += [f"{name} depends on {d}, which is not declared" for d in service.get("depends_on", []) if d not in document["services"]]
    problems += [f"{name} joins network {n}, which is not declared" for n in service.get("networks", []) if n not in document["networks"]]
    if (build := service.get("build")) and not (folder / build["context"] / build["dockerfile"]).is_file():
        problems.append(f"{name} is built from {build['dockerfile']}, which does not exist")
    return problems


def _targets(name: str, service: dict, services: dict) -> list[str]:
    """Services that a program is told to call must exist, share a network with it, and listen there."""
    problems = []
    for variable, value in service.get("environment", {}).items():
        if not (variable.startswith("HEADLAND_") and str(value).startswith("http://")) or variable == "HEADLAND_VIEWER_URL":
            continue
        for url in value.split(","):
            host = url.removeprefix("http://").partition(":")[0]
            other = services.get(host)
            if other is None:
                problems.append(f"{name}'s {variable} names {host}, which is not a service")
                continue
            if not set(service["networks"]) & set(other["networks"]):
                problems.append(f"{name} and {host} share no network")
            ports = {port_of(v) for k, v in other["environment"].items() if k in LISTENERS or k == "ETCD_LISTEN_CLIENT_URLS"}
            if port_of(url) not in ports:
                problems.append(f"{name}'s {variable} names port {port_of(url)}, and {host} listens on {sorted(ports)}")
    return problems
