from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from kit.worlds.actions import make_clip, sounding_actions
from kit.worlds.actions.pictures import draw_frames
from kit.worlds.actions.sounds import sound_of
from kit.worlds.actions.world import ACTIONS, STEPS_PER_SECOND, Event, timeline

RATE = 8000
SMALL = {"frames": 2, "size": 16, "seconds": 0.5}
STRUCK = ("bounce", "tick", "collide", "shake", "drum", "shatter")


def performances(action, count=6, **dials):
    return [timeline(action, seed=seed, **dials) for seed in range(count)]


def own(line):
    return [mover for mover in line.movers if mover.form == "own"]


def steps_of(line, what):
    return [round(e.seconds * STEPS_PER_SECOND) for e in line.events if e.what == what]


def loudness_by_step(sound):
    """Root mean square of each 20 ms around a step, on the clock of the timeline's arrays."""
    square = np.convolve(sound.astype(float) ** 2, np.ones(160) / 160, mode="same")
    return np.sqrt(square[:: RATE // STEPS_PER_SECOND])


def pitch_by_step(sound, width=400):
    """The strongest frequency in each 50 ms, in hertz, and the step in the middle of it."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, width)[:: RATE // STEPS_PER_SECOND]
    spectra = np.abs(np.fft.rfft(windows * np.hanning(width), 4096))
    middle = width * STEPS_PER_SECOND // (2 * RATE)
    return spectra.argmax(1) * RATE / 4096, np.arange(len(windows)) + middle


def centre_of_spectrum(sound):
    power = np.abs(np.fft.rfft(sound)) ** 2
    return (power * np.fft.rfftfreq(len(sound), 1 / RATE)).sum() / power.sum()


def same(a, b):
    return a.shape == b.shape and (a == b).all()


# What happens


@pytest.mark.parametrize("action", ACTIONS)
def test_a_timeline_is_a_pure_function_of_action_length_and_seed(action):
    first, again, other = (timeline(action, seed=seed) for seed in (3, 3, 4))
    assert first.events == again.events
    assert not same(first.movers[0].x, other.movers[0].x)
    for mover, copy in zip(first.movers, again.movers, strict=True):
        assert same(mover.x, copy.x)
        assert same(mover.y, copy.y)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("seconds", [0.5, 1.0, 10.0])
def test_events_lie_in_the_clip_and_what_is_seen_in_the_picture(action, seconds):
    for line in performances(action, seconds=seconds):
        times = [event.seconds for event in line.events]
        assert times == sorted(times)
        assert all(0 <= at < seconds for at in times)
        assert times or seconds < 1
        for mover in line.movers:
            seen = mover.opacity > 0
            assert mover.x.shape == (seconds * STEPS_PER_SECOND + 1,)
            assert (np.abs(mover.x[seen] - 0.5) < 0.65).all()
            assert (mover.y[seen] > -0.02).all()
            assert (mover.y[seen] < line.floor + 0.13).all()


def test_the_ball_touches_the_floor_when_it_says_so_and_never_sinks_in():
    for line in performances("bounce", seconds=5.0):
        (ball,) = own(line)
        gap = line.floor - ball.y - ball.tall
        assert (gap > -1e-9).all()
        touches = steps_of(line, "touches the floor")
        assert (gap[touches] < 0.02).all()
        for before, after in pairwise(touches):
            assert gap[(before + after) // 2] > 3 * gap[touches].max()


def test_bob_goes_as_high_and_as_low_but_smoothly():
    for line in performances("bob"):
        (thing,) = own(line)
        assert np.abs(np.diff(thing.y, 2)).max() < 0.002
        assert (thing.y + thing.tall <= line.floor + 1e-9).all()
        for top in steps_of(line, "is at the top"):
            assert thing.y[top] < thing.y[max(0, top - 40)] + 0.01


def test_spin_turns_evenly_and_tick_by_jerks():
    for line in performances("spin"):
        (thing,) = own(line)
        speed = np.abs(np.diff(thing.turn)) * STEPS_PER_SECOND / (2 * np.pi)
        assert 0.4 < speed.min() <= speed.max() < 2.3
        half_turns = np.abs(thing.turn[steps_of(line, "has turned half round")]) / np.pi
        assert half_turns == pytest.approx(half_turns.round(), abs=0.02)
    for line in performances("tick"):
        (thing,) = own(line)
        moving = np.flatnonzero(np.abs(np.diff(thing.turn)) > 1e-6)
        since = [
            min(step - j for j in steps_of(line, "jerks on") if step >= j - 1) for step in moving
        ]
        assert max(since) <= 0.05 * STEPS_PER_SECOND + 1


def test_what_rolls_turns_as_far_as_it_goes_and_what_slides_does_not_turn():
    for line in performances("roll"):
        (thing,) = own(line)
        assert np.diff(thing.turn) * thing.wide[0] == pytest.approx(np.diff(thing.x), abs=1e-9)
    for line in performances("slide"):
        assert np.ptp(own(line)[0].turn) == 0
    for action in ("roll", "slide"):
        for line in performances(action):
            (thing,) = own(line)
            assert thing.x[steps_of(line, "is half across")] == pytest.approx(0.5, abs=0.01)
            assert thing.y + thing.tall == pytest.approx(line.floor)


def test_what_collides_touches_and_goes_back_and_what_passes_goes_through():
    for line in performances("collide"):
        left, right = own(line)
        apart = right.x - right.wide - left.x - left.wide
        assert (apart > -1e-9).all()
        assert abs(apart.argmin() - steps_of(line, "hit each other")[0]) <= 1
    for line in performances("pass"):
        first, second = own(line)
        assert (first.x - second.x)[0] * (first.x - second.x)[-1] < 0
        assert abs(np.abs(first.x - second.x).argmin() - steps_of(line, "pass each other")[0]) <= 1


def test_swing_is_lowest_and_whirl_highest_when_they_say_so():
    for line in performances("swing"):
        (thing,) = own(line)
        assert thing.y[steps_of(line, "is lowest")] == pytest.approx(thing.y.max(), abs=0.002)
        assert np.hypot(*np.gradient([thing.x, thing.y], axis=1)).max() < 0.02
    for line in performances("whirl"):
        (thing,) = own(line)
        for top in steps_of(line, "is at the top"):
            assert thing.y[top] <= thing.y[max(0, top - 60) : top + 60].min() + 0.005


def test_shake_turns_back_at_each_knock_and_drum_is_squashed_at_each_stroke():
    for line in performances("shake"):
        (thing,) = own(line)
        speed = np.hypot(*np.gradient([thing.x, thing.y], axis=1))
        knocks = [k for k in steps_of(line, "turns back") if 0 < k < STEPS_PER_SECOND]
        assert len(knocks) >= 12
        assert speed[knocks].max() < 0.4 * speed.max()
    for line in performances("drum"):
        (thing,) = own(line)
        for stroke in steps_of(line, "is struck"):
            assert thing.tall[stroke + 1] < 0.6 * thing.tall.max()
        assert thing.y + thing.tall == pytest.approx(line.floor)


def test_fade_and_blink_show_what_they_say():
    for line in performances("fade"):
        (thing,) = own(line)
        begins, ends = (round(event.seconds * STEPS_PER_SECOND) for event in line.events)
        assert (thing.opacity[: begins + 1] > 0.99).all()
        assert (thing.opacity[ends + 1 :] == 0).all()
        assert (np.diff(thing.opacity) <= 0).all()
    for line in performances("blink"):
        (thing,) = own(line)
        for what, there in (("lights up", 1), ("goes out", 0)):
            assert steps_of(line, what)
            assert (thing.opacity[steps_of(line, what)] == there).all()


def test_water_rises_while_drops_fall_in_and_what_shatters_is_in_pieces():
    for line in performances("pour"):
        water, *drops = line.movers
        begins, ends = (round(event.seconds * STEPS_PER_SECOND) for event in line.events)
        assert [event.what for event in line.events] == ["begins to fill", "is full"]
        top = water.y - water.tall
        assert np.ptp(top[:begins]) == pytest.approx(0)
        assert np.ptp(top[ends + 1 :]) == pytest.approx(0)
        assert (np.diff(top[begins + 1 : ends]) < 0).all()
        assert water.y + water.tall == pytest.approx(line.floor)
        for drop in drops:
            assert (drop.y < top)[drop.opacity > 0].all()
    for line in performances("shatter"):
        (whole,), breaks = own(line), round(line.events[0].seconds * STEPS_PER_SECOND)
        pieces = [mover for mover in line.movers if mover.form == "triangle"]
        assert whole.y[breaks - 1] + whole.tall[0] == pytest.approx(line.floor, abs=0.03)
        for step, there in ((breaks - 2, 1), (breaks + 2, 0)):
            assert whole.opacity[step] == there
            assert {piece.opacity[step] for piece in pieces} == {1 - there}


# What is heard


def test_samples_have_their_number_type_and_range():
    for action in ACTIONS:
        sound = sound_of(timeline(action, seconds=0.7), sample_rate=11025, noise=0.5)
        assert (sound.shape, sound.dtype) == ((round(0.7 * 11025),), np.float32)
        assert -1 <= sound.min() < sound.max() <= 1
        assert 0.09 < np.abs(sound_of(timeline(action))).max() < 0.91


def test_a_sound_is_a_pure_function_of_timeline_and_seed():
    line = timeline("pour", seed=2)
    assert same(sound_of(line, noise=0.1, seed=1), sound_of(line, noise=0.1, seed=1))
    assert not same(sound_of(line, seed=1), sound_of(line, seed=2))


@pytest.mark.parametrize("action", STRUCK)
def test_a_strike_is_heard_at_its_instant_and_not_before(action):
    for seed, line in enumerate(performances(action)):
        sound = sound_of(line, seed=seed)
        instants = [event.seconds for event in line.events]
        first = np.flatnonzero(sound)[0] / RATE
        assert 0 <= first - instants[0] < 0.001
        level = loudness_by_step(sound)
        for seconds in instants:
            step = round(seconds * STEPS_PER_SECOND)
            if action != "shake" and 12 < step < STEPS_PER_SECOND - 12:
                assert level[step + 6] > 1.5 * level[step - 6], (seed, seconds)


def test_a_bounce_is_heard_while_the_ball_is_seen_at_its_lowest():
    for seed, line in enumerate(performances("bounce")):
        dials = {"frames": 32, "size": 64, "seed": seed}
        ball = draw_frames(line, **dials) != draw_frames(replace(line, movers=()), **dials)
        lowest = [np.flatnonzero(frame.any((1, 2))).max() for frame in ball]
        loudest = np.abs(sound_of(line, seed=seed)).argmax() / RATE
        heard = int(loudest * 32)
        around = range(max(0, heard - 3), min(32, heard + 4))
        assert abs(max(around, key=lambda frame: lowest[frame]) - heard) <= 1


def test_pitch_follows_what_is_seen():
    for seed, line in enumerate(performances("bob")):
        hertz, steps = pitch_by_step(sound_of(line, seed=seed))
        height = -own(line)[0].y[steps]
        assert np.corrcoef(np.log(hertz), height)[0, 1] > 0.98
    for seed, line in enumerate(performances("pass")):
        sound, meet = sound_of(line, seed=seed), round(line.events[0].seconds * RATE)
        going = centre_of_spectrum(sound[meet + 800 : meet + 2000])
        assert centre_of_spectrum(sound[meet - 2000 : meet - 800]) > 1.2 * going
    for seed, line in enumerate(performances("pour")):
        sound = sound_of(line, seed=seed)
        begins, ends = (round(event.seconds * RATE) for event in line.events)
        early, late = sound[begins : begins + 1500], sound[ends - 1500 : ends]
        assert centre_of_spectrum(late) > 1.5 * centre_of_spectrum(early)
    for seed, line in enumerate(performances("spin", seconds=2.0)):
        sound, turn = sound_of(line, seed=seed), own(line)[0].turn
        faster = (turn[-1] - turn[-201]) / (turn[200] - turn[0])
        higher = centre_of_spectrum(sound[-RATE // 2 :]) / centre_of_spectrum(sound[: RATE // 2])
        assert higher == pytest.approx(faster, rel=0.1)


@pytest.mark.parametrize(
    ("action", "seen"),
    [
        ("fade", lambda line: own(line)[0].opacity ** 1.5),
        ("blink", lambda line: own(line)[0].opacity),
        ("slide", lambda line: np.abs(np.gradient(own(line)[0].x))),
        ("swing", lambda line: np.gradient(own(line)[0].turn) ** 2),
        ("whirl", lambda line: -own(line)[0].y),
    ],
)
def test_loudness_follows_what_is_seen(action, seen):
    together = []
    for seed, line in enumerate(performances(action, 12)):
        level = loudness_by_step(sound_of(line, seed=seed))
        together.append(np.corrcoef(level[8:-8], seen(line)[8 : len(level) - 8])[0, 1])
    assert np.mean(together) > {"slide": 0.4, "swing": 0.75}.get(action, 0.95)


def test_sound_noise_has_the_deviation_that_is_asked_for_and_comes_last():
    line = timeline("collide")
    clean = sound_of(line, seed=1)
    soft, loud = (sound_of(line, noise=noise, seed=1) - clean for noise in (0.03, 0.06))
    assert soft.std() == pytest.approx(0.03, rel=0.05)
    assert loud == pytest.approx(2 * soft, abs=1e-6)


# What is seen


def test_frames_have_their_number_size_and_type():
    video = draw_frames(timeline("pour"), frames=5, size=48)
    assert (video.shape, video.dtype) == ((5, 48, 48, 3), np.uint8)


def test_a_thing_is_drawn_where_it_is():
    for action in ("bob", "slide", "swing", "whirl", "drum"):
        for seed, line in enumerate(performances(action, 3)):
            video = draw_frames(line, size=64, seed=seed).astype(float)
            empty = draw_frames(replace(line, movers=()), size=64, seed=seed).astype(float)
            (thing,) = own(line)
            for frame, changed in enumerate(np.abs(video - empty).sum(3) > 60):
                y, x = (float(axis.mean() + 0.5) / 64 for axis in np.nonzero(changed))
                step = round((frame + 0.5) / 8 * STEPS_PER_SECOND)
                if 0.15 < thing.x[step] < 0.85:
                    assert (x, y) == pytest.approx((thing.x[step], thing.y[step]), abs=0.05)


def test_a_thing_can_be_seen_to_turn_and_to_fade():
    line = timeline("spin", seed=1)
    for seed in range(6):
        video = draw_frames(line, size=64, seed=seed).astype(float)
        still = replace(line.movers[0], turn=np.zeros_like(line.movers[0].turn))
        other = draw_frames(replace(line, movers=(still,)), size=64, seed=seed)
        assert (np.abs(video - other).sum(3).max((1, 2)) > 60).sum() >= 6
    line = timeline("fade", seed=1)
    video = draw_frames(line, size=64).astype(float)
    shown = np.abs(video - draw_frames(replace(line, movers=()), size=64)).sum((1, 2, 3))
    steps = ((np.arange(8) + 0.5) / 8 * STEPS_PER_SECOND).astype(int)
    assert shown / shown.max() == pytest.approx(line.movers[0].opacity[steps], abs=0.1)


def test_colours_outlines_and_bystanders_know_nothing_of_the_action():
    lines = [replace(timeline(action), movers=(), floor=0.8) for action in ACTIONS]
    stages = [draw_frames(line, seed=5, noise=0.1, occlusion=0.1) for line in lines]
    assert all(same(stage, stages[0]) for stage in stages)
    one, two = timeline("roll", seed=1), timeline("slide", seed=1)
    dressed = [draw_frames(replace(two, movers=line.movers), seed=5) for line in (one, one, two)]
    assert same(dressed[0], dressed[1])
    assert not same(dressed[0], dressed[2])


def test_a_video_is_a_pure_function_of_timeline_and_seed():
    line = timeline("shatter", seed=2)
    dials = {"noise": 0.1, "occlusion": 0.2}
    assert same(draw_frames(line, seed=1, **dials), draw_frames(line, seed=1, **dials))
    assert not same(draw_frames(line, seed=1), draw_frames(line, seed=2))


def test_picture_noise_has_the_deviation_that_is_asked_for():
    for seed in range(3):
        clean = draw_frames(timeline("bob"), seed=seed).astype(float)
        noisy = draw_frames(timeline("bob"), noise=0.05, seed=seed)
        inside = (clean > 70) & (clean < 185)  # nothing is clipped here
        difference = (noisy - clean)[inside]
        assert difference.std() == pytest.approx(255 * 0.05, rel=0.05)
        assert difference.mean() == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5, 0.9, 1.0])
def test_occlusion_is_the_share_behind_a_box_that_stands_still(share):
    places, shapes = set(), set()
    for seed in range(8):
        line = timeline("whirl", seed=seed)
        clear = draw_frames(line, seed=seed)
        hidden = draw_frames(line, occlusion=share, seed=seed)
        rows, columns = (np.flatnonzero((hidden != clear).any((0, 3)).any(axis)) for axis in (1, 0))
        box = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert len(np.unique(hidden[box])) == 1
        assert hidden[box][0, :, :, 0].size / 32**2 == pytest.approx(share, abs=0.015)
        outside = np.ones(clear.shape, dtype=bool)
        outside[box] = False
        assert (hidden == clear)[outside].all()
        places.add((rows[0], columns[0]))
        shapes.add(len(rows) / len(columns))
    assert len(places) > 1 or share == 1
    assert 0.4 < min(shapes) <= max(shapes) < 2.5
    assert len(shapes) > 1 or share == 1


# The corpus


def test_counts_shapes_types_and_ranges():
    corpus = sounding_actions(clips_per_class=5, classes=4, frames=3, size=24, seconds=0.5)
    assert corpus.counts == {"train": 12, "validation": 4, "test": 4}
    assert corpus.classes == ACTIONS[:4]
    assert list(corpus.train.modalities) == ["video", "sound"]
    video, sound = corpus.train.modality("video"), corpus.train.modality("sound")
    assert (video.shape, video.dtype) == ((12, 3, 24, 24, 3), np.uint8)
    assert (sound.shape, sound.dtype) == ((12, 4000), np.float32)
    assert np.abs(sound).max() <= 1
    assert len(ACTIONS) >= 16


def test_splits_are_stratified_and_disjoint():
    corpus = sounding_actions(clips_per_class=10, classes=3, held_out=0.3, **SMALL)
    for split, count in zip(corpus.splits, (4, 3, 3), strict=True):
        assert np.bincount(split.labels).tolist() == [count] * 3
    ids = [clip for split in corpus.splits for clip in split.ids]
    assert sorted(ids) == sorted(f"{action}_{n:04d}" for action in ACTIONS[:3] for n in range(10))
    assert [list(s.ids) for s in sounding_actions(clips_per_class=3, classes=2, **SMALL).splits]


def test_every_clip_can_be_made_again_from_its_id():
    dials = {"classes": 5, "seed": 9, "picture_noise": 0.2, "sound_noise": 0.1, **SMALL}
    some = {"bounce": 0.5, "bob": 0}
    corpus = sounding_actions(clips_per_class=4, relevance=some, **dials)
    for split in corpus.splits:
        for row, (name, label) in enumerate(zip(split.ids, split.labels, strict=True)):
            action, number = name.split("_")
            assert action == corpus.classes[label]
            clip = make_clip(action, number=int(number), relevance=some.get(action, 1.0), **dials)
            assert clip.id == name
            assert same(clip.video, split.modality("video")[row])
            assert same(clip.sound, split.modality("sound")[row])


def test_the_same_seed_gives_the_same_corpus_and_another_another():
    first, again, other = (
        sounding_actions(clips_per_class=3, classes=3, seed=seed, **SMALL) for seed in (1, 1, 2)
    )
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_one_dial_leaves_the_rest_as_it_was():
    plain = make_clip("pour", number=4)
    for dials in (
        {"picture_noise": 0.4},
        {"occlusion": 0.5},
        {"size": 64},
        {"frames": 20},
    ):
        turned = make_clip("pour", number=4, **dials)
        assert same(turned.sound, plain.sound), dials
        assert not same(turned.video, plain.video), dials
        assert turned.events == plain.events
    for dials in ({"sound_noise": 0.3}, {"sample_rate": 16000}, {"relevance": 0.0}):
        turned = make_clip("pour", number=4, **dials)
        assert same(turned.video, plain.video), dials
        assert not same(turned.sound, plain.sound), dials
        assert turned.events == plain.events
    assert same(make_clip("pour", number=4, classes=15).sound, plain.sound)


def test_noise_of_the_picture_and_box_do_not_disturb_each_other():
    clear = make_clip("spin", picture_noise=0.1, occlusion=0.0).video
    hidden = make_clip("spin", picture_noise=0.1, occlusion=0.2).video
    assert (clear == hidden).all(3).mean() > 0.75


# How far the sound follows


def test_a_sound_that_follows_is_of_the_events_that_are_seen():
    for action in ACTIONS:
        clip = make_clip(action, **SMALL)
        assert (clip.follows, clip.heard, clip.heard_events) == (True, action, clip.events)


def test_at_relevance_0_what_is_heard_is_independent_of_the_class():
    classes, clips = 4, 150
    heard = np.zeros((classes, classes))
    for label, action in enumerate(ACTIONS[:classes]):
        for number in range(clips):
            clip = make_clip(
                action, number=number, classes=classes, relevance=0, sample_rate=RATE, **SMALL
            )
            assert not clip.follows
            heard[label, ACTIONS.index(clip.heard)] += 1
    expected = clips / classes
    # Chi-square of independence and even shares: 12 degrees of freedom, 26.2 is passed by 1 in 100.
    assert ((heard - expected) ** 2 / expected).sum() < 26.2


def test_at_relevance_0_even_the_same_action_is_another_performance():
    dials = {"classes": 7, "relevance": 0, "sound_noise": 0, "seed": 1}
    found = [make_clip("collide", number=number, **dials) for number in range(40)]
    alike = [clip for clip in found if clip.heard == "collide"]
    assert alike
    for clip in alike:
        first = np.flatnonzero(clip.sound)[0] / RATE
        assert first == pytest.approx(clip.heard_events[0].seconds, abs=0.001)
        assert clip.heard_events != clip.events


def test_relevance_is_the_share_that_follows_and_a_higher_one_keeps_what_followed():
    followed = [
        {n for n in range(200) if make_clip("tick", number=n, relevance=share, **SMALL).follows}
        for share in (0.0, 0.3, 0.7, 1.0)
    ]
    assert [len(some) / 200 for some in followed] == pytest.approx([0, 0.3, 0.7, 1], abs=0.08)
    assert all(few <= more for few, more in pairwise(followed))


def test_relevance_is_given_for_all_or_by_name():
    dials = {"clips_per_class": 4, "classes": 3, **SMALL}
    none, bob, everything = (
        sounding_actions(relevance=relevance, **dials) for relevance in (0.0, {"bob": 0}, 1.0)
    )
    for split, one, other in zip(bob.splits, none.splits, everything.splits, strict=True):
        astray = np.array(split.labels) == 1
        mixed, noise, all_follow = (c.modality("sound") for c in (split, one, other))
        assert same(mixed[astray], noise[astray])
        assert same(mixed[~astray], all_follow[~astray])
        assert same(split.modality("video"), one.modality("video"))


# What is refused


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        (
            {"clips_per_class": 2},
            "sounding_actions: expected clips_per_class to be at least 3, got 2",
        ),
        ({"classes": 1}, "sounding_actions: expected classes between 2 and 16, got 1"),
        ({"classes": 17}, "sounding_actions: expected classes between 2 and 16, got 17"),
        ({"held_out": 0.5}, "sounding_actions: expected held_out above 0 and below 0.5, got 0.5"),
        ({"held_out": 0}, "sounding_actions: expected held_out above 0 and below 0.5, got 0"),
        ({"relevance": 1.5}, "expected relevance of 'bounce' between 0 and 1, got 1.5"),
        ({"relevance": {"bob": -1}}, "expected relevance of 'bob' between 0 and 1, got -1"),
        (
            {"relevance": {"bob": float("nan")}},
            "expected relevance of 'bob' between 0 and 1 and finite, got nan",
        ),
        (
            {"relevance": {"pour": 0, "hop": 0}},
            r"expected relevance of actions in use \(bounce, bob, spin\), got pour, hop",
        ),
        ({"seed": -1}, "expected seed to be at least 0, got -1"),
        ({"frames": 1}, "draw_frames: expected frames between 2 and 64, got 1"),
        ({"size": 8}, "draw_frames: expected size between 16 and 256, got 8"),
        ({"seconds": 0.1}, "timeline: expected seconds between 0.5 and 10, got 0.1"),
        ({"sample_rate": 4000}, "sound_of: expected sample_rate between 8000 and 48000, got 4000"),
        ({"picture_noise": -0.1}, "draw_frames: expected noise between 0 and 1, got -0.1"),
        ({"occlusion": 1.1}, "draw_frames: expected occlusion between 0 and 1, got 1.1"),
        (
            {"sound_noise": float("nan")},
            "sound_of: expected noise between 0 and 1 and finite, got nan",
        ),
    ],
)
def test_impossible_dials_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        sounding_actions(**{"clips_per_class": 3, "classes": 3, **dials})


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"action": "hop"}, "make_clip: expected action to be one of bounce, .*, got 'hop'"),
        ({"action": "pour", "classes": 3}, "one of bounce, bob, spin, got 'pour'"),
        ({"classes": 0}, "make_clip: expected classes between 2 and 16, got 0"),
        ({"number": -1}, "make_clip: expected number to be at least 0, got -1"),
        ({"seed": -1}, "make_clip: expected seed to be at least 0, got -1"),
        ({"relevance": 2}, "make_clip: expected relevance between 0 and 1, got 2"),
    ],
)
def test_an_impossible_clip_is_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        make_clip(**{"action": "bob", **dials})


def test_a_timeline_of_no_action_is_refused():
    with pytest.raises(
        ValueError, match=r"timeline: expected action to be one of bounce, .* got 'hop'"
    ):
        timeline("hop")


def test_an_event_is_an_instant_and_a_word():
    assert Event(0.5, "is full") == (0.5, "is full")
