from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kit.data.splits import group_folds
from kit.worlds.dialogues import EMOTIONS, SESSIONS, dialogues

MODALITIES = ("visual", "acoustic", "textual")
made = cache(dialogues)


def speakers(clips):
    return np.array([one.rpartition("/")[0] for one in clips.ids])


def utterance_means(clips, modality):
    """(clips, dim): what a clip's numbers are on average."""
    return np.stack([clips.modalities[modality][row].mean(0) for row in range(len(clips))])


def pooled(clips, modality):
    sequences = clips.modalities[modality]
    largest = [sequences[row].max(0) for row in range(len(clips))]
    return np.hstack([utterance_means(clips, modality), np.stack(largest)])


@cache
def accuracy(*modalities, random=False, **dials):
    """Percent right of a linear classifier of pooled features, one session left out at a time."""
    clips = made(**dials)
    features = np.hstack([pooled(clips, modality) for modality in modalities])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0) if random else LeaveOneGroupOut()
    groups = None if random else clips.groups
    scores = cross_val_score(model, features, clips.labels, groups=groups, cv=folds)
    return 100 * scores.mean()


# How difficult it is, and why a random split flatters


def test_a_face_tells_least_and_all_together_most():
    scores = {
        modalities: np.mean([accuracy(*modalities, seed=seed) for seed in (0, 1, 2)])
        for modalities in (*((one,) for one in MODALITIES), MODALITIES)
    }
    expected = {("visual",): 50, ("acoustic",): 60, ("textual",): 66, MODALITIES: 72}
    assert scores == pytest.approx(expected, abs=4)
    assert list(scores.values()) == sorted(scores.values())


def test_two_modalities_tell_more_than_the_better_of_them():
    alone = max(accuracy("visual", seed=0), accuracy("acoustic", seed=0))
    assert accuracy("visual", "acoustic", seed=0) > alone + 1


def test_a_random_split_flatters_because_of_the_speakers():
    def flattered(modality, **dials):
        return accuracy(modality, random=True, **dials) - accuracy(modality, **dials)

    for modality in ("visual", "acoustic"):
        by_how_much = [flattered(modality, seed=seed) for seed in (0, 1, 2)]
        assert np.mean(by_how_much) > 5, modality
        assert min(by_how_much) > 2, modality
        assert abs(flattered(modality, speaker_effect=0.0)) < 2.5, modality
    assert flattered("visual", speaker_effect=2.0) > np.mean(by_how_much)


def test_clarity_is_what_makes_a_modality_tell():
    most_frequent = 100 * 1708 / 5531
    for modality in MODALITIES:
        assert accuracy(modality, **{f"{modality}_clarity": 0.0}) < most_frequent + 5
    assert accuracy("visual", visual_clarity=3.0) > accuracy("visual", seed=0) + 3


def test_the_voice_tells_arousal_and_the_words_pleasure():
    clips = made(speaker_effect=0.0)
    labels = np.array(clips.labels)
    heard, read = (pooled(clips, modality) for modality in ("acoustic", "textual"))

    def right(features, yes):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=1000))
        return cross_val_score(model, features, yes).mean()

    aroused, pleased = labels < 2, np.isin(labels, (1, 3))
    assert right(heard, aroused) > right(heard, pleased) + 0.02
    assert right(read, pleased) > right(read, aroused) + 0.02


# Emotions


def test_emotions_are_as_frequent_as_in_iemocap_in_every_session():
    clips = made(utterances=1500)
    labels, groups = np.array(clips.labels), np.array(clips.groups)
    shares = np.array([1103, 1636, 1084, 1708]) / 5531
    assert np.bincount(labels) / 1500 == pytest.approx(shares, abs=0.04)
    for session in SESSIONS:
        assert np.bincount(labels[groups == session]) / 300 == pytest.approx(shares, abs=0.1)


def shown(clips, modality, row):
    """(steps,): how far a clear emotion is shown, by the clip's own first direction."""
    steps = clips.modalities[modality][row].astype(float)
    steps = steps - np.median(steps[:2], axis=0)
    _, _, directions = np.linalg.svd(steps, full_matrices=False)
    along = steps @ directions[0]
    return along * np.sign(along.sum())


