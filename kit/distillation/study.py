"""Several configurations on one corpus: what a table of the paper needs."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from kit.data.clips import ClipCorpus
from kit.distillation.config import TrainingConfig
from kit.distillation.inputs import ClipInput
from kit.distillation.run import Inputs, train
from kit.distillation.single import AuxiliaryAlone, TeacherAlone
from kit.processes import side_by_side


def pretrain_auxiliary(
    corpus: ClipCorpus, config: TrainingConfig, out: Path | str, *, auxiliary: Inputs, **how: Any
) -> dict[str, ClipInput]:
    """Let each auxiliary modality learn the classes by itself, and fix its extractor.

    The paper's auxiliary extractors come from large collections and are fixed. Where there is no
    such thing, the training split alone plays its part. Modalities that are frozen already, that
    have weights, or that are extracted vectors stay as they are.

    Args:
        corpus: its training split is learnt.
        config: the numbers; which models it trains does not matter here.
        out: folder of the runs, one a modality; finished ones are read.
        auxiliary: how each modality enters.
        how: seed, device, precision, workers of `kit.distillation.run.train`.

    Returns:
        The same modalities: what was trained here is frozen, the others are as they were.

    """
    frozen: dict[str, ClipInput] = {}
    trainings = []
    alone = replace(AuxiliaryAlone.like(config), selection="last")
    for name, settings in auxiliary.items():
        if settings.frozen or settings.weights is not None or settings.encoder == "identity":
            frozen[name] = settings
            continue
        folder, inputs = Path(out) / f"auxiliary_{_slug(name)}", {name: settings}
        trainings.append(partial(train, corpus, alone, folder, target={}, auxiliary=inputs, **how))
        weights = str(folder / "extractors" / f"{name}.safetensors")
        frozen[name] = replace(settings, weights=weights, frozen=True)
    side_by_side(trainings)
    return frozen


def train_configurations(
    corpus: ClipCorpus,
    configurations: Mapping[str, TrainingConfig],
    out: Path | str,
    *,
    target: Inputs,
    auxiliary: Inputs,
    **how: Any,
) -> dict[str, Path]:
    """Train each configuration in a folder of its own; finished ones are read.

    Args:
        corpus: clips in three splits.
        configurations: by name, such as `kit.amid.config.ablations` gives; what has a fixed
            teacher takes the configuration that trains the teacher alone.
        out: folder of the runs.
        target: how each target modality enters.
        auxiliary: how each auxiliary modality enters; a student alone gets none.
        how: seed, device, precision, workers of `kit.distillation.run.train`.

    Returns:
        name -> run folder, in the order of `configurations`.

    Raises:
        ValueError: two names that differ in signs only; a fixed teacher without exactly one
            configuration that trains one.

    """
    folders = {name: Path(out) / _slug(name) for name in configurations}
    if len(set(folders.values())) < len(folders):
        raise ValueError(
            "train_configurations: expected names that differ in letters or figures, "
            f"got {', '.join(configurations)}"
        )
    teachers = [n for n, config in configurations.items() if isinstance(config, TeacherAlone)]
    orphans = [n for n, config in configurations.items() if "frozen_teacher" in config.reads]
    if orphans and len(teachers) != 1:
        raise ValueError(
            f"train_configurations: {', '.join(orphans)}: expected one configuration that trains "
            f"the teacher alone, got {', '.join(teachers) or 'none'}"
        )
    given: dict[str, Any] = {"target": target, "auxiliary": auxiliary}
    trainings = {}
    for name, config in configurations.items():
        inputs = {role: given[role] if role in config.reads else {} for role in given}
        if name in orphans:
            inputs["teacher_run"] = folders[teachers[0]]
        trainings[name] = partial(train, corpus, config, folders[name], **inputs, **how)
    side_by_side([trainings[name] for name in trainings if name not in orphans])
    side_by_side([trainings[name] for name in orphans])  # their teacher is trained by now
    return folders


def _slug(name: str) -> str:
    """A name as a folder's: letters and figures."""
    return re.sub(r"\W+", "_", name).strip("_")
