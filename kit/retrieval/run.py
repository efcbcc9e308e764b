"""A training run of ITMeetsAL: what it takes in, what it leaves behind, and how it is used again.

for record in train(corpus, config, "runs/first"):
    ...
retriever = kit.runs.load("runs/first")
retriever.encode_texts(["a red ball on grass"])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from kit.data.pairs import CaptionedImages, Corpus, PairLoader, TrainingPairs
from kit.data.vocabulary import Vocabulary, pad
from kit.files import atomic, read_json, write_json
from kit.itmeetsal.method import Config, ITMeetsAL
from kit.metrics.retrieval import CrossModalScores, evaluate_cross_modal
from kit.retrieval.images import ImageInput, ImageSource
from kit.runs import (
    code_version,
    environment,
    open_run,
    read_history,
    read_map_frames,
    seed_everything,
)
from kit.training import Epoch, Record, evaluating, fit

MAP_PAIRS = 40  # Figure 6: pairs of the test split whose features are kept of each epoch
SELECTION = "R@1 sum"  # validation R@1 of both directions together chooses the epoch


def train(
    corpus: Corpus,
    config: Config,
    out: Path | str,
    *,
    images: ImageInput | None = None,
    seed: int = 0,
    device: str = "cpu",
    precision: str = "float32",
    workers: int = 0,
) -> Iterator[Record]:
    """Train, keep the run in folder `out`, and score the best epoch on the test split at the end.

    A run that was stopped goes on where it was; a finished one yields nothing and is read instead.

    Args:
        corpus: its training split is learnt, its validation split chooses the epoch.
        config: the method's numbers.
        out: the run folder.
        images: how images enter; a small network trained from scratch if not given.
        seed: of everything that is drawn.
        device: ``"cpu"``, ``"cuda"``, ...
        precision: ``"float32"`` or ``"bfloat16"`` (encoders under autocast, losses in float32).
        workers: loader processes, for images that are opened from disk.

    Yields:
        The records of `kit.training.fit`.

    Raises:
        ValueError: `out` holds another run (the difference is named), and whatever the readers
            refuse.
        FloatingPointError: a term that is not finite.

    """
    images = images or ImageInput()
    asked = {
        "restored_by": __name__,
        "config": asdict(config),
        "images": images.facts(corpus),
        "corpus": {"name": corpus.name, "counts": corpus.counts, "hash": corpus.fingerprint()},
        "seed": seed,
        "precision": precision,
        "code": code_version("itmeetsal"),
    }
    with open_run(out, asked) as run:
        if run.finished:
            return
        seed_everything(seed)
        vocabulary = Vocabulary.of(corpus.train.captions, min_count=config.min_word_count)
        source = ImageSource(images, run.folder)
        pairs = TrainingPairs(corpus.train, source.pictures(corpus.train), vocabulary, seed=seed)
        method = ITMeetsAL(
            config,
            image_backbone=source.trained,
            image_feature_dim=source.feature_dim(pairs.pictures),
            vocabulary_size=len(vocabulary),
            classes=pairs.classes,
        )
        method.networks.to(device)
        retriever = Retriever(method, vocabulary, source, run.folder)
        _keep_for_later(retriever, corpus)

        start = run.resume(method)
        records = fit(
            method,
            PairLoader(pairs, config.batch_size, workers=workers),
            epochs=config.epochs,
            start=start,
            evaluate=lambda: scores_by_name(retriever.evaluate(corpus.validation)),
            precision=precision,
        )
        keep_map = partial(_keep_map, retriever, corpus.test)
        yield from run.keep(method, records, better=SELECTION, at_epoch=keep_map)

        method.networks.load_state_dict(load_file(run.folder / "best.safetensors"))
        history = read_history(run.folder)
        run.finish(
            {
                "test": scores_by_name(retriever.evaluate(corpus.test)),
                "best": read_json(run.folder / "best.json"),
                "epochs": len(history),
                "minutes": sum(epoch["seconds"] for epoch in history) / 60,
                "alarms": [f"epoch {e['epoch']}: {a}" for e in history for a in e["alarms"]],
            }
        )


@dataclass(frozen=True)
class Retriever:
    """A trained ITMeetsAL: pictures and sentences to rows of the shared space."""

    method: ITMeetsAL
    vocabulary: Vocabulary
    source: ImageSource
    folder: Path

    def encode_images(self, pictures: Sequence[Path | str | Image.Image]) -> Tensor:
        """Encode pictures, given as paths or opened.

        Returns:
            (pictures, dim) float32 on the CPU, of any norm.

        Raises:
            ValueError: no picture; the run was trained on features from a file, so that none can be
                encoded.

        """
        if len(pictures) == 0:
            raise ValueError("encode_images: expected at least one picture, got none")
        opened = [p if isinstance(p, Image.Image) else Image.open(p) for p in pictures]
        return self.encode_features(self.source.of_pictures(opened))

    def encode_features(self, features: Tensor) -> Tensor:
        """Encode what the trained networks take: pixels, or a frozen backbone's features."""
        networks = self.method.networks
        device = next(networks.parameters()).device
        with evaluating(networks):
            parts = [self.method.encode_images(p.to(device)) for p in features.split(256)]
        return torch.cat(parts).float().cpu()

    def encode_texts(self, sentences: Sequence[str]) -> Tensor:
        """Encode sentences: (sentences, dim) float32 on the CPU, of any norm."""
        tokens = [self.vocabulary.encode(sentence) for sentence in sentences]
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        networks = self.method.networks
        device = next(networks.parameters()).device
        features = torch.empty(len(tokens), self.method.config.dim)
        with evaluating(networks):
            for at in range(0, len(order), 256):
                rows = order[at : at + 256]
                padded, lengths = pad([tokens[row] for row in rows])
                features[rows] = self.method.encode_texts(padded.to(device), lengths).float().cpu()
        return features

    def encode_split(self, split: CaptionedImages) -> tuple[Tensor, Tensor]:
        """Each image of a split once, each caption once: (images, dim) and (captions, dim)."""
        pictures = self.source.pictures(split)
        rows = range(len(split.image_names))
        parts = [
            self.encode_features(
                torch.stack([pictures(row, flipped=False) for row in rows[at : at + 256]])
            )
            for at in range(0, len(rows), 256)
        ]
        return torch.cat(parts), self.encode_texts(split.captions)

    def evaluate(self, split: CaptionedImages) -> CrossModalScores:
        """Retrieval in both directions; what has the same label is relevant."""
        image_features, text_features = self.encode_split(split)
        ks = tuple(k for k in (1, 5, 10) if k <= len(split.image_names))
        return evaluate_cross_modal(
            image_features, text_features, split.image_labels, split.caption_labels, ks=ks
        )