def test_an_emotion_sets_in_and_takes_its_course():
    clips = made(speaker_effect=0.0, acoustic_clarity=10.0, visual_clarity=10.0)
    courses = {emotion: [] for emotion in EMOTIONS}
    for row, label in enumerate(clips.labels):
        course = shown(clips, "acoustic", row)
        start = int((course > 8).argmax())
        if start >= 5 and len(course) - start >= 55:
            courses[EMOTIONS[label]].append(course[start : start + 55])
            # The face starts with the voice, at 10 steps a second instead of 25.
            sight = shown(clips, "visual", row)
            if EMOTIONS[label] in ("happy", "neutral") and sight.max() > 12:
                assert (sight > 5).argmax() / 10 == pytest.approx(start / 25, abs=0.25)
    at = {
        emotion: np.median([course / course.mean() for course in found], axis=0)
        for emotion, found in courses.items()
    }
    assert min(map(len, courses.values())) > 15
    # Steps 6, 18 and 31: a quarter, three quarters, and one and a quarter seconds after the onset.
    assert at["angry"][0] > 1.5 * at["angry"][18] > 1.5 * at["angry"][50] > 0
    assert at["happy"][6] > 3 * at["happy"][18] < at["happy"][31]
    assert at["sad"][3] < at["sad"][18] < at["sad"][50]
    assert at["neutral"] == pytest.approx(np.ones(55), abs=0.15)


def test_nothing_is_shown_before_the_onset():
    clips = made(speaker_effect=0.0, acoustic_clarity=10.0)
    steps = clips.modalities["acoustic"]
    first, last = (
        np.stack([steps[row][place] for row in range(len(clips))]).std(0) for place in (0, -1)
    )
    # From utterance to utterance 1, from step to step 1; the emotion's directions move all numbers.
    assert first == pytest.approx(np.full(32, 2**0.5), rel=0.25)
    assert (last > 2 * first).mean() > 0.8


