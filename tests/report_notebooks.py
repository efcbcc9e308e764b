"""Tiny notebooks for the report's tests, made of cells as text."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

PARAMETERS = "seed = 0\nout = ''"

EVERYTHING = r"""# Everything a page must show

Inline $\alpha_i = \min_j x_{ij}$, code `price $5 and $6`, and a formula of its own:

$$\mathcal{L}_{kl} = \sum_{i=1}^{B} p_i \log \frac{p_i}{q_i + \epsilon}$$

\begin{align} a &= b \\ c &= d \end{align}

[the next one](itmeetsal/02_second.ipynb), [one that is not here](amid/04_train.ipynb),
[the paper](https://example.org/paper)

<details><summary>Answer</summary>

It is $\ln 2$.

</details>
"""
FIGURE = """import plotly.graph_objects as go

go.Figure(go.Scatter(y=[1, 3, 2, seed], name="loss"), layout={"title": {"text": "A figure"}})"""
WIDGET = """import ipywidgets

ipywidgets.IntSlider(value=3)"""
FORMULA_OUTPUT = """from IPython.display import Latex

Latex(r"$\\beta^2$")"""
RESULT = """import json
import os
import sys
from pathlib import Path

print("interpreter", sys.executable)
print("threads", os.environ["OMP_NUM_THREADS"])
print("shared", os.environ["KIT_SHARED"])
found = {"seed": seed, "image_to_text": {"R@1": 27.0512, "UA": [float("nan")]}}
Path(out, "result.json").write_text(json.dumps(found))"""
# Fails until a file called `mended` lies beside its folder in the report.
FAILING = """from pathlib import Path

if not Path(out).parents[1].joinpath("mended").exists():
    raise RuntimeError("the <data> is not here")
print("went through")"""


def write_notebook(
    path: Path, *code: str, heading: str = "# A notebook", parameters: str = PARAMETERS
) -> Path:
    """Write a notebook of one markdown cell, the parameters cell and code cells."""
    cells = [
        new_markdown_cell(heading, id="heading"),
        new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]}),
        *(new_code_cell(source, id=f"code-{number}") for number, source in enumerate(code)),
    ]
    # A kernel of another machine: the report must not ask for it.
    metadata = {"kernelspec": {"name": "elsewhere", "display_name": "x", "language": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path
