"""Every picture, drawn from plain arrays and records; no figure knows a model or a network.

Each function returns a plotly figure whose controls work without a kernel, or a piece of HTML that
is whole by itself, so a report shows the same as a notebook.
"""

from kit.figures.classes import class_bars, confusion_matrices
from kit.figures.clips import clip_strip
from kit.figures.clouds import discriminated_clouds
from kit.figures.curves import curves
from kit.figures.diagrams import adversary_diagram, distillation_diagram
from kit.figures.distillation import adversary_curves, gap_curves
from kit.figures.embedding import embedding_map, embedding_maps
from kit.figures.gallery import captioned_pictures, retrieval_gallery
from kit.figures.information import information_bars
from kit.figures.look import Html, use_in_notebooks
from kit.figures.matrices import matrices
from kit.figures.precision_recall import precision_recall_curves
from kit.figures.projection import project, project_epochs
from kit.figures.tables import Claim, ResultRow, claims_table, results_table
from kit.figures.training import training_curves

__all__ = [
    "Claim",
    "Html",
    "ResultRow",
    "adversary_curves",
    "adversary_diagram",
    "captioned_pictures",
    "claims_table",
    "class_bars",
    "clip_strip",
    "confusion_matrices",
    "curves",
    "discriminated_clouds",
    "distillation_diagram",
    "embedding_map",
    "embedding_maps",
    "gap_curves",
    "information_bars",
    "matrices",
    "precision_recall_curves",
    "project",
    "project_epochs",
    "results_table",
    "retrieval_gallery",
    "training_curves",
]

# The one place where plotly's settings are changed: every notebook that draws imports this room.
use_in_notebooks()
