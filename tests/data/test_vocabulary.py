"""Words to numbers, as the paper's predecessors count them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from padding import pad

from kit.data.pairs import MAX_TOKENS, START, UNKNOWN, Vocabulary
from kit.data.text import words
from kit.encoders.sequence import PAD

CAPTIONS = ["A dog, a ball."] * 2 + ["The dog!", "the cat's ball"]


def test_ids_follow_falling_count_then_the_alphabet() -> None:
    vocabulary = Vocabulary.of(CAPTIONS, min_count=2)
    assert vocabulary.words == ("a", "ball", "dog", "the")  # 4, 3, 3 and 2 times
    assert (PAD, UNKNOWN, START) == (0, 1, 2)
    assert vocabulary.ids == {"a": 3, "ball": 4, "dog": 5, "the": 6}
    assert len(vocabulary) == 7


def test_three_is_the_least_count() -> None:
    assert Vocabulary.of(CAPTIONS).words == ("a", "ball", "dog")


def test_captions_begin_with_start_and_unknown_words_are_one() -> None:
    vocabulary = Vocabulary.of(CAPTIONS, min_count=2)
    assert vocabulary.encode("The DOG saw a cat.") == [START, 6, 5, UNKNOWN, 3, UNKNOWN]


@pytest.mark.parametrize("caption", ["", "   ", "...", "?!"])
def test_a_caption_without_words_is_one_unknown(caption: str) -> None:
    assert Vocabulary(("dog",)).encode(caption) == [START, UNKNOWN]


def test_long_captions_are_cut() -> None:
    encoded = Vocabulary(("dog",)).encode("dog " * 300)
    assert len(encoded) == MAX_TOKENS == 100
    assert encoded == [START] + [3] * 99


def test_no_frequent_word_is_refused() -> None:
    message = r"^Vocabulary\.of: expected words that occur min_count=3 times, got 2 rarer ones; a "
    with pytest.raises(ValueError, match=message):
        Vocabulary.of(["one", "two two"])


def test_a_tiny_corpus_is_told_which_parameter_to_lower() -> None:
    with pytest.raises(ValueError, match=r"min_count \(a configuration's min_word_count\)$"):
        Vocabulary.of(["a dog", "the cat"])


@pytest.mark.parametrize("least", [0, -1, 1.5, None])
def test_what_is_no_count_is_refused(least: Any) -> None:
    message = r"^Vocabulary\.of: min_count must be a whole number of at least 1, got"
    with pytest.raises(ValueError, match=message):
        Vocabulary.of(CAPTIONS, min_count=least)


def test_a_word_stands_once() -> None:
    with pytest.raises(ValueError, match=r"^Vocabulary: words must be unique, got twice: dog$"):
        Vocabulary(("dog", "a", "dog"))


def test_one_text_is_no_list_of_words_or_captions() -> None:
    with pytest.raises(ValueError, match=r"^Vocabulary: expected several words in a list, got one"):
        Vocabulary("dog")  # type: ignore[arg-type]
    for name in ("of", "tokens"):
        message = rf"^Vocabulary\.{name}: expected several captions in a list, got one text: 'a red"
        with pytest.raises(ValueError, match=message):
            getattr(Vocabulary(("dog",)), name)("a red thing")


@pytest.mark.parametrize("caption", ["两个孩子在海边玩沙子。", "['a dog', 'a cat']", None, 3])
def test_captions_that_are_no_sentences_are_refused(caption: Any) -> None:
    for name in ("of", "tokens"):
        message = rf"^Vocabulary\.{name}: expected sentences as text, got 1 others: "
        with pytest.raises(ValueError, match=message):
            getattr(Vocabulary(("dog",)), name)([*CAPTIONS, caption])


def test_characters_between_blanks_are_words() -> None:
    captions = [" ".join("一只狗在跑。"), " ".join("一只猫在跑。")]
    assert set(Vocabulary.of(captions, min_count=2).words) == set("一只在跑")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("ab ,", max_size=12), max_size=12), st.integers(1, 3))
def test_each_known_word_is_frequent_and_in_its_place(captions: list[str], least: int) -> None:
    captions = [*captions, "c c c"]
    counts = Counter(word for caption in captions for word in words(caption))
    known = Vocabulary.of(captions, min_count=least).words
    assert set(known) == {word for word, count in counts.items() if count >= least}
    for word, after in pairwise(known):
        assert counts[word] > counts[after] or (counts[word] == counts[after] and word < after)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_every_caption_has_ids_of_the_vocabulary(caption: str) -> None:
    vocabulary = Vocabulary.of(CAPTIONS, min_count=1)
    encoded = vocabulary.encode(caption)
    assert encoded[0] == START
    assert len(encoded) == 1 + max(1, len(words(caption)))
    assert all(UNKNOWN <= index < len(vocabulary) and index != START for index in encoded[1:])


def test_padding() -> None:
    tokens, lengths = pad([[2, 3, 4], [2], [2, 5]])
    assert tokens.tolist() == [[2, 3, 4], [2, PAD, PAD], [2, 5, PAD]]
    assert lengths.tolist() == [3, 1, 2]
    assert tokens.dtype == lengths.dtype == torch.int64


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=7), min_size=1, max_size=5))
def test_padding_loses_nothing_and_adds_no_more_than_it_must(sequences: list[list[int]]) -> None:
    tokens, lengths = pad(sequences)
    assert tokens.shape == (len(sequences), max(map(len, sequences)))
    for row, length, sequence in zip(tokens, lengths, sequences, strict=True):
        assert row[:length].tolist() == sequence
        assert (row[length:] == PAD).all()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("ab ,", max_size=12), min_size=1, max_size=9), st.data())
def test_tokens_are_one_flat_array(captions: list[str], data: st.DataObject) -> None:
    vocabulary = Vocabulary(("a", "ab", "b"))
    tokens, sequences = vocabulary.tokens(iter(captions)), [*map(vocabulary.encode, captions)]
    assert [part.tolist() for part in tokens] == sequences
    assert tokens.lengths.tolist() == [*map(len, sequences)]
    rows = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1))
    padded, lengths = tokens.padded(np.array(rows))
    expected, expected_lengths = pad([sequences[row] for row in rows])
    assert torch.equal(padded, expected)
    assert torch.equal(lengths, expected_lengths)


def test_tokens_take_less_than_60_bytes_a_caption() -> None:
    captions = [f"a dog and another one run over grass {number % 9}" for number in range(10_000)]
    tokens = Vocabulary.of(captions).tokens(captions)
    assert tokens.values.nbytes + 2 * tokens.lengths.nbytes < 40 * len(captions)


@pytest.mark.parametrize(("words", "size"), [(65_533, 2), (65_534, 4)])
def test_ids_beyond_two_bytes_take_four(words: int, size: int) -> None:
    vocabulary = Vocabulary(tuple(f"w{word}" for word in range(words)))
    tokens = vocabulary.tokens([f"w{words - 1}"])
    assert tokens.values.dtype.itemsize == size
    assert tokens[0].tolist() == [START, len(vocabulary) - 1]


def test_no_caption_has_no_tokens() -> None:
    assert len(Vocabulary(("dog",)).tokens([])) == 0
