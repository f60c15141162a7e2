"""Mails as mail servers bring them back, to the address `{to}`."""

from __future__ import annotations

# Postfix, RFC 3464
REPORT = """\
Return-Path: <>
Delivered-To: {to}
From: MAILER-DAEMON@mx.company.example (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="4fX1=_/mx"

This is a MIME-encapsulated message.

--4fX1=_/mx
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

--4fX1=_/mx
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.company.example
X-Postfix-Queue-ID: 4fX1
Arrival-Date: Tue, 24 Nov 2026 12:00:00 +0800 (CST)

Final-Recipient: rfc822; kunde0@example.com
Original-Recipient: rfc822;kunde0@example.com
Action: {action}
Status: {status}
Remote-MTA: dns; mx.example.com
Diagnostic-Code: smtp; {said}

--4fX1=_/mx
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: dialer@company.example
To: kunde0@example.com
Subject: offer

550 5.1.1 no such user, says the mail itself

--4fX1=_/mx--
"""
# qmail, whose server writes no report
QMAIL = """\
Return-Path: <>
Delivered-To: {to}
From: MAILER-DAEMON@mail.example.com
To: {to}
Subject: failure notice

Hi. This is the qmail-send program at mail.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<kunde0@example.com>:
{said}

--- Below this line is a copy of the message.
"""
# Exim before its reports
EXIM = """\
X-Failed-Recipients: kunde0@example.com
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@exim.example.com>
Envelope-To: {to}
To: {to}
Subject: Mail delivery failed: returning message to sender

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  kunde0@example.com
    host mx.example.com [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<kunde0@example.com>:
    {said}
"""
AWAY = """\
From: Kunde <kunde0@example.com>
To: {to}
Auto-Submitted: auto-replied
Subject: Out of office

I am away until 5.1.1 next year. For 550 reasons.
"""


def report(
    to: str, action: str = "failed", status: str = "5.1.1", said: str = "550 5.1.1 user unknown"
) -> bytes:
    return REPORT.format(to=to, action=action, status=status, said=said).encode()
