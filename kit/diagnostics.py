"""Looking at a training: a bar while it runs, and a map of who moves by what."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from kit.arguments import checked
from kit.training import Epoch, Features, Method, Record, device_of, gradient_norm


@checked
def with_progress(records: Iterable[Record], *, epochs: int, watch: str) -> Iterator[Record]:
    """Pass records on while a bar shows the epoch, the step in it and the last epoch's score.

    Args:
        records: what `fit` yields.
        epochs: how many there will be in all.
        watch: the name of the score.

    """
    from tqdm import tqdm

    score = ""
    # Not stderr, which a notebook shows as if something were wrong.
    with tqdm(total=epochs, unit="epoch", miniters=0, file=sys.stdout) as bar:
        for record in records:
            bar.n = record.progress.epoch
            if isinstance(record, Epoch):
                score = f", {watch} {record.scores[watch]:.1f}"
                bar.set_postfix_str(score.removeprefix(", "))
            else:
                bar.set_postfix_str(f"step {record.progress.step}{score}", refresh=False)
            bar.update(0)
            yield record


@checked
def gradient_map(
    method: Method[Features, Any], batch: Any, *, epoch: int = 0
) -> dict[str, dict[str, float]]:
    """Who moves by what: the gradient that each term of each turn gives each network.

    No parameter moves, and none has a gradient afterwards that it had not before; dropout draws and
    batch norm counts as in a step of training. A network that a turn's optimizer does not hold gets
    none of its gradient, whatever the term's graph passes through.

    Args:
        method: on the device where its networks are.
        batch: one of its batches.
        epoch: whose turns.

    Returns:
        term -> network -> Euclidean norm of the gradient over the network's parameters; 0 where
        nothing arrives.

    """
    device = device_of(method.networks)
    batch = batch.to(device)
    features = method.encode(batch)
    norms: dict[str, dict[str, float]] = {}
    for turn in method.turns(epoch):
        held = {id(parameter) for parameter in turn.parameters}
        for term, value in turn.terms(features, batch).items():
            norms[term] = {}
            for name, network in method.networks.items():
                moved = [p for p in network.parameters() if id(p) in held]
                norm = gradient_norm(value, moved) if moved and value.requires_grad else None
                norms[term][name] = 0.0 if norm is None else float(norm)
    return norms
