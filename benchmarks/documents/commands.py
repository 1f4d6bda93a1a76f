"""Every command with its options, read off the program itself: docs/commands.md."""

from collections.abc import Iterator
from typing import Any

import typer.main

from deep_protection.cli._lazy import LazyGroup
from deep_protection.cli.app import app

PROGRAM = "deep-protection"
WITHOUT_A_NAME = " images"
"""The command of a group that runs where none is named."""


def commands() -> str:
    """A section each under the headings of the program's own help: usage, what it does, options with their defaults."""
    lines: list[str] = []
    told = set()
    for name, command in walk():
        panel = _panel(name)
        if panel not in told:
            lines.append(f"## {panel}\n")
            told.add(panel)
        lines.append(_section(name.removesuffix(WITHOUT_A_NAME), command))
    return "\n".join(lines)


def _panel(name: str) -> str:
    root = typer.main.get_command(app)
    assert isinstance(root, LazyGroup)  # noqa: S101
    first = name.removeprefix(f"{PROGRAM} ").partition(" ")[0]
    return next(heading for heading, panel in root.panels.items() if first in panel)


def walk(command: Any = None, name: str = PROGRAM) -> Iterator[tuple[str, Any]]:
    """Full names and commands, groups opened."""
    command = command or typer.main.get_command(app)
    if isinstance(command, LazyGroup):
        inner = {each: command.load(each) for each in command.lazy}
    else:
        inner = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for each, found in inner.items():
        if not found.hidden:
            yield from walk(found, f"{name} {each}")


def _section(name: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and "--help" not in each.opts]
    usage = " ".join([name, *(each.metavar or each.name.upper() for each in arguments), "[OPTIONS]"])
    told = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    lines = [f"- `{', '.join(each.opts)}`{_default(each)}: {_one_line(each.help)}" for each in [*arguments, *options]]
    return f"### {name.removeprefix(PROGRAM + ' ')}\n\n    {usage}\n\n{told}\n\n" + "\n".join(lines) + "\n"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _default(option: Any) -> str:
    if option.required:
        return " (required)"
    if option.default is None or option.default is False or callable(option.default):
        return ""
    return f" (`{option.default}`)"
