"""Makes the Grafana dashboards in deploy/grafana from the tables below: `make docs`. Needs the test packages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)

FOLDER = Path(__file__).parents[1] / "deploy" / "grafana"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
HERE = 'instance=~"$instance"'
CAMPAIGN = f'{HERE}, campaign=~"$campaign"'
WIDTH = 24  # columns of Grafana's grid


@dataclass(frozen=True, slots=True)
class Shown:
    """One panel: its series as pairs of expression and legend; `bad_above` makes it one figure that turns red."""

    title: str
    unit: str
    series: Sequence[tuple[str, str]]
    why: str = ""
    bad_above: float | None = None


def rate(metric: str, by: str, labels: str = HERE, span: str = "$__rate_interval") -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[{span}]))"


def slowest(metric: str) -> list[tuple[str, str]]:
    """The median and the worst in a hundred of a histogram of seconds."""
    buckets = rate(f"{metric}_bucket", "le")
    return [
        (f"histogram_quantile({share}, {buckets})", name) for share, name in ((0.5, "p50"), (0.99, "p99"))
    ]


BREACHES = Shown(
    "Broken promises",
    "short",
    [(f"sum(zhudong_invariant_breaches_total{{{HERE}}})", "")],
    "Must stay 0. See ZhudongInvariantBreached in the runbook.",
    bad_above=1,
)

CALLS: dict[str, list[Shown]] = {
    "The law": [
        BREACHES,
        Shown(
            "Abandoned of answered, over the legal window",
            "percentunit",
            [
                (f"zhudong_abandon_ratio{{{CAMPAIGN}}}", "{{campaign}}"),
                (f"zhudong_abandon_target_ratio{{{CAMPAIGN}}} > 0", "{{campaign}}: target"),
            ],
        ),
        Shown(
            "Refused at the moment of dialing",
            "reqps",
            [(rate("zhudong_refusals_total", "reason", CAMPAIGN), "{{reason}}")],
            "What each reason means: docs/explanation/rules.md.",
        ),
    ],
    "Calls": [
        Shown(
            "Dialed, answered, abandoned",
            "reqps",
            [
                (rate("zhudong_dials_total", "campaign", CAMPAIGN), "{{campaign}}: dialed"),
                (rate("zhudong_answered_humans_total", "campaign", CAMPAIGN), "{{campaign}}: answered"),
                (rate("zhudong_abandoned_total", "campaign", CAMPAIGN), "{{campaign}}: abandoned"),
            ],
        ),
        Shown("Ended as", "reqps", [(rate("zhudong_calls_total", "outcome", CAMPAIGN), "{{outcome}}")]),
        Shown(
            "Failed, by the switch's cause",
            "reqps",
            [
                (
                    rate(
                        "zhudong_calls_total",
                        "outcome, cause",
                        f'{CAMPAIGN}, outcome=~"failed|congestion|rejected|invalid"',
                    ),
                    "{{outcome}} {{cause}}",
                )
            ],
            "Causes are those of Q.850: 34 is no free line, 38 and 41 a fault of the network.",
        ),
        Shown(
            "Customers who called in",
            "reqps",
            [
                (rate("zhudong_called_in_total", "campaign", CAMPAIGN), "{{campaign}}"),
                (
                    rate("zhudong_calls_total", "campaign", f'{CAMPAIGN}, outcome="missed"'),
                    "{{campaign}}: missed",
                ),
            ],
        ),
        Shown("Lines by stage", "short", [(f"sum by (stage) (zhudong_lines{{{CAMPAIGN}}})", "{{stage}}")]),
        Shown(
            "Leads left",
            "short",
            [
                (f"zhudong_leads_left{{{CAMPAIGN}}}", "{{campaign}}"),
                (f"zhudong_leads_buffered{{{CAMPAIGN}}}", "{{campaign}}: leased"),
            ],
        ),
    ],
    "Outside": [
        Shown(
            "Agents call outside",
            "reqps",
            [(rate("zhudong_outside_calls_total", "campaign, how", CAMPAIGN), "{{campaign}}: {{how}}")],
        ),
        Shown(
            "Refused of it",
            "reqps",
            [
                (
                    rate("zhudong_outside_refused_total", "campaign, reason", CAMPAIGN),
                    "{{campaign}}: {{reason}}",
                )
            ],
            "Somebody who tries out what goes through: see ZhudongOutsideRefused in the runbook.",
        ),
    ],
    "Seats and pacing": [
        Shown("Seats by state", "short", [(f"sum by (state) (zhudong_seats{{{HERE}}})", "{{state}}")]),
        Shown(
            "What bound the last decision",
            "short",
            [(f"zhudong_pacing_bound{{{CAMPAIGN}}} == 1", "{{campaign}}: {{bound}}")],
        ),
        Shown(
            "Risk that an answer meets no free seat",
            "percentunit",
            [
                (
                    f'zhudong_pacing_figure{{{CAMPAIGN}, figure=~"risk|risk_limit"}}',
                    "{{campaign}}: {{figure}}",
                )
            ],
        ),
        Shown(
            "Seats and answers expected",
            "short",
            [
                (
                    f"zhudong_pacing_figure{{{CAMPAIGN}, "
                    'figure=~"idle_seats|in_air|expected_free|expected_answers|expected_others"}',
                    "{{campaign}}: {{figure}}",
                )
            ],
        ),
        Shown(
            "Lines the shadow would have, and the campaign has",
            "short",
            [(rate("zhudong_shadow_line_seconds_total", "campaign, law", CAMPAIGN), "{{campaign}}: {{law}}")],
        ),
        Shown(
            "Gained by calling at the best time",
            "percentunit",
            [(f"zhudong_best_time_uplift_ratio{{{CAMPAIGN}}}", "{{campaign}}: {{figure}}")],
        ),
        Shown(
            "Answers by caller-ID",
            "percentunit",
            [(f"zhudong_caller_id_answer_ratio{{{CAMPAIGN}}}", "{{campaign}} {{caller_id}}")],
        ),
        Shown(
            "Caller-IDs flagged, or taken out",
            "short",
            [
                (f"sum by (campaign) (zhudong_caller_id_flagged{{{CAMPAIGN}}})", "{{campaign}}: flagged"),
                (f"sum by (campaign) (zhudong_caller_id_out{{{CAMPAIGN}}})", "{{campaign}}: out"),
            ],
        ),
    ],
}

HEALTH: dict[str, list[Shown]] = {
    "Up, and keeping its promises": [
        BREACHES,
        Shown(
            "Switches that can't be used",
            "short",
            [(f"count(zhudong_switch_up{{{HERE}}} == 0) or vector(0)", "")],
            bad_above=1,
        ),
        Shown(
            "Databases that take no records",
            "short",
            [(f"count(zhudong_database_up{{{HERE}}} == 0) or vector(0)", "")],
            bad_above=1,
        ),
        Shown(
            "Campaign files refused",
            "short",
            [(f"count(zhudong_config_valid{{{HERE}}} == 0) or vector(0)", "")],
            bad_above=1,
        ),
    ],
    "How fast": [
        Shown("Answer to screen-pop", "s", slowest("zhudong_answer_to_pop_seconds")),
        Shown("Answer to connect command", "s", slowest("zhudong_answer_to_connect_seconds")),
        Shown("Answered, waiting for a seat", "s", slowest("zhudong_seat_wait_seconds")),
        Shown("Called in, waiting for a seat", "s", slowest("zhudong_caller_wait_seconds")),
        Shown("Originate to ringing", "s", slowest("zhudong_originate_to_ring_seconds")),
        Shown("Event loop late by", "s", slowest("zhudong_loop_lag_seconds")),
        Shown("One pacing decision", "s", slowest("zhudong_pacing_decision_seconds")),
    ],
    "Switches and certificates": [
        Shown(
            "Engines, and which has a switch",
            "short",
            [
                (f"zhudong_engines_alive{{{HERE}}}", "engines that {{instance}} sees"),
                (f"zhudong_switch_owned{{{HERE}}}", "{{instance}} has {{switch}}"),
            ],
        ),
        Shown(
            "Certificates are good for",
            "s",
            [
                (
                    f"zhudong_certificate_expires_timestamp_seconds{{{HERE}}} - time()",
                    "{{certificate}}",
                )
            ],
        ),
        Shown(
            "Events read",
            "reqps",
            [(rate("zhudong_ami_events_total", "switch, event"), "{{switch}} {{event}}")],
        ),
        Shown(
            "Faults of the stream",
            "reqps",
            [(rate("zhudong_ami_faults_total", "switch, fault"), "{{switch}} {{fault}}")],
        ),
        Shown(
            "Dialogues on the line", "reqps", [(rate("zhudong_agi_dialogues_total", "result"), "{{result}}")]
        ),
        Shown(
            "Events that no state expected",
            "reqps",
            [(rate("zhudong_anomalies_total", "anomaly"), "{{anomaly}}")],
        ),
    ],
    "Records": [
        Shown(
            "Journal: not yet in the database",
            "short",
            [(f"zhudong_journal_depth{{{HERE}}}", "{{instance}}")],
        ),
        Shown("Journal: records", "reqps", [(rate("zhudong_journal_records_total", "fate"), "{{fate}}")]),
        Shown(
            "Half hours that reports must count anew",
            "short",
            [(f"zhudong_report_spans_due{{{HERE}}}", "{{instance}}")],
        ),
        Shown(
            "Since half hours were last counted for reports",
            "s",
            [(f"time() - (zhudong_reports_counted_timestamp_seconds{{{HERE}}} > 0)", "{{instance}}")],
        ),
        Shown(
            "Recordings that can't be sealed",
            "short",
            [(f"zhudong_recordings_unsealed{{{HERE}}}", "{{instance}}")],
        ),
        Shown(
            "Webhooks",
            "reqps",
            [(rate("zhudong_webhook_deliveries_total", "hook, result"), "{{hook}} {{result}}")],
        ),
        Shown(
            "Events that wait for a webhook", "short", [(f"zhudong_webhook_waiting{{{HERE}}}", "{{hook}}")]
        ),
    ],
    "The agents' pages": [
        Shown("Page to door and back", "s", slowest("zhudong_page_round_trip_seconds")),
        Shown("Screen-pop to its picture", "s", slowest("zhudong_page_paint_seconds")),
        Shown("Pages that did nothing", "s", slowest("zhudong_page_stall_seconds")),
        Shown("Connections lost", "reqps", [(rate("zhudong_page_drops_total", "how"), "{{how}}")]),
        Shown(
            "At the seats' door", "reqps", [(rate("zhudong_seat_door_events_total", "event"), "{{event}}")]
        ),
    ],
}


def panel(shown: Shown, span: int) -> stat.Panel | timeseries.Panel:
    """A figure where something is bad above a limit, else a chart over time."""
    made: stat.Panel | timeseries.Panel
    if shown.bad_above is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=shown.bad_above, color="red")]
        limits = dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
        made = stat.Panel().thresholds(limits)
    else:
        legend = common.VizLegendOptions().show_legend(True)
        legend = legend.display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
        made = (
            timeseries.Panel()
            .legend(legend)
            .show_points(VisibilityMode.NEVER)
            .fill_opacity(10)
            .axis_soft_min(0)
        )
    made.title(shown.title).unit(shown.unit).datasource(SOURCE).span(span).height(8)
    if shown.why:
        made.description(shown.why)
    for at, (expression, legend_format) in enumerate(shown.series):
        query = (
            prometheus.Dataquery().expr(expression).legend_format(legend_format).ref_id(chr(ord("A") + at))
        )
        made.with_target(query.datasource(SOURCE))
    return made


def variable(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    """One or all of a label's values."""
    made = dashboard.QueryVariable(name).label(label).datasource(SOURCE).multi(True).include_all(True)
    made.query(f"label_values({metric}, {name})").all_value(".*").refresh(VariableRefresh.ON_DASHBOARD_LOAD)
    return made.current(VariableOption(selected=True, text="All", value="$__all"))


