"""What a word is in any script, what no sentence is, and which names look alike."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.data.text import (
    check_names,
    check_several,
    check_unique_names,
    checked_sentences,
    is_missing,
    why_no_sentence,
    words,
)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A man's T-shirt\t(red)  is\nnew.", "a mans tshirt red is new"),
        ("A dog’s ball — “red”, white… end", "a dogs ball red white end"),
        ("dogʼs t‐shirt, dog´s t‑shirt", "dogs tshirt dogs tshirt"),
        ("rock'n'roll, black-and-white", "rocknroll blackandwhite"),
        ("a dog,a cat;a fox.A cow/calf", "a dog a cat a fox a cow calf"),
        ("«a»dog¿why?no—yes–well", "a dog why no yes well"),
        ("dog--cat 'dog' -dog- dogs' dog 's", "dog cat dog dog dogs dog s"),
        ("it costs $5+tax=6 ~ <b> `so` ^|", "it costs 5tax6 b so"),
        ("a¨b ¯ dog＇s full－width ‗ ‾", "ab dogs fullwidth"),
        ("كلب أحمر، يجري؟", "كلب أحمر يجري"),
        ("दो-तीन कुत्ते।", "दोतीन कुत्ते"),
        ("red\u200bball \ufeffa\u00addog\u2060", "redball adog"),
        ("Ｄｏｇ　ﬁre", "dog fire"),
        (unicodedata.normalize("NFD", "Café Übung"), unicodedata.normalize("NFC", "café übung")),
        (string.punctuation, ""),
        ("\u2018\u2019\u201c…—", ""),
    ],
)
def test_words(caption: str, expected: str) -> None:
    assert words(caption) == expected.split()


@pytest.mark.parametrize(
    "mark", [c for c in map(chr, range(0x3000)) if unicodedata.category(c)[0] == "P"]
)
def test_no_word_holds_punctuation_and_a_mark_between_words_separates_them(mark: str) -> None:
    apart = ["one", "two"] if mark not in "'’-‐‑" else ["onetwo"]
    assert words(f"One{mark}two") == apart
    assert words(f"{mark}one{mark} {mark}") == ["one"]


@given(st.text(max_size=30))
def test_ascii_captions_have_the_words_that_they_had(caption: str) -> None:
    """As the paper's predecessors cut them, where every mark has a blank on one side."""
    caption = "".join(c if c.isalnum() or c == " " else f"{c} " for c in caption if c.isascii())
    removed = caption.lower().translate(str.maketrans("", "", string.punctuation)).split()
    assert words(caption) == removed


@given(st.text(max_size=30))
def test_words_of_words_are_the_same_words_in_one_unicode_form(caption: str) -> None:
    found = words(caption)
    for word in found:
        assert word == unicodedata.normalize("NFC", word)
        assert not any(unicodedata.category(c)[0] == "P" for c in word)
        assert word.split() == [word]


@pytest.mark.parametrize(
    "caption",
    [
        "一只红色的狗在草地上奔跑。",
        "一只狗，在跑。",
        "犬が走る",
        "スケートボードに乗る男性",
        "สุนัขกำลังวิ่งในสนาม",
        "ສຸນັກແລ່ນຢູ່ໃນຫຍ້າ",
        "ឆ្កែកំពុងរត់លើស្មៅ",
        "ခွေးတစ်ကောင်ပြေးနေသည်",
    ],
)
def test_a_language_without_blanks_is_refused_and_taken_with_blanks(caption: str) -> None:
    message = r"^f: expected sentences as text, got 1 others: '.*' is written without blanks betw"
    with pytest.raises(ValueError, match=message):
        checked_sentences("f", ["a dog", caption])
    checked_sentences("f", [" ".join(caption)])


@pytest.mark.parametrize(
    "caption",
    [
        "개가 풀밭을 달린다",
        "собака бежит",
        "कुत्ता दौड़ता है",
        "一只 红色 的 狗 在 草地 上 奔跑 。",
        "a sign that reads 中华人民共和国",
    ],
)
def test_other_sentences_are_taken(caption: str) -> None:
    assert why_no_sentence(caption) == ""


