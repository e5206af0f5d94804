"""config/kubernetes/cronjob.yaml: held against the rules of the restricted pod security standard, and against our own.

The rules are those of Kubernetes' documentation ("Pod Security Standards", baseline and restricted), as far as a pod of
one container on Linux can break them. Each is tried on a manifest that breaks it, too.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clawsecrets.config.timing import DaemonConfig
from tests.test_docs import find

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "config" / "kubernetes" / "cronjob.yaml"
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
"""Kinds of volumes that the restricted standard admits."""
Manifest = dict[str, Any]


def documents() -> list[Manifest]:
    return list(yaml.safe_load_all(FILE.read_text()))


def cronjob() -> Manifest:
    (found,) = [one for one in documents() if one["kind"] == "CronJob"]
    return found


def pod(job: Manifest) -> Manifest:
    found: Manifest = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def violations(job: Manifest) -> Iterator[str]:
    """What the restricted standard would refuse."""
    spec = pod(job)
    for shared in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        if spec.get(shared):
            yield shared
    for volume in spec["volumes"]:
        if volume.keys() - {"name"} - VOLUMES:
            yield f"volume {volume['name']}"
    for container in spec["containers"] + spec.get("initContainers", []):
        yield from in_container(container, spec.get("securityContext", {}))


def in_container(container: Manifest, of_pod: Manifest) -> Iterator[str]:
    """The same of one container."""
    own = container.get("securityContext", {})
    both = of_pod | own
    if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
        yield "privileges"
    if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
        yield "root"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccomp"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"


def test_the_restricted_standard_admits_it() -> None:
    assert list(violations(cronjob())) == []


BREACHES: list[tuple[str, Callable[[Manifest], object]]] = [
    ("hostPID", lambda spec: spec.update(hostPID=True)),
    ("volume x", lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    ("privileges", lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation")),
    ("root", lambda spec: spec["securityContext"].pop("runAsNonRoot")),
    ("root", lambda spec: spec["securityContext"].update(runAsUser=0)),
    ("seccomp", lambda spec: spec["securityContext"].pop("seccompProfile")),
    ("capabilities", lambda spec: spec["containers"][0]["securityContext"]["capabilities"].update(drop=[])),
    ("hostPort", lambda spec: spec["containers"][0].update(ports=[{"containerPort": 9779, "hostPort": 9779}])),
]


@pytest.mark.parametrize(("what", "breach"), BREACHES)
def test_a_breach_would_be_found(what: str, breach: Callable[[Manifest], object]) -> None:
    job = copy.deepcopy(cronjob())
    breach(pod(job))
    assert list(violations(job)) == [what]


def test_it_runs_what_there_is_and_never_twice() -> None:
    job = cronjob()
    spec, template = job["spec"], job["spec"]["jobTemplate"]["spec"]
    (container,) = pod(job)["containers"]
    node, rest = find(list(container["args"]))
    known = {name for param in node.params for name in param.opts}
    assert node.name == "rotate" and set(rest) <= known and {"--due", "--yes"} <= set(rest)
    assert spec["concurrencyPolicy"] == "Forbid" and template["backoffLimit"] == 0
    assert re.fullmatch(r"\d+ \* \* \* \*", spec["schedule"]), "cron looks every hour (doctor counts on it)"
    assert pod(job)["restartPolicy"] == "Never" and pod(job)["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod(job)["hostname"], "the name of the host must stay"
    assert pod(job)["terminationGracePeriodSeconds"] > DaemonConfig().stop


def test_it_fits_the_image_and_its_own_volumes() -> None:
    job, claims = cronjob(), [one for one in documents() if one["kind"] == "PersistentVolumeClaim"]
    spec, dockerfile = pod(job), (ROOT / "config" / "container" / "Dockerfile").read_text()
    (container,) = spec["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert mounts.keys() == volumes.keys()
    variables = dict(re.findall(r"([A-Z_]+)=(\S+?)(?: \\)?$", dockerfile, re.M))
    assert mounts["store"]["mountPath"] == variables["CLAWSECRETS_HOME"]
    assert mounts["config"]["mountPath"] == variables["CLAWSECRETS_CONFIG"] and mounts["config"]["readOnly"]
    assert mounts["key"]["mountPath"] == variables["CREDENTIALS_DIRECTORY"] and mounts["key"]["readOnly"]
    assert variables["UID"] == str(spec["securityContext"]["runAsUser"])
    assert variables["GID"] == str(spec["securityContext"]["fsGroup"])
    assert volumes["key"]["secret"]["defaultMode"] == 0o440 and "memory" in container["resources"]["limits"]
    assert volumes["store"]["persistentVolumeClaim"]["claimName"] == claims[0]["metadata"]["name"]
    assert {one["metadata"]["namespace"] for one in documents()} == {"clawsecrets"}
    version = re.search(r'__version__ = "(.+)"', (ROOT / "clawsecrets" / "__init__.py").read_text())
    assert version is not None and container["image"].endswith(f":{version[1]}")
