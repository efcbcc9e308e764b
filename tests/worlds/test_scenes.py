from __future__ import annotations

import pickle
import re
from dataclasses import astuple, replace
from itertools import pairwise, permutations

import numpy as np
import pytest

from kit.data.pairs import Vocabulary
from kit.worlds.scenes import Scene, Thing, describe, draw, relations, scenes
from kit.worlds.scenes.world import (
    BACKGROUNDS,
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    TEXTURES,
    near_duplicate,
    random_scene,
)

# An oracle of its own: what each word means, and a grammar that knows no other words.

MEANS = {"little": "small", "big": "large", "spotted": "dotted"}
COLUMN_AND_ROW = {
    "in the top left corner": (0, 0),
    "at the top": (1, 0),
    "in the top right corner": (2, 0),
    "on the left": (0, 1),
    "in the middle": (1, 1),
    "in the centre": (1, 1),
    "on the right": (2, 1),
    "in the bottom left corner": (0, 2),
    "at the bottom": (1, 2),
    "in the bottom right corner": (2, 2),
}
GROUND = {
    "in a cloudy sky": "sky",
    "among clouds": "sky",
    "on short grass": "grass",
    "on a meadow": "grass",
    "on fine sand": "sand",
    "on a beach": "sand",
    "at night": "night",
    "in the dark": "night",
    "on squared paper": "paper",
    "on a wooden table": "wood",
    "on wooden planks": "wood",
}
RELATIONS = {
    "to the left of": lambda a, b: at(a)[0] < at(b)[0],
    "left of": lambda a, b: at(a)[0] < at(b)[0],
    "to the right of": lambda a, b: at(a)[0] > at(b)[0],
    "right of": lambda a, b: at(a)[0] > at(b)[0],
    "above": lambda a, b: at(a)[1] < at(b)[1],
    "below": lambda a, b: at(a)[1] > at(b)[1],
    "in front of": lambda a, b: at(a) == at(b) and (a.size, b.size) == ("small", "large"),
    "behind": lambda a, b: at(a) == at(b) and (a.size, b.size) == ("large", "small"),
    "inside": lambda a, b: at(a) == at(b) and a.size == "small" and b.shape == "ring",
    "around": lambda a, b: at(a) == at(b) and b.size == "small" and a.shape == "ring",
    "together with": lambda a, b: True,
}
NUMBERS = {"one": 1, "two": 2, "three": 3, "both": 2, "all": 3}


def one_of(words):
    return "(?:" + "|".join(words) + ")"


PHRASE = (
    r"(?:a|an|another)(?: (?:small|little|large|big))?"
    rf"(?: {one_of([*TEXTURES, 'spotted'])})?(?: {one_of(COLOURS)})? {one_of([*SHAPES, 'thing'])}"
)
PLACE, PLACE_ON = one_of(COLUMN_AND_ROW), one_of(GROUND)


def at(thing):
    across = {"left": 0, "right": 2}.get(thing.place.split()[-1], 1)
    down = {"top": 0, "bottom": 2}.get(thing.place.split()[0], 1)
    return across, down


def fits(phrase, thing):
    """Every word of "a little striped red thing" is true of the thing."""
    words = [MEANS.get(word, word) for word in phrase.split()[1:]]
    return all(word == "thing" or word in astuple(thing)[:4] for word in words)


def items(listed):
    return re.split(r", | and ", listed)


def true_of_one_thing(caption, scene):
    phrase, place = re.fullmatch(rf"({PHRASE})(?: ({PLACE}))?", caption).groups()
    return any(
        fits(phrase, thing) and (place is None or COLUMN_AND_ROW[place] == at(thing))
        for thing in scene.things
    )


def true_of_relation(caption, scene):
    if len(scene.things) == 1:
        return true_of_one_thing(caption.replace(" all alone", ""), scene)
    first, relation, second = re.fullmatch(
        rf"({PHRASE}) ({one_of(RELATIONS)}) ({PHRASE})", caption
    ).groups()
    return any(
        fits(first, a) and fits(second, b) and RELATIONS[relation](a, b)
        for a, b in permutations(scene.things, 2)
    )


def true_of_colours(caption, scene):
    some = rf"something(?: {one_of(COLOURS)})?"
    before, listed, after = re.fullmatch(
        rf"(?:({PLACE_ON}) there is )?({some}(?:(?:, | and ){some})*)(?: ({PLACE_ON}))?", caption
    ).groups()
    named = [item.split()[1] for item in items(listed) if " " in item]
    ground = before or after
    return (
        len(set(named)) == len(named)
        and set(named) <= {thing.colour for thing in scene.things}
        and (ground is None or GROUND[ground] == scene.background)
    )


