#!/usr/bin/env python3
"""Writes the Grafana dashboard that the chart ships. `--check` writes nothing and fails if it is stale."""

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as parts

TARGET = Path(__file__).parent / "optico-worker" / "files" / "dashboards" / "optico-worker.json"
RENEW = "python helm/dashboard.py"
SOURCE = parts.DataSourceRef(type_val="prometheus", uid="${datasource}")

#: Filters of recorded series, of workers' series, and of those that have a topic.
JOB = 'namespace=~"$namespace", job=~"$job"'
POD = f'{JOB}, pod=~"$pod"'
TOPIC = 'topic=~"$topic"'
RULES = " From the recording rules that come with the alerts."

Builder = timeseries.Panel | stat.Panel | statetimeline.Panel


class Panel(NamedTuple):
    """What a panel shows: `queries` are expressions with their legends; `red_from` and `orange_from`, limits."""

    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: str = "lines"
    width: int = 8
    orange_from: float | None = None
    red_from: float | None = None
    green_from: float | None = None


def rate(metric: str, by: str, *more: str) -> tuple[str, str]:
    """A counter per second, a line for each value of the labels."""
    filters = ", ".join((POD, *more))
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return f"sum by ({by}) (rate(optico_worker_{metric}{{{filters}}}[$__rate_interval]))", legend


def total(metric: str) -> str:
    return f"sum(rate(optico_worker_{metric}{{{POD}}}[$__rate_interval]))"


def by_pod(metric: str) -> tuple[tuple[str, str], ...]:
    return ((f"sum by (pod) (optico_worker_{metric}{{{POD}}})", "{{pod}}"),)


def quantiles(recorded: str) -> tuple[tuple[str, str], ...]:
    buckets = f"sum by (le) (job:optico_worker_{recorded}_bucket:rate5m{{{JOB}}})"
    return tuple((f"histogram_quantile({share / 100}, {buckets})", f"{share} %") for share in (50, 95, 99))


def burn(window: str) -> str:
    """Late events as a multiple of what the objective allows."""
    return f"max(job:optico_worker_event_delivery_late:ratio_rate{window}{{{JOB}}}) / 0.01"


def in_time() -> str:
    within = f'sum(increase(optico_worker_event_delivery_seconds_bucket{{{POD}, le="10.0"}}[$__range]))'
    return f"{within} / sum(increase(optico_worker_event_delivery_seconds_count{{{POD}}}[$__range]))"


def of_topics(recorded: str) -> tuple[tuple[str, str], ...]:
    return ((f"sum by (topic) (job_topic:optico_worker_{recorded}:sum{{{JOB}, {TOPIC}}})", "{{topic}}"),)


COLLAPSED, DELIVERED = total("events_collapsed_total"), total("events_delivered_total")
FAILED = f'sum(rate(optico_worker_requests_total{{{POD}, outcome=~"retryable|key_refused"}}[$__rate_interval]))'

