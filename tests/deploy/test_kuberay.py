"""The RayService is one that Ray Serve and this project's options take."""

from typing import Any

import pytest
import yaml
from tests.deploy.dockerfiles import ROOT, stages_of

from retouch.serve.replicas.proxy import CALLBACK

DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/kuberay/rayservice.yaml").read_text()))
[SERVICE] = [one for one in DOCUMENTS if one["kind"] == "RayService"]
SPEC = SERVICE["spec"]
CONFIG: dict[str, Any] = yaml.safe_load(SPEC["serveConfigV2"])
CLUSTER = SPEC["rayClusterConfig"]
PODS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]


@pytest.fixture(params=PODS, ids=lambda group: group.get("groupName", "head"))
def pod(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.param["template"]["spec"]
    return found


def test_ray_serve_takes_its_config() -> None:
    schema = pytest.importorskip("ray.serve.schema")
    config = schema.ServeDeploySchema.model_validate(CONFIG)
    assert [(one.name, one.route_prefix) for one in config.applications] == [("retouch", "/")]
    # The schema lets unknown names pass; these are all known.
    for told, model in ((CONFIG, config), (CONFIG["http_options"], config.http_options)):
        assert told.keys() <= type(model).model_fields.keys()
    assert CONFIG["applications"][0].keys() <= schema.ServeApplicationSchema.model_fields.keys()


def test_its_import_path_makes_the_application_of_its_args(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray.serve")
    from importlib import import_module

    from retouch.cli.replicas import application

    [told] = CONFIG["applications"]
    module, _, name = told["import_path"].partition(":")
    assert getattr(import_module(module), name) is application
    monkeypatch.setenv("RETOUCH_API_KEYS", "one:0123456789abcdef")
    args = {name: value for name, value in told["args"].items() if name != "model"}  # the embedded model is here
    deployment = application(args)._bound_deployment
    assert deployment.ray_actor_options["num_gpus"] == 1.0
    scaling = deployment._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (1, 4)


def test_its_pods_have_room_for_a_replica_each() -> None:
    [told] = CONFIG["applications"]
    [worker] = CLUSTER["workerGroupSpecs"]
    limits = worker["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert float(limits["nvidia.com/gpu"]) == told["args"]["replica_gpus"]
    assert int(limits["cpu"]) == told["args"]["threads"]
    least, most = told["args"]["replicas"].split("-")
    assert (worker["minReplicas"], worker["maxReplicas"]) == (int(least), int(most))


def test_its_pods_may_do_nothing_that_they_need_not(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_its_pods_share_the_jobs_and_write_only_there_and_to_memory_and_tmp(pod: dict[str, Any]) -> None:
    volumes = {one["name"]: one for one in pod["volumes"]}
    claims = {one["metadata"]["name"]: one for one in DOCUMENTS if one["kind"] == "PersistentVolumeClaim"}
    jobs = volumes["jobs"]["persistentVolumeClaim"]["claimName"]
    assert claims[jobs]["spec"]["accessModes"] == ["ReadWriteMany"]
    for container in pod["containers"]:
        written = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
        assert written == {"/jobs", "/tmp", "/dev/shm"}


def test_its_pods_have_the_images_words_and_its_user(pod: dict[str, Any]) -> None:
    final = stages_of(ROOT / "Dockerfile")[-1]
    assert CALLBACK in final.environment()
    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == final.all("USER")[0]
    assert pod["terminationGracePeriodSeconds"] >= 45


def test_rays_ports_are_closed_to_all_but_its_own() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}
    [policy] = [one["spec"] for one in DOCUMENTS if one["kind"] == "NetworkPolicy"]
    labels = policy["podSelector"]["matchLabels"]
    assert all(group["template"]["metadata"]["labels"] == labels for group in PODS)
    open_to_all = [rule for rule in policy["ingress"] if "from" not in rule]
    assert open_to_all == [{"ports": [{"port": CONFIG["http_options"]["port"]}]}]


def test_its_version_of_ray_is_the_images() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"ray=={CLUSTER['rayVersion']}" in lines
