"""Every picture, drawn from plain arrays and records; no figure knows a model or a network.

Each function returns a plotly figure whose controls work without a kernel, or a piece of HTML that
is whole by itself, so a report shows the same as a notebook.
"""

from kit.figures.embedding import embedding_map
from kit.figures.gallery import captioned_pictures, retrieval_gallery
from kit.figures.look import Html, use_in_notebooks
from kit.figures.precision_recall import precision_recall_curves
from kit.figures.projection import project, project_epochs
from kit.figures.results import ResultRow, results_table
from kit.figures.training import training_curves

__all__ = [
    "Html",
    "ResultRow",
    "captioned_pictures",
    "embedding_map",
    "precision_recall_curves",
    "project",
    "project_epochs",
    "results_table",
    "retrieval_gallery",
    "training_curves",
]

# The one place where plotly's settings are changed: every notebook that draws imports this room.
use_in_notebooks()
