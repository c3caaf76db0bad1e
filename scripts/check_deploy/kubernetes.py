"""The Kubernetes files: rendered, held against the published schemas, and checked for whether their parts fit."""

import copy
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import kubernetes_pods
import kubernetes_references
import kubernetes_validate
import yaml
from programs import Programs
from report import Report

# The oldest version that is meant to work, and the newest there are schemas for.
VERSIONS = ("1.33", "1.35", "1.37")
# The ways to use the folder: a name, and what a user's own kustomization would hold.
USES = {
    "base": {"resources": ["base"]},
    "overlays/single-node": {"resources": ["overlays/single-node"]},
    "components/host-network": {"resources": ["base"], "components": ["components/host-network"]},
}


def check(folder: Path, programs: Programs, report: Report) -> None:
    render = _renderer()
    if render is None:
        report.left_out("kubernetes overlays and components", "neither kubectl nor kustomize is installed here")
        _check(f"{folder.name}/base, as written", _as_written(folder / "base"), programs, report)
        return
    base = None
    for name, use in USES.items():
        objects, problems = _rendered(folder, use, render)
        report.result(f"{name} renders", problems)
        if not problems:
            _check(name, objects, programs, report)
            base = base or objects
    if base:
        _refuse_wrong_copies(base, programs, report)


def _renderer() -> list[str] | None:
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    return ["kustomize", "build"] if shutil.which("kustomize") else None


def _rendered(folder: Path, use: dict, render: list[str]) -> tuple[list[dict], list[str]]:
    with tempfile.TemporaryDirectory() as temporary:
        # As a user has it: a kustomization of their own, beside a copy of ours.
        copied = Path(temporary) / "headland"
        shutil.copytree(folder, copied)
        own = {key: [f"headland/{path}" for path in paths] for key, paths in use.items()}
        (Path(temporary) / "kustomization.yaml").write_text(yaml.safe_dump(own))
        done = subprocess.run([*render, temporary], capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        return [], [f"exit code {done.returncode}: {done.stderr.strip()}"]
    return list(yaml.safe_load_all(done.stdout)), []


def _as_written(folder: Path) -> list[dict]:
    """The base without a renderer: its files, the config maps that would be generated, and the images' tags."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    tags = {image["name"]: image["newTag"] for image in kustomization["images"]}
    objects = []
    for name in kustomization["resources"]:
        text = re.sub(r"^(\s+image: )(\S+)$", lambda m: f"{m[1]}{m[2]}:{tags[m[2]]}", (folder / name).read_text(), flags=re.M)
        objects += [document for document in yaml.safe_load_all(text) if document]
    for generator in kustomization["configMapGenerator"]:
        data = {key: (folder / path).read_text() for key, path in (file.split("=") for file in generator["files"])}
        metadata = {"name": generator["name"], "namespace": generator["namespace"]}
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    return objects


def _check(name: str, objects: list[dict], programs: Programs, report: Report) -> None:
    for version in VERSIONS:
        report.result(f"{name}: {len(objects)} objects, schemas of {version}", _schema(objects, version))
    report.result(f"{name}: its parts fit", kubernetes_references.problems(objects))
    report.result(f"{name}: pods, settings, rights", kubernetes_pods.problems(objects, programs))


def _schema(objects: list[dict], version: str) -> list[str]:
    problems = []
    for item in objects:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            path = ".".join(str(part) for part in getattr(error, "path", []))
            problems.append(f"{item['kind']} {item['metadata']['name']}: {path}: {getattr(error, 'message', error)}")
    return problems


def _refuse_wrong_copies(objects: list[dict], programs: Programs, report: Report) -> None:
    def wrong(kind: str, name: str, change: Callable[[dict], None]) -> list[dict]:
        changed = copy.deepcopy(objects)
        change(next(o for o in changed if o["kind"] == kind and o["metadata"]["name"] == name))
        return changed

    def container(item: dict) -> dict:
        return item["spec"]["template"]["spec"]["containers"][0]

    edge, plane = ("DaemonSet", "headland-edge-agent"), ("Deployment", "headland-control-plane")

    def schema(what: str, item: tuple[str, str], change: Callable[[dict], None], because: str) -> None:
        report.refused(what, lambda: _schema(wrong(*item, change), VERSIONS[0]), because)

    def references(what: str, item: tuple[str, str], change: Callable[[dict], None], because: str) -> None:
        report.refused(what, lambda: kubernetes_references.problems(wrong(*item, change)), because)

    def pods(what: str, item: tuple[str, str], change: Callable[[dict], None], because: str) -> None:
        report.refused(what, lambda: kubernetes_pods.problems(wrong(*item, change), programs), because)

    schema("a misspelt field", plane, lambda o: o["spec"].update(replica=3), "replica")
    schema("a number given as text", plane, lambda o: o["spec"].update(replicas="two"), "two")
    references("a service that selects nothing", ("Service", "headland-api"),
               lambda o: o["spec"].update(selector={"app.kubernetes.io/name": "x"}), "selects no pod")
    references("a service port nobody has", ("Service", "headland-sync"),
               lambda o: o["spec"]["ports"][0].update(targetPort="x"), "port x")
    references("a probe at a port nobody has", edge, lambda o: container(o)["readinessProbe"]["httpGet"].update(port="x"), "port x")
    references("a budget that allows no eviction", ("PodDisruptionBudget", "headland-control-plane"),
               lambda o: (o["spec"].pop("maxUnavailable"), o["spec"].update(minAvailable=2)), "no eviction")
    references("a config map nobody makes", plane,
               lambda o: o["spec"]["template"]["spec"]["volumes"][0]["configMap"].update(name="x"), "ConfigMap x")
    references("a variable used before it is set", edge, lambda o: container(o)["env"].reverse(), "HOST_IP")
    pods("a misspelt HEADLAND_* variable", edge, lambda o: container(o)["env"][0].update(name="HEADLAND_CONFIGG"), "HEADLAND_CONFIGG")
    pods("a stop shorter than the drain", edge,
         lambda o: o["spec"]["template"]["spec"].update(terminationGracePeriodSeconds=10), "drain")
    pods("a container that may write its image", plane,
         lambda o: container(o)["securityContext"].update(readOnlyRootFilesystem=False), "readOnlyRootFilesystem")
    pods("a port the program does not listen on", plane, lambda o: container(o)["ports"][0].update(containerPort=1), "listens")
    pods("an edge whose readiness asks somebody else", edge,
         lambda o: container(o)["readinessProbe"]["httpGet"].update(path="/control-plane"), "/readyz")
    config = next(o for o in objects if o["kind"] == "ConfigMap" and "control-plane.yaml" in o["data"])["metadata"]["name"]
    pods("a control plane sent to another store", ("ConfigMap", config),
         lambda o: o["data"].update({"control-plane.yaml": o["data"]["control-plane.yaml"].replace("etcd-0.etcd", "db")}), "db.headland")
