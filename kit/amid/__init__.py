"""AMID (Chen et al., CVPR 2023): cross-modal knowledge distillation.

Read `losses` with the paper at hand: Equations 4, 7-9, 11-13, 15 and 16 in its order; `weights` has
Equation 14. `method` takes the turns (Equation 17), `config` has the numbers and the rows of the
ablations, `alone` trains one model by itself, `run` keeps what came out, `study` trains a table.
"""
