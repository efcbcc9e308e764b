"""Data: every source becomes a `Corpus` of captioned images or a `ClipCorpus`, each step a batch.

``pairs`` says what a corpus of images and sentences is, ``clips`` what one of things seen, heard
and told is. ``flickr8k``, ``scenes``, ``huggingface`` read the first; ``clip_folder``,
``clip_dataset``, ``sounding_actions``, ``dialogues``, ``shared_bits`` the second; ``images``,
``features``, ``vocabulary``, ``log_mel`` and ``clip_input`` make of it what a network takes.
"""
