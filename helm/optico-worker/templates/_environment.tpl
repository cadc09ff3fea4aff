{{- /* Where each of the worker's variables has its value; files and what follows from others are below. */ -}}
{{- define "optico-worker.variables" -}}
KAFKA_BOOTSTRAP_SERVERS: kafka.bootstrapServers
KAFKA_TOPICS: kafka.topics
KAFKA_GROUP_ID: kafka.groupId
KAFKA_CLIENT_ID: kafka.clientId
KAFKA_CLIENT_RACK: kafka.clientRack
KAFKA_ASSIGNOR: kafka.assignor
KAFKA_AUTO_OFFSET_RESET: kafka.autoOffsetReset
KAFKA_SESSION_TIMEOUT_MS: kafka.sessionTimeoutMs
KAFKA_SECURITY_PROTOCOL: kafka.securityProtocol
KAFKA_SASL_MECHANISM: kafka.sasl.mechanism
KAFKA_DLQ_TOPIC: kafka.dlqTopic
OPTICO_URL: optico.url
OPTICO_TIMEOUT_SECONDS: optico.timeoutSeconds
OPTICO_MAX_CONCURRENCY: optico.maxConcurrency
OPTICO_MAX_REQUESTS_PER_SECOND: optico.maxRequestsPerSecond
OPTICO_MAX_CONNECTION_AGE_SECONDS: optico.maxConnectionAgeSeconds
OPTICO_MAX_FIELDS: optico.maxFields
OPTICO_MAX_BODY_BYTES: optico.maxBodyBytes
WORKER_COLLAPSE_WINDOW_MS: worker.collapseWindowMs
WORKER_CALL_COLLAPSE_WINDOW_MS: worker.callCollapseWindowMs
WORKER_MAX_PENDING: worker.maxPending
WORKER_MAX_PENDING_BYTES: worker.maxPendingBytes
WORKER_MAX_ATTEMPTS: worker.maxAttempts
WORKER_REJECTION_LIMIT: worker.rejectionLimit
WORKER_DRAIN_TIMEOUT_SECONDS: worker.drainTimeoutSeconds
WORKER_DEFAULT_CURRENCY: worker.defaultCurrency
WORKER_DEFAULT_ORDER_STATUS: worker.defaultOrderStatus
WORKER_ORDER_STATUS_MAP: worker.orderStatusMap
WORKER_EMPTIED_CART_NAME: worker.emptiedCartName
WORKER_CS_CART_ID_FIELDS: worker.csCartIdFields
WORKER_ID_PREFIXES: worker.idPrefixes
WORKER_HTTP_PORT: worker.httpPort
WORKER_LOG_LEVEL: worker.logLevel
WORKER_LOG_FORMAT: worker.logFormat
{{- end }}

{{- /* The rest of what the chart may set, for the message when `extraEnv` sets it too. */ -}}
{{- define "optico-worker.otherVariables" -}}
KAFKA_GROUP_INSTANCE_ID: membership
KAFKA_SASL_USERNAME: kafka.sasl
KAFKA_SASL_PASSWORD: kafka.sasl
KAFKA_SSL_CAFILE: kafka.tls.ca
KAFKA_SSL_CERTFILE: kafka.tls.client
KAFKA_SSL_KEYFILE: kafka.tls.client
KAFKA_SSL_KEY_PASSWORD: kafka.tls.client
OPTICO_API_KEY: optico.existingSecret
OPTICO_CA_FILE: optico.ca
{{- end }}

