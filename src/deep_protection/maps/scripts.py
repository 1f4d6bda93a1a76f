"""Which of the words that were read a sheet can have: those of its script, and signs that are no symbols.

A reader that knows sixteen thousand characters finds one for everything: trees are read as 4, hatched houses as 昌.
"""

import unicodedata
from collections import Counter
from typing import Literal

from deep_protection.errors import OptionError
from deep_protection.maps.words import Word

Script = Literal["latin", "greek", "chinese", "japanese", "any"]
SCRIPTS: dict[Script, tuple[str, ...]] = {
    "latin": ("LATIN",),
    "greek": ("GREEK", "LATIN"),
    "chinese": ("CJK", "LATIN"),
    "japanese": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "LATIN"),
    "any": (),
}
"""How Unicode's names of a script's letters begin; figures and Latin letters are in every one. With ``any`` nothing is
left out."""
SURE = 0.9
"""Confidence from which on a letter alone counts."""
MOST_ALONE = 3
"""Times that one sign may stand alone on a sheet; what is there more often is a symbol."""


def check_script(script: str) -> Script:
    """``script`` itself; raise :class:`OptionError` where it is not known."""
    for known in SCRIPTS:
        if script == known:
            return known
    raise OptionError(f"script must be one of {', '.join(SCRIPTS)}, got {script!r}")


def belongs(text: str, script: Script) -> bool:
    """Whether all letters of ``text`` are of ``script``."""
    kinds = SCRIPTS[script]
    return not kinds or all(
        _kind(letter) in kinds for letter in unicodedata.normalize("NFKC", text) if letter.isalpha()
    )


def sifted(words: list[Word], doubtful: list[Word], script: Script) -> tuple[list[Word], tuple[str, ...]]:
    """The words that count, and what is to be told of the others; with ``any`` the ``doubtful`` ones count, too."""
    if script == "any":
        return words + doubtful, ()
    own = [word for word in words if belongs(word.text, script)]
    signs = Counter(_signs(word) for word in own)
    kept = [word for word in own if len(_signs(word)) > 1 or _is_letter(word, signs[_signs(word)])]
    left_out = {
        f"with letters of other scripts than {script}": len(words) - len(own),
        "of a single sign, as symbols are read": len(own) - len(kept),
        "that were read once and without confidence": len(doubtful),
    }
    told = [f"{count} {what}" for what, count in left_out.items() if count]
    return kept, (f"words left out: {', '.join(told)}; with script any they are kept",) if told else ()


def _kind(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _signs(word: Word) -> str:
    """Its letters and figures."""
    return "".join(sign for sign in word.text if sign.isalnum())


def _is_letter(word: Word, times: int) -> bool:
    """Whether a sign alone is a letter of a name that is set very wide, say, and no symbol."""
    return _signs(word).isalpha() and word.confidence >= SURE and times <= MOST_ALONE
