"""The image is made of files that there are, starts a command that there is, and not as root."""

from __future__ import annotations

import re
from pathlib import Path

import click

from dialer.cli import main

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text("utf-8")).splitlines()


def said(word: str) -> list[str]:
    return [line.partition(" ")[2] for line in LINES if line.startswith(f"{word} ")]


def test_every_file_is_there_and_let_into_the_build() -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"
    }
    copied = {name for line in said("COPY") if "--from" not in line for name in line.split()[:-1]}
    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_it_starts_the_daemon_and_not_as_root() -> None:
    assert said("USER") == ["10001:10001"]
    [started] = said("CMD")
    words = re.findall(r'"([^"]+)"', started)
    command = main.commands[words[0]]
    assert isinstance(command, click.Command)
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
