"""The far ends, played by SIPp: a carrier whose customers behave by the last two digits, and the seats' phones.

The virtual switch's test numbers (`simulator.scenario.TAILS`) do the same. One scenario answers all calls of a
process: the INVITE's To picks the branch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LONGEST_STAY_S = 120.0
RING_FOR_EVER_S = 600.0
TAG = "[pid]-[call_number]"
HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="{name}">
"""
KEY = """\
Content-Type: application/dtmf-relay
Content-Length: [len]

Signal={key}
Duration=160
"""
OFFER = """\
v=0
o=rig 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [{port}] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
"""


@dataclass(frozen=True, slots=True)
class FarEnd:
    """What one kind of call meets: seconds to the answer (None: it rings for ever) or the refusal, and from then on.

    `says` names a µ-law file that is streamed after the answer, once. `keys_after_s` presses `key` once a second.
    """

    answers_after_s: float | None = None
    refuses_with: str = ""
    refuses_after_s: float = 0.0
    leaves_after_s: float = LONGEST_STAY_S
    says: str = ""
    key: str = ""
    keys_after_s: float = 0.0


CUSTOMERS: Mapping[str, FarEnd] = {
    "01": FarEnd(answers_after_s=1.0, leaves_after_s=5.0, says="person"),
    "02": FarEnd(refuses_with="486 Busy Here"),
    "03": FarEnd(),
    "04": FarEnd(refuses_with="503 Service Unavailable"),
    "05": FarEnd(refuses_with="404 Not Found"),
    "06": FarEnd(answers_after_s=0.5, leaves_after_s=0.5, says="person"),
    "07": FarEnd(answers_after_s=0.3, key="9", keys_after_s=3.0),
    "08": FarEnd(answers_after_s=0.3),
    "09": FarEnd(answers_after_s=0.5, says="machine"),
    "10": FarEnd(refuses_with="480 Temporarily Unavailable"),
    "11": FarEnd(refuses_with="603 Decline"),
    "12": FarEnd(refuses_with="486 Busy Here", refuses_after_s=1.0),
    "13": FarEnd(answers_after_s=0.3, says="person"),
}
PHONES: Mapping[str, FarEnd] = {
    "n": FarEnd(),
    "x": FarEnd(answers_after_s=0.0, leaves_after_s=3.0),
    "": FarEnd(answers_after_s=0.0, leaves_after_s=86_400.0),
}


def scenario(name: str, ends: Mapping[str, FarEnd]) -> str:
    """SIPp's XML. A user part that ends with a key of `ends` meets that far end; nobody else is known (404)."""
    finds = (
        f'<ereg regexp="{ending}@" search_in="hdr" header="To:" assign_to="is_{ending}"/>' for ending in ends
    )
    jumps = (f'<nop next="be_{ending}" test="is_{ending}" hide="true"/>' for ending in ends)
    parts = [
        '<recv request="INVITE"><action>',
        '<ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="invited"/>',
        '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>',
        '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="callee"/>',
        '<ereg regexp="sip:[^&gt;]*" search_in="hdr" header="Contact:" assign_to="target"/>',
        *finds,
        "</action></recv>",
        *jumps,
        *_refuse("404 Not Found"),
        *(part for ending, end in ends.items() for part in _branch(ending, end)),
        '<label id="cancelled"/>',
        _reply("200 OK"),
        _reply("487 Request Terminated", cseq="CSeq:[$invited]"),
        '<recv request="ACK" timeout="4000" ontimeout="end" next="end"/>',
        '<label id="leaves"/>',
        _in_dialog("BYE", "Content-Length: 0\n\n"),
        '<recv response="200" timeout="4000" ontimeout="end" next="end"/>',
        '<label id="left"/>',
        _reply("200 OK"),
        '<label id="end"/>',
        '<nop hide="true"/>',
    ]
    return HEAD.format(name=name) + "\n".join(parts) + "\n</scenario>\n"


def _branch(ending: str, end: FarEnd) -> Iterator[str]:
    """From the INVITE on."""
    yield f'<label id="be_{ending}"/>'
    if end.refuses_with:
        if end.refuses_after_s:
            yield _reply("180 Ringing")
            yield _cancel_within(end.refuses_after_s, f"refuse_{ending}")
            yield f'<label id="refuse_{ending}"/>'
        yield from _refuse(end.refuses_with)
        return
    if end.answers_after_s is None or end.answers_after_s > 0:
        yield _reply("180 Ringing")
        yield _cancel_within(end.answers_after_s or RING_FOR_EVER_S, f"answer_{ending}")
        yield f'<label id="answer_{ending}"/>'
    yield _reply("200 OK", sdp=True, streams=bool(end.says))
    yield '<recv request="ACK" timeout="4000" ontimeout="end"/>'
    if end.says:
        yield f'<nop><action><exec rtp_stream="{end.says}.ulaw,1,0,PCMU/8000"/></action></nop>'
    if end.key:
        yield _bye_within(end.keys_after_s, f"press_{ending}")
        yield f'<label id="press_{ending}"/>'
        yield _in_dialog("INFO", KEY.format(key=end.key))
        yield '<recv response="200"/>'
        yield _bye_within(1.0, f"press_{ending}")
    else:
        yield _bye_within(end.leaves_after_s, "leaves")


def _refuse(status: str) -> Iterator[str]:
    yield _reply(status)
    yield '<recv request="ACK" timeout="4000" ontimeout="end" next="end"/>'


def _cancel_within(seconds: float, otherwise: str) -> str:
    return f'<recv request="CANCEL" timeout="{seconds * 1000:.0f}" ontimeout="{otherwise}" next="cancelled"/>'


def _bye_within(seconds: float, otherwise: str) -> str:
    return f'<recv request="BYE" timeout="{seconds * 1000:.0f}" ontimeout="{otherwise}" next="left"/>'


def _reply(status: str, *, cseq: str = "[last_CSeq:]", sdp: bool = False, streams: bool = False) -> str:
    """A response to the last request."""
    port = "rtpstream_audio_port" if streams else "auto_media_port"
    body = OFFER.format(port=port) if sdp else ""
    kind = "Content-Type: application/sdp\n" if sdp else ""
    again = ' retrans="500"' if sdp else ""
    return f"""\
<send{again}><![CDATA[
SIP/2.0 {status}
[last_Via:]
From:[$caller]
To:[$callee];tag={TAG}
[last_Call-ID:]
{cseq}
Contact: <sip:rig@[local_ip]:[local_port]>
{kind}Content-Length: [len]

{body}]]></send>"""


def _in_dialog(method: str, rest: str) -> str:
    """A request of ours, its CSeq counted from the messages of the scenario."""
    return f"""\
<send retrans="500"><![CDATA[
{method} [$target] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]-[cseq]
From:[$callee];tag={TAG}
To:[$caller]
[last_Call-ID:]
CSeq: [cseq] {method}
Max-Forwards: 70
{rest}]]></send>"""
