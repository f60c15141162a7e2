"""A verdict that is corrected to another one of the same step has that step's message again.

What was never permitted and lost its verdict is due anew, by the verdict that there is now: also by that of a later
call. What a verdict still stands for stays as it is due.
"""

from __future__ import annotations

from alembic import op

revision = "0063"
down_revision = "0061"

# A statement may bring several calls of one lead: the first one makes its message due.
DUE = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$ BEGIN
    IF EXISTS (SELECT FROM message_step) THEN
        INSERT INTO message AS m
            (campaign_id, step, channel, lead_id, number_id, call_id, leased_at, event, due_at, next_at)
        SELECT DISTINCT ON (s.campaign_id, s.step, a.lead_id)
            s.campaign_id, s.step, s.channel, a.lead_id, a.number_id, a.call_id, a.leased_at, s.event,
            n.at + make_interval(secs => s.delay_s), n.at + make_interval(secs => s.delay_s)
        FROM after n {before}
        JOIN attempt a ON a.call_id = n.call_id AND a.leased_at = n.leased_at
        JOIN message_step s ON s.campaign_id = a.campaign_id AND s.event = 'disposition ' || n.code
        WHERE {changed} a.number_id IS NOT NULL
        ORDER BY s.campaign_id, s.step, a.lead_id, n.at
        ON CONFLICT (campaign_id, step, lead_id) DO UPDATE SET channel = excluded.channel,
            number_id = excluded.number_id, call_id = excluded.call_id, leased_at = excluded.leased_at,
            event = excluded.event, due_at = excluded.due_at, next_at = excluded.next_at, state = 'waiting',
            reason = '', detail = ''
        WHERE m.permitted_at IS NULL AND (m.state = 'not_sent' AND m.reason = 'corrected'
            OR m.state = 'waiting' AND starts_with(m.event, 'disposition ') AND EXISTS (SELECT FROM disposition d
                WHERE d.call_id = m.call_id AND d.leased_at = m.leased_at AND 'disposition ' || d.code <> m.event));
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Have the verdicts' triggers bring such messages back."""
    run = op.get_bind().exec_driver_sql
    run(DUE.format(function="message_due_by_disposition", before="", changed=""))
    run(
        DUE.format(
            function="message_due_by_correction",
            before="JOIN before o ON o.call_id = n.call_id AND o.leased_at = n.leased_at",
            changed="o.code <> n.code AND",
        )
    )
