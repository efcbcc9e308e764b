"""Encoders: a modality in, a feature vector out (``image``, ``text``); ``weights`` loads a file."""
