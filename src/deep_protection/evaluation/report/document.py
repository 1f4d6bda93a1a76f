"""A report as blocks, written as Markdown and as one HTML file that needs nothing beside it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    heading: Sequence[str]
    lines: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    """The file's, without folder."""
    caption: str
    png: bytes


Block = Heading | Text | Table | Figure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1240px; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px }
th, td { border-bottom: 1px solid #ddd; padding: 4px 10px; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
img { max-width: 100%; height: auto } figcaption { color: #555; font-size: 13px }
"""


def markdown(title: str, blocks: Sequence[Block]) -> str:
    """Figures are expected beside the file."""
    return "\n".join([f"# {title}\n", *map(block_markdown, blocks)])


def html(title: str, blocks: Sequence[Block]) -> str:
    """Figures are inside the file."""
    body = "\n".join(map(_html, blocks))
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n<h1>{escape(title)}</h1>\n{body}\n</html>\n"
    )


def block_markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {text}\n"
        case Text(text):
            return f"{text}\n"
        case Table(heading, lines):
            made = ["| " + " | ".join(heading) + " |", "|---|" + "---:|" * (len(heading) - 1)]
            return "\n".join([*made, *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"
        case Figure(name, caption, _):
            return f"![{caption}]({name})\n\n{caption}\n"


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Table(heading, lines):
            head = "".join(f"<th>{escape(cell)}</th>" for cell in heading)
            body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
            return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
        case Figure(_, caption, png):
            data = base64.b64encode(png).decode()
            return (
                f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
                f"<figcaption>{escape(caption)}</figcaption></figure>"
            )