ROWS: dict[str, tuple[Panel, ...]] = {
    "Freshness": (
        Panel("Accepted within 10 s",
              "Of the events that the API accepted in the time that is shown. The objective is 99 %.",
              "percentunit", ((in_time(), ""),), "number", 6, green_from=0.99),
        Panel("Burn rate of the last hour",
              "1: as many are late as the objective allows; 14.4: the month's allowance is gone in two days." + RULES,
              "none", ((burn("1h"), ""),), "number", 6, orange_from=1, red_from=6),
        Panel("Oldest unsettled event",
              "Time since it was read, on the worker where that is longest.",
              "s", ((f"max(optico_worker_oldest_unsettled_seconds{{{POD}}})", ""),), "number", 6,
              orange_from=60, red_from=300),
        Panel("Since the last acceptance",
              "Since the API last accepted an event of any worker. Long is fine while nothing happens in the shop.",
              "s", ((f"time() - max(optico_worker_last_delivery_timestamp_seconds{{{POD}}} > 0)", ""),), "number", 6),
        Panel("From event to acceptance",
              "From an event's occurrence to the API's first acceptance: this share was quicker." + RULES,
              "s", quantiles("event_delivery_seconds"), red_from=10),
        Panel("The same, of calls",
              "Of carts and orders whose customer is on a call: they go before others." + RULES,
              "s", quantiles("call_delivery_seconds"), red_from=2),
        Panel("Burn rate",
              "How many times more events are late than the objective allows, over windows of several lengths." + RULES,
              "none", tuple((burn(window), window) for window in ("5m", "1h", "6h", "3d")),
              red_from=14.4),
    ),
    "Flow": (
        Panel("Records read",
              "From Kafka, by topic.",
              "eps", (rate("events_consumed_total", "topic", TOPIC),)),
        Panel("What becomes of events",
              "Delivered: accepted and settled. Collapsed: replaced by a newer one. Released: given up with their "
              "partition, whose next owner reads them again.",
              "eps", ((DELIVERED, "delivered"), (COLLAPSED, "collapsed"), (total("events_skipped_total"), "skipped"),
                      (total("events_rejected_total"), "rejected"), (total("events_released_total"), "released"))),
        Panel("Requests sent",
              "To the API, by what came of them.",
              "reqps", (rate("requests_total", "outcome"),)),
        Panel("Saved by collapsing",
              "Share of the events that needed no request, as a newer one of their cart or order came.",
              "percentunit", ((f"{COLLAPSED} / ({COLLAPSED} + {DELIVERED})", "collapsed"),)),
        Panel("Rejected for good",
              "Events that will not reach Optico, by reason.",
              "eps", (rate("events_rejected_total", "reason"),)),
        Panel("Dead letters",
              "That the dead-letter topic has acknowledged, by reason.",
              "eps", (rate("dead_letters_total", "reason"),)),
        Panel("Skipped",
              "Events with nothing to send, by kind and reason. Without a visit the API takes none.",
              "eps", (rate("events_skipped_total", "entity, reason"),), width=12),
        Panel("Repaired",
              "Events that were accepted although the shop wrote them otherwise than it should, by repair.",
              "eps", (rate("events_repaired_total", "repair"),), width=12),
    ),
    "Target": (
        Panel("Request duration",
              "Of one exchange with the API: this share was quicker." + RULES,
              "s", quantiles("request_duration_seconds"), width=12),
        Panel("Requests that failed",
              "Share of the requests to be repeated, as the API did not answer as it should, or refused the key.",
              "percentunit", ((f"{FAILED} / {total('requests_total')}", "failed"),), width=12, red_from=0.1),
        Panel("Retries",
              "Requests that will be repeated, by what was wrong.",
              "reqps", (rate("retries_total", "reason"),), width=12),
        Panel("Sending paused",
              "The circuit breakers: whether any worker has stopped sending carts or orders, and why.",
              "none", ((f"max by (entity, reason) (optico_worker_sending_paused{{{POD}}})", "{{entity}} {{reason}}"),),
              "states", 12),
    ),
    "Kafka": (
        Panel("Lag",
              "Log end less committed offset, by topic: what would be read again after a crash." + RULES,
              "short", of_topics("consumer_lag")),
        Panel("Unread records",
              "Log end less the next record to read, by topic: what no worker has seen yet." + RULES,
              "short", of_topics("unread_records")),
        Panel("Commits",
              "Of offsets, by result.",
              "ops", (rate("commits_total", "result"),)),
        Panel("Rebalances",
              "How often partitions came or went, over all workers.",
              "short", ((f"sum by (kind) (increase(optico_worker_rebalances_total{{{POD}}}[$__rate_interval]))",
                         "{{kind}}"),)),
        Panel("Partitions",
              "That each worker owns.",
              "short", by_pod("assigned_partitions")),
        Panel("Since the last poll",
              "Time since each worker's poll loop last turned.",
              "s", ((f"time() - max by (pod) (optico_worker_last_poll_timestamp_seconds{{{POD}}} > 0)", "{{pod}}"),),
              red_from=60),
        Panel("Open transactions",
              "How long a producer's transaction has held up a partition of the topic. A healthy one's is not seen.",
              "s", ((f"max by (topic) (optico_worker_open_transaction_seconds{{{POD}, {TOPIC}}})", "{{topic}}"),),
              width=24, red_from=60),
    ),
    "Saturation": (
        Panel("Pending carts and orders",
              "With anything unsettled, on each worker. Bounded by WORKER_MAX_PENDING.",
              "short", by_pod("pending_entities")),
        Panel("Pending bytes",
              "Memory that unsettled events take on each worker, about. Bounded by WORKER_MAX_PENDING_BYTES.",
              "bytes", by_pod("pending_bytes")),
        Panel("Requests in flight",
              "On each worker. Bounded by OPTICO_MAX_CONCURRENCY.",
              "short", by_pod("requests_in_flight")),
        Panel("Reading paused",
              "Whether any worker has stopped reading, and at which bound.",
              "none", ((f"max by (reason) (optico_worker_intake_paused{{{POD}}})", "{{reason}}"),), "states", 12),
        Panel("Workers",
              "By version.",
              "short", ((f"count by (version) (optico_worker_build_info{{{POD}}})", "{{version}}"),), width=12),
    ),
}  # fmt: skip


