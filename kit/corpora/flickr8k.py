"""Flickr8K as its authors ship it: a folder of photographs, one captions file, three split files.

M. Hodosh, P. Young, J. Hockenmaier: Framing image description as a ranking task, JAIR 47 (2013).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from kit.checks import check_disjoint, check_unique, first_few
from kit.corpora import equal_within, local_path, refused_by
from kit.data.images import FolderImages, known
from kit.data.pairs import CaptionedImages, Corpus

IMAGE_FOLDER = "Flicker8k_Dataset"  # the corpus's own spelling
CAPTIONS_FILE = "Flickr8k.token.txt"
SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
PUBLISHED_IMAGES = {"train": 6000, "validation": 1000, "test": 1000}
CAPTIONS_PER_IMAGE = 5

# The captions file as first shipped has five lines for this name; the picture was never shipped.
STRAY_NAME = "2258277193_586949ec62.jpg.1"

_LINE = re.compile(r"(?P<name>[^\t]+)#(?P<number>\d+)\t(?P<caption>.*\S.*)")


@refused_by("flickr8k")
def flickr8k(folder: str | Path, *, skip_bad: bool = False) -> Corpus:
    """Flickr8K with its official splits: 6,000 / 1,000 / 1,000 images, five captions each.

    Every picture of the splits is decoded once (some seconds), so that a broken one is named here
    and not in the middle of training; what was found is kept (see `kit.data.images.known`). The
    instance label of an image is its running number over the three splits. `Corpus.notes` holds the
    counts, expected and found, the images in no split (91 in the real corpus; they are not used),
    and everything that was left out.

    Args:
        folder: holds ``Flicker8k_Dataset/*.jpg``, ``Flickr8k.token.txt`` (lines
            ``NAME.jpg#0<TAB>caption``) and ``Flickr_8k.{train,dev,test}Images.txt`` (of names).
        skip_bad: leave out, and list in `Corpus.notes`, what is refused otherwise: images of a
            split that are missing, unreadable or without captions, and captions of images that are
            neither in the folder nor in a split. (The five captions of `STRAY_NAME`, a known slip
            of the original captions file, are always left out and noted.)

    Raises:
        ValueError: a missing folder or file; a bad line in the captions file, by file and line
            number; an empty split; a name twice in a split, a name or a picture (the same bytes)
            in two splits; and what `skip_bad` tells of, counted and named.

    """
    folder = local_path(folder)
    image_folder = folder / IMAGE_FOLDER
    if not image_folder.is_dir():
        raise ValueError(f"expected a folder of photographs at {image_folder}, found none")
    captions = _read_captions(folder / CAPTIONS_FILE)
    splits = _read_splits(folder)
    files = [file for file in image_folder.iterdir() if file.is_file()]
    shipped = {file.name for file in files if not file.name.startswith(".")}

    chosen = [name for names in splits.values() for name in names]
    bad, hashes = _problems(chosen, shipped, captions, image_folder)
    if not skip_bad:
        _refuse({name: problem for name, problem in bad.items() if name != STRAY_NAME})
    notes = [f"left out, {problem}: {name}" for name, problem in bad.items()]
    unused = sorted(shipped - set(chosen))
    spare = sum(len(captions.get(name, ())) for name in unused)
    notes.append(f"{len(unused)} images ({spare} captions) are in no split and are not used")

    splits = {split: [name for name in names if name not in bad] for split, names in splits.items()}
    twins = equal_within("equal pictures", splits, hashes)
    notes += [f"one picture under several names, each an image: {', '.join(t)}" for t in twins]

    parts: list[CaptionedImages] = []
    for split, kept in splits.items():
        first_label = sum(len(part.image_names) for part in parts)
        part = CaptionedImages(
            name=split,
            image_names=kept,
            image_labels=range(first_label, first_label + len(kept)),
            captions=[caption for name in kept for caption in captions[name]],
            caption_images=[index for index, name in enumerate(kept) for _ in captions[name]],
            open_image=FolderImages(image_folder, tuple(kept)),
        )
        parts.append(part)
        notes.append(_count(part))
    train, validation, test = parts
    return Corpus("flickr8k", train, validation, test, tuple(notes))


def _read_captions(path: Path) -> dict[str, list[str]]:
    """The captions of each image name, in the order of the file."""
    captions: dict[str, list[str]] = {}
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), start=1):
        match, key = _LINE.fullmatch(line), line.partition("\t")[0]
        if match is None:
            expected = "expected NAME#NUMBER<TAB>caption"
            raise ValueError(f"{path}, line {number}: {expected}, got {line!r}")
        if key in seen:
            raise ValueError(f"{path}, line {number}: {key} has a caption already")
        seen.add(key)
        captions.setdefault(match["name"], []).append(match["caption"].strip())
    return captions


def _read_splits(folder: Path) -> dict[str, list[str]]:
    """The image names of each split: none empty, no name twice."""
    splits: dict[str, list[str]] = {}
    for split, file in SPLIT_FILES.items():
        splits[split] = [line.strip() for line in _lines(folder / file) if line.strip()]
        if not splits[split]:
            raise ValueError(f"{folder / file}: expected image names, got an empty split")
        check_unique(f"{folder / file}", names=splits[split])
    check_disjoint(f"{folder}", "images", list(splits.items()))
    return splits


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return [line.rstrip("\n") for line in file]
    except FileNotFoundError:
        raise ValueError(f"expected the file {path}, found none") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected a file of UTF-8 text, got {error}") from None


def _problems(
    names: Sequence[str], shipped: set[str], captions: dict[str, list[str]], folder: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """What is wrong with each image of the splits that cannot be used; the hashes of those there.

    Captions of no image are wrong too.
    """
    there = [name for name in names if name in shipped]
    bad = {name: "missing image" for name in names if name not in shipped}
    bad |= {name: "image without captions" for name in there if name not in captions}
    files = dict(zip(there, known(folder, there), strict=True))
    for name, file in files.items():
        if file.problem:
            bad.setdefault(name, f"unreadable image ({file.problem})")
    orphans = sorted(captions.keys() - shipped - set(names))
    bad |= {name: f"captions without image ({len(captions[name])})" for name in orphans}
    return bad, {name: file.hash for name, file in files.items()}


def _refuse(bad: dict[str, str]) -> None:
    """Raise if anything is bad, with the number of each kind and the first names."""
    kinds: dict[str, list[str]] = {}
    for name, problem in bad.items():
        kinds.setdefault(problem.partition(" (")[0], []).append(name)
    found = [f"{len(names)} x {kind}: {first_few(names)}" for kind, names in kinds.items()]
    if found:
        raise ValueError(
            f"expected every image of the splits with its captions, got {'; '.join(found)}. "
            "skip_bad=True leaves them out and lists them in the corpus's notes"
        )


def _count(split: CaptionedImages) -> str:
    images, captions = len(split.image_names), len(split.captions)
    published = PUBLISHED_IMAGES[split.name], PUBLISHED_IMAGES[split.name] * CAPTIONS_PER_IMAGE
    return (
        f"{split.name}: expected {published[0]} images and {published[1]} captions, "
        f"found {images} and {captions}" + " (differs)" * ((images, captions) != published)
    )
