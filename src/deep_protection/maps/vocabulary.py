"""Words that a sheet may hold: what is one letter off one of them, and was also read so, is taken for it."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from deep_protection.errors import OptionError
from deep_protection.maps.scripts import Script
from deep_protection.maps.words import Word, letters_of

SHORTEST = 4
"""Letters of a word of the vocabulary: nearly everything of three is one letter off one."""
HEARD, LEAST = 0.9, 3
"""Confidence and letters that a reading needs to bear a correction out."""
APART = 2
"""Letters that such a reading may lack of the word."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words, folded, letters alone."""

    words: frozenset[str]

    @classmethod
    def of(cls, words: Iterable[str]) -> "Vocabulary":
        """What has four letters at least; several words in one string count each."""
        folded = (letters_of(word) for entry in words for word in entry.split())
        return cls(frozenset(word for word in folded if len(word) >= SHORTEST))

    def near(self, text: str) -> list[str]:
        """The words one letter off ``text``; none where it is one itself."""
        if len(text) < LEAST or text in self.words:
            return []
        return [word for word in self.words if abs(len(word) - len(text)) < 2 and distance(word, text) == 1]


@cache
def generic() -> Vocabulary:
    """What maps in English call things: streets, buildings, works, waters, hills."""
    lines = (files("deep_protection.maps") / "generic.txt").read_text(encoding="utf-8").splitlines()
    return Vocabulary.of(line for line in lines if not line.startswith("#"))


def find_vocabulary(asked: str | Collection[str], script: Script) -> Vocabulary | None:
    """What is asked for: ``"generic"``, ``"none"``, or words in addition to the generic ones; those for Latin alone.

    Raises:
        OptionError: it is another string, or holds no word of four letters.
    """
    if asked == "none":
        return None
    if isinstance(asked, str):
        if asked != "generic":
            raise OptionError(f"vocabulary must be generic, none or a list of words, got {asked!r}")
        return generic() if script == "latin" else None
    own = Vocabulary.of(asked)
    if not own.words:
        raise OptionError(f"the vocabulary has no word of {SHORTEST} letters or more; give words, or none")
    return Vocabulary(own.words | generic().words) if script == "latin" else own


def told_of(words: Iterable[Word]) -> tuple[str, ...]:
    """What is to be told of words that are given otherwise than they were read."""
    changed = [f"{word.text} (read {word.read_as})" for word in words if word.read_as is not None]
    if not changed:
        return ()
    return (f"taken for words of the vocabulary: {', '.join(changed)}; with vocabulary none they stay as read",)


def read_vocabulary(file: Path) -> list[str]:
    """The words of a text file, UTF-8, parted by white space or commas; lines that begin with ``#`` are left out.

    Raises:
        OptionError: it cannot be read, or holds no word of four letters.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise OptionError(f"cannot read the vocabulary {file} ({reason}); give a text file of words") from None
    words = [word for line in lines if not line.startswith("#") for word in _words_of(line)]
    if not Vocabulary.of(words).words:
        raise OptionError(f"the vocabulary {file} has no word of {SHORTEST} letters or more; give one a line")
    return words


def split_words(text: str) -> Literal["generic", "none"] | list[str]:
    """``generic`` and ``none`` as they are, else the words of ``text``.

    Raises:
        OptionError: it holds no word of four letters, or one of these names beside others.
    """
    words = _words_of(text)
    match [word.casefold() for word in words]:
        case ["generic" | "none" as name]:
            return name
        case names if {"generic", "none"} & set(names):
            raise OptionError("vocabulary must be generic, none or words: these two stand alone")
    if not Vocabulary.of(words).words:
        raise OptionError(f"vocabulary must be generic, none or words, one of {SHORTEST} letters or more among them")
    return words


def _words_of(text: str) -> list[str]:
    """Parted by white space, commas and semicolons of any script."""
    return [word for word in re.split(r"[\s,;|，、；]+", text) if word]


def corrected(
    word: Word, readings: Iterable[Word], again: Callable[[], Iterable[tuple[str, float]]], vocabulary: Vocabulary
) -> Word:
    """The one word of the vocabulary that is a letter off and that a sure reading says rather; else the word itself.

    ``readings`` are those of its place, ``again`` gives more, text and confidence: asked only if need be.
    """
    own = letters_of(word.text)
    near = vocabulary.near(own)
    if not near or len(own) < sum(sign.isalnum() for sign in word.text):
        return word
    heard = [(each.text, each.confidence) for each in readings]
    said = {letters_of(text) for text, confidence in (*heard, *again()) if confidence >= HEARD}
    borne_out = [each for each in near if any(_says_rather(text, each, own) for text in said)]
    if len(borne_out) != 1:
        return word
    return replace(word, text=_written_as(borne_out[0], word.text), read_as=word.text)


def _says_rather(text: str, word: str, own: str) -> bool:
    return len(text) >= LEAST and distance(text, word) < min(distance(text, own), APART + 1)


def _written_as(letters: str, text: str) -> str:
    """In capitals if most of ``text`` is, else with its first letter as that of ``text`` is."""
    signs = [sign for sign in text if sign.isalpha()]
    if sum(map(str.isupper, signs)) > len(signs) / 2:
        return letters.upper()
    return letters.capitalize() if signs[0].isupper() or len(signs) < len(letters) else letters


def distance(one: str, other: str) -> int:
    """Letters to be changed, added or taken away (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        below = [number]
        for column, sign in enumerate(other, 1):
            below.append(min(row[column] + 1, below[-1] + 1, row[column - 1] + (letter != sign)))
        row = below
    return row[-1]
