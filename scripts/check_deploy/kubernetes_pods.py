"""What runs in the pods: rights, resources, probes, and the settings as the programs themselves read them."""

import re
from collections.abc import Iterator

from container import image_problems
from kubernetes_references import PROBES, WORKLOADS
from programs import CONFIGURED, Programs, port_of, seconds_of
from systemd import CONTROL_PLANE_DRAIN_SECONDS

# What the downward API would fill in.
EXAMPLES = {"spec.nodeName": "node-1", "status.hostIP": "192.0.2.7", "metadata.name": "pod-0"}
# Settings that name addresses to listen on.
LISTENERS = ("api", "sync", "admin", "http")


def problems(objects: list[dict], programs: Programs) -> list[str]:
    found = []
    for item in objects:
        if item["kind"] not in WORKLOADS:
            continue
        pod = item["spec"]["template"]["spec"]
        where = f"{item['kind']} {item['metadata']['name']}"
        for container in pod.get("initContainers", []) + pod["containers"]:
            found += [f"{where}: {container['name']}: {p}" for p in _container(pod, container)]
        for container in pod["containers"]:
            found += [f"{where}: {container['name']}: {p}" for p in _probes(container)]
            program = container["image"].partition(":")[0].rsplit("/", 1)[-1]
            if program in CONFIGURED:
                found += [f"{where}: {p}" for p in _settings(item, container, program, objects, programs)]
        if pod.get("automountServiceAccountToken") is not False:
            found.append(f"{where}: its pods get a token for the Kubernetes API, which nothing here needs")
    return found


def _container(pod: dict, container: dict) -> Iterator[str]:
    yield from image_problems(container["image"])
    rights = pod["securityContext"] | container.get("securityContext", {})
    for key, value in {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}.items():
        if rights.get(key) is not value:
            yield f"{key} is not {str(value).lower()}"
    if rights.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities are not dropped"
    if rights.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault"
    # The one that runs as root is there to hand over a directory, may do only that, and ends before anything else runs.
    hands_over = rights["capabilities"].get("add") == ["CHOWN"] and container not in pod["containers"]
    if not hands_over and (rights.get("runAsNonRoot") is not True or "add" in rights["capabilities"]):
        yield "runAsNonRoot is not true, or it has capabilities"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
        yield "requests for cpu and memory and a limit for memory are not all set"
    if "cpu" in resources.get("limits", {}):
        yield "a limit for cpu stops a program in mid-request; requests share it well enough"


def _probes(container: dict) -> Iterator[str]:
    for probe in PROBES:
        path = container.get(probe, {}).get("httpGet", {}).get("path")
        allowed = ("/readyz",) if probe == "readinessProbe" else ("/livez",) if probe == "livenessProbe" else ("/livez", "/readyz")
        if path not in allowed:
            yield f"{probe} does not ask {' or '.join(allowed)}"


def _settings(item: dict, container: dict, program: str, objects: list[dict], programs: Programs) -> Iterator[str]:
    pod, namespace = item["spec"]["template"]["spec"], item["metadata"]["namespace"]
    environment = _environment(container)
    yield from programs.unknown_variables(program, set(environment))
    path = environment.pop("HEADLAND_CONFIG", "")
    text = _mounted(path, pod, container, namespace, objects)
    if text is None:
        yield f"HEADLAND_CONFIG is {path!r}, and no config map is mounted there"
        return
    settings, wrong = programs.settings(program, text, environment)
    yield from wrong
    if wrong:
        return
    if pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks is not false: Kubernetes would set HEADLAND_* variables of its own"
    listens = {port_of(a) for key in LISTENERS if key in settings for a in _as_list(settings[key])}
    declared = {port["containerPort"] for port in container["ports"]}
    if listens != declared:
        yield f"{program} listens on {sorted(listens)}, and the container names {sorted(declared)}"
    drain = seconds_of(settings["drain_timeout"]) if "drain_timeout" in settings else CONTROL_PLANE_DRAIN_SECONDS
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if pod["terminationGracePeriodSeconds"] <= drain + pause:
        yield f"terminationGracePeriodSeconds is not above a drain of {drain} s and a pause of {pause} s"
    for url in _urls(settings):
        yield from _target(url, objects)


def _environment(container: dict) -> dict[str, str]:
    environment: dict[str, str] = {}
    for variable in container.get("env", []):
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        value = EXAMPLES[field] if field else variable["value"]
        environment[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda m: environment.get(m[1], m[0]), value)
    return environment


def _mounted(path: str, pod: dict, container: dict, namespace: str, objects: list[dict]) -> str | None:
    """The text of the config map's key that is mounted at this path."""
    folder, _, key = path.rpartition("/")
    volume = next((m["name"] for m in container.get("volumeMounts", []) if m["mountPath"] == folder), None)
    name = next((v["configMap"]["name"] for v in pod["volumes"] if v["name"] == volume and "configMap" in v), None)
    maps = [o for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["namespace"] == namespace]
    return next((o["data"].get(key) for o in maps if o["metadata"]["name"] == name), None)


def _as_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _urls(settings: dict) -> list[str]:
    store = settings.get("store", {})
    etcd = store.get("etcd", {}) if isinstance(store, dict) else {}
    return [*settings.get("control_planes", []), *((etcd or {}).get("endpoints") or [])]


def _target(url: str, objects: list[dict]) -> Iterator[str]:
    """A URL inside the cluster names a service, or a member of a stateful set, and a port it has."""
    host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
    *member, service, namespace, _ = host.split(".")
    found = [
        o for o in objects
        if (o["kind"], o["metadata"]["name"], o["metadata"].get("namespace")) == ("Service", service, namespace)
    ]
    if len(member) > 1 or not found:
        yield f"{url} names no service of these"
        return
    if int(port) not in {p["port"] for p in found[0]["spec"]["ports"]}:
        yield f"{url} names a port that the service has not"
    if member:
        sets = [o for o in objects if o["kind"] == "StatefulSet" and o["spec"]["serviceName"] == service]
        if not any(member[0] in {f"{s['metadata']['name']}-{n}" for n in range(s["spec"]["replicas"])} for s in sets):
            yield f"{url} names no member"
