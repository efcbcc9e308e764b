"""What the exercise cells of the notebooks are told: a function goes in, plain sentences come out.

A check runs the learner's function on inputs that can be worked out by hand, the smallest first,
and says at which one it goes wrong, what came out and which property that breaks. It never raises,
whatever the function does, and it never shows how to write it. All numbers are float64.
"""

from kit.lessons.exercises.amid import (
    check_accuracy_by_class,
    check_mutual_information,
    check_pair_probabilities,
    check_same_class_cosine,
)
from kit.lessons.exercises.amid_training import check_adversarial_loss, check_warm_up_loss
from kit.lessons.exercises.itmeetsal import (
    check_discriminator_loss,
    check_hardest_negative,
    check_projection_lengths,
    check_softened_divergence,
    check_two_class_entropy,
    check_verdict,
)

__all__ = [
    "check_accuracy_by_class",
    "check_adversarial_loss",
    "check_discriminator_loss",
    "check_hardest_negative",
    "check_mutual_information",
    "check_pair_probabilities",
    "check_projection_lengths",
    "check_same_class_cosine",
    "check_softened_divergence",
    "check_two_class_entropy",
    "check_verdict",
    "check_warm_up_loss",
]
