"""Texts of known length, counted by tiktoken."""

from __future__ import annotations

import pytest

from profiler.measure.tokens import _SOURCES, TokenCounter
from profiler.workload.words import ENCODINGS, WORDS, words


def test_there_are_as_many_words_as_a_byte_has_values_and_all_encodings_are_shipped() -> None:
    assert len(set(WORDS)) == 256
    assert set(ENCODINGS) == set(_SOURCES)


@pytest.mark.parametrize("encoding", sorted(_SOURCES))
def test_every_word_is_one_token_after_every_other(encoding: str) -> None:
    count = TokenCounter(encoding).count_text
    for first in WORDS:
        assert count(first) == 1
        text = " ".join(f"{first} {second}" for second in WORDS)
        assert count(text) == 2 * 256, first


@pytest.mark.parametrize("encoding", sorted(_SOURCES))
def test_a_text_has_exactly_the_tokens_that_were_asked_for(encoding: str) -> None:
    count = TokenCounter(encoding).count_text
    for tokens in (*range(1, 300), 511, 512, 513, 4096, 123_192):
        assert count(words(f"sweep/{tokens}", tokens)) == tokens


def test_a_shorter_text_of_the_same_name_begins_the_same_and_another_name_does_not() -> None:
    long = words("a", 100)
    assert long.startswith(words("a", 40) + " ")
    assert words("b", 40) != words("a", 40)
    assert words("a", 0) == ""