def true_of_numbers(caption, scene):
    total = len(scene.things)
    start, *said = re.split(r", | and (?!it)", caption)
    if total == 1:
        words = [part.removeprefix("and it is ").split()[-1] for part in said]
        known = start in ("only one thing", "something")
        return known and all(fits(f"a {word}", scene.things[0]) for word in words)
    number, things = start.split()
    right = things == "things" and (number == "some" or NUMBERS[number] == total)
    for part in said:
        many, kind = re.fullmatch(rf"({one_of(NUMBERS)}) of them (?:an? )?(\w+)", part).groups()
        singular = re.sub(r"(?<=cross)es$|(?<!s)s$", "", kind)
        right &= sum(fits(f"a {singular}", thing) for thing in scene.things) == NUMBERS[many]
    return right


def true_of_everything(caption, scene):
    listed, ground = re.fullmatch(
        rf"({PHRASE}(?:(?:, | and ){PHRASE})*)(?: ({PLACE_ON}))?", caption
    ).groups()
    phrases = items(listed)
    return (ground is None or GROUND[ground] == scene.background) and any(
        len(phrases) == len(order) and all(map(fits, phrases, order))
        for order in permutations(scene.things)
    )


TRUTH = (
    true_of_one_thing,
    true_of_relation,
    true_of_colours,
    true_of_numbers,
    true_of_everything,
)


def is_true(caption, part, scene):
    assert caption[0].isupper()
    assert caption.endswith(".")
    plain = re.sub("^(there is|we see) ", "", caption[0].lower() + caption[1:-1])
    return TRUTH[part](plain, scene)


def differences(a, b):
    """In how many attributes two scenes differ, their things matched as well as can be."""
    if len(a.things) != len(b.things):
        return 99
    return (a.background != b.background) + min(
        sum(
            x != y
            for thing, other in zip(a.things, order, strict=True)
            for x, y in zip(astuple(thing), astuple(other), strict=True)
        )
        for order in permutations(b.things)
    )


def some_scenes(count, seed=0):
    rng = np.random.default_rng(seed)
    return [random_scene(rng) for _ in range(count)]


STAR = Thing("small", "striped", "red", "star", "left")
RING = Thing("large", "plain", "blue", "ring", "right")
SCENE = Scene((STAR, RING), "grass")


# What is said


@pytest.mark.parametrize("told", [0.0, 0.5, 1.0])
def test_every_caption_is_true_of_its_scene(told):
    for index, scene in enumerate(some_scenes(400)):
        for part, caption in enumerate(describe(scene, captions=10, told=told, seed=index)):
            assert is_true(caption, part % 5, scene), (caption, scene)


def test_the_oracle_finds_captions_false_of_other_scenes():
    for part in range(5):
        false = [
            not is_true(describe(scene, told=1)[part], part, other)
            for scene, other in pairwise(some_scenes(300))
            if len(scene.things) == len(other.things)
        ]
        assert np.mean(false) > 0.7


@pytest.mark.parametrize("told", [0.0, 0.3, 0.8, 1.0])
def test_told_is_the_share_of_attributes_that_are_said(told):
    several = [scene for scene in some_scenes(1200) if len(scene.things) > 1]
    captions = [describe(scene, told=told, seed=seed) for seed, scene in enumerate(several)]
    for part, words in (
        (0, ["small", "little", "large", "big"]),
        (0, [*TEXTURES, "spotted"]),
        (0, COLOURS),
        (0, SHAPES),
        (0, COLUMN_AND_ROW),
        (1, [relation for relation in RELATIONS if relation != "together with"]),
        (2, GROUND),
        (3, ["two things", "three things"]),
        (4, GROUND),
    ):
        said = np.mean([any(word in texts[part].lower() for word in words) for texts in captions])
        assert said == pytest.approx(told, abs=0 if told in (0, 1) else 0.05), (part, words)
    named = sum(len(re.findall(rf"thing {one_of(COLOURS)}", texts[2])) for texts in captions)
    colours = sum(len({thing.colour for thing in scene.things}) for scene in several)
    assert named / colours == pytest.approx(told, abs=0 if told in (0, 1) else 0.05)


