"""What the chart promises beyond valid objects, one promise a test."""

from pathlib import Path
from typing import Any

import pytest

from tests.chart.pods import own_container, pod_specs
from tests.chart.rendering import CHART, LEAST, NEWEST, VALUES, Document, Helm, RefusedError, documents, kinds, one
from tests.chart.test_matrix import every_file


def worker(found: list[Document]) -> Document:
    (found_pod,) = [pod for name, pod in pod_specs(found) if name.startswith(("Deployment", "StatefulSet"))]
    return found_pod


def annotations(found: list[Document]) -> dict[str, str]:
    """Of the workers' pods."""
    result: dict[str, str] = one(found, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    return result


# Pod Security: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted


@every_file
def test_every_pod_meets_the_restricted_standard(helm4: Helm, path: Path) -> None:
    for _, pod in pod_specs(helm4.render(path)):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
        assert {kind for volume in pod["volumes"] for kind in volume} <= {"name", "emptyDir", "projected"}
        context = own_container(pod)["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["privileged"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


@every_file
def test_no_pod_gets_a_token_or_the_variables_of_services(helm4: Helm, path: Path) -> None:
    for _, pod in pod_specs(helm4.render(path)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False


@every_file
def test_secrets_are_mounted_as_a_folder_so_that_they_can_be_replaced(helm4: Helm, path: Path) -> None:
    for _, pod in pod_specs(helm4.render(path)):
        container = own_container(pod)
        assert not any("subPath" in mount for mount in container["volumeMounts"])
        secret = [each["name"] for each in container["env"] if "secretKeyRef" in each.get("valueFrom", ())]
        assert not secret


# Rollouts


@pytest.mark.parametrize(("drain", "grace"), [(25, 45), (40.5, 61), (600, 620)])
def test_the_grace_follows_from_the_drain(helm: Helm, drain: float, grace: int) -> None:
    found = helm.render(LEAST, {"worker": {"drainTimeoutSeconds": drain}})
    assert worker(found)["terminationGracePeriodSeconds"] == grace


def test_a_grace_of_the_users_own_is_kept(helm: Helm) -> None:
    assert worker(helm.render(LEAST, {"terminationGracePeriodSeconds": 41}))["terminationGracePeriodSeconds"] == 41


def test_a_rollout_never_has_one_worker_more(helm: Helm) -> None:
    spec = one(helm.render(LEAST), "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert spec["minReadySeconds"] > 0


@pytest.mark.parametrize(
    ("values", "deadline"),
    [({}, 600), ({"minReadySeconds": 900}, 1245), ({"worker": {"drainTimeoutSeconds": 600}}, 935)],
    ids=str,
)
def test_a_rollout_is_not_given_up_while_a_worker_drains(helm: Helm, values: dict[str, Any], deadline: int) -> None:
    """The API server refuses a deadline below `minReadySeconds`."""
    assert one(helm.render(LEAST, values), "Deployment")["spec"]["progressDeadlineSeconds"] == deadline


def test_static_members_are_named_by_their_pods_and_start_together(helm: Helm) -> None:
    found = helm.render(VALUES / "static.yaml")
    assert "Deployment" not in kinds(found)
    spec = one(found, "StatefulSet")["spec"]
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["serviceName"] == one(found, "Service")["metadata"]["name"]
    assert one(found, "Service")["spec"]["selector"] == spec["selector"]["matchLabels"]
    assert one(found, "ConfigMap")["data"]["KAFKA_SESSION_TIMEOUT_MS"] == "60000"
    field = {"fieldRef": {"fieldPath": "metadata.name"}}
    assert {"name": "KAFKA_GROUP_INSTANCE_ID", "valueFrom": field} in own_container(worker(found))["env"]


def test_a_session_timeout_of_the_users_own_holds_for_static_members_too(helm: Helm) -> None:
    found = helm.render(VALUES / "static.yaml", {"kafka": {"sessionTimeoutMs": 30000}})
    assert one(found, "ConfigMap")["data"]["KAFKA_SESSION_TIMEOUT_MS"] == "30000"


@every_file
def test_selectors_find_the_workers_and_no_other_pod(helm4: Helm, path: Path) -> None:
    found = helm4.render(path)
    kind = "StatefulSet" if "StatefulSet" in kinds(found) else "Deployment"
    spec = one(found, kind)["spec"]
    selector = spec["selector"]["matchLabels"]
    assert selector.items() <= spec["template"]["metadata"]["labels"].items()
    assert set(selector) == {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}
    for each in found:
        if each["kind"] in {"PodDisruptionBudget", "PodMonitor"}:
            assert each["spec"]["selector"]["matchLabels"] == selector
    for constraint in worker(found).get("topologySpreadConstraints", ()):
        assert constraint["labelSelector"]["matchLabels"] == selector


@pytest.mark.parametrize("name", ["everything", "static", "replay"])
def test_the_more_special_label_wins_and_none_is_there_twice(helm: Helm, name: str) -> None:
    values = {
        "commonLabels": {"team": "all", "app.kubernetes.io/version": "mine"},
        "podLabels": {"team": "pods"},
        "podAnnotations": {"checksum/config": "mine"},
        "podMonitor": {"labels": {"team": "metrics"}},
    }
    found = helm.render(VALUES / f"{name}.yaml", values)  # a key that is there twice is an error
    for each in found:
        labels = each["metadata"].get("labels", {})
        if "helm.sh/chart" in labels:
            assert labels["team"] == {"PodMonitor": "metrics", "Pod": "pods"}.get(each["kind"], "all")
            assert labels["app.kubernetes.io/version"] == "mine"
        if each["kind"] in {"Deployment", "StatefulSet"}:
            template = each["spec"]["template"]["metadata"]
            assert template["labels"]["team"] == "pods"
            assert template["annotations"]["checksum/config"] == "mine"


def test_a_release_may_be_named_by_a_number(helm: Helm) -> None:
    """A year, for example; labels are strings."""
    text = helm("template", "2026", str(CHART), f"--kube-version={NEWEST}", f"--values={LEAST}")
    for each in documents(text):
        assert set(map(type, each["metadata"]["labels"].values())) == {str}
    assert one(documents(text), "Deployment")["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "2026"


@pytest.mark.parametrize(
    "release", ["of-a-shop-whose-name-is-long-for-its-carts", "of-a-shop-optico-worker-with-a-long-name"]
)
def test_two_releases_whose_names_begin_alike_share_no_object(helm: Helm, release: str) -> None:
    """Names are cut to leave room for suffixes; without a trace of what was cut the second release would clash."""
    options = (f"--kube-version={NEWEST}", f"--values={VALUES / 'dry-run.yaml'}")
    found = [
        {
            (each["kind"], each["metadata"]["name"])
            for each in documents(helm("template", f"{release}{shop}", str(CHART), *options))
            if "helm.sh/chart" in each["metadata"].get("labels", {})
        }
        for shop in ("fr", "de")
    ]
    assert found[0] & found[1] == set()
    assert max(len(name) for names in found for _, name in names) <= 63


def test_another_version_of_the_chart_alone_replaces_no_pod(helm: Helm, tmp_path: Path) -> None:
    charts = (CHART, another_version(tmp_path))
    before, after = (one(helm.render(LEAST, chart=chart), "Deployment") for chart in charts)
    assert before["metadata"] != after["metadata"]
    assert before["spec"] == after["spec"]


def another_version(folder: Path) -> Path:
    """The chart as it is, with another version."""
    copy = copy_of_chart(folder)
    text = (copy / "Chart.yaml").read_text(encoding="utf-8")
    (copy / "Chart.yaml").write_text(text.replace("\nversion: 0.1.0", "\nversion: 0.1.1"), encoding="utf-8")
    return copy


def copy_of_chart(folder: Path) -> Path:
    """One that a test may change."""
    for path in CHART.rglob("*"):
        target = folder / "optico-worker" / path.relative_to(CHART)
        if path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder / "optico-worker"


def test_what_is_read_at_the_start_replaces_the_pods_and_a_new_key_does_not(helm: Helm) -> None:
    inline = VALUES / "inline.yaml"
    before = annotations(helm.render(inline))
    assert {"checksum/config", "checksum/kafka", "checksum/certificates"} <= set(before)
    changes: dict[str, dict[str, Any]] = {
        "checksum/config": {"worker": {"collapseWindowMs": 1}},
        "checksum/kafka": {"kafka": {"sasl": {"password": "fake-other"}}},
        "checksum/certificates": {"optico": {"ca": {"certificate": "fake-other"}}},
    }
    for changed, values in changes.items():
        after = annotations(helm.render(inline, values))
        assert {name for name in before if before[name] != after[name]} == {changed}
    assert annotations(helm.render(inline, {"optico": {"apiKey": "fake-other"}})) == before


def test_a_secret_that_holds_a_password_only_has_its_user_name_beside_it(helm: Helm) -> None:
    """As Strimzi writes it: `password`, and the user's name is the Secret's own."""
    keda = {"autoscaling": {"kind": "keda", "maxReplicas": 2}}
    sasl = {"mechanism": "SCRAM-SHA-512", "existingSecret": "worker-user", "username": "worker-user"}
    found = helm.render(LEAST, {"kafka": {"securityProtocol": "SASL_SSL", "sasl": sasl}}, keda)
    expected = {
        "username": ("rel-optico-worker-kafka", "username"),
        "password": ("worker-user", "password"),
    }
    sources = one(found, "Deployment")["spec"]["template"]["spec"]["volumes"]
    files = {
        item["path"].removeprefix("kafka/"): (source["secret"]["name"], item["key"])
        for volume in sources
        for source in volume.get("projected", {}).get("sources", [])
        for item in source.get("secret", {}).get("items", [])
    }
    assert {name: files[name] for name in expected} == expected
    references = one(found, "TriggerAuthentication")["spec"]["secretTargetRef"]
    assert {each["parameter"]: (each["name"], each["key"]) for each in references} == expected
    assert one(found, "Secret")["data"] == {"username": "d29ya2VyLXVzZXI="}


def test_a_key_in_a_secret_of_the_users_own_makes_no_secret(helm: Helm) -> None:
    assert "Secret" not in kinds(helm.render(LEAST))


def test_a_disruption_budget_lets_a_worker_go_that_is_not_ready(helm: Helm) -> None:
    spec = one(helm.render(LEAST), "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


# Autoscaling


@pytest.mark.parametrize("name", ["keda", "hpa"])
def test_an_autoscaled_deployment_leaves_its_number_to_the_autoscaler(helm: Helm, name: str) -> None:
    assert "replicas" not in one(helm.render(VALUES / f"{name}.yaml"), "Deployment")["spec"]


def test_lag_that_stays_does_not_scale(helm: Helm) -> None:
    spec = one(helm.render(VALUES / "keda.yaml"), "ScaledObject")["spec"]
    first, second, own = spec["triggers"]
    assert [first["metadata"]["topic"], second["metadata"]["topic"]] == ["shop.carts", "shop.orders"]
    for trigger in (first, second):
        assert trigger["metadata"]["excludePersistentLag"] == "true"
        assert trigger["useCachedMetrics"] is True
        assert trigger["metricType"] == "AverageValue"
    assert own["type"] == "cron"
    assert spec["maxReplicaCount"] == 24
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 6, "behavior": "currentReplicasIfHigher"}
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 300
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_keda_asks_kafka_as_the_workers_do(helm: Helm) -> None:
    found = helm.render(VALUES / "keda.yaml")
    metadata = one(found, "ScaledObject")["spec"]["triggers"][0]["metadata"]
    config = one(found, "ConfigMap")["data"]
    assert metadata["bootstrapServers"] == config["KAFKA_BOOTSTRAP_SERVERS"] == "rel-kafka-bootstrap:9093"
    assert metadata["consumerGroup"] == config["KAFKA_GROUP_ID"]
    assert metadata["offsetResetPolicy"] == config["KAFKA_AUTO_OFFSET_RESET"]
    assert (metadata["sasl"], metadata["tls"]) == ("scram_sha512", "enable")
    spec = one(found, "TriggerAuthentication")["spec"]
    user = "rel-kafka-user"
    assert spec["secretTargetRef"] == [
        {"parameter": "username", "name": user, "key": "username"},
        {"parameter": "password", "name": user, "key": "pass"},
    ]
    assert spec["configMapTargetRef"] == [{"parameter": "ca", "name": "trust-bundle", "key": "ca.crt"}]


def test_keda_is_given_addresses_without_a_protocol(helm: Helm) -> None:
    values = {"kafka": {"bootstrapServers": ["SASL_SSL://a:9092", "[fd00::1]:9092"]}}
    found = helm.render(VALUES / "keda.yaml", values)
    metadata = one(found, "ScaledObject")["spec"]["triggers"][0]["metadata"]
    assert metadata["bootstrapServers"] == "a:9092,[fd00::1]:9092"


def test_keda_uses_a_trigger_authentication_of_the_users_own(helm: Helm) -> None:
    values = {"autoscaling": {"keda": {"existingTriggerAuthentication": "mine"}}}
    found = helm.render(VALUES / "keda.yaml", values)
    assert "TriggerAuthentication" not in kinds(found)
    assert one(found, "ScaledObject")["spec"]["triggers"][0]["authenticationRef"] == {"name": "mine"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("inline", {"autoscaling.keda.sh/paused": "true"}), ("mtls", {"autoscaling.keda.sh/paused-replicas": "2"})],
)
def test_scaling_can_be_paused(helm: Helm, name: str, expected: dict[str, str]) -> None:
    assert one(helm.render(VALUES / f"{name}.yaml"), "ScaledObject")["metadata"]["annotations"] == expected


# Network


def egress_ports(found: list[Document]) -> list[list[Any]]:
    rules = one(found, "NetworkPolicy")["spec"]["egress"]
    assert [port["protocol"] for port in rules[0]["ports"]] == ["UDP", "TCP"] * 2, "answers that are long come over TCP"
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def test_the_network_policy_knows_the_ports_from_the_addresses(helm: Helm) -> None:
    assert egress_ports(helm.render(VALUES / "inline.yaml")) == [[53, 53, 5353, 5353], [9094], [8080]]
    servers = {
        "kafka": {"bootstrapServers": ["a:9095", "b:9092", "[2001:db8::1]:9096"]},
        "networkPolicy": {"enabled": True},
    }
    assert egress_ports(helm.render(LEAST, servers)) == [[53, 53, 5353, 5353], [9095, 9092, 9096], [443]]


def test_the_network_policy_holds_for_all_pods_of_the_release(helm: Helm) -> None:
    found = helm.render(VALUES / "everything.yaml", VALUES / "replay.yaml")
    selector = one(found, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    labels = [each["metadata"]["labels"] for each in found if each["kind"] == "Pod"]
    labels += [
        each["spec"]["template"]["metadata"]["labels"] for each in found if each["kind"] in {"Deployment", "Job"}
    ]
    assert len(labels) == 3
    for each in labels:
        assert selector.items() <= each.items()


# Jobs


def test_a_replay_is_off_and_says_only_what_it_would_do(helm: Helm) -> None:
    assert "Job" not in kinds(helm.render(LEAST))
    found = helm.render(VALUES / "dry-run.yaml")
    (pod,) = [pod for name, pod in pod_specs(found) if name.startswith("Job")]
    assert own_container(pod)["args"] == ["replay", "--to-earliest"]


def test_a_replay_acts_when_it_is_told_to(helm: Helm) -> None:
    job = one(helm.render(VALUES / "replay.yaml"), "Job")
    container = own_container(job["spec"]["template"]["spec"])
    assert container["args"] == ["replay", "--to-datetime", "2026-11-21T08:00:00Z", "--execute"]
    assert "ttlSecondsAfterFinished" not in job["spec"]


def test_a_replay_alongside_needs_no_further_option(helm: Helm) -> None:
    args = ["--alongside", "--from", "2026-11-21T08:00:00Z"]
    found = helm.render(LEAST, {"replay": {"enabled": True, "args": args, "execute": True}})
    assert own_container(one(found, "Job")["spec"]["template"]["spec"])["args"] == ["replay", *args]


def test_other_arguments_are_another_job(helm: Helm) -> None:
    replay = VALUES / "replay.yaml"
    changes: list[dict[str, Any]] = [{}, {"args": ["--to-latest"]}, {"run": "third"}]
    names = {one(helm.render(replay, {"replay": change}), "Job")["metadata"]["name"] for change in changes}
    assert len(names) == 3


IMAGES: tuple[dict[str, Any], ...] = ({}, {"image": {"tag": "9.9.9"}})


def jobs(helm: Helm, *values: Any) -> list[Document]:
    """The replay before and after an upgrade to another image."""
    return [one(helm.render(*values, image), "Job") for image in IMAGES]


@pytest.mark.parametrize("replay", [{}, {"args": ["--alongside", "--from", "earliest"], "execute": True}], ids=str)
def test_an_upgrade_never_changes_a_job_that_may_run_again(helm: Helm, replay: dict[str, Any]) -> None:
    """The API server refuses to change a Job's pod, and the upgrade with it."""
    before, after = jobs(helm, VALUES / "dry-run.yaml", {"replay": replay})
    assert before["spec"]["template"] != after["spec"]["template"]
    assert before["metadata"]["name"] != after["metadata"]["name"]


def test_an_upgrade_does_not_reset_the_group_again(helm: Helm, tmp_path: Path) -> None:
    before, after = jobs(helm, VALUES / "replay.yaml")
    assert before["metadata"]["name"] == after["metadata"]["name"]
    newer = helm.render(VALUES / "replay.yaml", chart=another_version(tmp_path))
    assert one(newer, "Job")["spec"] == before["spec"]


def test_a_reset_waits_until_the_workers_have_drained(helm: Helm) -> None:
    """It is refused until they are gone, and tried again; but not where the arguments are wrong (exit code 2)."""
    spec = one(helm.render(VALUES / "replay.yaml", {"replay": {"args": ["--to-earliest"]}}), "Job")["spec"]
    grace = worker(helm.render(VALUES / "static.yaml"))["terminationGracePeriodSeconds"]
    patience = sum(10 * 2**attempt for attempt in range(spec["backoffLimit"]))
    assert patience > grace + 60, "a static member counts until its session ends"
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [2]
    assert rule["onExitCodes"]["containerName"] == "replay"


@pytest.mark.parametrize("args", [["--shift-by", "1000"], ["--shift-by=1000"]], ids=str)
def test_a_shift_is_tried_once(helm: Helm, args: list[str]) -> None:
    spec = one(helm.render(VALUES / "replay.yaml", {"replay": {"args": args}}), "Job")["spec"]
    assert spec["backoffLimit"] == 0
    assert "podFailurePolicy" not in spec


def test_helm_test_runs_the_workers_own_check(helm: Helm) -> None:
    pod = one(helm.render(LEAST), "Pod", "-check")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["restartPolicy"] == "Never"
    assert own_container(pod["spec"])["args"] == ["check", "--key"]


def test_helm_test_posts_no_key_where_that_is_not_wanted(helm: Helm) -> None:
    pod = one(helm.render(LEAST, {"helmTest": {"tryKey": False, "args": ["--json"]}}), "Pod", "-check")
    assert own_container(pod["spec"])["args"] == ["check", "--json"]


def pod_metadata(found: list[Document]) -> dict[str, Document]:
    """Of every pod, by the kind of its object."""
    with_template = {each["kind"]: each["spec"]["template"] for each in found if each["kind"] in {"Deployment", "Job"}}
    return {kind: template["metadata"] for kind, template in with_template.items()} | {
        "Pod": one(found, "Pod")["metadata"]
    }


REPLAY = {"enabled": True, "args": ["--to-earliest"]}


def test_labels_and_annotations_of_the_pods_reach_every_pod(helm: Helm) -> None:
    values = {"podLabels": {"team": "a"}, "podAnnotations": {"x": "{{ .Release.Name }}"}, "replay": REPLAY}
    found = pod_metadata(helm.render(LEAST, values))
    assert {kind: (each["labels"]["team"], each["annotations"]["x"]) for kind, each in found.items()} == dict.fromkeys(
        ("Deployment", "Job", "Pod"), ("a", "rel")
    )


@pytest.mark.parametrize(("kind", "value"), [("Job", "replay"), ("Pod", "helmTest")])
def test_a_sidecar_can_be_switched_off_for_one_kind_of_pod_alone(helm: Helm, kind: str, value: str) -> None:
    """A mesh's sidecar never ends, so a Job with one never completes."""
    on, off = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}
    values: dict[str, Any] = {"podLabels": on, "podAnnotations": on, "replay": REPLAY}
    values[value] = {**values.get(value, {}), "podLabels": off, "podAnnotations": off}
    found = pod_metadata(helm.render(LEAST, values))
    for name, each in found.items():
        expected = off if name == kind else on
        assert expected.items() <= each["labels"].items()
        assert expected.items() <= each["annotations"].items()
    assert found["Pod"]["annotations"]["helm.sh/hook"] == "test"


def test_annotations_of_the_replay_stand_on_its_job_and_not_on_its_pod(helm: Helm) -> None:
    job = one(helm.render(LEAST, {"replay": {**REPLAY, "annotations": {"x": "y"}}}), "Job")
    assert job["metadata"]["annotations"] == {"x": "y"}
    assert "annotations" not in job["spec"]["template"]["metadata"]


# As a part of something larger

WHOLE = """\
apiVersion: v2
name: whole
version: 1.0.0
dependencies:
  - {name: optico-worker, version: 0.1.0, condition: optico-worker.enabled}
"""


def test_another_chart_can_contain_this_one_and_turn_it_off(helm: Helm, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    copy_of_chart(whole / "charts")
    (whole / "Chart.yaml").write_text(WHOLE, encoding="utf-8")
    least = {"kafka": {"bootstrapServers": ["kafka:9092"], "topics": ["carts"]}, "optico": {"existingSecret": "optico"}}
    for enabled in (True, False):
        values = {"global": {"region": "eu"}, "optico-worker": {**least, "enabled": enabled}}
        assert bool(helm.render(values, chart=whole)) is enabled


def test_a_kubernetes_that_is_too_old_is_refused(helm: Helm) -> None:
    with pytest.raises(RefusedError, match=r"incompatible with Kubernetes v1\.27\.9"):
        helm.render(LEAST, kubernetes="1.27.9")