def board() -> dashboard.Dashboard:
    """The whole of it. Its uid never changes: links and bookmarks hold."""
    board = (
        dashboard.Dashboard("Optico worker")
        .uid("optico-worker")
        .description("Carts and orders on their way from Kafka to Optico's Cart API.")
        .tags(["optico-worker", "kafka"])
        .timezone("browser")
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(parts.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in variables():
        board = board.with_variable(variable)
    numbers = count(1)
    for title, panels in ROWS.items():
        board = board.with_row(dashboard.Row(title).id(next(numbers)))
        for panel in panels:
            board = board.with_panel(built(panel).id(next(numbers)))
    return board


def variables() -> Iterator[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    yield dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    info = "optico_worker_build_info"
    yield query("namespace", "Namespace", f"label_values({info}, namespace)")
    yield query("job", "Job", f'label_values({info}{{namespace=~"$namespace"}}, job)')
    yield query("pod", "Worker", f"label_values({info}{{{JOB}}}, pod)")
    yield query("topic", "Topic", f"label_values(optico_worker_events_consumed_total{{{JOB}}}, topic)")


def query(name: str, label: str, values: str) -> dashboard.QueryVariable:
    # `.*` fits series without the label too: outside Kubernetes there are no pods.
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": values, "refId": f"variable-{name}"})
        .refresh(parts.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(parts.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(parts.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def built(panel: Panel) -> Builder:
    builder = {"lines": lines, "number": number, "states": states}[panel.kind]()
    builder = builder.title(panel.title).description(panel.description).datasource(SOURCE)
    builder = builder.unit(panel.unit).span(panel.width).height(4 if panel.kind == "number" else 8)
    if panel.kind != "states":
        builder = builder.min(0).thresholds(thresholds(panel))
    for letter, (expression, legend) in zip("ABCDEFGH", panel.queries, strict=False):
        target = (
            prometheus.Dataquery().ref_id(letter).datasource(SOURCE).expr(expression).legend_format(legend or "__auto")
        )
        builder = builder.with_target(target.instant() if panel.kind == "number" else target.range())
    return builder


def lines() -> Builder:
    legend = common.VizLegendOptions().show_legend(True).display_mode(looks.LegendDisplayMode.LIST)
    tooltip = common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING)
    limit = common.GraphThresholdsStyleConfig().mode(looks.GraphTresholdsStyleMode.DASHED)
    panel = timeseries.Panel().legend(legend.placement(looks.LegendPlacement.BOTTOM)).tooltip(tooltip)
    return panel.fill_opacity(10).show_points(looks.VisibilityMode.NEVER).thresholds_style(limit)


def number() -> Builder:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return (
        stat.Panel()
        .reduce_options(last)
        .color_mode(looks.BigValueColorMode.VALUE)
        .graph_mode(looks.BigValueGraphMode.NONE)
    )


def states() -> Builder:
    words = {
        "0": parts.ValueMappingResult(text="no", color="green"),
        "1": parts.ValueMappingResult(text="paused", color="red"),
    }
    return statetimeline.Panel().mappings([parts.ValueMap(options=words)]).show_value(looks.VisibilityMode.NEVER)


def thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    """Colours from limits; without limits a number is plain, and lines have no limit drawn."""
    limits = (("orange", panel.orange_from), ("red", panel.red_from), ("green", panel.green_from))
    given = [parts.Threshold(color=color, value=value) for color, value in limits if value is not None]
    lowest = "red" if panel.green_from is not None else "green" if given else "text"
    steps = [parts.Threshold(color=lowest, value=None), *given]
    return dashboard.ThresholdsConfig().mode(parts.ThresholdsMode.ABSOLUTE).steps(steps)


def main(arguments: list[str]) -> int:
    text = json.dumps(board().build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"{TARGET.name} is stale; renew it with: {RENEW}", file=sys.stderr)  # noqa: T201
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