def test_what_can_be_said_of_one_thing_when_all_is_told():
    scene = Scene((STAR,), "paper")
    spoken = [describe(scene, told=1, seed=seed) for seed in range(200)]
    star = [f"{size} striped red star" for size in ("small", "little")]
    starts = ("A", "There is a", "We see a")
    assert [set(captions) for captions in zip(*spoken, strict=True)] == [
        {f"{start} {it} on the left." for start in starts for it in star},
        {f"A {it} all alone on the left." for it in star},
        {"Something red on squared paper.", "On squared paper there is something red."},
        {
            f"Only one thing, and it is {what}."
            for what in ("small", "little", "striped", "red", "a star")
        },
        {f"{start} {it} on squared paper." for start in starts for it in star},
    ]


def test_nothing_told_says_nothing_but_how_many():
    described = [caption.lower() for caption in describe(SCENE, told=0, seed=1)]
    bare = [re.sub("^(there is|we see) ", "", caption) for caption in described]
    assert bare == [
        "a thing.",
        "a thing together with another thing.",
        "something.",
        "some things.",
        "a thing and another thing.",
    ]


def test_describe_is_a_pure_function():
    assert describe(SCENE, seed=4) == describe(SCENE, seed=4)
    assert describe(SCENE, seed=4) != describe(SCENE, seed=5)


def test_grammar_of_an_orange_and_of_two_alike():
    orange = Scene((Thing("small", "plain", "orange", "star", "left"),), "sky")
    spoken = " ".join(" ".join(describe(orange, told=0.5, seed=seed)) for seed in range(50)).lower()
    assert " an orange" in spoken
    assert " a orange" not in spoken
    alike = [describe(SCENE, told=0, seed=seed)[1].lower() for seed in range(5)]
    assert all(caption.endswith("a thing together with another thing.") for caption in alike)


# What a scene is


def test_relations_follow_from_places():
    assert relations(STAR, RING) == ("left of",)
    assert relations(RING, STAR) == ("right of",)
    assert relations(STAR, replace(RING, place="left")) == ("inside",)
    assert relations(replace(RING, place="left"), STAR) == ("around",)
    square = replace(RING, place="left", shape="square")
    assert relations(STAR, square) == ("in front of",)
    assert relations(square, STAR) == ("behind",)
    assert relations(replace(STAR, place="bottom left"), RING) == ("left of", "below")


def test_the_order_of_things_makes_no_other_scene():
    assert Scene((RING, STAR), "grass") == SCENE
    assert Scene((RING, STAR), "grass").things == (STAR, RING)


def test_near_duplicate_differs_in_one_attribute():
    rng = np.random.default_rng(0)
    for scene in some_scenes(200):
        assert differences(scene, near_duplicate(scene, rng)) == 1


def test_random_scenes_use_everything():
    found = some_scenes(600)
    things = [thing for scene in found for thing in scene.things]
    assert {scene.background for scene in found} == set(BACKGROUNDS)
    for attribute, choices in (("size", SIZES), ("shape", SHAPES), ("place", tuple(PLACES))):
        assert {getattr(thing, attribute) for thing in things} == set(choices)
    shares = np.bincount([len(scene.things) for scene in found], minlength=4) / len(found)
    assert shares == pytest.approx([0, 0.2, 0.4, 0.4], abs=0.06)
    stacked = [len({t.place for t in s.things}) < len(s.things) for s in found if len(s.things) > 1]
    assert 0.25 < np.mean(stacked) < 0.5


# What is seen


@pytest.mark.parametrize("shape", SHAPES)
def test_things_lie_where_they_should_and_are_not_cut_off(shape):
    for size in SIZES:
        for index, place in enumerate(PLACES):
            red = Thing(size, "plain", "red", shape, place)
            pictures = [
                np.asarray(draw(Scene((thing,), "paper"), seed=index), dtype=float)
                for thing in (red, replace(red, colour="blue"))
            ]
            changed = np.abs(pictures[0] - pictures[1]).sum(axis=2) > 30
            y, x = (float(axis.mean()) for axis in np.nonzero(changed))
            across, down = at(red)
            assert x == pytest.approx(64 * (0.27 + 0.23 * across), abs=6)
            assert y == pytest.approx(64 * (0.27 + 0.23 * down), abs=6)
            assert not changed[[0, -1]].any()
            assert not changed[:, [0, -1]].any()


