{{- /* What all pods of the release share. Called with a dict: context; restartPolicy: of what is not a worker. */ -}}
{{- define "optico-worker.podCommon" -}}
{{- $values := .context.Values -}}
serviceAccountName: {{ include "optico-worker.serviceAccountName" .context }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .restartPolicy }}
restartPolicy: {{ . }}
{{- end }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" "schedulerName" "hostAliases" "dnsPolicy" "dnsConfig" }}
{{- with get $values $key }}
{{ $key }}:
  {{- if kindIs "string" . }} {{ . }}{{ else }}
  {{- tpl (toYaml .) $.context | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ $values.tmpSizeLimit }}
  - name: files
    projected:
      defaultMode: 0440
      sources:
        {{- range include "optico-worker.files" .context | fromYamlArray }}
        - {{ .kind }}:
            name: {{ .name }}
            items:
              - key: {{ .key }}
                path: {{ .path }}
        {{- end }}
  {{- with $values.extraVolumes }}
  {{- tpl (toYaml .) $.context | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* What all containers of our image share. Called with a dict: context, name, command (after optico-worker), member. */ -}}
{{- define "optico-worker.container" -}}
{{- $values := .context.Values -}}
name: {{ .name }}
image: {{ include "optico-worker.image" .context | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
command: [optico-worker]
args:
  {{- toYaml .command | nindent 2 }}
{{ include "optico-worker.environment" . }}
securityContext:
  {{- toYaml $values.securityContext | nindent 2 }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: files
    mountPath: {{ include "optico-worker.folder" .context }}
    readOnly: true
  {{- with $values.extraVolumeMounts }}
  {{- tpl (toYaml .) $.context | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* Labels of a pod: the more special ones win. Called with a dict: context; special: of this kind of pod alone; own:
       the chart's. */ -}}
{{- define "optico-worker.podLabels" -}}
{{- $values := .context.Values }}
{{- merge (dict) (.special | default dict) $values.podLabels $values.commonLabels (.own | default dict) | toYaml }}
{{- end }}

{{- /* Annotations of a pod, likewise. Those of the values may hold templates. */ -}}
{{- define "optico-worker.podAnnotations" -}}
{{- $given := merge (dict) (.special | default dict) .context.Values.podAnnotations }}
{{- merge (dict) (tpl (toYaml $given) .context | fromYaml) (.own | default dict) | toYaml }}
{{- end }}

{{- define "optico-worker.probe" -}}
httpGet:
  path: {{ .path }}
  port: http
{{ toYaml .settings }}
{{- end }}

{{- /* The template of a worker's pod. Its checksums change with what a worker reads only when it starts; the API key is
       not of these. */ -}}
{{- define "optico-worker.podTemplate" -}}
metadata:
  labels:
    {{- /* Not the chart's version: a chart that changes nothing else must not replace the workers. */}}
    {{- $selector := include "optico-worker.selectorLabels" . | fromYaml }}
    {{- include "optico-worker.podLabels" (dict "context" . "own" $selector) | nindent 4 }}
  annotations:
    {{- $own := dict "kubectl.kubernetes.io/default-container" "worker" }}
    {{- range $name, $part := dict "config" "config" "kafka" "kafkaSecret" "certificates" "certificates" }}
    {{- with include (printf "optico-worker.%s" $part) $ }}
    {{- $_ := set $own (printf "checksum/%s" $name) (sha256sum .) }}
    {{- end }}
    {{- end }}
    {{- include "optico-worker.podAnnotations" (dict "context" . "own" $own) | nindent 4 }}
spec:
  {{- include "optico-worker.podCommon" (dict "context" .) | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "optico-worker.grace" . }}
  {{- with .Values.topologySpread }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      labelSelector:
        matchLabels:
          {{- include "optico-worker.selectorLabels" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with .Values.extraInitContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "optico-worker.container" (dict "context" . "name" "worker" "command" (list "run") "member" true) | nindent 6 | trim }}
      ports:
        - name: http
          containerPort: {{ int .Values.worker.httpPort }}
          protocol: TCP
      startupProbe:
        {{- include "optico-worker.probe" (dict "path" "/healthz" "settings" .Values.startupProbe) | nindent 8 }}
      livenessProbe:
        {{- include "optico-worker.probe" (dict "path" "/healthz" "settings" .Values.livenessProbe) | nindent 8 }}
      readinessProbe:
        {{- include "optico-worker.probe" (dict "path" "/readyz" "settings" .Values.readinessProbe) | nindent 8 }}
    {{- with .Values.extraContainers }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* The template of the replay's pod. Called with a dict: context, command. */ -}}
{{- define "optico-worker.replayTemplate" -}}
metadata:
  labels:
    {{- $own := include "optico-worker.releaseLabels" .context | fromYaml }}
    {{- $_ := set $own "app.kubernetes.io/component" "replay" }}
    {{- include "optico-worker.podLabels" (dict "context" .context "special" .context.Values.replay.podLabels "own" $own) | nindent 4 }}
  {{- with include "optico-worker.podAnnotations" (dict "context" .context "special" .context.Values.replay.podAnnotations) | fromYaml }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "optico-worker.podCommon" (dict "context" .context "restartPolicy" "Never") | nindent 2 }}
  containers:
    - {{ include "optico-worker.container" (dict "context" .context "name" "replay" "command" .command "member" false) | nindent 6 | trim }}
{{- end }}
