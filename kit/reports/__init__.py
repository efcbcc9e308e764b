"""Notebooks to a static site that opens offline: what `kit report` does, for scripts too.

`plan_report` reads the notebooks and refuses what cannot work before anything runs; `make_report`
runs them, in parallel, and writes pages, executed notebooks and a summary. Nothing here knows a
paper.
"""

from kit.reports.notebooks import find_notebooks, new_folder, read_mapping
from kit.reports.report import Report, make_report, plan_report

__all__ = ["Report", "find_notebooks", "make_report", "new_folder", "plan_report", "read_mapping"]
