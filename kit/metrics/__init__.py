"""How good features are, and whether a difference is one: retrieval, classes, paired intervals."""

from kit.metrics.classification import evaluate_classification as evaluate_classification
from kit.metrics.intervals import Interval as Interval
from kit.metrics.intervals import interval_over_queries as interval_over_queries
from kit.metrics.intervals import interval_over_seeds as interval_over_seeds
from kit.metrics.neighbours import evaluate_knn as evaluate_knn
from kit.metrics.neighbours import same_class_cosine as same_class_cosine
from kit.metrics.retrieval import evaluate_cross_modal as evaluate_cross_modal
from kit.metrics.retrieval import evaluate_retrieval as evaluate_retrieval
