"""Corpora: a layout on disk becomes a `Corpus` of captioned images or a `ClipCorpus`."""
