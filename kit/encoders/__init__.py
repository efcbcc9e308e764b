"""Encoders: a modality in, a feature vector out.

``image`` and ``text`` are ITMeetsAL's, ``video``, ``audio`` and ``sequence`` AMID's; ``weights``
loads a file, ``pretraining`` makes one for the small image network.
"""

NEGATIVE_SLOPE = 0.01  # of AMID's LeakyReLUs: torch's own, the paper names none
