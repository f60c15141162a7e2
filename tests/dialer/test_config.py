"""`dialer.toml`: what is wrong is told with file, key and reason; the example that ships is complete and right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from dialer.config import OIDC_SECRET, Config, ConfigError, client_secret, load, parse

EXAMPLE = Path(__file__).parents[2] / "deploy" / "dialer.toml"
SWITCH = '[[switch]]\nname = "main"\nhost = "10.0.0.5"\nuser = "zhudong"\nsecret = "s"\n'
SMPP = '[messages.smpp]\nhost = "h"\nsystem_id = "spring"\npassword = "secret"\n'
GATEWAY = 'url = "https://sms.example/send"\nsecret = "sixteen characters"\n'
MAIL = '[messages]\npublic_url = "https://d.example"\n[messages.email]\nhost = "h"\nsender = "a@x.example"\n'


def test_a_switch_is_all_that_is_needed() -> None:
    config = parse(SWITCH, "dialer.toml")
    [switch] = config.switch
    assert (switch.port, switch.max_lines, switch.calls_per_s) == (5038, 100, 10.0)
    assert (switch.trunk, switch.phone) == ("PJSIP/{number}@carrier", "PJSIP/{endpoint}")
    assert (config.web.port, config.metrics.port, config.agi.port, config.database.url) == (
        8080,
        9464,
        4573,
        "",
    )


OIDC = """
[oidc]
issuer = "https://sso.example/realms/company"
client_id = "zhudong"
redirect_uri = "https://dialer.example/login/oidc/back"
"""
HOOK = '\n[[webhook]]\nname = "crm"\nurl = "https://crm.example/x"\nsecret = "sixteen characters"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "required field `switch`"),
        ("switch = []", "switch: there must be at least one [[switch]]"),
        ("[[switch]\n", "line 1"),
        ('[[switch]]\nname = "x"', "required field `host` - at `switch[0]`"),
        (SWITCH + "prot = 5038", "unknown field `prot` - at `switch[0]`"),
        (SWITCH + "port = true", "`int`, got `bool` - at `switch[0].port`"),
        (SWITCH + 'port = "5038"', "`int`, got `str` - at `switch[0].port`"),
        (SWITCH + "port = 0", "switch[0].port: 0 is no port"),
        (SWITCH + "port = 99999", "switch[0].port: 99999 is no port"),
        (SWITCH + "max_lines = 0", "switch[0].max_lines: must be at least 1"),
        (SWITCH + "calls_per_s = 0.0", "switch[0].calls_per_s: must be above 0"),
        (SWITCH + "calls_per_s = nan", "switch[0].calls_per_s"),
        (SWITCH + 'trunk = "PJSIP/1@carrier"', "switch[0].trunk: must hold {number}"),
        (SWITCH + 'trunk = "PJSIP/{number}@{carrier}"', "switch[0].trunk: knows only {number}"),
        (SWITCH + 'trunk = "PJSIP/{number}@carrier}"', "switch[0].trunk: knows only {number}"),
        (SWITCH + 'trunk = "PJSIP/{number:d}@carrier"', "switch[0].trunk: knows only {number}"),
        (SWITCH + 'phone = "PJSIP/100"', "switch[0].phone: must hold {endpoint}"),
        (SWITCH + 'phone = "PJSIP/{endpoint}{0}"', "switch[0].phone: knows only {endpoint}"),
        (SWITCH + 'softphone = "ws://pbx.example/ws"', "switch[0].softphone: must be a wss address"),
        (SWITCH + 'softphone = "wss://pbx.example/ws; x"', "switch[0].softphone: must be a wss address"),
        (SWITCH + 'softphone_endpoint = "web"', "switch[0].softphone_endpoint: must hold {phone}"),
        (SWITCH + 'softphone_endpoint = "web/{phone}"', "switch[0].softphone_endpoint: must have letters"),
        (SWITCH.replace('"s"', '"a\\nb"'), "switch[0].secret: holds a control character"),
        (SWITCH.replace('"s"', '"a\\u007Fb"'), "switch[0].secret: holds a control character"),
        (SWITCH.replace('"10.0.0.5"', '""'), "switch[0].host: must not be empty"),
        (SWITCH.replace('"main"', '"main switch"'), "switch[0].name: must be 1 to 32"),
        (SWITCH + SWITCH, "switch[1].name: 'main' is the name of another switch"),
        (SWITCH + '[engine]\nname = ""', "engine.name: must be 1 to 32"),
        (SWITCH + '[engine]\nname = "../x"', "engine.name: must be 1 to 32"),
        (SWITCH + "[engine]\ndrain_limit_s = -1.0", "engine.drain_limit_s: must not be negative"),
        (SWITCH + "[engine]\ndrain_limit_s = nan", "engine.drain_limit_s: must be a number of seconds"),
        (SWITCH + "[engine]\ndrain_limit_s = inf", "engine.drain_limit_s: must be a number of seconds"),
        (SWITCH + '[database]\nurl = "mysql://x"', "database.url: must begin with postgresql://"),
        (SWITCH + '[database]\nurl = "postgresql://h:port/x"', "database.url: can't be read"),
        (SWITCH + HOOK.replace("crm", "my crm", 1), "webhook[0].name: must be 1 to 32"),
        (SWITCH + HOOK + HOOK, "webhook[1].name: 'crm' is the name of another webhook"),
        (SWITCH + HOOK.replace("https", "ftp"), "webhook[0].url: must be an address"),
        (SWITCH + HOOK.replace("https://", "https://[/"), "webhook[0].url: must be an address"),
        (SWITCH + HOOK.replace("https://", "https://a:b@"), "webhook[0].url: must not hold a password"),
        (SWITCH + HOOK.replace(" characters", ""), "webhook[0].secret: must have at least 16"),
        (SWITCH + HOOK + 'networks = ["10.1"]', "webhook[0].networks: '10.1' is no network"),
        (SWITCH + SMPP.replace("spring", "a" * 16), "messages.smpp.system_id: must have 1 to 15"),
        (SWITCH + SMPP + "window = 0", "messages.smpp.window: must be between"),
        (SWITCH + SMPP + "per_second = -1.0", "messages.smpp.per_second: must be between"),
        (SWITCH + SMPP + f"[messages.sms]\n{GATEWAY}", "messages.smpp: can't be there beside messages.sms"),
        (
            SWITCH + MAIL + 'bounces = "b+c@x.example"',
            "messages.email.bounces: 'b+c@x.example' is no mail address",
        ),
        (SWITCH + MAIL + 'bounces = "b@x.example"', "messages.email.secret: must have at least 16"),
        (SWITCH + "[recordings]\nkeep_days = -1", "recordings.keep_days: must be between 1 and"),
        (SWITCH + "[recordings]\nkeep_days = 40000", "recordings.keep_days: must be between 1 and"),
        (SWITCH + "[web]\nport = -1", "web.port: -1 is no port"),
        (SWITCH + '[web]\ndefault_language = "fr"', "web.default_language: must be zh or en"),
        (SWITCH + "[web]\ntls = true", "unknown field `tls` - at `web`"),
        (SWITCH + OIDC.replace("https://sso", "http://sso"), "oidc.issuer: must be an https address"),
        (SWITCH + OIDC.replace("/back", "/there"), "oidc.redirect_uri: must end in /login/oidc/back"),
        (SWITCH + OIDC.replace('"zhudong"', '""'), "oidc.client_id: must not be empty"),
        (SWITCH + OIDC + 'scopes = ["email"]', "oidc.scopes: must have openid"),
        (SWITCH + OIDC + 'claim = ""', "oidc.claim: must name a claim"),
        (SWITCH + OIDC + 'new_role = "administrator"', "oidc.new_role: whom nobody added can't be made"),
        (SWITCH + OIDC + 'new_unit = "a"', "oidc.new_unit: says nothing without new_role"),
        (SWITCH + OIDC + 'secret = "s"', "unknown field `secret` - at `oidc`"),
        (SWITCH + "[metrics]\nport = 65536", "metrics.port: 65536 is no port"),
        (SWITCH + "[agi]\nport = 70000", "agi.port: 70000 is no port"),
        (SWITCH + '[agi]\nadvertise = "10.0.0.4:4573"', "agi.advertise: must begin with agi://"),
        (SWITCH + '[agi]\nadvertise = "agi://10.0.0.4,x"', "agi.advertise"),
        (SWITCH + "[telephone]", "unknown field `telephone`"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_the_key_and_the_reason(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text, "/etc/zhudong/dialer.toml")
    said = str(raised.value)
    assert said.startswith("/etc/zhudong/dialer.toml: ") and says in said and "\n" not in said


def test_a_secret_is_never_in_a_message() -> None:
    for wrong in ("port = 0", 'trunk = "x"', "prot = 1"):
        with pytest.raises(ConfigError) as raised:
            parse(SWITCH.replace('"s"', '"very-secret"') + wrong, "dialer.toml")
        assert "very-secret" not in str(raised.value)


def test_the_secret_of_the_sign_on_is_in_a_file_or_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, secret = tmp_path / "dialer.toml", tmp_path / "secret"
    file.write_text(f'{SWITCH}{OIDC}secret_file = "{secret}"\n')
    for kept, says in ((None, "can't be read"), ("\n", "is empty")):
        if kept is not None:
            secret.write_text(kept)
        with pytest.raises(ConfigError, match=says):
            load(file)
    secret.write_text("of the file\n")
    section = load(file).oidc
    assert section is not None and client_secret(section, {OIDC_SECRET: "another"}) == "of the file"
    section = msgspec.structs.replace(section, secret_file="")
    assert client_secret(section, {OIDC_SECRET: "of the environment"}) == "of the environment"
    assert client_secret(section, {}) == ""  # a public client


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: can't be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 0"):
        load(tmp_path / "odd.toml")


# --- the example that ships --------------------------------------------------------------------------------------


def test_the_example_is_a_good_file() -> None:
    [switch] = load(EXAMPLE).switch
    assert switch.name == "main"


def test_the_example_shows_every_key_with_its_default() -> None:
    text = EXAMPLE.read_text("utf-8")
    shown = load(EXAMPLE)
    everything = parse(re.sub(r"(?m)^#(?=\w+ = |\[\[pause)", "", text), "the example, uncommented")
    assert everything == shown
    keys = set(
        re.findall(r"(?m)^#? ?(\w+) = ", text)
    )  # after a blank: of a table that is not there by default
    assert set(leaves(Config)) == keys


def leaves(struct: type[msgspec.Struct]) -> Iterator[str]:
    """The keys of all sections."""
    for section in msgspec.structs.fields(struct):
        for part in msgspec.inspect.multi_type_info([section.type]):
            for inner in getattr(part, "types", None) or (getattr(part, "item_type", part),):
                if isinstance(inner, msgspec.inspect.StructType):
                    yield from (field.encode_name for field in msgspec.structs.fields(inner.cls))
