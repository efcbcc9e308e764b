"""Data: every source becomes a `Corpus` of captioned images, every training step a `PairBatch`.

``pairs`` says what a corpus, a split and a batch are; ``flickr8k``, ``scenes`` and ``huggingface``
read one; ``images`` and ``features`` turn its pictures into what a network takes, ``vocabulary``
its sentences.
"""
