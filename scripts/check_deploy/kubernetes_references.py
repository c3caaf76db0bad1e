"""Whether the parts of a set of Kubernetes objects fit each other: names, selectors, ports. Schemas cannot tell."""

import re
from collections.abc import Iterator

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
CLUSTER_WIDE = ("Namespace", "PriorityClass")


def problems(objects: list[dict]) -> list[str]:
    names = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects}
    found = _namespaces(objects, names)
    for item in objects:
        where = f"{item['kind']} {item['metadata']['name']}"
        checks = {"Service": _service, "PodDisruptionBudget": _budget, "NetworkPolicy": _policy}
        if item["kind"] in WORKLOADS:
            found += [f"{where}: {problem}" for problem in _workload(item, names)]
        elif item["kind"] in checks:
            found += [f"{where}: {problem}" for problem in checks[item["kind"]](item, objects)]
    return found


def _namespaces(objects: list[dict], names: set) -> list[str]:
    found = []
    for item in objects:
        namespace = item["metadata"].get("namespace")
        where = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] in CLUSTER_WIDE:
            found += [f"{where}: has a namespace"] if namespace else []
        elif ("Namespace", None, namespace) not in names:
            found.append(f"{where}: its namespace {namespace} is not declared")
    return found


def selected(objects: list[dict], namespace: str, labels: dict) -> list[dict]:
    """The workloads of a namespace whose pods carry these labels."""
    return [
        o for o in objects
        if o["kind"] in WORKLOADS and o["metadata"]["namespace"] == namespace
        and labels.items() <= o["spec"]["template"]["metadata"]["labels"].items()
    ]


def _has_port(workload: dict, port: str | int) -> bool:
    containers = workload["spec"]["template"]["spec"]["containers"]
    return any(port in (p.get("name"), p["containerPort"]) for c in containers for p in c.get("ports", []))


def _service(item: dict, objects: list[dict]) -> list[str]:
    workloads = selected(objects, item["metadata"]["namespace"], item["spec"]["selector"])
    if not workloads:
        return ["selects no pod"]
    targets = [port.get("targetPort", port["port"]) for port in item["spec"]["ports"]]
    return [f"its pods have no port {t}" for t in targets if not all(_has_port(w, t) for w in workloads)]


def _budget(item: dict, objects: list[dict]) -> list[str]:
    spec = item["spec"]
    workloads = selected(objects, item["metadata"]["namespace"], spec["selector"]["matchLabels"])
    if not workloads:
        return ["selects no pod"]
    replicas = sum(w["spec"].get("replicas", 1) for w in workloads)
    if spec.get("maxUnavailable") == 0 or spec.get("minAvailable", 0) >= replicas:
        return ["allows no eviction at all: a node with such a pod could never be drained"]
    return []


def _policy(item: dict, objects: list[dict]) -> list[str]:
    namespace, spec = item["metadata"]["namespace"], item["spec"]
    workloads = selected(objects, namespace, spec["podSelector"].get("matchLabels", {}))
    found = [] if workloads else ["applies to no pod"]
    for rule in spec.get("ingress", []):
        found += [f"its pods have no port {p['port']}" for p in rule["ports"] if not any(_has_port(w, p["port"]) for w in workloads)]
    for rule in spec.get("egress", []):
        for peer in rule.get("to", []):
            if "podSelector" not in peer:
                continue
            there = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", namespace)
            targets = selected(objects, there, peer["podSelector"]["matchLabels"])
            found += [] if targets else [f"lets out to pods that do not exist: {peer}"]
            ports = [p["port"] for p in rule["ports"]]
            found += [f"lets out to port {p}, which nobody has" for p in ports if not any(_has_port(t, p) for t in targets)]
    return found


def _workload(item: dict, names: set) -> list[str]:
    namespace, spec = item["metadata"]["namespace"], item["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    found = [] if spec["selector"]["matchLabels"].items() <= labels.items() else ["does not select its own pods"]
    for kind, scope, name in _referenced(item):
        if (kind, namespace if scope else None, name) not in names:
            found.append(f"refers to {kind} {name}, which does not exist")
    volumes = {v["name"] for v in pod.get("volumes", [])} | {c["metadata"]["name"] for c in spec.get("volumeClaimTemplates", [])}
    for container in pod.get("initContainers", []) + pod["containers"]:
        mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
        found += [f"{container['name']} mounts {name}, which is no volume" for name in mounts - volumes]
        found += _variables(container)
        ports = {p for port in container.get("ports", []) for p in (port.get("name"), port["containerPort"])}
        probed = {container[probe]["httpGet"]["port"] for probe in PROBES if probe in container}
        found += [f"a probe of {container['name']} asks port {port}, which it has not" for port in probed - ports]
    return found


def _referenced(item: dict) -> Iterator[tuple[str, bool, str]]:
    """(kind, whether it has a namespace, name) of everything a workload refers to and cannot do without."""
    pod = item["spec"]["template"]["spec"]
    yield "ServiceAccount", True, pod["serviceAccountName"]
    if "priorityClassName" in pod:
        yield "PriorityClass", False, pod["priorityClassName"]
    if "serviceName" in item["spec"]:
        yield "Service", True, item["spec"]["serviceName"]
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", True, volume["configMap"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", True, volume["persistentVolumeClaim"]["claimName"]
    for container in pod["containers"]:
        for source in container.get("envFrom", []):
            secret = source.get("secretRef", {})
            if secret and not secret.get("optional"):
                yield "Secret", True, secret["name"]


def _variables(container: dict) -> list[str]:
    """A variable can only refer to those before it; to others it keeps the text as it stands, silently."""
    found, known = [], set()
    for variable in container.get("env", []):
        used = set(re.findall(r"\$\((\w+)\)", variable.get("value", "")))
        found += [f"{variable['name']} uses {name}, which is not set before it" for name in used - known]
        known.add(variable["name"])
    return found
