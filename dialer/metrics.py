"""What operations sees: the engine's figures as Prometheus metrics, on a port of their own.

Histograms are observed where things happen; everything that is a count or a level inside the core is copied once a
second by :meth:`Metrics.refresh`, on the event loop, so that a scrape never reads the core from another thread.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections import deque
from collections.abc import Iterable, Mapping
from wsgiref.simple_server import WSGIServer

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from campaigns.best_time.store import Gain
from campaigns.caller_ids.watch import CallerId
from campaigns.values import Outcome
from cti.messages import Reply
from cti.server import CannotListen
from cti.wire import Health
from dialer.core.call import Call, CallState
from dialer.core.engine import EngineCore
from dialer.core.seat import SeatState
from dialer.core.shadow import Watch
from pacing.contract import Decision

FAST_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
STALL_S = (0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0)
CALLER_WAIT_S = (0.1, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
RINGING_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
TINY_S = (0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05)
KEPT = 20_000  # latest samples, for the percentiles of a summary

# The figures of a pacing decision that are exported; see pacing/pacer.py.
FIGURES = (
    "idle_seats",
    "in_air",
    "expected_free",
    "expected_answers",
    "expected_others",
    "risk",
    "risk_limit",
    "earned",
    "answer_share",
)

OUTSIDE_KINDS = ("by_hand", "sent")
OUTSIDE_REFUSALS = ("number_not_allowed", "destination", "outside_calls", "outside_minutes")

INVARIANTS = (
    "lead_in_flight_twice",
    "outcome_of_a_live_call",
    "connect_without_seat",
    "seat_with_two_customers",
    "offered_while_not_ready",
    "core_fault",
)


class Metrics:
    """All metrics of one engine, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._server: WSGIServer | None = None
        self.answer_to_pop = Histogram(
            "zhudong_answer_to_pop_seconds",
            "From the answer of a human for whom a seat is free to the screen-pop handed to its socket.",
            buckets=FAST_S,
            registry=registry,
        )
        self.answer_to_connect = Histogram(
            "zhudong_answer_to_connect_seconds",
            "From the answer of a human for whom a seat is free to the connect command written to the switch.",
            buckets=FAST_S,
            registry=registry,
        )
        self.seat_wait = Histogram(
            "zhudong_seat_wait_seconds",
            "From the answer of a human for whom no seat was free to the screen-pop on the one that became free.",
            buckets=FAST_S,
            registry=registry,
        )
        self.caller_wait = Histogram(
            "zhudong_caller_wait_seconds",
            "From the call of a customer who called in to the screen-pop on a seat.",
            buckets=CALLER_WAIT_S,
            registry=registry,
        )
        self._called_in = _Level("zhudong_called_in", "Customers who called in.", ("campaign",), registry)
        self.originate_to_ring = Histogram(
            "zhudong_originate_to_ring_seconds",
            "From the originate to the first ringing.",
            buckets=RINGING_S,
            registry=registry,
        )
        self.pacing_decision = Histogram(
            "zhudong_pacing_decision_seconds",
            "Time of one pacing decision.",
            buckets=TINY_S,
            registry=registry,
        )
        self.loop_lag = Histogram(
            "zhudong_loop_lag_seconds",
            "How late the event loop runs its timers.",
            buckets=FAST_S,
            registry=registry,
        )
        self.calls = Counter(
            "zhudong_calls", "Calls ended.", ("campaign", "outcome", "cause"), registry=registry
        )
        self._dials = _Level("zhudong_dials", "Calls placed.", ("campaign",), registry)
        self._refusals = _Level(
            "zhudong_refusals",
            "Leads that the rules refused at the moment of dialing.",
            ("campaign", "reason"),
            registry,
        )
        self._humans = _Level(
            "zhudong_answered_humans", "Calls answered by a person.", ("campaign",), registry
        )
        self._abandoned = _Level(
            "zhudong_abandoned", "Answered by a person, no seat in time.", ("campaign",), registry
        )
        self._events = _Level(
            "zhudong_ami_events", "Events read from switches.", ("switch", "event"), registry
        )
        self._faults = _Level(
            "zhudong_ami_faults", "What was wrong with a switch's stream.", ("switch", "fault"), registry
        )
        self._anomalies = _Level(
            "zhudong_anomalies", "Events that no state expected.", ("anomaly",), registry
        )
        self._breaches = _Level(
            "zhudong_invariant_breaches", "Broken promises. Must stay 0.", ("invariant",), registry
        )
        self._journal = _Level(
            "zhudong_journal_records", "Records by what became of them.", ("fate",), registry
        )
        self._harbour = _Level(
            "zhudong_agi_dialogues", "FastAGI dialogues by how they ended.", ("result",), registry
        )
        self._door = _Level(
            "zhudong_seat_door_events", "What happened at the seats' door.", ("event",), registry
        )
        self._webhooks = _Level(
            "zhudong_webhook_deliveries",
            "Tries to bring an event to a webhook, by what came of them.",
            ("hook", "result"),
            registry,
        )
        self.half_hours_due = Gauge(
            "zhudong_report_spans_due",
            "Half hours that reports have not counted anew since they changed.",
            registry=registry,
        )
        self.reports_counted = Gauge(
            "zhudong_reports_counted_timestamp_seconds",
            "When half hours were last counted for reports, as seconds since 1970.",
            registry=registry,
        )
        self.recordings_unsealed = Gauge(
            "zhudong_recordings_unsealed",
            "Recordings of calls that are over which are to be sealed and are not.",
            registry=registry,
        )
        self._webhooks_waiting = Gauge(
            "zhudong_webhook_waiting", "Events that wait for a webhook.", ("hook",), registry=registry
        )
        self._messages = _Level(
            "zhudong_messages",
            "Messages by channel and by what came of a look at them.",
            ("channel", "result"),
            registry,
        )
        self._messages_waiting = Gauge(
            "zhudong_messages_waiting", "Messages that are not sent yet.", ("channel",), registry=registry
        )
        self._page_trip = Histogram(
            "zhudong_page_round_trip_seconds",
            "From an agent's page to the door and back, as the pages measure it.",
            buckets=FAST_S,
            registry=registry,
        )
        self._page_painted = Histogram(
            "zhudong_page_paint_seconds",
            "From a screen-pop's arrival in the page to its picture on the screen.",
            buckets=FAST_S,
            registry=registry,
        )
        self._page_stall = Histogram(
            "zhudong_page_stall_seconds",
            "How long pages did nothing at all: a long task, or asleep.",
            buckets=STALL_S,
            registry=registry,
        )
        self._page_drops = Counter(
            "zhudong_page_drops",
            "Connections that pages lost, by how they saw it.",
            ("how",),
            registry=registry,
        )
        self.seats = Gauge("zhudong_seats", "Seats by state.", ("state",), registry=registry)
        self.lines = Gauge("zhudong_lines", "Calls by stage.", ("campaign", "stage"), registry=registry)
        self.abandon_rate = Gauge(
            "zhudong_abandon_ratio",
            "Abandoned of answered humans over the window.",
            ("campaign",),
            registry=registry,
        )
        self._part_left = Gauge(
            "zhudong_part_abandons_left",
            "Of a campaign on several switches: calls of its part on one of ours that may yet be abandoned.",
            ("campaign", "switch"),
            registry=registry,
        )
        self._part_share = Gauge(
            "zhudong_part_share_ratio",
            "Of a campaign on several switches: what its part on one of ours has of the abandons that are left.",
            ("campaign", "switch"),
            registry=registry,
        )
        self.abandon_target = Gauge(
            "zhudong_abandon_target_ratio", "What the rate must not exceed.", ("campaign",), registry=registry
        )
        self._pacing = _Decisions("zhudong_pacing", "the", registry)
        self.shadow_turn = Histogram(
            "zhudong_shadow_decision_seconds",
            "Time a shadow took for the events and questions of one turn, after the calls were on their way.",
            buckets=TINY_S,
            registry=registry,
        )
        self._shadow_lines = _Level(
            "zhudong_shadow_line_seconds",
            "Lines wanted in the air, times seconds: the rate is how many on average.",
            ("campaign", "law"),
            registry,
        )
        self._shadow_apart = _Level(
            "zhudong_shadow_apart_seconds",
            "How long the shadow wanted more lines in the air than the campaign, or fewer.",
            ("campaign", "wanted"),
            registry,
        )
        self._shadow_faults = _Level(
            "zhudong_shadow_faults", "Times a shadow failed and was put to rest.", ("campaign",), registry
        )
        self._shadow_decision = _Decisions("zhudong_shadow", "the shadow's", registry)
        self.switch_up = Gauge(
            "zhudong_switch_up",
            "1 while the switch, which this engine has, can be used.",
            ("switch",),
            registry=registry,
        )
        self.switch_owned = Gauge(
            "zhudong_switch_owned",
            "1 while this engine has the switch and its campaigns.",
            ("switch",),
            registry=registry,
        )
        self.engines_alive = Gauge(
            "zhudong_engines_alive",
            "Engines at work on this database, this one among them.",
            registry=registry,
        )
        self.takeovers = Counter(
            "zhudong_switch_takeovers",
            "Switches that were taken over from another engine.",
            ("switch",),
            registry=registry,
        )
        self.leads_left = Gauge(
            "zhudong_leads_left", "Leads still callable.", ("campaign",), registry=registry
        )
        self.leads_buffered = Gauge(
            "zhudong_leads_buffered", "Leads leased for dialing.", ("campaign",), registry=registry
        )
        self.config_ok = Gauge(
            "zhudong_config_valid",
            "0 while a campaign's newest file was refused.",
            ("file",),
            registry=registry,
        )
        self._caller_id_answers = Gauge(
            "zhudong_caller_id_answer_ratio",
            "Of the last calls that showed this number, the share that a person answered.",
            ("campaign", "caller_id"),
            registry=registry,
        )
        self._best_time_calls = _Level(
            "zhudong_best_time_calls",
            "Finished calls to leads in the order of the best time, and to those at random.",
            ("campaign", "arm"),
            registry,
        )
        self._best_time_answers = _Level(
            "zhudong_best_time_answers", "Those that a person answered.", ("campaign", "arm"), registry
        )
        self._best_time_uplift = Gauge(
            "zhudong_best_time_uplift_ratio",
            "So many more answers of each call by the best time than at random, and the limits of the 95 % interval.",
            ("campaign", "figure"),
            registry=registry,
        )
        self._caller_id_flagged = Gauge(
            "zhudong_caller_id_flagged",
            "1 while a number is answered far less than the others of its pool.",
            ("campaign", "caller_id"),
            registry=registry,
        )
        self._caller_id_out = Gauge(
            "zhudong_caller_id_out",
            "1 while a number is taken out of rotation.",
            ("campaign", "caller_id"),
            registry=registry,
        )
        self._outside = Counter(
            "zhudong_outside_calls",
            "Calls by agents to numbers of their own choice.",
            ("campaign", "how"),
            registry=registry,
        )
        self._outside_refused = Counter(
            "zhudong_outside_refused",
            "Such calls that were refused, for reasons that honest work seldom meets.",
            ("campaign", "reason"),
            registry=registry,
        )
        self.certificate_expires = Gauge(
            "zhudong_certificate_expires_timestamp_seconds",
            "Until when a certificate that is in use is good, as seconds since 1970.",
            ("certificate",),
            registry=registry,
        )
        self.journal_depth = Gauge(
            "zhudong_journal_depth", "Records not yet in the database.", registry=registry
        )
        self.database_up = Gauge(
            "zhudong_database_up", "1 while the database answers and takes records.", registry=registry
        )
        self.pop_samples: deque[float] = deque(maxlen=KEPT)
        self.connect_samples: deque[float] = deque(maxlen=KEPT)
        self.lag_samples: deque[float] = deque(maxlen=KEPT)
        self._campaigns: set[str] = set()
        for name in INVARIANTS:
            self._breaches.set(0, name)

    def serve(self, host: str, port: int) -> int:
        """Start answering scrapes in a thread of its own; returns the port. Raises CannotListen."""
        try:
            self._server, _ = start_http_server(port, host, self.registry)
        except OSError as fault:
            raise CannotListen(
                f"the metrics address {host}:{port} can't be used: {fault.strerror or fault}; "
                "choose another port in [metrics], or stop what holds it"
            ) from fault
        return self._server.server_address[1]

    def close(self) -> None:
        """Answer no more scrapes. Blocks until the one in progress is done."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def popped(self, delay_s: float) -> None:
        self.answer_to_pop.observe(delay_s)
        self.pop_samples.append(delay_s)

    def connecting(self, delay_s: float) -> None:
        self.answer_to_connect.observe(delay_s)
        self.connect_samples.append(delay_s)

    def lagged(self, delay_s: float) -> None:
        self.loop_lag.observe(delay_s)
        self.lag_samples.append(delay_s)

    def ended(self, call: Call, outcome: Outcome) -> None:
        """A call is over."""
        self.calls.labels(call.campaign, outcome.value, str(call.cause)).inc()
        if call.ringing_at is not None and call.dialed_at is not None:
            self.originate_to_ring.observe(call.ringing_at - call.dialed_at)

    def asked_outside(self, campaign: str, how: str, reply: Reply) -> None:
        """An agent has asked for a call outside, and was answered so."""
        reason = reply.code.removeprefix("rule_")
        if reply.ok:
            self._outside.labels(campaign, how).inc()
        elif reason in OUTSIDE_REFUSALS and campaign in self._campaigns:
            self._outside_refused.labels(campaign, reason).inc()

    def refresh(self, core: EngineCore) -> None:
        """Copy the core's counts and levels."""
        states = Tally(seat.state for seat in core.seats.by_user.values())
        for state in SeatState:
            if state is not SeatState.OFFLINE:
                self.seats.labels(state.value).set(states[state])
        stages = Tally((call.campaign, call.state) for call in core.calls.by_id.values())
        for campaign in core.campaigns.values():
            counts, name = campaign.counts, campaign.name
            if name not in self._campaigns:  # they stand at 0 from the start, so that the first one is a rise
                self._campaigns.add(name)
                for how in OUTSIDE_KINDS:
                    self._outside.labels(name, how)
                for reason in OUTSIDE_REFUSALS:
                    self._outside_refused.labels(name, reason)
            for stage in CallState:
                if stage is not CallState.ENDED:
                    self.lines.labels(name, stage.value).set(stages[name, stage])
            self._dials.set(counts.dials, name)
            self._humans.set(counts.humans, name)
            self._called_in.set(counts.called_in, name)
            self._abandoned.set(counts.abandoned, name)
            for reason, count in counts.refusals.items():
                self._refusals.set(count, name, reason)
            self.abandon_rate.labels(name).set(campaign.ledger.rate)
            self.abandon_target.labels(name).set(campaign.config.target)
            if campaign.sharing is not None:
                for part in campaign.parts:
                    if core.has(part.switch):
                        allowance = campaign.sharing.ledger_of(part.switch).allowance
                        self._part_left.labels(name, part.switch).set(allowance.left)
                        self._part_share.labels(name, part.switch).set(allowance.share)
            largest = core.largest(campaign)
            self._pacing.set(name, largest.decision)
            self._shadow(name, largest.shadow)
        for name, lines in core.switches.items():
            if lines.ours:
                self.switch_up.labels(name).set(1 if lines.up else 0)
            self.switch_owned.labels(name).set(1 if lines.ours else 0)
        for anomaly, count in core.anomalies.items():
            self._anomalies.set(count, anomaly)
        for invariant, count in core.breaches.items():
            self._breaches.set(count, invariant)

    def _shadow(self, campaign: str, shadow: Watch) -> None:
        """What the campaign's shadow would do, beside what is done; no counts of a campaign that never had one."""
        if shadow.decision is None:
            self._shadow_decision.clear(campaign)
        else:
            self._shadow_decision.set(campaign, shadow.decision)
        if shadow.decision is not None or shadow.line_s or shadow.faults:
            self._shadow_lines.set(shadow.live_line_s, campaign, "live")
            self._shadow_lines.set(shadow.line_s, campaign, "shadow")
            self._shadow_apart.set(shadow.more_s, campaign, "more")
            self._shadow_apart.set(shadow.fewer_s, campaign, "fewer")
            self._shadow_faults.set(shadow.faults, campaign)

    def stream(self, switch: str, events: Mapping[str, int], faults: Mapping[str, int]) -> None:
        """Copy what a switch's adapter counted."""
        for event, count in events.items():
            self._events.set(count, switch, event)
        for fault, count in faults.items():
            self._faults.set(count, switch, fault)

    def dialogues(self, results: Mapping[str, int]) -> None:
        """Copy what the FastAGI service counted."""
        for result, count in results.items():
            self._harbour.set(count, result)

    def door(self, counters: Mapping[str, int]) -> None:
        """Copy what the seats' door counted."""
        for event, count in counters.items():
            self._door.set(count, event)

    def webhooks(self, counters: Mapping[tuple[str, str], int], waiting: Mapping[str, int]) -> None:
        """Copy what was counted of webhooks."""
        for (hook, result), count in counters.items():
            self._webhooks.set(count, hook, result)
        for hook, count in waiting.items():
            self._webhooks_waiting.labels(hook).set(count)

    def messages(self, counters: Mapping[tuple[str, str], int], waiting: Mapping[str, int]) -> None:
        """Copy what was counted of messages."""
        for (channel, result), count in counters.items():
            self._messages.set(count, channel, result)
        for channel, count in waiting.items():
            self._messages_waiting.labels(channel).set(count)

    def page_fared(self, health: Health) -> None:
        """Take what a page said of itself."""
        for told, histogram in (
            (health.trips, self._page_trip),
            (health.painted, self._page_painted),
            (health.stalls, self._page_stall),
        ):
            for seconds in told:
                histogram.observe(seconds)
        for how, count in health.drops.items():
            self._page_drops.labels(how).inc(count)

    def caller_ids(self, found: Iterable[CallerId]) -> None:
        """Show the numbers in use, and no other."""
        for gauge in (self._caller_id_answers, self._caller_id_flagged, self._caller_id_out):
            gauge.clear()
        for each in found:
            labels = (each.campaign, each.number)
            if each.rate is not None:
                self._caller_id_answers.labels(*labels).set(each.rate)
            self._caller_id_flagged.labels(*labels).set(each.flagged_at is not None)
            self._caller_id_out.labels(*labels).set(each.out_at is not None)

    def best_times(self, found: Iterable[Gain]) -> None:
        """Show what calling at the best time gained, of the campaigns that do, and of no other."""
        self._best_time_uplift.clear()
        for each in found:
            for arm, counted in (("ordered", each.ordered), ("random", each.random)):
                self._best_time_calls.set(counted.calls, each.campaign, arm)
                self._best_time_answers.set(counted.answers, each.campaign, arm)
            if each.uplift is not None:
                for figure in ("low", "uplift", "high"):
                    self._best_time_uplift.labels(each.campaign, figure).set(getattr(each.uplift, figure))

    def journal(self, depth: int, applied: int, rejected: int, available: bool) -> None:
        """Copy the journal's figures."""
        self.journal_depth.set(depth)
        self.database_up.set(1 if available else 0)
        self._journal.set(applied, "applied")
        self._journal.set(rejected, "rejected")


