"""What data is: `Corpus` and `PairBatch` of images and captions, `ClipCorpus` and `ClipBatch`.

``pairs`` and ``images`` for the first; ``clips``, ``splits``, ``clip_batches`` and ``log_mel`` for
the second; ``epochs`` loads both.
"""
