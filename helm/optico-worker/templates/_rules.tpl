{{- /* A rule file's groups, with what the chart fills in. */ -}}
{{- define "optico-worker.ruleFile" -}}
{{- $values := .context.Values }}
{{- $text := .text | replace "__RUNBOOK_URL__" $values.prometheusRule.runbookUrl | replace "__MAX_REPLICAS__" (include "optico-worker.maxReplicas" .context) }}
{{- $text = $text | replace "__QUIET_AFTER__" $values.prometheusRule.quietAfter }}
{{- range $placeholder, $value := dict "__MAX_PENDING__" "maxPending" "__MAX_PENDING_BYTES__" "maxPendingBytes" "__REJECTION_LIMIT__" "rejectionLimit" }}
{{- $text = $text | replace $placeholder (get $values.worker $value | int64 | toString) }}
{{- end }}
{{- $text }}
{{- end }}

{{- /* Matchers of the series that the rules speak of; empty: of every worker that Prometheus knows. */ -}}
{{- define "optico-worker.ruleMatchers" -}}
{{- $selector := .Values.prometheusRule.selector }}
{{- if and (kindIs "invalid" $selector) .Values.podMonitor.enabled }}
{{- $selector = dict "namespace" .Release.Namespace "job" (include "optico-worker.fullname" .) }}
{{- end }}
{{- $matchers := list }}
{{- range $label, $value := $selector }}
{{- $matchers = append $matchers (printf "%s=%q" $label $value) }}
{{- end }}
{{- join ", " $matchers }}
{{- end }}

{{- /* An expression with these matchers at each of the worker's series, recorded ones too. Called with a dict:
       expr, matchers. */ -}}
{{- define "optico-worker.scoped" -}}
{{- $matchers := replace "$" "$$" .matchers }}
{{- $with := regexReplaceAll `(optico_worker_[\w:]+)\{` .expr (printf "${1}{%s, " $matchers) }}
{{- regexReplaceAll `(optico_worker_[\w:]+)([^\w:{]|$)` $with (printf "${1}{%s}${2}" $matchers) }}
{{- end }}

{{- /* The groups of files/rules: without the alerts that are left out, or would tell of workers that are not wanted, and with the labels that are added. */ -}}
{{- define "optico-worker.ruleGroups" -}}
{{- $values := .Values.prometheusRule }}
{{- $matchers := include "optico-worker.ruleMatchers" . }}
{{- $disabled := $values.disabled }}
{{- if not $values.quietAfter }}{{ $disabled = concat $disabled (list "OpticoWorkerNoEvents" "OpticoWorkerNoOrders") }}{{ end }}
{{- if eq (include "optico-worker.minReplicas" . | int) 0 }}{{ $disabled = append $disabled "OpticoWorkerNoMembers" }}{{ end }}
{{- $groups := list }}
{{- range $path, $_ := .Files.Glob "files/rules/*.yaml" }}
{{- range (include "optico-worker.ruleFile" (dict "context" $ "text" ($.Files.Get $path)) | fromYaml).groups }}
{{- $group := . }}
{{- $kept := list }}
{{- range $rule := .rules }}
{{- if not (has $rule.alert $disabled) }}
{{- if and $rule.alert $values.alertLabels }}
{{- $_ := set $rule "labels" (merge (dict) $values.alertLabels ($rule.labels | default dict)) }}
{{- end }}
{{- if $matchers }}
{{- $_ := set $rule "expr" (include "optico-worker.scoped" (dict "expr" $rule.expr "matchers" $matchers)) }}
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