def test_each_attribute_can_be_seen():
    for attribute, choices in (("texture", TEXTURES), ("colour", COLOURS), ("shape", SHAPES)):
        pictures = [
            np.asarray(draw(Scene((replace(RING, **{attribute: choice}),), "sand")), dtype=float)
            for choice in choices
        ]
        for a, b in permutations(pictures, 2):
            assert (np.abs(a - b).sum(axis=2) > 60).sum() > 50, attribute
    grounds = {draw(Scene((STAR,), name)).getpixel((60, 60)) for name in BACKGROUNDS}
    assert len(grounds) == len(BACKGROUNDS)


def test_the_small_thing_is_in_front():
    behind = Thing("large", "plain", "red", "circle", "centre")
    front = Thing("small", "plain", "blue", "square", "centre")
    for order in ((behind, front), (front, behind)):
        red, _, blue = draw(Scene(order, "paper")).getpixel((32, 32))
        assert blue > 2 * red


def test_noise_has_the_deviation_that_is_asked_for():
    # On wood no pixel is near black or white, so nothing is clipped.
    scene = Scene((replace(STAR, texture="plain", colour="green"),), "wood")
    clean = np.asarray(draw(scene, seed=2), dtype=float)
    for noise in (0.02, 0.1):
        difference = (
            np.asarray(draw(scene, noise=noise, seed=2), dtype=float)[:, 34:] - clean[:, 34:]
        )
        assert difference.std() == pytest.approx(255 * noise, rel=0.05)
        assert difference.mean() == pytest.approx(0, abs=1)


def test_draw_is_a_pure_function_of_scene_and_seed():
    assert draw(SCENE, seed=1).tobytes() == draw(SCENE, seed=1).tobytes()
    assert draw(SCENE, seed=1).tobytes() != draw(SCENE, seed=2).tobytes()
    assert draw(SCENE, size=48).size == (48, 48)


# The corpus


def test_counts_and_names():
    corpus = scenes(images=100, captions_per_image=3, size=32)
    assert corpus.counts == {
        "train": {"images": 80, "captions": 240},
        "validation": {"images": 10, "captions": 30},
        "test": {"images": 10, "captions": 30},
    }
    assert scenes(images=100, held_out=0.3, size=32).counts["train"]["images"] == 40
    assert list(corpus.train.caption_images[:4]) == [0, 0, 0, 1]
    picture = corpus.test.open_image(0)
    assert (picture.size, picture.mode) == ((32, 32), "RGB")


def test_captions_and_pictures_belong_to_the_scenes_they_come_with():
    corpus = scenes(images=60, seed=2, noise=0.0, near_duplicates=0.0)
    for split in corpus.splits:
        shown = split.open_image.scenes
        for index, (caption, image) in enumerate(
            zip(split.captions, split.caption_images, strict=True)
        ):
            assert is_true(caption, index % 5, shown[image])
        alone = np.stack([np.asarray(draw(scene), float) for scene in shown])
        nearest = [
            int(np.abs(np.asarray(split.open_image(row), float) - alone).sum((1, 2, 3)).argmin())
            for row in range(len(shown))
        ]
        assert np.mean([row == found for row, found in enumerate(nearest)]) > 0.9


def test_the_same_seed_gives_the_same_corpus_and_another_another():
    first, again, other = (scenes(images=40, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert (first.train.open_image.pixels == again.train.open_image.pixels).all()
    assert set(first.train.open_image.scenes).isdisjoint(other.train.open_image.scenes)


def test_one_dial_leaves_the_rest_as_it_was():
    plain = scenes(images=40, noise=0.0)
    noisy, terse = scenes(images=40, noise=0.3), scenes(images=40, noise=0.0, told=0.2)
    assert noisy.fingerprint() == plain.fingerprint()
    assert (terse.train.open_image.pixels == plain.train.open_image.pixels).all()
    assert terse.train.captions != plain.train.captions


def test_no_scene_has_two_labels_and_no_label_two_splits():
    corpus = scenes(images=300, images_per_label=3, near_duplicates=0.5, size=32)
    label_of = {}
    for split in corpus.splits:
        for label, scene in zip(split.image_labels, split.open_image.scenes, strict=True):
            assert label_of.setdefault(scene, (label, split.name)) == (label, split.name)
    labels = [label for label, _ in label_of.values()]
    assert sorted(labels) == list(range(100))


def test_a_scene_that_comes_again_is_made_anew(monkeypatch):
    pool = some_scenes(11)
    monkeypatch.setattr("kit.worlds.scenes.corpus.random_scene", lambda rng: pool[rng.integers(11)])
    corpus = scenes(images=10, near_duplicates=0.0, size=32)
    assert len({scene for split in corpus.splits for scene in split.open_image.scenes}) == 10


def test_pictures_of_a_label_show_the_same_scene_drawn_anew():
    train = scenes(images=40, images_per_label=4, noise=0.0).train
    assert list(train.image_labels[:5]) == [0, 0, 0, 0, 1]
    assert len(set(train.open_image.scenes[:4])) == 1
    assert len({train.open_image(index).tobytes() for index in range(4)}) == 4
    assert train.captions[:5] != train.captions[5:10]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.5, 40), (1.0, 80)])