def restore(folder: Path | str) -> Retriever:
    """The retriever of a run folder, in evaluation mode, on the CPU.

    `kit.runs.load` calls it for folders that this module wrote.

    Raises:
        ValueError: a folder whose first epoch is not done.

    """
    folder = Path(folder).resolve()
    if not (folder / "best.safetensors").exists():
        raise ValueError(f"restore: {folder} holds no trained networks yet")
    config = Config(**read_json(folder / "config.json")["asked"]["config"])
    images = ImageInput(**read_json(folder / "images.json"))
    vocabulary = Vocabulary(tuple(read_json(folder / "vocabulary.json")))
    kept = folder / "backbone.safetensors"
    source = ImageSource(images, folder, kept=kept if images.frozen else None)
    state = load_file(folder / "best.safetensors")
    method = ITMeetsAL(
        config,
        image_backbone=source.trained,
        image_feature_dim=state["image_projection.weight"].shape[1],
        vocabulary_size=len(vocabulary),
        classes=state["classifier.weight"].shape[1],
    )
    method.networks.load_state_dict(state)
    method.networks.eval()
    return Retriever(method, vocabulary, source, folder)


class MapFeatures(NamedTuple):
    """Features of the same test pairs after each epoch: the frames of the embedding map.

    `epochs` numbers them; `images` and `texts` are (epochs, pairs, dim) float32; `captions` has a
    sentence per pair.
    """

    epochs: list[int]
    images: Tensor
    texts: Tensor
    captions: list[str]


def read_map(folder: Path | str) -> MapFeatures:
    """What a run kept for its embedding map.

    Raises:
        ValueError: a folder whose first epoch is not done.

    """
    epochs, features = read_map_frames(folder)
    captions = read_json(Path(folder) / "map" / "pairs.json")["captions"]
    return MapFeatures(epochs, features["image"], features["text"], captions)


def scores_by_name(scores: CrossModalScores) -> dict[str, float]:
    """The numbers of both directions under plain names, percent, and what selects by."""
    named: dict[str, float] = {}
    for direction in ("image_to_text", "text_to_image"):
        one = getattr(scores, direction)
        named |= {f"{direction} R@{k}": value for k, value in one.recall.items()}
        named |= {
            f"{direction} mAP": one.map,
            f"{direction} mAP_cmpm": one.map_cmpm,
            f"{direction} median rank": one.median_rank,
        }
    named[SELECTION] = named["image_to_text R@1"] + named["text_to_image R@1"]
    return named


def _keep_for_later(retriever: Retriever, corpus: Corpus) -> None:
    """What someone who has nothing but the folder needs to use it again, or to judge it."""
    folder, source = retriever.folder, retriever.source
    device = next(retriever.method.networks.parameters()).device
    write_json(folder / "images.json", source.settings())
    write_json(folder / "vocabulary.json", list(retriever.vocabulary.words))
    write_json(folder / "labels.json", sorted(set(corpus.train.image_labels)))
    write_json(folder / "environment.json", environment(device))
    facts = {"name": corpus.name, "counts": corpus.counts, "notes": list(corpus.notes)}
    write_json(folder / "corpus.json", facts)
    images, captions = _map_pairs(corpus.test)
    names = [corpus.test.image_names[image] for image in images]
    write_json(folder / "map" / "pairs.json", {"images": names, "captions": captions})
    if source.backbone is not None:
        write_json(folder / "transform.json", asdict(source.backbone.transform))
        if source.backbone.loaded is not None:
            write_json(folder / "weights.json", asdict(source.backbone.loaded))
        if source.asked.frozen:
            with atomic(folder / "backbone.safetensors") as part:
                save_file(source.backbone.network.state_dict(), part)


def _map_pairs(split: CaptionedImages) -> tuple[list[int], list[str]]:
    """The first images of a split, each with its first caption."""
    images = list(range(min(MAP_PAIRS, len(split.image_names))))
    return images, [split.captions_of(image)[0] for image in images]


def _keep_map(retriever: Retriever, test: CaptionedImages, record: Epoch) -> None:
    """Features of the same test pairs after each epoch: the frames of the embedding map."""
    images, captions = _map_pairs(test)
    pictures = retriever.source.pictures(test)
    inputs = torch.stack([pictures(image, flipped=False) for image in images])
    features = {
        "image": retriever.encode_features(inputs),
        "text": retriever.encode_texts(captions),
    }
    with atomic(retriever.folder / "map" / f"epoch_{record.epoch:03d}.safetensors") as part:
        save_file(features, part)
