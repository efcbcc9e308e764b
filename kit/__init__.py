"""Crossmodal Kit: two papers on cross-modal learning, whole and side by side.

A paper owns its equations: `kit.itmeetsal` (Chen et al. 2021, image-text retrieval) has its losses
in the paper's order, its networks, and its Algorithm 1. What any paper needs are shared rooms:
`data` (corpora, the embedded world *Scenes*, batches), `encoders` (a modality in, a feature out),
`training` (alternating turns), `runs` (the folder a run leaves behind and resumes from), `metrics`
(retrieval), `figures` (every picture, from plain arrays), `published` (the papers' own tables),
`reports` (notebooks to pages), and three small ones that losses and files share: `checks`,
`information`, `files`. Shared rooms know no paper.

Nothing is imported here: `import kit` takes no time, and each room is asked for by its name.
"""
