{{- /* What can't work is refused, all of it at once. Each part gives sentences, one a line. */ -}}
{{- define "optico-worker.checks" -}}
{{- $said := list }}
{{- range list "required" "credentials" "tls" "group" "rollout" "autoscaling" "keda" "events" "pod" "environment" "replay" "rules" }}
{{- $said = append $said (include (printf "optico-worker.checks.%s" .) $ | trim) }}
{{- end }}
{{- $sentences := compact $said }}
{{- if $sentences }}
{{- fail (printf "these values can't work:\n%s" (join "\n" $sentences)) }}
{{- end }}
{{- end }}

{{- define "optico-worker.checks.required" -}}
{{- $kafka := .Values.kafka }}
{{- $optico := .Values.optico }}
{{- if not $kafka.bootstrapServers }}
kafka.bootstrapServers is empty: name the brokers, such as [kafka:9092].
{{- end }}
{{- range $kafka.bootstrapServers }}
{{- $server := tpl . $ }}
{{- $named := regexFind "^[A-Z_]+://" $server | trimSuffix "://" }}
{{- if not (regexMatch `^([A-Z_]+://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$` $server) }}
kafka.bootstrapServers has {{ $server }}: give host:port, such as kafka:9092 or [fd00::1]:9092.
{{- else if and $named (ne $named $kafka.securityProtocol) }}
kafka.bootstrapServers has {{ $server }}, but kafka.securityProtocol is {{ $kafka.securityProtocol }}: set it to {{ $named }}, or correct the address.
{{- end }}
{{- end }}
{{- if not $kafka.topics }}
kafka.topics is empty: name the topics to read.
{{- end }}
{{- if and (not $optico.existingSecret) (not $optico.apiKey) }}
There is no API key: set optico.existingSecret to a Secret that holds it.
{{- end }}
{{- if and $optico.existingSecret $optico.apiKey }}
optico.existingSecret and optico.apiKey are both set: keep one of them.
{{- end }}
{{- if and $kafka.dlqTopic (has $kafka.dlqTopic $kafka.topics) }}
kafka.dlqTopic is one of kafka.topics, so its dead letters would be read again: set another topic.
{{- end }}
{{- end }}

{{- define "optico-worker.checks.credentials" -}}
{{- $kafka := .Values.kafka }}
{{- $sasl := $kafka.sasl }}
{{- $given := or $sasl.username $sasl.password }}
{{- if include "optico-worker.sasl" . }}
{{- if not $sasl.mechanism }}
kafka.sasl.mechanism is empty, but kafka.securityProtocol is {{ $kafka.securityProtocol }}: set PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
{{- end }}
{{- if and (not $sasl.existingSecret) (not (and $sasl.username $sasl.password)) }}
kafka.securityProtocol is {{ $kafka.securityProtocol }}, but there is no user name and password: set kafka.sasl.existingSecret.
{{- end }}
{{- if and $sasl.existingSecret $sasl.password }}
kafka.sasl.existingSecret and kafka.sasl.password are both set: keep one of them.
{{- end }}
{{- else if or $sasl.mechanism $sasl.existingSecret $given }}
kafka.sasl is set, but kafka.securityProtocol is {{ $kafka.securityProtocol }}, which has no SASL: set SASL_SSL or SASL_PLAINTEXT.
{{- end }}
{{- end }}

{{- define "optico-worker.checks.tls" -}}
{{- $kafka := .Values.kafka }}
{{- $client := $kafka.tls.client }}
{{- $given := or $client.certificate $client.privateKey $client.password }}
{{- $ca := $kafka.tls.ca }}
{{- range $path, $one := dict "kafka.tls.ca" $ca "optico.ca" .Values.optico.ca }}
{{- if gt (len (compact (list $one.certificate $one.existingSecret $one.existingConfigMap))) 1 }}
{{ $path }} has more than one of certificate, existingSecret and existingConfigMap: keep one of them.
{{- end }}
{{- end }}
{{- if include "optico-worker.tls" . }}
{{- if ne (empty $client.certificate) (empty $client.privateKey) }}
kafka.tls.client has a certificate without its privateKey, or the reverse: set both or neither.
{{- end }}
{{- if and $client.existingSecret $given }}
kafka.tls.client.existingSecret is set together with a certificate, privateKey or password: keep one of them.
{{- end }}
{{- if and $client.passwordKey (not $client.existingSecret) }}
kafka.tls.client.passwordKey is a key of kafka.tls.client.existingSecret, which is empty: set it.
{{- end }}
{{- else if or $ca.certificate $ca.existingSecret $ca.existingConfigMap $client.existingSecret $given }}
kafka.tls is set, but kafka.securityProtocol is {{ $kafka.securityProtocol }}, which has no TLS: set SSL or SASL_SSL.
{{- end }}
{{- end }}

