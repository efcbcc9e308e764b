"""A training run on images and sentences: what it takes in, what it leaves, how it is used again.

for record in train(corpus, paper(), "runs/itmeetsal"):
    ...
retriever = kit.runs.load("runs/itmeetsal")
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from kit.arguments import checked
from kit.code_version import code_version
from kit.data import pairs
from kit.data.epochs import TrainingLoader
from kit.experiment import Experiment, carry_out, check_setting, restored
from kit.files import as_path, atomic, read_json, write_json
from kit.metrics.retrieval import CrossModalScores, evaluate_cross_modal
from kit.retrieval.images import ImageInput, ImageSource
from kit.retrieval.towers import SharedFeatures, Towers, TowersConfig
from kit.runs import dotted_name, read_map_frames
from kit.training import Epoch, Method, Record, device_of, evaluating

MAP_PAIRS = 40  # Figure 6: pairs of the test split whose features are kept of each epoch
SELECTION = "R@1 sum"  # validation R@1 of both directions together chooses the epoch


@checked
def train(
    corpus: pairs.Corpus,
    config: TowersConfig,
    out: Path | str,
    *,
    images: ImageInput | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    workers: int | None = None,
) -> Iterator[Record]:
    """Train, keep the run in folder `out`, and score the best epoch on the test split at the end.

    A run that was stopped goes on where it was; a finished one yields nothing and is read instead.

    Args:
        corpus: its training split is learnt, its validation split chooses the epoch.
        config: the method's numbers; it builds the method.
        out: the run folder.
        images: how images enter; a small network trained from scratch if not given.
        seed: of everything that is drawn.
        device: ``"cpu"``, ``"cuda"``, ...
        precision: ``"float32"`` or ``"bfloat16"`` (encoders under autocast, losses in float32).
        workers: loader processes, for images that are opened from disk; by the number of cores if
            not given (see `default_workers`).

    Yields:
        The records of `kit.training.fit`.

    Raises:
        ValueError: an argument of another kind, by its name; `out` holds another run (the
            difference is named), and whatever the readers refuse.
        FloatingPointError: a term that is not finite.

    """
    setting = check_setting(out, seed, device, precision, workers)
    images = images or ImageInput()
    settings = {
        "method": dotted_name(type(config)),
        "config": asdict(config),
        "images": images.facts(corpus),
        "corpus": {"name": corpus.name, "counts": corpus.counts, "hash": corpus.fingerprint()},
        "seed": setting.seed,
        "precision": precision,
        "code": code_version(type(config), __name__),
    }

    def build(folder: Path) -> Experiment:
        vocabulary = pairs.Vocabulary.of(corpus.train.captions, min_count=config.min_word_count)
        opening = setting.workers
        if opening is None:
            opening = pairs.default_workers(corpus.train)
        cache = Path(images.cache) if images.cache else folder / "features"
        source = ImageSource(images, cache, device=setting.device, workers=opening)
        seen = source.pictures(corpus.train)
        training = pairs.TrainingPairs(corpus.train, seen, vocabulary, seed=setting.seed)
        blueprint = RetrieverBlueprint(
            method=dotted_name(type(config)),
            config=asdict(config),
            images=images.kept(),
            image_feature_dim=source.feature_dim,
            vocabulary=vocabulary.words,
            classes=training.classes,
        )
        retriever = blueprint.build(config, source)
        retriever.method.networks.to(device)
        _keep_for_later(folder, blueprint, retriever, corpus)
        pin = torch.device(device).type == "cuda"
        return Experiment(
            method=retriever.method,
            loader=TrainingLoader(training, config.batch_size, workers=opening, pin=pin),
            epochs=config.epochs,
            precision=precision,
            validate=lambda: scores_by_name(retriever.evaluate(corpus.validation)),
            better=SELECTION,
            selection="best",
            keep_epoch=partial(_keep_map, folder, retriever, corpus.test),
            test=lambda: {"test": scores_by_name(retriever.evaluate(corpus.test))},
        )

    yield from carry_out(setting.out, settings, build)


@dataclass(frozen=True)
class Retriever:
    """Trained towers: pictures and sentences to rows of the shared space.

    The rows are where the networks are: on the CPU, for a run that was loaded.
    """

    method: Method[SharedFeatures, pairs.PairBatch]
    towers: Towers
    vocabulary: pairs.Vocabulary
    source: ImageSource

    @checked
    def encode_images(self, pictures: Sequence[Path | str | Image.Image]) -> Tensor:
        """Encode pictures, given as paths or opened.

        Returns:
            (pictures, dim) float32, of any norm.

        Raises:
            ValueError: no picture, or one that cannot be opened; one path for a list of them; the
                run was trained on features from a file, so that none can be encoded.

        """
        parts = [self.encode_features(part) for part in self.source.of_pictures(pictures)]
        return torch.cat(parts)

    @checked
    def encode_features(self, features: Tensor) -> Tensor:
        """Encode what the trained networks take: pixels, or a frozen backbone's features.

        Raises:
            ValueError: no tensor, another shape than the networks take, or no rows.

        """
        networks = self.method.networks
        given = isinstance(self.source.trained, nn.Identity)
        expected = (self.source.feature_dim,) if given else (3, "height", "width")
        fits = features.ndim == 1 + len(expected) and len(features) > 0
        if not fits or features.shape[1] != expected[0] or not features.is_floating_point():
            raise ValueError(
                f"encode_features: expected (rows, {', '.join(map(str, expected))}) float, got "
                f"{tuple(features.shape)} {features.dtype}"
            )
        device = device_of(networks)
        with evaluating(networks):
            parts = [self.towers.encode_images(part.to(device)) for part in features.split(256)]
        return torch.cat(parts).float()

    @checked
    def encode_texts(self, sentences: Sequence[str]) -> Tensor:
        """Encode sentences: (sentences, dim) float32, of any norm.

        Raises:
            ValueError: one sentence for a list of them, or what is no text.

        """
        tokens = self.vocabulary.tokens(sentences)
        order = torch.from_numpy(np.argsort(tokens.lengths, kind="stable"))
        networks = self.method.networks
        device = device_of(networks)
        features = torch.empty(len(tokens), self.towers.config.dim, device=device)
        with evaluating(networks):
            for at in range(0, len(order), 256):
                rows = order[at : at + 256]
                padded, lengths = tokens.padded(rows.numpy())
                encoded = self.towers.encode_texts(padded.to(device), lengths)
                features[rows.to(device)] = encoded.float()
        return features

    @checked
    def encode_split(self, split: pairs.CaptionedImages) -> tuple[Tensor, Tensor]:
        """Each image of a split once, each caption once: (images, dim) and (captions, dim)."""
        parts = [self.encode_features(batch) for batch in self.source.batches(split)]
        return torch.cat(parts), self.encode_texts(split.captions)

    def evaluate(self, split: pairs.CaptionedImages) -> CrossModalScores:
        """Retrieval in both directions; what has the same label is relevant."""
        ks = tuple(k for k in (1, 5, 10) if k <= len(split.image_names))
        return evaluate_cross_modal(
            *self.encode_split(split), split.image_labels, split.caption_labels, ks=ks
        )


@dataclass(frozen=True)
class RetrieverBlueprint:
    """How a run's networks are built again, before their state is loaded: plain values.

    Args:
        method: the dotted name of the configuration's class.
        config: its numbers.
        images: how images enter, as the folder keeps it.
        image_feature_dim: width of the features behind what is trained along.
        vocabulary: the known words.
        classes: number of training instances.

    """

    method: str
    config: dict[str, Any]
    images: ImageInput
    image_feature_dim: int
    vocabulary: tuple[str, ...]
    classes: int

    def build(self, config: TowersConfig, source: ImageSource) -> Retriever:
        """The method of these numbers on new towers."""
        vocabulary = pairs.Vocabulary(self.vocabulary)
        towers = Towers(
            config,
            image_backbone=source.trained,
            image_feature_dim=self.image_feature_dim,
            vocabulary_size=len(vocabulary),
            classes=self.classes,
        )
        return Retriever(config.method(towers), towers, vocabulary, source)


def restore(folder: Path | str, config_type: type[TowersConfig]) -> Retriever:
    """The retriever of a run folder, in evaluation mode, on the CPU.

    `kit.runs.load` calls it for the methods of the kit.

    Args:
        folder: of a run.
        config_type: the class of the numbers that it was trained with.

    Raises:
        ValueError: a folder whose first epoch is not done, or of another method; damaged or missing
            files.

    """

    def prepare(folder: Path, facts: dict[str, Any]) -> Callable[[], Retriever]:
        images, vocabulary = ImageInput(**facts["images"]), tuple(facts["vocabulary"])
        blueprint = RetrieverBlueprint(**facts | {"images": images, "vocabulary": vocabulary})
        config = config_type(**blueprint.config)
        # Whoever wrote the folder names no other place.
        weights = str(folder / "backbone.safetensors") if images.frozen else None
        images = replace(images, weights=weights, cache=None)
        source = ImageSource(images, folder / "features", read_only=True)
        return lambda: blueprint.build(config, source)

    return restored(folder, config_type, "best.safetensors", prepare)


class PairMap(NamedTuple):
    """Features of the same test pairs after each epoch: the frames of the embedding map.

    `epochs` numbers them; `images` and `texts` are (epochs, pairs, dim) float32; `captions` has a
    sentence per pair.
    """

    epochs: list[int]
    images: Tensor
    texts: Tensor
    captions: list[str]


def read_map(folder: Path | str) -> PairMap:
    """What a run kept for its embedding map.

    Raises:
        ValueError: a folder whose first epoch is not done.

    """
    epochs, features = read_map_frames(folder)
    captions = read_json(as_path("read_map", folder, "folder") / "map" / "pairs.json")["captions"]
    return PairMap(epochs, features["image"], features["text"], captions)


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


def _keep_for_later(
    folder: Path, blueprint: RetrieverBlueprint, retriever: Retriever, corpus: pairs.Corpus
) -> None:
    """What someone who has nothing but the folder needs to use it again, or to judge it."""
    backbone = retriever.source.backbone
    write_json(folder / "blueprint.json", asdict(blueprint))
    write_json(folder / "labels.json", sorted(set(corpus.train.image_labels)))
    facts = {"name": corpus.name, "counts": corpus.counts, "notes": list(corpus.notes)}
    write_json(folder / "corpus.json", facts)
    names = list(corpus.test.image_names[:MAP_PAIRS])
    captions = [corpus.test.captions_of(image)[0] for image in range(len(names))]
    write_json(folder / "map" / "pairs.json", {"images": names, "captions": captions})
    if backbone is not None:
        write_json(folder / "transform.json", asdict(backbone.transform))
        if backbone.loaded is not None:
            write_json(folder / "weights.json", asdict(backbone.loaded))
        if blueprint.images.frozen:
            with atomic(folder / "backbone.safetensors") as part:
                save_file(backbone.network.state_dict(), part)


def _keep_map(
    folder: Path, retriever: Retriever, test: pairs.CaptionedImages, record: Epoch
) -> None:
    """Features of the same test pairs after each epoch: the frames of the embedding map."""
    captions = read_json(folder / "map" / "pairs.json")["captions"]
    pictures = retriever.source.pictures(test)(range(len(captions)))
    features = {
        "image": retriever.encode_features(pictures),
        "text": retriever.encode_texts(captions),
    }
    with atomic(folder / "map" / f"epoch_{record.epoch:03d}.safetensors") as part:
        save_file(features, part)
