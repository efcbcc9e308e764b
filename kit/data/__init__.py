"""What data is: `Corpus` and `PairBatch` of images and captions, `ClipCorpus` and `ClipBatch`.

``pairs``, ``vocabulary`` and ``images`` for the first; ``clips``, ``ragged``, ``splits``,
``crops``, ``clip_batches`` and ``log_mel`` for the second.
"""
