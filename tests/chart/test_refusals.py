"""What can't work is refused before anything is created, with a sentence that says the way out."""

import re
from typing import Any

import pytest

from tests.chart.rendering import CHART, LEAST, VALUES, Helm, RefusedError, one

Values = dict[str, Any]
SASL = {"mechanism": "PLAIN", "existingSecret": "kafka-user"}
KEDA = {"kind": "keda", "maxReplicas": 6}


def _kafka(**values: Any) -> Values:
    return {"kafka": values}


def _keda(**values: Any) -> Values:
    return {"autoscaling": {**KEDA, "keda": values}}


def _replay(**values: Any) -> Values:
    return {"replay": {"enabled": True, **values}}


REFUSED: dict[str, Values] = {
    "kafka.bootstrapServers is empty: name the brokers, such as [kafka:9092].": _kafka(bootstrapServers=[]),
    "kafka.bootstrapServers has SASL_SSL://k:9092, but kafka.securityProtocol is PLAINTEXT: set it to SASL_SSL, or"
    " correct the address.": _kafka(bootstrapServers=["kafka:9092", "SASL_SSL://k:9092"]),
    "kafka.bootstrapServers has rel: give host:port, such as kafka:9092 or [fd00::1]:9092.": _kafka(
        bootstrapServers=["{{ .Release.Name }}"]
    ),
    "kafka.topics is empty: name the topics to read.": _kafka(topics=[]),
    "There is no API key: set optico.existingSecret to a Secret that holds it.": {"optico": {"existingSecret": ""}},
    "optico.existingSecret and optico.apiKey are both set: keep one of them.": {"optico": {"apiKey": "fake"}},
    "kafka.dlqTopic is one of kafka.topics, so its dead letters would be read again: set another topic.": _kafka(
        dlqTopic="shop.carts"
    ),
    "kafka.sasl.mechanism is empty, but kafka.securityProtocol is SASL_SSL: set PLAIN, SCRAM-SHA-256 or"
    " SCRAM-SHA-512.": _kafka(securityProtocol="SASL_SSL", sasl={"existingSecret": "kafka-user"}),
    "kafka.securityProtocol is SASL_PLAINTEXT, but there is no user name and password: set"
    " kafka.sasl.existingSecret.": _kafka(
        securityProtocol="SASL_PLAINTEXT", sasl={"mechanism": "PLAIN", "username": "fake"}
    ),
    "kafka.sasl.existingSecret and kafka.sasl.password are both set: keep one of them.": _kafka(
        securityProtocol="SASL_SSL", sasl={**SASL, "password": "fake"}
    ),
    "kafka.sasl is set, but kafka.securityProtocol is SSL, which has no SASL: set SASL_SSL or SASL_PLAINTEXT.": _kafka(
        securityProtocol="SSL", sasl=SASL
    ),
    "kafka.tls.ca has more than one of certificate, existingSecret and existingConfigMap: keep one of them.": _kafka(
        securityProtocol="SSL", tls={"ca": {"existingSecret": "one", "existingConfigMap": "two"}}
    ),
    "kafka.tls.client has a certificate without its privateKey, or the reverse: set both or neither.": _kafka(
        securityProtocol="SSL", tls={"client": {"certificate": "fake"}}
    ),
    "kafka.tls.client.existingSecret is set together with a certificate, privateKey or password: keep one of"
    " them.": _kafka(securityProtocol="SSL", tls={"client": {"existingSecret": "mine", "password": "fake"}}),
    "kafka.tls.client.passwordKey is a key of kafka.tls.client.existingSecret, which is empty: set it.": _kafka(
        securityProtocol="SSL", tls={"client": {"passwordKey": "password"}}
    ),
    "kafka.tls is set, but kafka.securityProtocol is PLAINTEXT, which has no TLS: set SSL or SASL_SSL.": _kafka(
        tls={"ca": {"existingSecret": "authority"}}
    ),
    "replicas is 7, but there are 6 partitions (kafka.partitions): more workers than partitions have nothing to do.": {
        "replicas": 7,
        "kafka": {"partitions": 6},
    },
    "autoscaling.maxReplicas is 7, but there are 6 partitions (kafka.partitions): more workers than partitions have"
    " nothing to do.": {"autoscaling": {"kind": "hpa", "maxReplicas": 7}, "kafka": {"partitions": 6}},
    "membership is static, which autoscaling can't have: a member that is scaled away keeps its partitions until its"
    " session ends; set membership to dynamic.": {"membership": "static", "autoscaling": KEDA},
    "kafka.clientRack and kafka.rackFromZone are both set: keep one of them.": _kafka(
        clientRack="zone-a", rackFromZone=True
    ),
    "terminationGracePeriodSeconds is 40, but a drain of 25 s (worker.drainTimeoutSeconds) needs at least 41: raise it,"
    " or leave it unset.": {"terminationGracePeriodSeconds": 40},
    "worker.drainTimeoutSeconds must be longer than optico.timeoutSeconds, so that a request can end: raise the one or"
    " lower the other.": {"worker": {"drainTimeoutSeconds": 5}},
    "pdb needs one of minAvailable and maxUnavailable: set the other to null.": {"pdb": {"minAvailable": 1}},
    "pdb.minAvailable is 2, which of 2 is all of them, so that no node could be drained: lower it.": {
        "pdb": {"minAvailable": 2, "maxUnavailable": None}
    },
    "pdb.minAvailable is 100%, which of 2 is all of them, so that no node could be drained: lower it.": {
        "pdb": {"minAvailable": "100%", "maxUnavailable": None}
    },
    "pdb.minAvailable is 50%, which of 1 is all of them, so that no node could be drained: lower it.": {
        "replicas": 1,
        "pdb": {"minAvailable": "50%", "maxUnavailable": None},
    },
    "pdb.minAvailable is 1, which of 1 is all of them, so that no node could be drained: lower it.": {
        "autoscaling": {**KEDA, "minReplicas": 0},
        "pdb": {"minAvailable": 1, "maxUnavailable": None},
    },
    "pdb.maxUnavailable is 0, so that no node could be drained: raise it.": {"pdb": {"maxUnavailable": 0}},
    "maxUnavailable is 0, but there is never one worker more, so that a rollout could not begin: raise it.": {
        "maxUnavailable": 0
    },
    "autoscaling has no maximum: set kafka.partitions, or autoscaling.maxReplicas.": {"autoscaling": {"kind": "keda"}},
    "autoscaling.minReplicas is 8, more than the maximum of 6: lower it.": {"autoscaling": {**KEDA, "minReplicas": 8}},
    "autoscaling.minReplicas is 0, which only autoscaling.kind keda can do: raise it.": {
        "autoscaling": {"kind": "hpa", "maxReplicas": 6, "minReplicas": 0}
    },
    "autoscaling.hpa has nothing to scale by: set targetCPUUtilizationPercentage or metrics.": {
        "autoscaling": {"kind": "hpa", "maxReplicas": 6, "hpa": {"targetCPUUtilizationPercentage": None}}
    },
    "autoscaling.hpa scales by CPU in percent of the request, but resources.requests.cpu is not set: set it.": {
        "autoscaling": {"kind": "hpa", "maxReplicas": 6},
        "resources": {"requests": {"cpu": None}},
    },
    "autoscaling.keda.allowIdleConsumers and limitToPartitionsWithLag exclude each other: keep one of them.": _keda(
        allowIdleConsumers=True, limitToPartitionsWithLag=True
    ),
    "autoscaling.keda.limitToPartitionsWithLag and ensureEvenDistributionOfPartitions exclude each other: keep one of"
    " them.": _keda(limitToPartitionsWithLag=True, ensureEvenDistributionOfPartitions=True),
    "autoscaling.keda.paused and pausedReplicas exclude each other: the one stops where it is, the other at a number;"
    " keep one of them.": _keda(paused=True, pausedReplicas=0),
    "autoscaling.keda.fallback.replicas is 9, more than the maximum of 6: lower it.": _keda(fallback={"replicas": 9}),
    "worker.orderStatusMap has the status true, which is how YAML reads Y, N, yes, no, on and off: put the status in"
    " quotes.": {"worker": {"orderStatusMap": {"true": "Awaiting call"}}},
    "worker.idPrefixes names shop.basket, which is not one of kafka.topics: correct the one or the other.": {
        "worker": {"idPrefixes": {"shop.basket": "fr-"}}
    },
    "resources.limits.memory is 128Mi, but worker.maxPendingBytes and 160 MiB besides are 224Mi: raise the one or lower"
    " the other.": {"resources": {"limits": {"memory": "128Mi"}}},
    "podLabels sets app.kubernetes.io/name, by which the workers are selected: leave it out.": {
        "podLabels": {"app.kubernetes.io/name": "mine"}
    },
    "replay.podLabels sets app.kubernetes.io/component, by which the workers are selected: leave it out.": {
        "replay": {"podLabels": {"app.kubernetes.io/component": "worker"}}
    },
    "extraVolumes has a volume named files, which the chart has already: name it otherwise.": {
        "extraVolumes": [{"name": "files", "emptyDir": {}}]
    },
    "extraContainers has a container named worker, which is the chart's own: name it otherwise.": {
        "extraContainers": [{"name": "worker", "image": "side:1"}]
    },
    "extraEnv sets KAFKA_GROUP_ID, which is the chart's to set: use kafka.groupId.": {
        "extraEnv": [{"name": "KAFKA_GROUP_ID", "value": "mine"}]
    },
    "extraEnv sets OPTICO_API_KEY, which is the chart's to set: use optico.existingSecret.": {
        "extraEnv": [{"name": "OPTICO_API_KEY", "value": "fake"}]
    },
    "extraEnv sets KAFKA_SASL_PASSWORD_FILE, which is the chart's to set: use kafka.sasl.": {
        "extraEnv": [{"name": "KAFKA_SASL_PASSWORD_FILE", "value": "/more/password"}]
    },
    "extraEnv sets HTTPS_PROXY twice: keep one of them.": {
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://one"}, {"name": "HTTPS_PROXY", "value": "http://two"}]
    },
    'replay.args is empty: say what to replay, such as [--to-datetime, "2026-11-21T08:00:00Z"].': _replay(),
    "replay.args has --execute: set replay.execute instead.": _replay(args=["--to-earliest", "--execute"]),
    "replay.args has --alongside, which has no dry run: set replay.execute to true.": _replay(
        args=["--alongside", "--from", "2026-11-21T08:00:00Z"]
    ),
    "replay.execute sets the group's offsets, which the brokers allow only while it has no members: set replicas to 0"
    " and autoscaling.kind to none, or replay with --alongside.": _replay(args=["--to-earliest"], execute=True),
    "prometheusRule.disabled has NoSuchAlert, which is no alert of this chart: correct or remove it.": {
        "prometheusRule": {"disabled": ["NoSuchAlert"]}
    },
    "prometheusRule.selector has cluster, which the recorded series don't have, so that alerts on them would never"
    " fire: name namespace and job only.": {"prometheusRule": {"selector": {"cluster": "one", "job": "carts"}}},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_it_is_refused_with_its_sentence_and_no_other(helm: Helm, sentence: str) -> None:
    with pytest.raises(RefusedError) as refused:
        helm.render(LEAST, REFUSED[sentence])
    assert _sentences(str(refused.value)) == [sentence]


def _sentences(said: str) -> list[str]:
    """What the chart says, without what Helm puts around it."""
    return said.split("these values can't work:\n", 1)[1].split("\n\nUse --debug", 1)[0].strip().splitlines()


def test_a_zone_as_rack_is_refused_where_kubernetes_does_not_tell_it(helm: Helm) -> None:
    with pytest.raises(RefusedError) as refused:
        helm.render(VALUES / "zone.yaml", kubernetes="1.34.2")
    assert _sentences(str(refused.value)) == [
        "kafka.rackFromZone needs Kubernetes 1.35 or newer, this is v1.34.2: set kafka.clientRack instead."
    ]


def test_everything_that_is_wrong_is_said_at_once(helm: Helm) -> None:
    with pytest.raises(RefusedError) as refused:
        helm.render()
    assert len(_sentences(str(refused.value))) == 3


def test_every_sentence_of_the_chart_has_a_test() -> None:
    tested = [
        *REFUSED,
        "kafka.rackFromZone needs Kubernetes 1.35 or newer, this is v1.34.2: set kafka.clientRack instead.",
    ]
    checks = (CHART / "templates" / "_checks.tpl").read_text(encoding="utf-8")
    own = [line for line in checks.splitlines() if re.match(r"\S", line) and _is_sentence(line)]
    assert len(own) > 40
    for line in own:
        pattern = re.compile(".+".join(map(re.escape, re.split(r"\{\{.*?\}\}", line))))
        assert any(pattern.fullmatch(sentence) for sentence in tested), line


def _is_sentence(line: str) -> bool:
    return not re.fullmatch(r"\{\{-? (define|range|if|else|end|\$|include|fail|/\*).*|.*\*/ -\}\}", line)


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 1},
        {"replicas": 0, "pdb": {"minAvailable": 1, "maxUnavailable": None}},
        {"replicas": 3, "pdb": {"minAvailable": "66%", "maxUnavailable": None}},
    ],
    ids=str,
)
def test_a_budget_that_lets_a_worker_go_is_taken(helm: Helm, values: Values) -> None:
    assert helm.render(LEAST, values)


