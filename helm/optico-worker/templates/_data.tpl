{{- /* Data of the Secret with what the values themselves hold for Kafka. */ -}}
{{- define "optico-worker.kafkaSecret" -}}
{{- $sasl := .Values.kafka.sasl }}
{{- $client := .Values.kafka.tls.client }}
{{- $lines := list }}
{{- if include "optico-worker.sasl" . }}
{{- with $sasl.username }}
{{- $lines = append $lines (printf "username: %s" (b64enc .)) }}
{{- end }}
{{- if not $sasl.existingSecret }}
{{- $lines = append $lines (printf "password: %s" (b64enc $sasl.password)) }}
{{- end }}
{{- end }}
{{- if and (include "optico-worker.tls" .) $client.certificate (not $client.existingSecret) }}
{{- $lines = append $lines (printf "client.crt: %s" (b64enc $client.certificate)) }}
{{- $lines = append $lines (printf "client.key: %s" (b64enc $client.privateKey)) }}
{{- with $client.password }}
{{- $lines = append $lines (printf "client-key-password: %s" (b64enc .)) }}
{{- end }}
{{- end }}
{{- join "\n" $lines }}
{{- end }}

{{- /* Data of the ConfigMap with what they hold of certificates; none of it is secret. */ -}}
{{- define "optico-worker.certificates" -}}
{{- $lines := list }}
{{- if and (include "optico-worker.tls" .) .Values.kafka.tls.ca.certificate }}
{{- $lines = append $lines (printf "kafka-ca.crt: %s" (toJson .Values.kafka.tls.ca.certificate)) }}
{{- end }}
{{- with .Values.optico.ca.certificate }}
{{- $lines = append $lines (printf "optico-ca.crt: %s" (toJson .)) }}
{{- end }}
{{- join "\n" $lines }}
{{- end }}