class _Decisions:
    """What the last decisions of campaigns rested on, and the constraint that bound them, as two gauges."""

    def __init__(self, name: str, whose: str, registry: CollectorRegistry) -> None:
        self._figures = Gauge(
            f"{name}_figure",
            f"What {whose} last decision rested on.",
            ("campaign", "figure"),
            registry=registry,
        )
        self._bounds = Gauge(
            f"{name}_bound",
            f"1 for the constraint that bound {whose} last decision.",
            ("campaign", "bound"),
            registry=registry,
        )
        self._bound: dict[str, str] = {}

    def set(self, campaign: str, decision: Decision) -> None:
        """Show a decision, and no figure of one before: of a campaign that is paused there are none."""
        for figure in FIGURES:
            value = decision.why.get(figure)
            if isinstance(value, (int, float)):
                self._figures.labels(campaign, figure).set(value)
            else:
                self._figures.remove(campaign, figure)
        before = self._bound.get(campaign)
        if before != decision.bound:
            if before is not None:
                self._bounds.labels(campaign, before).set(0)
            self._bounds.labels(campaign, decision.bound).set(1)
            self._bound[campaign] = decision.bound

    def clear(self, campaign: str) -> None:
        """There is no decision any more."""
        if self._bound.pop(campaign, None) is not None:
            self._figures.remove_by_labels({"campaign": campaign})
            self._bounds.remove_by_labels({"campaign": campaign})


class _Level:
    """A counter whose value is kept elsewhere and only copied here."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry) -> None:
        self._counter = Counter(name, text, labels, registry=registry)
        self._seen: dict[tuple[str, ...], float] = {}

    def set(self, value: float, *labels: str) -> None:
        """Bring the counter up to `value`; a smaller one is taken as a new start from 0."""
        seen = self._seen.get(labels, 0.0)
        self._counter.labels(*labels).inc(value - seen if value >= seen else value)
        self._seen[labels] = value


def percentile(samples: deque[float] | list[float], share: float) -> float | None:
    """The sample at or below which `share` (0 to 1) of all lie, interpolated; None without samples."""
    return float(np.quantile(np.fromiter(samples, float), share)) if samples else None
