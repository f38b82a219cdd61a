"""Learn a tokenizer of bytes: BPE, Unigram or WordPiece. Any text comes back unchanged from its ids."""

from __future__ import annotations

import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from corpuskit.tokens.bpe import END_OF_TEXT, LLAMA3

MODELS = ("bpe", "unigram", "wordpiece")
#: Where words end, by the regular expressions of GPT-2 and Llama 3.
PATTERNS = ("gpt2", "llama3")
#: Entries that any vocabulary has: the bytes, for WordPiece also inside words, and the mark.
ALPHABET = {"bpe": 256, "unigram": 256, "wordpiece": 512}

# A pair seen once teaches nothing.
_MIN_PAIR_COUNT = 2
# Trainers scan a word for every merge of a pair in it: one word of 1 MB of random letters took 392 s.
_LONGEST_WORD_CHARS = 512
_LONG_WORD = re.compile(r"([^\W\d_]{512}|\d{512}|(?:[^\w \t-\r]|_){512}|\s{512})")
# WordPiece looks for every piece from every place of a word: time grows with the square of its length.
_LONG_RUN = r"\S{128}|\s{128}"
_INSIDE = "##"
_UNKNOWN = "[UNK]"  # the model wants the name of one; every byte has an entry, so no text gets it


def learn(
    texts: Iterable[str],
    vocab_size: int,
    model: str = "bpe",
    pattern: str = "gpt2",
    special_tokens: Sequence[str] = (),
) -> Any:
    """Learn a tokenizer; give the `tokenizers.Tokenizer`.

    Ids: 0 is `<|endoftext|>`, then the special tokens, then the bytes, then what was learnt (Unigram: by likelihood),
    at most `vocab_size` in all. Depends on the texts alone: not on their order, nor on threads. Runs of more than 512
    letters, digits or others count as several words. BPE: Sennrich et al. 2016, Radford et al. 2019; Unigram: Kudo
    2018, by sentencepiece, since the trainer of `tokenizers` gives another result each time; WordPiece: pairs merged
    by count, longest match first.
    """
    words = chain.from_iterable(map(_without_long_words, texts))
    specials = [END_OF_TEXT, *special_tokens]
    if model == "unigram":
        return _unigram(words, vocab_size, pattern, specials)
    if model == "wordpiece":
        return _wordpiece(words, vocab_size, pattern, specials)
    return _bpe(words, vocab_size, pattern, specials)


def _bpe(texts: Iterator[str], vocab_size: int, pattern: str, specials: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _words(pattern)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=_MIN_PAIR_COUNT,
        special_tokens=specials,
        initial_alphabet=_alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _unigram(texts: Iterator[str], vocab_size: int, pattern: str, specials: list[str]) -> Any:
    import sentencepiece
    from tokenizers import AddedToken, Tokenizer, decoders, models

    words, counts = _words(pattern), Counter(_alphabet())  # a byte that no word has would have no entry
    for text in texts:
        counts.update(word for word, _ in words.pre_tokenize_str(text))
    found = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="corpuskit-") as folder:
        file = Path(folder) / "words.tsv"
        lines = (f"{word}\t{count}\n" for word, count in sorted(counts.items()))
        with file.open("w", encoding="utf-8") as out:
            out.writelines(lines)
        sentencepiece.SentencePieceTrainer.train(
            input=str(file), input_format="tsv", model_writer=found, model_type="unigram",
            vocab_size=vocab_size - len(specials) + 1, hard_vocab_limit=False,
            num_threads=1,  # how sums are parted among threads shows in their last digits
            required_chars="".join(_alphabet()), character_coverage=1.0,
            normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
            split_by_whitespace=False, split_by_unicode_script=False, split_by_number=False,
            max_sentence_length=1 << 20, unk_id=0, bos_id=-1, eos_id=-1, pad_id=-1, minloglevel=2,
        )  # fmt: skip
    learnt = sentencepiece.SentencePieceProcessor(model_proto=found.getvalue())
    pieces = [(learnt.id_to_piece(at), learnt.get_score(at)) for at in range(1, learnt.vocab_size())]
    tokenizer = Tokenizer(models.Unigram([*((name, 0.0) for name in specials), *pieces], None, False))
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in specials])
    return tokenizer


def _wordpiece(texts: Iterator[str], vocab_size: int, pattern: str, specials: list[str]) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    # `#` is a word of its own, so that what begins with `##` is the inside of a word and nothing else.
    words = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("#", "isolated"),
            pre_tokenizers.Split(Regex(_LONG_RUN), "isolated"),
            _words(pattern),
        ]
    )
    learning = Tokenizer(models.WordPiece(unk_token=_UNKNOWN, continuing_subword_prefix=_INSIDE))
    learning.pre_tokenizer = words
    # Named first, the bytes inside words have ids that do not depend on which word comes first.
    first = [*specials, _UNKNOWN, *_alphabet(), *(_INSIDE + byte for byte in _alphabet())]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=_MIN_PAIR_COUNT,
        special_tokens=first,
        show_progress=False,
        continuing_subword_prefix=_INSIDE,
    )
    learning.train_from_iterator(texts, trainer)
    vocabulary = learning.get_vocab()
    tokenizer = Tokenizer(
        models.WordPiece(
            vocabulary, unk_token=_UNKNOWN, continuing_subword_prefix=_INSIDE, max_input_chars_per_word=1 << 30
        )
    )
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = decoders.Sequence([decoders.Replace(Regex("^##"), ""), decoders.ByteLevel()])
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in [*specials, _UNKNOWN]])
    return tokenizer


def _words(pattern: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    if pattern == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _alphabet() -> list[str]:
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def _without_long_words(text: str) -> list[str]:
    return list(filter(None, _LONG_WORD.split(text))) if _has_long_run(text) else [text]


def _has_long_run(text: str) -> bool:
    """Tell in one fast pass whether `_LONG_WORD` might match: a long run with or without white space."""
    data = np.frombuffer(text.encode(), np.uint8)
    space = (data == 32) | ((data >= 9) & (data <= 13))
    changes = np.flatnonzero(space[1:] != space[:-1]) + 1
    runs = np.diff(changes, prepend=0, append=len(space))
    return bool(runs.max() >= _LONGEST_WORD_CHARS)