{{- define "optico-worker.sasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.securityProtocol }}true{{ end }}
{{- end }}

{{- define "optico-worker.tls" -}}
{{- if hasSuffix "SSL" .Values.kafka.securityProtocol }}true{{ end }}
{{- end }}

{{- define "optico-worker.sessionTimeoutMs" -}}
{{- $default := ternary 60000 20000 (eq .Values.membership "static") }}
{{- .Values.kafka.sessionTimeoutMs | default $default | int }}
{{- end }}

{{- /* The ConfigMap's data. Strings may hold templates. */ -}}
{{- define "optico-worker.config" -}}
{{- range $variable, $path := include "optico-worker.variables" . | fromYaml }}
{{- $value := $.Values }}
{{- range splitList "." $path }}{{ $value = get $value . }}{{ end }}
{{- if eq $path "kafka.sessionTimeoutMs" }}{{ $value = include "optico-worker.sessionTimeoutMs" $ }}{{ end }}
{{- if kindIs "map" $value }}
{{- $pairs := list }}
{{- range $name, $meaning := $value }}{{ $pairs = append $pairs (printf "%s=%v" $name $meaning) }}{{ end }}
{{- $value = $pairs }}
{{- end }}
{{- if kindIs "slice" $value }}{{ $value = join "," $value }}{{ end }}
{{- if kindIs "string" $value }}{{ $value = tpl $value $ }}{{ end }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
{{ $variable }}: {{ include "optico-worker.number" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where the files are mounted: as a folder, so that what is replaced in a Secret arrives without a restart. */ -}}
{{- define "optico-worker.folder" -}}/etc/optico-worker{{- end }}

{{- /* A Secret's or ConfigMap's part of what a worker reads as files. `env`: the variable that names the file;
       `parameter`: what KEDA calls it. */ -}}
{{- define "optico-worker.files" -}}
{{- $fullname := include "optico-worker.fullname" . }}
{{- $optico := .Values.optico }}
- env: OPTICO_API_KEY_FILE
  path: optico/api-key
  kind: secret
  name: {{ tpl $optico.existingSecret . | default (printf "%s-api-key" $fullname) | quote }}
  key: {{ ternary $optico.existingSecretKey "api-key" (ne $optico.existingSecret "") | quote }}
{{- include "optico-worker.ca" (dict "context" . "ca" $optico.ca "env" "OPTICO_CA_FILE" "path" "optico/ca.crt" "own" "optico-ca.crt") }}
{{- if include "optico-worker.sasl" . }}
{{- $sasl := .Values.kafka.sasl }}
{{- $own := printf "%s-kafka" $fullname }}
- env: KAFKA_SASL_USERNAME_FILE
  path: kafka/username
  kind: secret
  name: {{ ternary (tpl $sasl.existingSecret .) $own (empty $sasl.username) | quote }}
  key: {{ ternary $sasl.usernameKey "username" (empty $sasl.username) | quote }}
  parameter: username
- env: KAFKA_SASL_PASSWORD_FILE
  path: kafka/password
  kind: secret
  name: {{ tpl $sasl.existingSecret . | default $own | quote }}
  key: {{ ternary $sasl.passwordKey "password" (ne $sasl.existingSecret "") | quote }}
  parameter: password
{{- end }}
{{- if include "optico-worker.tls" . }}
{{- include "optico-worker.ca" (dict "context" . "ca" .Values.kafka.tls.ca "env" "KAFKA_SSL_CAFILE" "path" "kafka/ca.crt" "own" "kafka-ca.crt" "parameter" "ca") }}
{{- $client := .Values.kafka.tls.client }}
{{- if or $client.existingSecret $client.certificate }}
{{- $name := tpl $client.existingSecret . | default (printf "%s-kafka" $fullname) }}
- env: KAFKA_SSL_CERTFILE
  path: kafka/client.crt
  kind: secret
  name: {{ $name | quote }}
  key: {{ ternary $client.certificateKey "client.crt" (ne $client.existingSecret "") | quote }}
  parameter: cert
- env: KAFKA_SSL_KEYFILE
  path: kafka/client.key
  kind: secret
  name: {{ $name | quote }}
  key: {{ ternary $client.privateKeyKey "client.key" (ne $client.existingSecret "") | quote }}
  parameter: key
{{- if or $client.passwordKey $client.password }}
- env: KAFKA_SSL_KEY_PASSWORD_FILE
  path: kafka/client-key-password
  kind: secret
  name: {{ $name | quote }}
  key: {{ ternary $client.passwordKey "client-key-password" (ne $client.existingSecret "") | quote }}
  parameter: keyPassword
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "optico-worker.ca" -}}
{{- if or .ca.existingSecret .ca.existingConfigMap .ca.certificate }}
{{- $own := not (or .ca.existingSecret .ca.existingConfigMap) }}
- env: {{ .env }}
  path: {{ .path }}
  kind: {{ ternary "secret" "configMap" (ne .ca.existingSecret "") }}
  {{- if $own }}
  name: {{ printf "%s-certificates" (include "optico-worker.fullname" .context) | quote }}
  key: {{ .own }}
  {{- else }}
  name: {{ tpl (.ca.existingSecret | default .ca.existingConfigMap) .context | quote }}
  key: {{ .ca.key | quote }}
  {{- end }}
  {{- with .parameter }}
  parameter: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* `env` and `envFrom` of a container. Called with a dict: context; member: whether it joins the group. */ -}}
{{- define "optico-worker.environment" -}}
{{- $values := .context.Values -}}
envFrom:
  - configMapRef:
      name: {{ include "optico-worker.fullname" .context }}
  {{- with $values.extraEnvFrom }}
  {{- tpl (toYaml .) $.context | nindent 2 }}
  {{- end }}
env:
  {{- range include "optico-worker.files" .context | fromYamlArray }}
  - name: {{ .env }}
    value: {{ include "optico-worker.folder" $.context }}/{{ .path }}
  {{- end }}
  {{- if and .member (eq $values.membership "static") }}
  - name: KAFKA_GROUP_INSTANCE_ID
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  {{- end }}
  {{- if $values.kafka.rackFromZone }}
  - name: KAFKA_CLIENT_RACK
    valueFrom:
      fieldRef:
        fieldPath: metadata.labels['topology.kubernetes.io/zone']
  {{- end }}
  {{- with $values.extraEnv }}
  {{- tpl (toYaml .) $.context | nindent 2 }}
  {{- end }}
{{- end }}
