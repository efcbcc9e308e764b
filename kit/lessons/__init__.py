"""What the notebooks teach with: checks of a learner's functions, the papers' tables."""
