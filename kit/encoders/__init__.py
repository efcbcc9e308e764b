"""Encoders: a modality in, a feature vector out.

``image`` and ``text`` are ITMeetsAL's, ``video``, ``audio`` and ``sequence`` AMID's; ``weights``
loads a file, ``transform`` says what a picture must become. Encoders know no data set.
"""

NEGATIVE_SLOPE = 0.01  # of AMID's LeakyReLUs: torch's own, the paper names none
