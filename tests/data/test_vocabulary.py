"""Words to numbers, as the paper's predecessors count them."""

from __future__ import annotations

import string

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.data.vocabulary import MAX_TOKENS, PAD, START, UNKNOWN, Vocabulary, pad, words

CAPTIONS = ["A dog, a ball."] * 2 + ["The dog!", "the cat's ball"]


def test_words_are_lower_case_without_punctuation_cut_at_white_space() -> None:
    assert words("A man's T-shirt\t(red)  is\nnew.") == ["a", "mans", "tshirt", "red", "is", "new"]
    assert words(string.punctuation) == []


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
    with pytest.raises(ValueError, match=r"Vocabulary\.of: no word occurs at least min_count=3 ti"):
        Vocabulary.of(["one", "two two"])


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_every_caption_has_ids_of_the_vocabulary(caption: str) -> None:
    vocabulary = Vocabulary.of(CAPTIONS, min_count=1)
    encoded = vocabulary.encode(caption)
    assert encoded[0] == START
    assert len(encoded) >= 2
    assert all(UNKNOWN <= index < len(vocabulary) and index != START for index in encoded[1:])


def test_padding() -> None:
    tokens, lengths = pad([[2, 3, 4], [2], [2, 5]])
    assert tokens.tolist() == [[2, 3, 4], [2, PAD, PAD], [2, 5, PAD]]
    assert lengths.tolist() == [3, 1, 2]
    assert tokens.dtype == lengths.dtype == torch.int64