{{- define "optico-worker.checks.group" -}}
{{- $kafka := .Values.kafka }}
{{- $most := include "optico-worker.maxReplicas" . | int }}
{{- $standby := and (eq .Values.autoscaling.kind "keda") .Values.autoscaling.keda.allowIdleConsumers }}
{{- if and $kafka.partitions (gt $most (int $kafka.partitions)) (not $standby) }}
{{ ternary "replicas" "autoscaling.maxReplicas" (eq .Values.autoscaling.kind "none") }} is {{ $most }}, but there are {{ int $kafka.partitions }} partitions (kafka.partitions): more workers than partitions have nothing to do.
{{- end }}
{{- if and (eq .Values.membership "static") (ne .Values.autoscaling.kind "none") }}
membership is static, which autoscaling can't have: a member that is scaled away keeps its partitions until its session ends; set membership to dynamic.
{{- end }}
{{- if and $kafka.clientRack $kafka.rackFromZone }}
kafka.clientRack and kafka.rackFromZone are both set: keep one of them.
{{- end }}
{{- if and $kafka.rackFromZone (semverCompare "<1.35.0-0" .Capabilities.KubeVersion.Version) }}
kafka.rackFromZone needs Kubernetes 1.35 or newer, this is {{ .Capabilities.KubeVersion.Version }}: set kafka.clientRack instead.
{{- end }}
{{- end }}

{{- define "optico-worker.checks.rollout" -}}
{{- $drain := .Values.worker.drainTimeoutSeconds }}
{{- $least := add (ceil $drain) 16 }}
{{- if lt (include "optico-worker.grace" . | int64) $least }}
terminationGracePeriodSeconds is {{ include "optico-worker.grace" . }}, but a drain of {{ $drain }} s (worker.drainTimeoutSeconds) needs at least {{ $least }}: raise it, or leave it unset.
{{- end }}
{{- if le (float64 $drain) (float64 .Values.optico.timeoutSeconds) }}
worker.drainTimeoutSeconds must be longer than optico.timeoutSeconds, so that a request can end: raise the one or lower the other.
{{- end }}
{{- $pdb := .Values.pdb }}
{{- $least := ternary .Values.replicas (max 1 .Values.autoscaling.minReplicas) (eq .Values.autoscaling.kind "none") | int }}
{{- if $pdb.enabled }}
{{- $min := $pdb.minAvailable }}
{{- $max := $pdb.maxUnavailable }}
{{- if eq (kindIs "invalid" $min) (kindIs "invalid" $max) }}
pdb needs one of minAvailable and maxUnavailable: set the other to null.
{{- else if and (not (kindIs "invalid" $min)) (gt $least 0) (ge (include "optico-worker.share" (dict "of" $least "value" $min) | int) $least) }}
pdb.minAvailable is {{ $min }}, which of {{ $least }} is all of them, so that no node could be drained: lower it.
{{- else if has (toString (ternary "" $max (kindIs "invalid" $max))) (list "0" "0%") }}
pdb.maxUnavailable is {{ $max }}, so that no node could be drained: raise it.
{{- end }}
{{- end }}
{{- if has (toString .Values.maxUnavailable) (list "0" "0%") }}
maxUnavailable is {{ .Values.maxUnavailable }}, but there is never one worker more, so that a rollout could not begin: raise it.
{{- end }}
{{- end }}

