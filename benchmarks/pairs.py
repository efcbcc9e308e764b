"""Pairs of pictures and captions against what must be done at least, each as a ratio in one run.

1. An epoch of frozen features through `TrainingLoader` (order, gather, pad) over a bare
   `index_select` and `pad_sequence` of the same tensors, 30,000 captions in batches of 100, with
   one view of each picture and with both, of which a coin chooses. Goal: at most 3.
2. Memory of a synthetic COCO: 590,000 captions, 118,000 x 1,024 float16 features from a file, ready
   to train, above what importing torch and the kit takes. Goal: at most 1 GB.
3. Evaluation of an epoch with a frozen backbone, 1,000 images and 5,000 captions, over the bare
   product: both encoders on ready batches, and one matrix product of what they say.
4. From `train(...)` to the first step on 6,000 pictures in files, the second time. Goal: at most 5
   seconds.
"""

from __future__ import annotations

import contextlib
import io
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn.utils.rnn import pad_sequence

import kit.runs
from kit.data.epochs import TrainingLoader
from kit.data.images import FolderImages
from kit.data.pairs import CaptionedImages, Corpus, TrainingPairs, Vocabulary
from kit.encoders.image import image_backbone
from kit.itmeetsal.method import ITMeetsALConfig
from kit.retrieval.images import FeatureFile, ImageFeatures, ImageInput
from kit.retrieval.run import train

WORDS = [f"word{number}" for number in range(9_000)]
CONFIG = ITMeetsALConfig(dim=128, word_dim=64, lstm_units=64, epochs=1, batch_size=100)
RUNS = 5