@pytest.mark.parametrize(
    "kept",
    [
        str(["a dog runs", "a red dog"]),
        '["a dog", "a red dog"]',
        str(("a dog", "b")),
        str(np.array(["a dog", "a red dog"])),
        " ['a dog'] ",
        str({"raw": "a dog"}),
        str([["a dog"]]),
    ],
)
def test_a_list_kept_as_text_is_no_sentence(kept: str) -> None:
    assert why_no_sentence(kept) == "a list kept as text"
    with pytest.raises(ValueError, match=r"^f: .*1 others: .*a list kept as text"):
        checked_sentences("f", [kept, "a dog"])


@pytest.mark.parametrize(
    "caption", ["[a dog] runs", "(a dog)", 'the sign says ["stop"] twice', "..."]
)
def test_brackets_alone_make_no_list(caption: str) -> None:
    assert why_no_sentence(caption) == ""


@pytest.mark.parametrize(
    ("caption", "kind"), [(None, "NoneType"), (3, "int"), (b"a", "bytes"), (["a"], "list")]
)
def test_what_is_no_text_is_no_sentence(caption: object, kind: str) -> None:
    assert why_no_sentence(caption) == f"no text but {kind}"


@pytest.mark.parametrize("names", ["ab", b"ab", ""])
def test_one_text_is_no_list(names: Any) -> None:
    for check in (checked_sentences, lambda f, ids: check_names(f, ids=ids)):
        with pytest.raises(
            ValueError, match=r"^f: expected several .* in a list, got one text: b?'"
        ):
            check("f", names)
    with pytest.raises(ValueError, match="got one text"):
        check_several("f", ids=names)


@pytest.mark.parametrize("names", [None, 3, np.float64(2), np.array("ab"), object()])
def test_what_is_no_list_is_refused(names: Any) -> None:
    for check in (checked_sentences, lambda f, ids: check_names(f, ids=ids)):
        with pytest.raises(ValueError, match=r"^f: expected several .* in a list, got "):
            check("f", names)


@pytest.mark.parametrize("caption", [None, 3, ["a dog"], b"a dog"])
def test_words_are_of_text(caption: Any) -> None:
    with pytest.raises(ValueError, match=r"^words: expected a sentence as text, got "):
        words(caption)


@pytest.mark.parametrize(
    "twins",
    [
        ["walk", "walk "],
        ["walk", "\twalk"],
        ["a b", "a  b"],
        ["a b", "a\u00a0b"],
        ["caf\u00e9", "cafe\u0301"],
        ["walk", "\ufeffwalk"],
        ["walk", "wa\u200blk"],
        [1, "1"],
        ["1", 1],
    ],
)
def test_names_that_look_alike_are_refused_by_name(twins: list[object]) -> None:
    found = " and ".join(ascii(name) for name in twins).replace("\\", "\\\\")
    with pytest.raises(ValueError, match=rf"^f: ids must not look alike, got {found}$"):
        check_names("f", ids=["other", *twins, "other"])
    with pytest.raises(ValueError, match="must not look alike"):
        check_unique_names("f", ids=twins)


@pytest.mark.parametrize(
    "missing", [None, float("nan"), np.float64("nan"), np.datetime64("NaT"), "", " \t", []]
)
def test_missing_names_are_refused_by_row(missing: object) -> None:
    message = r"^f: groups: expected a name for each, 2 of 4 have none: rows 1, 3$"
    with pytest.raises(ValueError, match=message):
        check_names("f", groups=["a", missing, "a", missing])
    assert is_missing(missing) or isinstance(missing, list)


@pytest.mark.parametrize(
    "names",
    [
        ["Walk", "walk"],
        ["a", "a"],
        [1, 2, 1],
        np.array([1, 2]),
        np.array(["nan", "None"]),
        [],
        iter("ab"),
    ],
)
def test_other_names_are_taken(names: Iterable[object]) -> None:
    check_names("f", names=names)


def test_a_name_twice_is_refused_where_names_are_unique() -> None:
    with pytest.raises(ValueError, match=r"^f: ids must be unique, got twice: a$"):
        check_unique_names("f", ids=["a", "b", "a"])
