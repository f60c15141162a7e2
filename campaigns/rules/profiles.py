"""The laws a campaign may choose from, by name. A campaign may be stricter than its profile, never looser.

These are figures, not legal advice: read the source that stands beside each before relying on it. A profile whose
figures change gets a new version; every attempt says under which one it was permitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

from campaigns.rules.keys import DAY_S, LONGEST_S, NO_CAPS, WEEKDAYS, Caps, Region, Window, Windows

CALENDAR_DAYS_60 = 60 * DAY_S
SIX_MONTHS = 184 * DAY_S  # the longest six months there are, July to December
FOR_EVER = LONGEST_S
HALF_HOUR = 1800.0
EVERY_CHANNEL = ("email", "sms", "gateway")


@dataclass(frozen=True, slots=True)
class Profile:
    """The figures of one law; None and an empty :class:`Caps` bind nothing. Fields as in :class:`Rules`."""

    name: str
    version: int
    windows: Windows | None = None
    holidays: str = ""
    regions: tuple[Region, ...] = ()
    number: Caps = NO_CAPS
    customer: Caps = NO_CAPS
    number_here: Caps = NO_CAPS
    customer_here: Caps = NO_CAPS
    consent: bool = False
    message_consent: tuple[str, ...] = ()  # the channels by which nobody is written to, to sell, without one
    lock_out_s: float = 0.0
    refusal_lock_s: float = 0.0


def _every_day(start: int, end: int, days: tuple[str, ...] = WEEKDAYS, **other: Window) -> Windows:
    return {day: Window(start=time(start), end=time(end)) for day in days} | other


_NOT_SUNDAY = WEEKDAYS[:6]
_THREE_A_DAY = Caps(hours_24=3)


def _state(
    code: str, areas: str, windows: Windows, holidays: bool = False, number: Caps | None = None
) -> Region:
    """One of the United States, with its area codes (libphonenumber's metadata 9.0.43)."""
    return Region(
        code=f"US-{code}",
        prefixes=tuple(f"+1{area}" for area in areas.split()),
        windows=windows,
        holidays=f"US-{code}" if holidays else "",
        number=number or NO_CAPS,
    )


# Hours and days up to Oklahoma's are those of a public chart of 2025-11-01 (dropcowboy.com/state-compliance), the caps
# of Florida and Oklahoma those of clickpointsoftware.com's (2025-07). The sections named, Maryland's cap, Texas and
# Washington are from general knowledge and were not read: check them. Other states have rules too, and are not here.
US_STATES = (
    # Ala. Public Service Commission's telephone solicitation rules: 8 to 20 o'clock, none on Sundays and holidays
    _state("AL", "205 251 256 334 659 938", _every_day(8, 20, _NOT_SUNDAY), holidays=True),
    # Conn. Gen. Stat. § 42-288a, since 2023-10-01: 9 to 20 o'clock
    _state("CT", "203 475 860 959", _every_day(9, 20)),
    # Fla. Stat. § 501.616(6): 8 to 20 o'clock; three calls in 24 hours
    _state(
        "FL",
        "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 941 954",
        _every_day(8, 20),
        number=_THREE_A_DAY,
    ),
    # Ky. Rev. Stat. § 367.46955: 10 to 21 o'clock
    _state("KY", "270 364 502 606 859", _every_day(10, 21)),
    # La. Public Service Commission's do-not-call general order: 8 to 20 o'clock, none on Sundays and holidays
    _state("LA", "225 318 337 504 985", _every_day(8, 20, _NOT_SUNDAY), holidays=True),
    # Mass. Gen. Laws ch. 159C § 3: 8 to 20 o'clock
    _state("MA", "339 351 413 508 617 774 781 857 978", _every_day(8, 20)),
    # Md. Code, Com. Law § 14-4502, since 2024: 8 to 20 o'clock; three calls in 24 hours
    _state("MD", "227 240 301 410 443 667", _every_day(8, 20), number=_THREE_A_DAY),
    # Miss. Code § 77-3-723: 8 to 20 o'clock, none on Sundays
    _state("MS", "228 601 662 769", _every_day(8, 20, _NOT_SUNDAY)),
    # Nev. Rev. Stat. § 599B.190: 9 to 20 o'clock
    _state("NV", "702 725 775", _every_day(9, 20)),
    # Okla. Stat. tit. 15, § 775C.4: 8 to 20 o'clock; three calls in 24 hours
    _state("OK", "405 539 572 580 918", _every_day(8, 20), number=_THREE_A_DAY),
    # Tex. Bus. & Com. Code § 301.051: 9 to 21 o'clock, on Sundays from noon
    _state(
        "TX",
        "210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 915 936 940 945 956 "
        "972 979",
        _every_day(9, 21, _NOT_SUNDAY, sun=Window(start=time(12), end=time(21))),
    ),
    # Wash. Rev. Code § 80.36.390: 8 to 20 o'clock
    _state("WA", "206 253 360 425 509 564", _every_day(8, 20)),
)

_FRENCH_DAY = (Window(start=time(10), end=time(13)), Window(start=time(14), end=time(20)))

PROFILES = {
    profile.name: profile
    for profile in (
        # No law: a campaign's own figures, each as it stands in its file.
        Profile(name="own", version=1),
        Profile(
            name="us",
            version=1,
            # 16 CFR 310.4(c), 47 CFR 64.1200(c)(1): 8 to 21 o'clock, local time at the called party's location
            windows=_every_day(8, 21),
            # Days are told apart for the states below; federal law asks nothing of holidays.
            regions=US_STATES,
            # 47 CFR 64.1200(a)(2): a text that sells by such a system needs written consent before; e-mail needs none
            # (CAN-SPAM, 15 U.S.C. 7704), but a way to have no more. From general knowledge, not read: check them.
            message_consent=("sms", "gateway"),
        ),
        Profile(
            name="uk",
            version=1,
            # Ofcom, persistent misuse (2006 to 2016): no call within 72 hours of an abandoned one. No hours are set.
            lock_out_s=3 * DAY_S,
            # Privacy and Electronic Communications Regulations 2003, reg. 22, after Directive 2002/58/EC, art. 13(1):
            # consent before electronic mail, texts among it. Its exception for customers of one's own is not made use
            # of. From general knowledge, not read: check it.
            message_consent=EVERY_CHANNEL,
        ),
        Profile(
            name="fr",
            version=1,
            # Décret 2022-1313, since 2023-03-01: Monday to Friday 10 to 13 and 14 to 20 o'clock, no public holidays
            windows=dict.fromkeys(WEEKDAYS[:5], _FRENCH_DAY),
            holidays="FR",
            # the same decree: at most four times in 30 calendar days
            number=Caps(days_30=4),
            customer=Caps(days_30=4),
            # the same decree: not within 60 days of a refusal
            refusal_lock_s=CALENDAR_DAYS_60,
            # Code des postes et des communications électroniques, art. L. 34-5, after Directive 2002/58/EC, art. 13:
            # consent before automated messages and electronic mail. From general knowledge, not read: check it.
            message_consent=EVERY_CHANNEL,
        ),
        Profile(
            name="cn-marketing",
            version=1,
            # Practice reported of Beijing (a weak source); MIIT's notice of 2020-06 says: avoid the hours of rest
            windows=_every_day(9, 21),
            # The same practice: three calls to a number in a day, half an hour apart
            number=Caps(day=3, gap_s=HALF_HOUR),
            customer=Caps(day=3, gap_s=HALF_HOUR),
            # MIIT's draft on messages and voice calls, 2020-08-31: no commercial call without consent on record
            consent=True,
            # 通信短信息服务管理规定 (MIIT order 31 of 2015), art. 18 and 20: no commercial message without consent, and
            # none after it was refused; 互联网电子邮件服务管理办法 (MII order 38 of 2006), art. 13: nor such an e-mail.
            # From general knowledge, not read: check them.
            message_consent=EVERY_CHANNEL,
            # The 13 ministries' campaign of 2018-07: after a refusal no further calls
            refusal_lock_s=FOR_EVER,
        ),
        Profile(
            name="cn-insurance",
            version=1,
            # Life-insurance telesales rule of 2013: no sales calls from 21 to 9 o'clock
            windows=_every_day(9, 21),
            # the same rule: own do-not-call for at least six months
            refusal_lock_s=SIX_MONTHS,
            message_consent=EVERY_CHANNEL,  # as for cn-marketing
        ),
        Profile(
            name="cn-collection",
            version=1,
            # GB/T 45251-2025 (2025-02-28): none from 22 to 8 o'clock
            windows=_every_day(8, 22),
            # the same: three effective calls to a debtor in a day. Here all calls count, so it is never exceeded.
            number=Caps(day=3),
            customer=Caps(day=3),
        ),
    )
}
