"""AMID (Chen et al., CVPR 2023): cross-modal knowledge distillation.

Read `losses` with the paper at hand: Equations 4, 7-9 and 11-16 in its order. `method` takes the
turns (Equation 17), `config` has the numbers and the rows of the ablations. In `kit.distillation`,
`single` trains one model by itself, `run` keeps what came out, `study` trains a table.
"""
