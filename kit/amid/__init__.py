"""AMID (Chen et al., CVPR 2023): cross-modal knowledge distillation.

Read `losses` with the paper at hand: Equations 4, 7-9, 11-13, 15 and 16 in its order.
"""
