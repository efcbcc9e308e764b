"""Sentences and names, checked and cut in one place: what a word is, which names look alike."""

import re
import unicodedata
from collections.abc import Hashable, Iterable
from typing import Any

from kit.checks import check_unique, first_few

# Inside a word they are dropped: dog's, t-shirt.
_LINKS = "'’ʼ＇‐‑－-"
_INSIDE = re.compile(rf"(?<=[^\s{_LINKS}])[{_LINKS}](?=[^\s{_LINKS}])")
_OUTSIDE = re.compile(f"[{_LINKS}]")
_SYMBOLS = "$+<=>|~"  # in `string.punctuation`, but no punctuation for Unicode

# Letters of scripts without blanks between words: Thai, Lao, Burmese, Khmer, Tai, Javanese, Han.
_WITHOUT_BLANKS = re.compile(
    r"[\u0e01-\u0e2e\u0e40-\u0e46\u0e81-\u0eae\u0ec0-\u0ec6\u1000-\u102a\u1780-\u17b3\u1950-\u19ab"
    r"\u1a20-\u1a54\ua984-\ua9b2\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_LIST = re.compile(r"\s*[\[({]+\s*[bu]?['\"].*[\])}]\s*", re.DOTALL)


class _Marks(dict[int, str | None]):
    """What becomes of each character, found out when it first comes: for `str.translate`."""

    def __missing__(self, code: int) -> str | None:
        char, category = chr(code), unicodedata.category(chr(code))
        blank = category[0] == "P" and char not in _LINKS
        dropped = category in ("Cf", "Sk") or char in _SYMBOLS  # without width; accents alone, as ´
        self[code] = None if dropped else " " if blank else char
        return self[code]


_MARKS = _Marks()


def words(caption: str) -> list[str]:
    """Lower case, in one Unicode form (NFKC), without punctuation, cut at white space.

    A punctuation mark between two words separates them; apostrophes and hyphens inside a word are
    dropped, and so are symbols such as ``+`` and what has no width.

    >>> words("A dog's t-shirt, red.It is “new”…")
    ['a', 'dogs', 'tshirt', 'red', 'it', 'is', 'new']
    """
    if not isinstance(caption, str):
        raise ValueError(f"words: expected a sentence as text, got {caption!r:.80}")
    # Again behind NFKC, which makes marks of others: of full-width ones, of ligatures.
    text = unicodedata.normalize("NFKC", caption.translate(_MARKS)).lower().translate(_MARKS)
    return unicodedata.normalize("NFC", _OUTSIDE.sub(" ", _INSIDE.sub("", text))).split()


def why_no_sentence(caption: object) -> str:
    """Why something cannot be cut into words; "" if it can.

    A sentence in a script without blanks can, once it has them: the words of a segmenter, or the
    characters.

    >>> why_no_sentence("['a dog', 'a red dog']")
    'a list kept as text'
    """
    if not isinstance(caption, str):
        return f"no text but {type(caption).__name__}"
    if _LIST.fullmatch(caption):
        return "a list kept as text"
    letters = 0 if caption.isascii() else len(_WITHOUT_BLANKS.findall(caption))
    if letters >= 3 and letters > 8 * (len(caption.split()) - 1):
        return "written without blanks between words; put them between words or between characters"
    return ""


def checked_sentences(function: str, captions: Iterable[object]) -> list[str]:
    """Sentences as a list: not one string in place of several, none that cannot be cut into words.

    >>> checked_sentences("f", "a dog")
    Traceback (most recent call last):
    ValueError: f: expected several captions in a list, got one text: 'a dog'
    """
    check_several(function, captions=captions)
    sentences: list[Any] = list(captions)
    reasons = zip(sentences, map(why_no_sentence, sentences), strict=True)
    bad = [f"{caption!r:.80} is {reason}" for caption, reason in reasons if reason]
    if bad:
        found = f"{len(bad)} others: {first_few(bad, most=2)}"
        raise ValueError(f"{function}: expected sentences as text, got {found}")
    return sentences


def is_missing(name: object) -> bool:
    """Whether it stands for no name: None, nan, or nothing but blanks.

    >>> [is_missing(one) for one in (None, float("nan"), " ", 0, "nan")]
    [True, True, True, False, False]
    """
    if isinstance(name, str):
        return not name.strip()
    return name is None or str(name) in ("nan", "NaT", "<NA>")


def check_names(function: str, **lists: Iterable[object]) -> None:
    """Refuse names that are missing, and different ones that look alike.

    Those look alike that differ in blanks, in characters without width, in Unicode form, or as the
    number 1 and the text "1". A name may come several times; upper and lower case are different.

    >>> check_names("f", classes=["walk", "run", "walk "])
    Traceback (most recent call last):
    ValueError: f: classes must not look alike, got 'walk' and 'walk '
    """
    for what, names in lists.items():
        check_several(function, **{what: names})
        named = list(names)
        sound = [isinstance(name, Hashable) and not is_missing(name) for name in named]
        missing = [row for row, one in enumerate(sound) if not one]
        if missing:
            found = f"{len(missing)} of {len(named)} have none: rows {first_few(missing)}"
            raise ValueError(f"{function}: {what}: expected a name for each, {found}")
        alike: dict[str, list[str]] = {}
        for name in dict.fromkeys(named):
            alike.setdefault(looks(str(name)), []).append(ascii(name))
        several = [" and ".join(twins) for twins in alike.values() if len(twins) > 1]
        if several:
            found = first_few(several)
            raise ValueError(f"{function}: {what} must not look alike, got {found}")


def check_unique_names(function: str, **lists: Iterable[object]) -> None:
    """Refuse what `check_names` and `check_unique` refuse."""
    check_names(function, **lists)
    check_unique(function, **lists)


def looks(name: str) -> str:
    """What two names have in common that look alike.

    >>> looks(" walk ") == looks("walk")
    True
    """
    if not name.isascii():
        name = "".join(c for c in name if unicodedata.category(c) != "Cf")
        name = unicodedata.normalize("NFC", name)
    return " ".join(name.split())


def check_several(function: str, **lists: object) -> None:
    """Refuse what is no list, such as one text in place of several.

    >>> check_several("f", ids="ab")
    Traceback (most recent call last):
    ValueError: f: expected several ids in a list, got one text: 'ab'
    """
    for what, things in lists.items():
        text = isinstance(things, str | bytes)
        rows = isinstance(things, Iterable) or hasattr(things, "__getitem__")  # a lazy modality
        if text or not rows or getattr(things, "shape", None) == ():
            found = f"{'one text: ' * text}{things!r:.80}"
            raise ValueError(f"{function}: expected several {what} in a list, got {found}")
