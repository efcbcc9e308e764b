"""ITMeetsAL: integrating information theory and adversarial learning for cross-modal retrieval.

`losses` holds Equations 1-14 in the paper's order, `networks` the parts of Figure 4 and Figure 7,
`method` the numbers of the paper and Algorithm 1.
"""