def test_near_duplicates_is_the_share_with_a_twin(share, expected):
    shown = scenes(images=100, near_duplicates=share, size=32, captions_per_image=1)
    found = shown.train.open_image.scenes
    twins = {
        index
        for index in range(80)
        if any(differences(found[index], other) == 1 for other in found)
    }
    assert len(twins) == expected
    if share == 1:
        assert all(differences(found[at], found[at + 1]) == 1 for at in range(0, 80, 2))


def test_galleries_can_be_pickled():
    gallery = scenes(images=10, size=32).train.open_image
    again = pickle.loads(pickle.dumps(gallery))
    assert again(3).tobytes() == gallery(3).tobytes()
    assert again.scenes == gallery.scenes


def test_the_vocabulary_is_moderate():
    corpus = scenes(images=1000, size=32)
    known = Vocabulary.of(corpus.train.captions, min_count=3).words
    assert 50 <= len(known) <= 120
    assert set(COLOURS) | set(SHAPES) | set(TEXTURES) <= set(known)


# What is refused


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"captions_per_image": 0}, "scenes: expected captions_per_image to be at least 1, got 0"),
        ({"told": 1.5}, "scenes: expected told between 0 and 1, got 1.5"),
        ({"noise": -0.1}, "scenes: expected noise between 0 and 1, got -0.1"),
        ({"near_duplicates": float("nan")}, "scenes: expected near_duplicates between 0 and 1"),
        ({"seed": -1}, "scenes: expected seed to be at least 0, got -1"),
        (
            {"images_per_label": 0},
            "images_per_label to be at least 1 and to divide images, got images_per_label=0",
        ),
        ({"images_per_label": 3}, "got images_per_label=3 and images=100"),
        ({"held_out": 0.5}, "scenes: expected held_out above 0 and below 0.5, got 0.5"),
        ({"held_out": 0}, "scenes: expected held_out above 0 and below 0.5, got 0"),
        ({"images": 2}, r"at least one scene in each of three splits, got 2 scenes \(images=2"),
        ({"images": 0}, "at least one scene in each of three splits, got 0 scenes"),
        ({"size": 16}, "draw: expected size between 32 and 512, got 16"),
    ],
)
def test_impossible_dials_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        scenes(**{"images": 100, **dials})


def test_three_pictures_are_enough_for_three_splits():
    assert [len(split.image_names) for split in scenes(images=3, size=32).splits] == [1, 1, 1]


def test_draw_and_describe_refuse_impossible_dials():
    with pytest.raises(ValueError, match="draw: expected noise between 0 and 1, got 2"):
        draw(SCENE, noise=2)
    with pytest.raises(ValueError, match="describe: expected captions to be at least 1, got 0"):
        describe(SCENE, captions=0)
    with pytest.raises(ValueError, match="describe: expected told between 0 and 1, got -1"):
        describe(SCENE, told=-1)


@pytest.mark.parametrize(
    ("things", "background", "message"),
    [
        ((), "grass", "Scene: expected one to three things, got 0"),
        ((STAR, RING, STAR, RING), "grass", "Scene: expected one to three things, got 4"),
        ((STAR,), "moor", "Scene: expected background to be one of sky, .* got 'moor'"),
        (
            (STAR, replace(STAR, place="right")),
            "sky",
            "expected things of different colour or shape",
        ),
        (
            (RING, replace(RING, colour="red", place="top")),
            "sky",
            "expected things that do not touch",
        ),
        ((STAR, replace(RING, colour="red", place="left")), "sky", "to differ in size and colour"),
        ((STAR, replace(STAR, colour="blue")), "sky", "to differ in size and colour"),
        ((STAR, replace(RING, shape="moon", place="left")), "sky", "to be no star or moon"),
    ],
)
def test_impossible_scenes_are_refused(things, background, message):
    with pytest.raises(ValueError, match=message):
        Scene(things, background)


def test_unknown_attributes_are_refused():
    with pytest.raises(
        ValueError, match=r"Thing: expected colour to be one of red, .* got 'mauve'"
    ):
        replace(STAR, colour="mauve")