def captions(count: int) -> list[str]:
    """Sentences of 6 to 16 words, as long as COCO's."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 17, count)
    drawn = rng.integers(0, len(WORDS), lengths.sum())
    ends = np.cumsum(lengths)
    return [
        " ".join(WORDS[word] for word in drawn[end - length : end])
        for end, length in zip(ends, lengths, strict=True)
    ]


def split(name: str, images: int, said: list[str], first: int = 0) -> CaptionedImages:
    return CaptionedImages(
        name=name,
        image_names=[f"{first + image:06d}.jpg" for image in range(images)],
        image_labels=range(images),
        captions=said,
        caption_images=np.arange(len(said)) % images,
        open_image=Image.new,
    )


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compared(ours: Callable[[], object], reference: Callable[[], object]) -> tuple[float, float]:
    """Medians of runs in turn, after one of each that is not counted."""
    ours(), reference()
    taken = [(seconds(ours), seconds(reference)) for _ in range(RUNS)]
    mine, theirs = (statistics.median(column) for column in zip(*taken, strict=True))
    return mine, theirs


def epoch_over_bare() -> None:
    data = split("train", 6_000, captions(30_000))
    plain, flipped = torch.rand(6_000, 1024), torch.rand(6_000, 1024)
    vocabulary = Vocabulary.of(data.captions, min_count=1)
    for views, features in (
        ("one view", ImageFeatures(plain[None])),
        ("both views", ImageFeatures(torch.stack([plain, flipped]))),
    ):
        pairs = TrainingPairs(data, features, vocabulary, seed=0)
        loader = TrainingLoader(pairs, CONFIG.batch_size)
        tokens = [torch.from_numpy(pairs.tokens[row].astype(np.int64)) for row in range(len(pairs))]
        images = [torch.from_numpy(pairs.caption_images[b.indices]) for b in loader.epoch(0)]
        rows = [b.indices.tolist() for b in loader.epoch(0)]

        def bare(images=images, rows=rows, tokens=tokens) -> None:  # type: ignore[no-untyped-def]
            for chosen, batch in zip(images, rows, strict=True):
                plain.index_select(0, chosen)
                pad_sequence([tokens[row] for row in batch], batch_first=True)

        def ours(loader: TrainingLoader = loader) -> None:
            for _ in loader.epoch(0):
                pass

        mine, least = compared(ours, bare)
        print(
            f"pairs: epoch of features, {views}: ratio {mine / least:.2f} ({mine:.2f} s over "
            f"index_select and pad_sequence {least:.2f} s; goal 3)"
        )


def coco() -> None:
    """In a process of its own: prints the megabytes above those after the imports."""
    folder = Path(sys.argv[2])
    before = peak_megabytes()
    said = captions(590_000)
    data = split("train", 118_000, said)
    vocabulary = Vocabulary.of(data.captions)
    features = FeatureFile(folder / "features.npz").of(data.image_names)
    pairs = TrainingPairs(data, features, vocabulary, seed=0)
    loader = TrainingLoader(pairs, 128)
    for _, _batch in zip(range(100), loader.epoch(0), strict=False):
        pass
    text = sum(map(sys.getsizeof, said)) / 2**20
    beside = pairs.tokens.values.nbytes + 2 * pairs.tokens.lengths.nbytes
    beside += pairs.labels.nbytes + pairs.caption_images.nbytes
    print(
        f"pairs: synthetic COCO takes {peak_megabytes() - before:.0f} MB above the imports' "
        f"{before:.0f} (at most 1000; the text alone {text:.0f}, features "
        f"{features.views.nbytes / 2**20:.0f}; {beside / len(said):.0f} bytes a caption beside "
        "its text)"
    )


def peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # a process begins with the ru_maxrss of the one that started it
        (line,) = [one for one in status.read_text().splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def memory_of_coco(folder: Path) -> None:
    names = np.array([f"{image:06d}.jpg" for image in range(118_000)])
    np.savez(folder / "features.npz", files=names, feat=np.ones((118_000, 1024), np.float16))
    subprocess.run([sys.executable, __file__, "coco", str(folder)], check=True)
    (folder / "features.npz").unlink()


def pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels).resize((96, 96), Image.Resampling.BILINEAR)
        picture.save(folder / f"{number:06d}.jpg")


def corpus_of(folder: Path) -> Corpus:
    said, parts, first = captions(30_000), [], 0
    for name, images in (("train", 4_000), ("validation", 1_000), ("test", 1_000)):
        part = split(name, images, said[5 * first : 5 * (first + images)], first)
        opener = FolderImages(folder, tuple(part.image_names))
        parts.append(replace(part, open_image=opener))
        first += images
    return Corpus("pictures", *parts)


def first_step_and_evaluation(folder: Path) -> None:
    pictures(folder / "pictures", 6_000)
    save_file(image_backbone("small_cnn").network.state_dict(), folder / "cnn.safetensors")
    images = ImageInput(
        weights=str(folder / "cnn.safetensors"), frozen=True, cache=str(folder / "cache")
    )
    took = {}
    for time_ in ("first", "second"):
        start = time.perf_counter()
        records = train(corpus_of(folder / "pictures"), CONFIG, folder / time_, images=images)
        with contextlib.redirect_stdout(io.StringIO()):  # no progress bars
            next(records)
        took[time_] = time.perf_counter() - start
        if time_ == "second":
            records.close()
        with contextlib.redirect_stdout(io.StringIO()):
            list(records)
    print(
        f"pairs: first step on 6,000 pictures with a frozen backbone after {took['second']:.2f} s "
        f"the second time (at most 5), {took['first']:.2f} s the first"
    )
    retriever, test = kit.runs.load(folder / "first"), corpus_of(folder / "pictures").test
    towers = retriever.towers
    with contextlib.redirect_stdout(io.StringIO()):
        ready = list(retriever.source.batches(test))
    tokens = retriever.vocabulary.tokens(test.captions)
    order = np.argsort(tokens.lengths, kind="stable")
    sentences = [tokens.padded(order[at : at + 256]) for at in range(0, len(order), 256)]

    @torch.no_grad()
    def bare() -> None:
        seen = torch.cat([towers.encode_images(batch) for batch in ready])
        read = torch.cat([towers.encode_texts(*batch) for batch in sentences])
        seen @ read.T

    mine, least = compared(lambda: retriever.evaluate(test), bare)
    print(
        f"pairs: evaluation with a frozen backbone: ratio {mine / least:.2f} ({mine:.2f} s over "
        f"encoders on ready batches and one product {least:.2f} s), "
        f"{torch.get_num_threads()} threads"
    )


def main() -> None:
    epoch_over_bare()
    with tempfile.TemporaryDirectory() as folder:
        memory_of_coco(Path(folder))
        first_step_and_evaluation(Path(folder))


if __name__ == "__main__":
    coco() if sys.argv[1:2] == ["coco"] else main()