def test_six_words_in_ten_tell():
    clips = made(speaker_effect=0.0, textual_clarity=10.0)
    told = []
    for row, label in enumerate(clips.labels):
        if EMOTIONS[label] == "neutral":
            words = clips.modalities["textual"][row]
            last = words[len(words) // 2 + 1 :]
            size = np.linalg.norm(last, axis=1)
            told += (size > 2 * 20**0.5).tolist()
    assert 0.5 < np.mean(told) < 0.65


# Speakers


def test_five_sessions_of_two_speakers():
    clips = made(utterances=603)
    groups = np.array(clips.groups)
    assert tuple(f"session_{number}" for number in (1, 2, 3, 4, 5)) == SESSIONS
    assert [int((groups == session).sum()) for session in SESSIONS] == [121, 121, 121, 120, 120]
    assert clips.ids[120].startswith("session_1/speaker_")
    assert clips.ids[120].endswith("/utterance_120")
    both = {f"{session}/speaker_{letter}" for session in SESSIONS for letter in "ab"}
    assert set(speakers(clips)) == both
    assert all(one.startswith(f"{group}/") for one, group in zip(clips.ids, groups, strict=True))
    corpora = list(group_folds(clips, EMOTIONS, name="dialogues"))
    assert [session for session, _ in corpora] == list(SESSIONS)
    for session, corpus in corpora:
        assert set(corpus.test.groups) == {session}
        assert session not in {*corpus.train.groups, *corpus.validation.groups}


def manners(clips, modality):
    """Each speaker's mean, (10, dim), and standard deviation within utterances, (10,)."""
    who, sequences = speakers(clips), clips.modalities[modality]
    means, spreads = [], []
    for name in sorted(set(who)):
        rows = np.flatnonzero(who == name)
        steps = [sequences[row] for row in rows]
        means.append(np.mean([part.mean(0) for part in steps], axis=0))
        spreads.append(np.sqrt(np.mean(np.concatenate([(p - p.mean(0)) ** 2 for p in steps]))))
    return np.array(means), np.array(spreads)


def test_speakers_have_an_offset_and_a_scale_in_each_modality():
    silent = {f"{modality}_clarity": 0.0 for modality in MODALITIES}
    differing, alike = made(**silent), made(**silent, speaker_effect=0.0)
    offsets = {}
    for modality in MODALITIES:
        offsets[modality], scales = manners(differing, modality)
        means, spreads = manners(alike, modality)
        # An utterance's mean wanders by 1: that of some 60 utterances by 1 / sqrt(60).
        assert means.std() == pytest.approx(60**-0.5, abs=0.05)
        assert spreads == pytest.approx(np.full(10, spreads.mean()), rel=0.05)
        assert offsets[modality].std() == pytest.approx(0.72, abs=0.12)
        of_one_session = offsets[modality][::2] - offsets[modality][1::2]
        assert of_one_session.std() == pytest.approx(2**0.5 * 0.72, abs=0.2)
        assert 0.05 < np.log(scales).std() < 0.35
    shared = np.corrcoef(offsets["visual"].ravel(), offsets["acoustic"][:, :24].ravel())[0, 1]
    assert abs(shared) < 0.2


def test_speakers_have_habits_unless_there_is_no_speaker_effect():
    def shares_of_the_first(clips):
        first = np.array([who.endswith("a") for who in speakers(clips)])
        labels, groups = np.array(clips.labels), np.array(clips.groups)
        return np.array(
            [
                first[(labels == label) & (groups == session)].mean()
                for session in SESSIONS
                for label in range(4)
            ]
        )

    habits = shares_of_the_first(made(utterances=1500))
    none = shares_of_the_first(made(utterances=1500, speaker_effect=0.0))
    assert habits.std() > 0.2
    # Of some 75 utterances each: half of them, give or take sqrt(1 / 4 / 75).
    assert none.mean() == pytest.approx(0.5, abs=0.04)
    assert none.std() < 0.09


# What the sequences are


def test_lengths_follow_from_how_long_an_utterance_lasts():
    clips = made(seed=0)
    seen, heard, read = (clips.modalities[modality].lengths for modality in MODALITIES)
    assert (seen >= 15).all()
    assert (seen <= 60).all()
    assert seen.min() < 18
    assert seen.max() > 57
    assert heard == pytest.approx(2.5 * seen, abs=1.9)
    words_a_second = read / (heard / 25)
    assert 1.6 < words_a_second.min() < 2.3
    assert 3.7 < words_a_second.max() < 4.4
    dims = {modality: clips.modalities[modality].values.shape[1] for modality in MODALITIES}
    assert dims == {"visual": 24, "acoustic": 32, "textual": 20}
    assert {clips.modalities[modality].values.dtype for modality in MODALITIES} == {
        np.dtype("float32")
    }


def test_the_same_seed_gives_the_same_utterances_and_another_others():
    first, again, other = (dialogues(utterances=20, seed=seed) for seed in (1, 1, 2))
    assert first.ids == again.ids
    assert first.labels == again.labels
    assert first.labels != other.labels
    for modality in MODALITIES:
        values = [clips.modalities[modality].values for clips in (first, again, other)]
        assert (values[0] == values[1]).all()
        assert values[0][:5].tolist() != values[2][:5].tolist()


def test_one_dial_leaves_the_rest_as_it_was():
    plain = made()
    for modality in MODALITIES:
        turned = made(**{f"{modality}_clarity": 0.0})
        assert (turned.ids, turned.labels) == (plain.ids, plain.labels)
        for other in MODALITIES:
            ours, theirs = (clips.modalities[other] for clips in (plain, turned))
            assert (ours.lengths == theirs.lengths).all()
            assert (ours.values == theirs.values).all() == (other != modality)
    alike = made(speaker_effect=0.0)
    assert (alike.labels, alike.groups) == (plain.labels, plain.groups)
    lengths = [clips.modalities["textual"].lengths.tolist() for clips in (alike, plain)]
    assert lengths[0] == lengths[1]


def test_more_utterances_leave_the_first_of_each_session_as_they_were():
    few, many = dialogues(utterances=17), made()
    for row, one in enumerate(few.ids):
        place = many.ids.index(one)
        assert few.labels[row] == many.labels[place]
        for modality in MODALITIES:
            ours, theirs = few.modalities[modality][row], many.modalities[modality][place]
            assert (ours == theirs).all()


# What is refused


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"utterances": 4}, "dialogues: expected utterances to be at least 5, got 4"),
        ({"visual_clarity": -1}, "dialogues: expected visual_clarity between 0 and 10, got -1"),
        ({"acoustic_clarity": 11}, "dialogues: expected acoustic_clarity between 0 and 10, got 11"),
        (
            {"textual_clarity": float("nan")},
            "expected textual_clarity between 0 and 10 and finite, got nan",
        ),
        ({"speaker_effect": -0.5}, "dialogues: expected speaker_effect between 0 and 10, got -0.5"),
        ({"seed": -1}, "dialogues: expected seed to be at least 0, got -1"),
    ],
)
def test_impossible_dials_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        dialogues(**dials)


def test_five_utterances_are_one_a_session():
    assert list(dialogues(utterances=5).groups) == list(SESSIONS)
