"""The virtual switch tells each recorded story as the real one did: events, fields, values and causes, in order."""

from __future__ import annotations

import pytest

from tests.simulator import fast_clock
from tests.simulator.replay import replay, streams
from tests.simulator.transcript import Message, read

STORIES = (
    "login_ok_and_banner",
    "login_wrong_secret",
    "permission_denied_action",
    "unknown_action",
    "originate_busy",
    "originate_busy_after_ringing",
    "originate_busy_without_channelid",
    "originate_no_answer_timeout",
    "originate_congestion",
    "originate_invalid_number",
    "originate_temporarily_unavailable",
    "originate_early_media_then_answer",
    "originate_synchronous_blocks_the_connection",
    "originate_channelid_in_use",
    "originate_answered_bridge_hangup_by_customer",
    "customer_hangs_up_before_bridge",
    "seat_leg_lost_in_call",
    "seat_leg_silent_rtp_timeout",
    "attended_transfer_by_bridge",
    "hangup_action_with_cause",
    "recording_and_listening_in",
    "amd_machine_and_human",
    "event_filter_applied",
    "utf8_variable_values",
    "variable_with_odd_characters",
    "too_long_lines_and_too_many_headers",
)


# An empty parking lot is in this list because an earlier story of the same recording had used it.
LEFT_FROM_BEFORE = ("BridgeListItem", "BridgeListComplete")


def told_here(heard: list[Message], story: str) -> list[Message]:
    """The messages that belong to the story itself."""
    if story == "attended_transfer_by_bridge":
        return [one for one in heard if dict(one).get("Event") not in LEFT_FROM_BEFORE]
    return heard


@pytest.mark.parametrize("story", STORIES)
def test_story_is_told_as_recorded(story: str) -> None:
    recorded = read(story)
    said = fast_clock.run(replay(recorded))
    for connection, heard in zip(recorded, said, strict=True):
        assert dict(streams(told_here(heard, story))) == dict(streams(told_here(connection.heard, story)))
