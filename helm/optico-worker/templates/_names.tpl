{{- define "optico-worker.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* At most 40 characters, so that there is room for suffixes. What is cut off is replaced by a part of the whole
       name's hash: two releases whose names begin alike would share their objects. */ -}}
{{- define "optico-worker.fullname" -}}
{{- $name := include "optico-worker.name" . }}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- $whole := .Values.fullnameOverride | default $release }}
{{- if gt (len $whole) 40 }}
{{- printf "%s-%s" ($whole | trunc 31 | trimSuffix "-") ($whole | sha256sum | trunc 8) }}
{{- else }}
{{- $whole }}
{{- end }}
{{- end }}

{{- /* What all pods of the release have in common: workers, the test's, the replay's. */ -}}
{{- define "optico-worker.releaseLabels" -}}
app.kubernetes.io/name: {{ include "optico-worker.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* What the workers' pods alone have. */ -}}
{{- define "optico-worker.selectorLabels" -}}
{{ include "optico-worker.releaseLabels" . }}
app.kubernetes.io/component: worker
{{- end }}

{{- define "optico-worker.labels" -}}
{{ include "optico-worker.releaseLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* metadata of an object. Called with a dict: context, name; perhaps namespace, component, labels, annotations. */ -}}
{{- define "optico-worker.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .namespace | default .context.Release.Namespace }}
labels:
  {{- /* The more special one wins, so that none is there twice. */ -}}
  {{- $own := include "optico-worker.labels" .context | fromYaml }}
  {{- $_ := set $own "app.kubernetes.io/component" (.component | default "worker") }}
  {{- merge (dict) (.labels | default dict) .context.Values.commonLabels $own | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "optico-worker.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "optico-worker.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "optico-worker.image" -}}
{{- $image := .Values.image }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* A number as the worker reads it: Helm holds those of files as floats, and would write 6.7108864e+07. */ -}}
{{- define "optico-worker.number" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* Bytes of a Kubernetes quantity. */ -}}
{{- define "optico-worker.bytes" -}}
{{- $text := include "optico-worker.number" . }}
{{- $unit := regexFind "[A-Za-z]*$" $text }}
{{- $factors := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 }}
{{- if hasKey $factors $unit }}
{{- mulf (float64 (trimSuffix $unit $text)) (get $factors $unit) | floor | int64 }}
{{- end }}
{{- end }}

{{- /* A number, or a percentage of so many, rounded up as Kubernetes does it. Called with a dict: of, value. */ -}}
{{- define "optico-worker.share" -}}
{{- $text := toString .value }}
{{- if hasSuffix "%" $text }}
{{- divf (mulf (trimSuffix "%" $text | float64) .of) 100.0 | ceil | int }}
{{- else }}
{{- int $text }}
{{- end }}
{{- end }}

{{- /* Most workers that there will be. */ -}}
{{- define "optico-worker.maxReplicas" -}}
{{- if eq .Values.autoscaling.kind "none" }}
{{- int .Values.replicas }}
{{- else }}
{{- .Values.autoscaling.maxReplicas | default .Values.kafka.partitions | int }}
{{- end }}
{{- end }}

{{- /* Seconds beyond the drain time-out: a request in its last moment, the last commit, leaving the group. */ -}}
{{- define "optico-worker.graceMargin" -}}20{{- end }}

{{- /* Fewest workers that there may be while all is well. */ -}}
{{- define "optico-worker.minReplicas" -}}
{{- if eq .Values.autoscaling.kind "none" }}
{{- int .Values.replicas }}
{{- else if and (eq .Values.autoscaling.kind "keda") (not (kindIs "invalid" .Values.autoscaling.keda.pausedReplicas)) }}
{{- int .Values.autoscaling.keda.pausedReplicas }}
{{- else }}
{{- int .Values.autoscaling.minReplicas }}
{{- end }}
{{- end }}

{{- /* Seconds that a rollout may go without a step: one worker stops, and another becomes ready; at least Kubernetes'
       own 10 minutes. */ -}}
{{- define "optico-worker.progressDeadline" -}}
{{- add (include "optico-worker.grace" . | int) (int .Values.minReadySeconds) 300 | max 600 }}
{{- end }}

{{- define "optico-worker.grace" -}}
{{- $computed := add (ceil .Values.worker.drainTimeoutSeconds) (include "optico-worker.graceMargin" . | int) }}
{{- .Values.terminationGracePeriodSeconds | default $computed | int }}
{{- end }}
