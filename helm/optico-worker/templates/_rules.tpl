{{- /* A rule file's groups, with what the chart fills in. */ -}}
{{- define "optico-worker.ruleFile" -}}
{{- .text | replace "__RUNBOOK_URL__" .context.Values.prometheusRule.runbookUrl | replace "__MAX_REPLICAS__" (include "optico-worker.maxReplicas" .context) }}
{{- end }}

{{- /* The groups of files/rules: without the alerts that are left out, and with the labels that are added. */ -}}
{{- define "optico-worker.ruleGroups" -}}
{{- $values := .Values.prometheusRule }}
{{- $groups := list }}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" }}
{{- range (include "optico-worker.ruleFile" (dict "context" $ "text" ($.Files.Get $path)) | fromYaml).groups }}
{{- $group := . }}
{{- $kept := list }}
{{- range $rule := .rules }}
{{- if not (has $rule.alert $values.disabled) }}
{{- if and $rule.alert $values.alertLabels }}
{{- $_ := set $rule "labels" (merge (dict) $values.alertLabels ($rule.labels | default dict)) }}
{{- end }}
{{- $kept = append $kept $rule }}
{{- end }}
{{- end }}
{{- if $kept }}
{{- $groups = append $groups (set $group "rules" $kept) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $groups }}
{{- end }}