{{- define "optico-worker.checks.autoscaling" -}}
{{- $autoscaling := .Values.autoscaling }}
{{- if ne $autoscaling.kind "none" }}
{{- if not (or $autoscaling.maxReplicas .Values.kafka.partitions) }}
autoscaling has no maximum: set kafka.partitions, or autoscaling.maxReplicas.
{{- else if lt (include "optico-worker.maxReplicas" . | int) (int $autoscaling.minReplicas) }}
autoscaling.minReplicas is {{ int $autoscaling.minReplicas }}, more than the maximum of {{ include "optico-worker.maxReplicas" . }}: lower it.
{{- end }}
{{- end }}
{{- if eq $autoscaling.kind "hpa" }}
{{- if eq (int $autoscaling.minReplicas) 0 }}
autoscaling.minReplicas is 0, which only autoscaling.kind keda can do: raise it.
{{- end }}
{{- if not (or $autoscaling.hpa.targetCPUUtilizationPercentage $autoscaling.hpa.metrics) }}
autoscaling.hpa has nothing to scale by: set targetCPUUtilizationPercentage or metrics.
{{- end }}
{{- if and $autoscaling.hpa.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" .Values.resources)) }}
autoscaling.hpa scales by CPU in percent of the request, but resources.requests.cpu is not set: set it.
{{- end }}
{{- end }}
{{- end }}

{{- define "optico-worker.checks.keda" -}}
{{- $keda := .Values.autoscaling.keda }}
{{- if eq .Values.autoscaling.kind "keda" }}
{{- if and $keda.allowIdleConsumers $keda.limitToPartitionsWithLag }}
autoscaling.keda.allowIdleConsumers and limitToPartitionsWithLag exclude each other: keep one of them.
{{- end }}
{{- if and $keda.limitToPartitionsWithLag $keda.ensureEvenDistributionOfPartitions }}
autoscaling.keda.limitToPartitionsWithLag and ensureEvenDistributionOfPartitions exclude each other: keep one of them.
{{- end }}
{{- if and $keda.paused (not (kindIs "invalid" $keda.pausedReplicas)) }}
autoscaling.keda.paused and pausedReplicas exclude each other: the one stops where it is, the other at a number; keep one of them.
{{- end }}
{{- if gt (int (default 0 $keda.fallback.replicas)) (include "optico-worker.maxReplicas" . | int) }}
autoscaling.keda.fallback.replicas is {{ int $keda.fallback.replicas }}, more than the maximum of {{ include "optico-worker.maxReplicas" . }}: lower it.
{{- end }}
{{- end }}
{{- end }}

{{- define "optico-worker.checks.events" -}}
{{- range list "true" "false" }}
{{- if hasKey $.Values.worker.orderStatusMap . }}
worker.orderStatusMap has the status {{ . }}, which is how YAML reads Y, N, yes, no, on and off: put the status in quotes.
{{- end }}
{{- end }}
{{- $topics := list }}
{{- range .Values.kafka.topics }}{{ $topics = append $topics (tpl . $) }}{{ end }}
{{- range $topic, $_ := .Values.worker.idPrefixes }}
{{- if not (has $topic $topics) }}
worker.idPrefixes names {{ $topic }}, which is not one of kafka.topics: correct the one or the other.
{{- end }}
{{- end }}
{{- end }}

{{- define "optico-worker.checks.pod" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources }}
{{- $bytes := include "optico-worker.bytes" $limit }}
{{- $needed := add (int64 .Values.worker.maxPendingBytes) 167772160 }}
{{- if and $limit $bytes (lt (int64 $bytes) $needed) }}
resources.limits.memory is {{ $limit }}, but worker.maxPendingBytes and 160 MiB besides are {{ div (add $needed 1048575) 1048576 }}Mi: raise the one or lower the other.
{{- end }}
{{- range $path, $labels := dict "podLabels" .Values.podLabels "commonLabels" .Values.commonLabels "replay.podLabels" .Values.replay.podLabels "helmTest.podLabels" .Values.helmTest.podLabels }}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey $labels . }}
{{ $path }} sets {{ . }}, by which the workers are selected: leave it out.
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraVolumes }}
{{- if has .name (list "tmp" "files") }}
extraVolumes has a volume named {{ .name }}, which the chart has already: name it otherwise.
{{- end }}
{{- end }}
{{- range .Values.extraContainers }}
{{- if eq .name "worker" }}
extraContainers has a container named worker, which is the chart's own: name it otherwise.
{{- end }}
{{- end }}
{{- end }}

{{- define "optico-worker.checks.environment" -}}
{{- $known := merge (include "optico-worker.variables" . | fromYaml) (include "optico-worker.otherVariables" . | fromYaml) }}
{{- $seen := list }}
{{- range .Values.extraEnv }}
{{- $name := ternary .name (trimSuffix "_FILE" .name) (hasKey $known .name) }}
{{- if hasKey $known $name }}
extraEnv sets {{ .name }}, which is the chart's to set: use {{ get $known $name }}.
{{- else if has .name $seen }}
extraEnv sets {{ .name }} twice: keep one of them.
{{- end }}
{{- $seen = append $seen .name }}
{{- end }}
{{- end }}

{{- define "optico-worker.checks.replay" -}}
{{- $replay := .Values.replay }}
{{- if $replay.enabled }}
{{- $alongside := has "--alongside" $replay.args }}
{{- if not $replay.args }}
replay.args is empty: say what to replay, such as [--to-datetime, "2026-11-21T08:00:00Z"].
{{- end }}
{{- if has "--execute" $replay.args }}
replay.args has --execute: set replay.execute instead.
{{- end }}
{{- if and $alongside (not $replay.execute) }}
replay.args has --alongside, which has no dry run: set replay.execute to true.
{{- end }}
{{- if and $replay.execute (not $alongside) (or (gt (int .Values.replicas) 0) (ne .Values.autoscaling.kind "none")) }}
replay.execute sets the group's offsets, which the brokers allow only while it has no members: set replicas to 0 and autoscaling.kind to none, or replay with --alongside.
{{- end }}
{{- end }}
{{- end }}

{{- define "optico-worker.checks.rules" -}}
{{- $alerts := list }}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" }}
{{- range ($.Files.Get $path | fromYaml).groups }}
{{- range .rules }}
{{- $alerts = append $alerts .alert }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.prometheusRule.disabled }}
{{- if not (has . $alerts) }}
prometheusRule.disabled has {{ . }}, which is no alert of this chart: correct or remove it.
{{- end }}
{{- end }}
{{- range $label, $_ := .Values.prometheusRule.selector }}
{{- if not (has $label (list "namespace" "job")) }}
prometheusRule.selector has {{ $label }}, which the recorded series don't have, so that alerts on them would never fire: name namespace and job only.
{{- end }}
{{- end }}
{{- end }}