def draw(uid: str, title: str, rows: dict[str, list[Shown]]) -> str:
    """The dashboard as Grafana's JSON."""
    made = dashboard.Dashboard(title).uid(uid).tags(["zhudong"]).refresh("30s").time("now-3h", "now")
    made.timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    made.with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    made.with_variable(variable("instance", "Engine", "zhudong_database_up"))
    if any(
        "$campaign" in expression for row in rows.values() for each in row for expression, _ in each.series
    ):
        made.with_variable(variable("campaign", "Campaign", "zhudong_dials_total"))
    ids = count(1)  # stable, so that a link to a panel stays good
    for row, panels in rows.items():
        made.with_row(dashboard.Row(row).id(next(ids)))
        for each in panels:
            span = WIDTH // min(len(panels), 4 if each.bad_above is not None else 3)
            made.with_panel(panel(each, span).id(next(ids)))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def dashboards() -> dict[Path, str]:
    """Every file, and what is to stand in it."""
    return {
        FOLDER / "zhudong-calls.json": draw("zhudong-calls", "Zhudong: calls, seats and the law", CALLS),
        FOLDER / "zhudong-health.json": draw("zhudong-health", "Zhudong: health and speed", HEALTH),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, told in dashboards().items():
        path.write_text(told, encoding="utf-8")
        print(f"wrote {path}")