@pytest.mark.parametrize(
    "values",
    [
        _kafka(bootstrapServers=["[fd00::1]:9092", "[::1]:9092", "PLAINTEXT://k:9092"]),
        _kafka(bootstrapServers=["SASL_SSL://k:9092"], securityProtocol="SASL_SSL", sasl=SASL),
    ],
    ids=str,
)
def test_an_address_of_ipv6_or_with_the_protocol_that_is_spoken_is_taken(helm: Helm, values: Values) -> None:
    config = one(helm.render(LEAST, values), "ConfigMap")["data"]
    assert config["KAFKA_BOOTSTRAP_SERVERS"] == ",".join(values["kafka"]["bootstrapServers"])


def test_stand_by_workers_may_be_more_than_partitions(helm: Helm) -> None:
    idle = {**KEDA, "keda": {"allowIdleConsumers": True}}
    assert helm.render(LEAST, {"autoscaling": idle, "kafka": {"partitions": 3}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 3}, "replica"),
        ({"kafka": {"bootstrapServers": "kafka:9092"}}, "array"),
        ({"kafka": {"bootstrapServers": ["fd00::1:9092"]}}, "pattern"),
        ({"kafka": {"bootstrapServers": ["[fd00::1]"]}}, "pattern"),
        ({"kafka": {"bootstrapServers": ["TLS://kafka:9092"]}}, "pattern"),
        ({"kafka": {"topics": ["not a topic"]}}, "pattern"),
        ({"worker": {"logLevel": "loud"}}, "debug"),
        ({"worker": {"collapseWindowMs": -1}}, "0"),
        ({"optico": {"url": "https://user:fake@optico.example.com"}}, "pattern"),
        ({"autoscaling": {"keda": {"lagTreshold": 5}}}, "lagTreshold"),
        ({"podSecurityContext": {"runAsNonroot": True}}, "runAsNonroot"),
        ({"extraEnv": [{"name": "A", "value": 1}]}, "string"),
        ({"tolerations": [{"keyy": "a"}]}, "keyy"),
        ({"fullnameOverride": "2026"}, "pattern"),
    ],
    ids=str,
)
def test_a_misspelt_or_mistyped_value_is_refused_by_the_schema(helm: Helm, values: Values, said: str) -> None:
    with pytest.raises(RefusedError, match="specifications of the schema") as refused:
        helm.render(LEAST, values)
    assert said in str(refused.value)
