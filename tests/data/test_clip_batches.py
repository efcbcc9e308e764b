"""The order in which clips come, what is cut out of them, and what a batch of them holds."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import random
from collections import Counter
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kit.data.clip_batches import (
    TrainingClips,
    VideoCrop,
    evaluation_batches,
    shifted,
    stack_clips,
)
from kit.data.clips import ClipBatch, Clips
from kit.data.epochs import TrainingLoader
from kit.data.ragged import Ragged, Taken

COUNT = 11
WHOLE = VideoCrop(frames=3, size=4, scale=(1.0, 1.0), ratio=(1.0, 1.0), mirrored=False)


def clips(count: int = COUNT, *, frames: int | None = None, **changed: Any) -> Clips:
    """Clip i is a video whose bytes are i everywhere, a vector of i, and 1 + i % 3 steps of i.

    With `frames` all videos are as long; else they have 2..6 frames.
    """
    numbers = range(count)
    videos = [np.full((frames or 2 + i % 5, 4, 6, 3), i, dtype=np.uint8) for i in numbers]
    modalities = {
        "video": np.stack(videos) if frames else Ragged.of(videos),
        "vector": np.arange(count, dtype=np.float64)[:, None].repeat(2, axis=1),
        "steps": Ragged.of([np.full((1 + i % 3, 2), i, dtype=np.float32) for i in numbers]),
    }
    given = {
        "name": "train",
        "ids": [f"clip {i}" for i in numbers],
        "labels": [i % 4 for i in numbers],
        "modalities": modalities,
    }
    return Clips(**given | changed)


def loader(batch_size: int = 4, *, seed: int = 0, workers: int = 0, **how: Any) -> TrainingLoader:
    given: dict[str, Any] = {"modalities": ("vector",), "clips": clips()} | how
    return TrainingLoader(TrainingClips(**given, seed=seed), batch_size, workers=workers)


def order(of: TrainingLoader, epoch: int = 0, *, skip: int = 0) -> list[int]:
    return [index for b in of.epoch(epoch, skip=skip) for index in b.indices.tolist()]


def equal(a: ClipBatch, b: ClipBatch) -> bool:
    parts = [(a.labels, b.labels), (a.indices, b.indices)]
    for one, other in ((a.modalities, b.modalities), (a.lengths, b.lengths)):
        if [*one] != [*other]:
            return False
        parts += [(one[name], other[name]) for name in one]
    return all(torch.equal(*pair) for pair in parts)


# ---- the order of clips


def test_an_epoch_is_full_batches_of_different_clips() -> None:
    batches = list(loader().epoch(0))
    assert len(batches) == len(loader()) == 2  # the three left over wait
    assert [len(batch.indices) for batch in batches] == [4, 4]
    assert len({*order(loader())}) == 8
    assert {*order(loader())} <= {*range(COUNT)}


def test_what_is_left_over_in_one_epoch_comes_in_others() -> None:
    left = Counter(i for epoch in range(12) for i in {*range(COUNT)} - {*order(loader(), epoch)})
    assert sum(left.values()) == 12 * 3
    assert max(left.values()) < 12
    assert len(left) > 6


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    first = {(seed, epoch): order(loader(seed=seed), epoch) for seed in (0, 1) for epoch in (0, 1)}
    assert len({tuple(each) for each in first.values()}) == 4
    again = loader(seed=1)
    order(again, 0)  # an epoch before changes nothing
    assert order(again, 1) == order(again, 1) == first[1, 1]
    others = loader(7, seed=1, modalities=("steps", "video"), crops={"video": VideoCrop(2, 4)})
    assert order(others, 1) == order(loader(7, seed=1), 1)
    assert order(others, 1)[:4] == first[1, 1][:4]  # neither batch size nor crop


def test_no_shared_random_state_is_drawn_from() -> None:
    def drawn(*batches: ClipBatch) -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(1))

    def seeded() -> None:
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)

    seeded()
    expected = drawn()
    seeded()
    assert drawn(*loader(modalities=("video",), crops={"video": VideoCrop(2, 4)}).epoch(0)) == (
        expected
    )


def test_skipped_batches_are_the_first_ones() -> None:
    crops = {"video": VideoCrop(2, 4)}
    both = loader(3, modalities=("video", "steps"), crops=crops)
    batches = list(both.epoch(5))
    for skip in range(4):
        rest = list(both.epoch(5, skip=skip))
        assert len(rest) == 3 - skip
        assert all(equal(*pair) for pair in zip(rest, batches[skip:], strict=True))


def test_workers_give_the_same_batches() -> None:
    crops = {"video": VideoCrop(2, 5)}
    alone, helped = (
        loader(4, modalities=("video", "steps", "vector"), crops=crops, workers=workers)
        for workers in (0, 2)
    )
    pairs = list(zip(alone.epoch(1), helped.epoch(1), strict=True))
    assert len(pairs) == 2
    assert all(type(b) is ClipBatch and equal(a, b) for a, b in pairs)
    pickle.loads(pickle.dumps(alone.batches))


def test_what_is_asked_clip_by_clip_comes_as_from_memory() -> None:
    here = clips(frames=5)
    rows = np.arange(COUNT)
    lazy = {name: Taken(modality, rows) for name, modality in here.modalities.items()}
    for how in ({}, {"crops": {"video": VideoCrop(2, 4)}}):
        given: dict[str, Any] = {"modalities": list(lazy), **how}
        one, two = loader(4, clips=here, **given), loader(4, clips=clips(modalities=lazy), **given)
        assert all(equal(a, b) for a, b in zip(one.epoch(1), two.epoch(1), strict=True))


def test_processes_live_for_all_epochs() -> None:
    several = loader(2, modalities=("steps",), workers=2)
    list(several.epoch(0))
    before = {process.pid for process in multiprocessing.active_children()}
    assert len(before) == 2
    rest = list(several.epoch(1, skip=3))
    assert {process.pid for process in multiprocessing.active_children()} == before
    whole_epoch = list(loader(2, modalities=("steps",)).epoch(1))
    assert all(equal(a, b) for a, b in zip(rest, whole_epoch[3:], strict=True))
    del several
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("size", [0, COUNT + 1])
def test_a_batch_that_cannot_be_filled_is_refused(size: int) -> None:
    message = rf"^TrainingClips: expected 1..11 clips a batch, got {size}$"
    with pytest.raises(ValueError, match=message):
        loader(size)
    assert len(loader(COUNT)) == 1


# ---- what a batch holds


def test_a_batch_holds_the_clips_of_its_indices() -> None:
    (batch,) = loader(COUNT, modalities=("vector", "steps"), seed=4).epoch(0)
    assert [*batch.modalities] == ["vector", "steps"]
    assert [*batch.lengths] == ["steps"]
    assert {value.dtype for value in batch.modalities.values()} == {torch.float32}
    assert {part.dtype for part in (batch.labels, batch.indices, batch.lengths["steps"])} == {
        torch.int64
    }
    for row, index in enumerate(batch.indices.tolist()):
        assert batch.labels[row] == index % 4
        assert batch.modalities["vector"][row].tolist() == [index, index]
        steps = 1 + index % 3
        assert batch.lengths["steps"][row] == steps
        own, rest = batch.modalities["steps"][row].split([steps, 3 - steps])
        assert (own == index).all()
        assert (rest == 0).all()


def test_ragged_clips_are_padded_to_the_longest_of_their_batch() -> None:
    batches = TrainingClips(clips(), ("steps",))
    assert batches[0, [0, 3]].modalities["steps"].shape == (2, 1, 2)
    assert batches[0, [0, 2]].modalities["steps"].tolist() == [
        [[0, 0], [0, 0], [0, 0]],
        [[2, 2], [2, 2], [2, 2]],
    ]
    assert batches[0, [1]].lengths["steps"].tolist() == [2]


def test_bytes_become_numbers_as_they_are() -> None:
    batch = TrainingClips(clips(frames=3), ("video",))[0, [9, 2]]
    assert batch.modalities["video"].shape == (2, 3, 4, 6, 3)
    assert batch.modalities["video"].dtype == torch.float32
    assert batch.modalities["video"][:, 0, 0, 0, 0].tolist() == [9, 2]
    assert batch.lengths == {}


def test_an_unknown_modality_is_named() -> None:
    with pytest.raises(ValueError, match=r"split 'train' has no modality 'smell', only video, ve"):
        next(iter(loader(modalities=("smell",)).epoch(0)))


def test_what_is_mapped_from_a_file_is_read_and_not_written_to(tmp_path: Path) -> None:
    data = clips(frames=3).modalities
    np.save(tmp_path / "video.npy", data["video"])
    np.save(tmp_path / "steps.npy", data["steps"].values)
    mapped = {
        "video": np.load(tmp_path / "video.npy", mmap_mode="r"),
        "steps": Ragged(np.load(tmp_path / "steps.npy", mmap_mode="r"), data["steps"].lengths),
    }
    split = clips(modalities=mapped)  # warnings are errors
    crops = {"video": VideoCrop(2, 4)}
    for batch in (
        *evaluation_batches(split, ("video", "steps")),
        TrainingClips(split, ("steps", "video"), crops)[0, [1, 2]],
    ):
        for value in batch.modalities.values():
            value += 1
    assert stack_clips(split, ["steps"], [1])[0]["steps"].tolist() == [[[1, 1], [1, 1]]]


def test_a_batch_is_a_copy() -> None:
    split = clips(modalities={"vector": np.ones((COUNT, 2), np.float32), "steps": steps_of_one()})
    for name in split.modalities:
        stack_clips(split, [name], [0, 1])[0][name].zero_()
        assert (stack_clips(split, [name], [0, 1])[0][name] == 1).all()


def steps_of_one() -> Ragged:
    return Ragged.of([np.ones((1, 2), np.float32)] * COUNT)


# ---- a random window of a video


def numbered(frames: int, height: int = 4, width: int = 6) -> np.ndarray[Any, Any]:
    """Red says the frame, green the row, blue the column."""
    grid = np.indices((frames, height, width), dtype=np.float32)
    return np.moveaxis(grid, 0, -1)


def cut(crop: VideoCrop, video: Any, seed: Any) -> Tensor:
    return crop.training(video, np.random.default_rng(seed))


def test_a_crop_of_everything_changes_nothing() -> None:
    video = numbered(3, 4, 4)
    for seed in range(5):
        window = cut(WHOLE, video, seed)
        assert window.dtype == torch.float32
        torch.testing.assert_close(window, torch.from_numpy(video))


def test_a_window_is_of_consecutive_frames_from_a_random_start() -> None:
    starts = Counter()
    for seed in range(60):
        window = cut(WHOLE, numbered(7, 4, 4), seed)
        frames = window[:, 0, 0, 0].tolist()
        assert frames == [frames[0], frames[0] + 1, frames[0] + 2]
        starts[int(frames[0])] += 1
    assert sorted(starts) == [0, 1, 2, 3, 4]
    assert min(starts.values()) >= 5


def test_a_video_that_is_too_short_stands_still_at_its_end() -> None:
    long = replace(WHOLE, frames=5)
    for window in (cut(long, numbered(2, 4, 4), 0), long.evaluation(numbered(2, 4, 4))[0]):
        assert window[:, 0, 0, 0].tolist() == [0, 1, 1, 1, 1]


def test_the_cut_is_a_function_of_its_generator() -> None:
    crop, video = VideoCrop(frames=2, size=5), numbered(9, 12, 12)
    torch.manual_seed(0)
    first = cut(crop, video, 8)
    torch.manual_seed(1)
    assert torch.equal(cut(crop, video, 8), first)
    assert not torch.equal(cut(crop, video, 9), first)


def test_share_and_shape_of_the_cut_keep_their_limits() -> None:
    crop, (height, width) = VideoCrop(frames=1, size=20), (40, 60)
    shares, ratios, lefts, mirrored = [], [], [], 0
    for seed in range(150):
        window = cut(crop, numbered(1, height, width), seed)[0]
        # On a ramp the distance of two pixels in the middle is the step of the resizing.
        down = (window[11, 10, 1] - window[9, 10, 1]).item() / 2
        across = (window[10, 11, 2] - window[10, 9, 2]).item() / 2
        mirrored += across < 0
        high, wide = 20 * down, 20 * abs(across)
        shares.append(high * wide / (height * width))
        ratios.append(wide / high)
        lefts.append(window[10, :, 2].min().item() - wide / 40)
        assert window[..., 1].min() >= 0
        assert window[..., 2].max() <= width - 1
        assert (window[..., 0] == 0).all()
    slack = 0.06  # sides are whole pixels
    assert 0.25 - slack <= min(shares) < 0.35
    assert 0.85 < max(shares) <= 1 + slack
    assert 3 / 4 - slack <= min(ratios) < 0.8
    assert 1.25 < max(ratios) <= 4 / 3 + slack
    assert max(lefts) - min(lefts) > 20  # of 60
    assert 50 < mirrored < 100


def test_mirroring_is_from_left_to_right_and_can_be_left_out() -> None:
    mirrored = replace(WHOLE, mirrored=True)
    video = torch.from_numpy(numbered(3, 4, 4))
    seen = [cut(mirrored, numbered(3, 4, 4), seed) for seed in range(40)]
    plain = [window for window in seen if torch.allclose(window, video)]
    flipped = [window for window in seen if torch.allclose(window, video.flip(2))]
    assert len(plain) + len(flipped) == 40
    assert min(len(plain), len(flipped)) >= 10


def test_the_cut_of_a_clip_depends_on_seed_epoch_and_clip_alone() -> None:
    crops = {"video": VideoCrop(frames=2, size=5)}
    draw = np.random.default_rng(0)
    same = draw.integers(0, 256, (1, 6, 9, 9, 3), dtype=np.uint8).repeat(COUNT, axis=0)
    split = clips(modalities={"video": same, "vector": clips().modalities["vector"]})
    batches = {seed: TrainingClips(split, ("video",), crops, seed=seed) for seed in (0, 1)}

    def cut_of(seed: int, epoch: int, rows: list[int]) -> Tensor:
        return batches[seed][epoch, rows].modalities["video"]

    first = cut_of(0, 3, [4, 7])
    assert first.shape == (2, 2, 5, 5, 3)
    assert torch.equal(cut_of(0, 3, [7, 1, 4])[[2, 0]], first)
    assert not torch.equal(first[0], first[1])  # the same video, another clip
    for seed, epoch in ((1, 3), (0, 4)):
        assert not torch.equal(cut_of(seed, epoch, [4]), first[:1])
    more = TrainingClips(split, ("vector", "video"), crops)
    assert torch.equal(more[3, [4, 7]].modalities["video"], first)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 0}, r"^VideoCrop: frames must be a whole number of at least 1, got 0$"),
        ({"size": 0}, r"^VideoCrop: size must be a whole number of at least 1, got 0$"),
        (
            {"scale": (0.0, 1.0)},
            r"^VideoCrop: expected 0 < scale <= 1.0, got 0.0 to",
        ),
        ({"scale": (0.5, 1.5)}, r"expected 0 < scale <= 1.0, got 0.5 to 1.5$"),
        ({"scale": (0.9, 0.5)}, r"expected 0 < scale <= 1.0, got 0.9 to 0.5$"),
        ({"scale": None}, r"^VideoCrop: expected two numbers of scale, got None$"),
        ({"scale": 0.5}, r"^VideoCrop: expected two numbers of scale, got 0.5$"),
        ({"ratio": "ab"}, r"^VideoCrop: expected two numbers of ratio, got ab$"),
        ({"ratio": (1.0,)}, r"^VideoCrop: expected two numbers of ratio, got \[1\.\]$"),
        ({"ratio": (-1.0, 1.0)}, r"^VideoCrop: expected 0 < ratio <= inf, got -1.0 to 1.0$"),
    ],
)
def test_crops_that_cannot_be_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoCrop(**wrong)


def test_a_crop_comes_back_from_a_file_as_it_was() -> None:
    crop = VideoCrop(8, 56, scale=(0.5, 0.75))
    assert VideoCrop(**json.loads(json.dumps(asdict(crop)))) == crop
    assert asdict(VideoCrop()) == {  # the work that the paper builds on
        **{"frames": 16, "size": 112, "scale": (0.25, 1.0), "ratio": (3 / 4, 4 / 3)},
        "mirrored": True,
    }


# ---- a video that moves by a few pixels


@pytest.mark.parametrize(
    ("down", "right", "rows", "columns"),
    [
        (0, 0, [0, 1, 2, 3], [0, 1, 2]),
        (1, 0, [0, 0, 1, 2], [0, 1, 2]),
        (-2, 1, [2, 3, 3, 3], [0, 0, 1]),
        (0, -9, [0, 1, 2, 3], [2, 2, 2]),
    ],
)
def test_a_shift_moves_all_frames_and_repeats_the_edge(
    down: int, right: int, rows: list[int], columns: list[int]
) -> None:
    moved = shifted(torch.from_numpy(numbered(2, 4, 3)), down, right)
    for frame in range(2):
        assert (moved[frame, ..., 0] == frame).all()
        assert moved[frame, :, 0, 1].tolist() == rows
        assert moved[frame, 0, :, 2].tolist() == columns


def filmed(count: int = COUNT) -> Clips:
    """The same video of 3 frames in every clip."""
    video = numbered(3, 9, 9).astype(np.uint8)
    vector = clips(count).modalities["vector"]
    return clips(count, modalities={"video": np.stack([video] * count), "vector": vector})


def moved_by(window: Tensor) -> tuple[int, int]:
    """By how much a numbered video has moved, seen at its middle."""
    return 4 - int(window[0, 4, 4, 1]), 4 - int(window[0, 4, 4, 2])


def test_shifts_are_drawn_anew_for_each_clip_and_epoch_up_to_both_ends() -> None:
    batches = TrainingClips(filmed(), ("video",), shifts={"video": 2})
    found = {
        (epoch, row): moved_by(window)
        for epoch in range(20)
        for row, window in enumerate(batches[epoch, range(COUNT)].modalities["video"])
    }
    assert set(found.values()) == {(a, b) for a in range(-2, 3) for b in range(-2, 3)}
    assert len({found[0, row] for row in range(COUNT)}) > 3
    assert len({found[epoch, 0] for epoch in range(20)}) > 3
    again = TrainingClips(filmed(), ("vector", "video"), shifts={"video": 2})
    window = again[7, [5, 2]].modalities["video"]
    assert [moved_by(one) for one in window] == [found[7, 5], found[7, 2]]
    other = TrainingClips(filmed(), ("video",), shifts={"video": 2}, seed=1)
    moved = [moved_by(one) for one in other[0, range(COUNT)].modalities["video"]]
    assert moved != [found[0, row] for row in range(COUNT)]


def test_a_shift_leaves_order_and_cut_alone_and_evaluation_still() -> None:
    crops, shifts = {"video": VideoCrop(2, 6)}, {"video": 1}
    plain, moving = (
        loader(4, clips=filmed(), modalities=("video",), crops=crops, shifts=one)
        for one in ({}, shifts)
    )
    assert order(moving) == order(plain)
    for a, b in zip(plain.epoch(0), moving.epoch(0), strict=True):
        for still, moved in zip(a.modalities["video"], b.modalities["video"], strict=True):
            ways = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
            assert any(torch.equal(shifted(still, *way), moved) for way in ways)
    (whole_,) = evaluation_batches(filmed(), ("video",))
    assert {moved_by(window) for window in whole_.modalities["video"]} == {(0, 0)}


# ---- evaluation


@pytest.mark.parametrize(
    ("frames", "windows"),
    [
        (3, [[0, 1, 2]]),
        (5, [[0, 1, 2]]),
        (6, [[0, 1, 2], [3, 4, 5]]),
        (8, [[0, 1, 2], [3, 4, 5]]),
        (2, [[0, 1, 1]]),
        (1, [[0, 0, 0]]),
    ],
)
def test_windows_do_not_overlap_and_are_full(frames: int, windows: list[list[int]]) -> None:
    found = VideoCrop(frames=3, size=4).evaluation(numbered(frames))
    assert found.shape == (len(windows), 3, 4, 4, 3)
    assert found[:, :, 0, 0, 0].tolist() == windows


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (4, 8, (0, 4), (2, 6)),
        (8, 4, (2, 6), (0, 4)),
        (4, 7, (0, 4), (1, 5)),
        (4, 4, (0, 4), (0, 4)),
    ],
)
def test_the_centre_is_a_square_of_the_shorter_side(
    height: int, width: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    video = numbered(3, height, width)
    (window,) = VideoCrop(frames=3, size=4).evaluation(video)
    centre = video[:, slice(*rows), slice(*columns)]
    torch.testing.assert_close(window, torch.from_numpy(centre))


def test_the_square_is_brought_to_size() -> None:
    half = VideoCrop(frames=1, size=2).evaluation(numbered(1, 8, 8))
    assert half.shape == (1, 1, 2, 2, 3)
    # With antialias each pixel is a weighted mean of its part; symmetric about the middle, 3.5.
    top, bottom = half[0, 0, :, 0, 1].tolist()
    assert top + bottom == pytest.approx(7)
    assert 1 < top < 2
    double = VideoCrop(frames=1, size=8).evaluation(numbered(1, 4, 4))
    assert double[0, 0, 0, :, 2].tolist() == pytest.approx(
        [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    )


def test_evaluation_takes_all_clips_in_their_order() -> None:
    parts = list(evaluation_batches(clips(), ("vector", "steps"), batch_size=4))
    assert [len(part.indices) for part in parts] == [4, 4, 3]
    assert torch.cat([part.indices for part in parts]).tolist() == [*range(COUNT)]
    assert torch.cat([part.labels for part in parts]).tolist() == [i % 4 for i in range(COUNT)]
    vectors = torch.cat([part.modalities["vector"] for part in parts])
    assert vectors[:, 0].tolist() == [*range(COUNT)]
    assert [*parts[0].modalities] == ["vector", "steps"]
    assert torch.cat([part.lengths["steps"] for part in parts]).tolist() == [
        1 + i % 3 for i in range(COUNT)
    ]


def test_all_windows_of_a_clip_come_with_its_other_modalities() -> None:
    crop = {"video": VideoCrop(frames=2, size=4)}
    parts = list(
        evaluation_batches(clips(), ("video", "vector", "steps"), crops=crop, batch_size=2)
    )
    windows = [max(1, (2 + i % 5) // 2) for i in range(COUNT)]  # 2..6 frames: 1, 1, 2, 2, 3
    expected = [i for i in range(COUNT) for _ in range(windows[i])]
    # Never more than two windows at once, however long a clip is.
    at_once = {1: [1], 2: [2], 3: [2, 1]}
    assert [len(part.indices) for part in parts] == [n for w in windows for n in at_once[w]]
    assert torch.cat([part.indices for part in parts]).tolist() == expected
    for part in parts:
        rows = part.indices
        assert part.labels.tolist() == (rows % 4).tolist()
        assert part.modalities["video"].shape == (len(rows), 2, 4, 4, 3)
        assert part.modalities["video"][:, 0, 0, 0, 0].tolist() == rows.tolist()
        assert part.modalities["vector"][:, 1].tolist() == rows.tolist()
        assert part.lengths["steps"].tolist() == (1 + rows % 3).tolist()
        assert part.modalities["steps"][:, 0, 0].tolist() == rows.tolist()


def test_evaluation_of_the_target_alone_reads_nothing_else() -> None:
    split = clips(modalities={"vector": clips().modalities["vector"]})
    (part,) = evaluation_batches(split, ("vector",), crops={})
    assert [*part.modalities] == ["vector"]


def test_two_cropped_videos_are_refused() -> None:
    two = {"video": WHOLE, "vector": WHOLE}
    with pytest.raises(ValueError, match=r"^evaluation_batches: .* one crop, got \['video', 'vec"):
        next(evaluation_batches(clips(), ("video",), crops=two))


def test_neighbouring_windows_join() -> None:
    (found,) = {tuple(WHOLE.evaluation(numbered(9, 4, 4))[:, :, 0, 0, 0].flatten().tolist())}
    assert all(b - a == 1 for a, b in pairwise(found))


@pytest.mark.parametrize("size", [0, -1, 1.5, None])
def test_batches_of_no_rows_are_refused(size: Any) -> None:
    clips = Clips("test", ["a"], [0], {"vector": np.ones((1, 2))})
    message = r"^evaluation_batches: batch_size must be a whole number of at least 1, got"
    with pytest.raises(ValueError, match=message):
        next(evaluation_batches(clips, ["vector"], batch_size=size))
