"""The method's numbers, its turns, and who moves by what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from padding import pad
from torch import Tensor, nn

from kit.data.pairs import PairBatch
from kit.diagnostics import gradient_map
from kit.itmeetsal import losses
from kit.itmeetsal.method import (
    PRESETS,
    ITMeetsAL,
    ITMeetsALConfig,
    baseline3,
    discriminator_terms,
    paper,
    separate,
)
from kit.retrieval.towers import SharedFeatures, Towers
from kit.training import Turn, fit

SMALL: dict[str, Any] = {"dim": 8, "word_dim": 4, "lstm_units": 3, "batch_size": 4}
CLASSES = 5
CONFIGS = {name: preset() for name, preset in PRESETS.items()}
CONFIGS["every step"] = replace(separate(), reversal="every_step")  # Figure 7, read otherwise
WEIGHTS = {"classification": 2.0, "imbalance": 3.0, "triplet": 5.0, "kl": 7.0, "entropy": 11.0}


def method(config: ITMeetsALConfig | None = None, backbone: nn.Module | None = None) -> ITMeetsAL:
    torch.manual_seed(0)
    numbers = replace(config or paper(), **SMALL)
    towers = Towers(
        numbers,
        image_backbone=backbone or nn.Sequential(nn.Linear(6, 7), nn.Tanh()),
        image_feature_dim=7,
        vocabulary_size=12,
        classes=CLASSES,
    )
    model = numbers.method(towers)
    for head in model.adversary or ():
        for layer in (head[0], head[2]):  # else all of so few ReLUs are dead for some seeds
            nn.init.ones_(layer.bias)
    return model


def batch(seed: int = 0) -> PairBatch:
    generator = torch.Generator().manual_seed(seed)
    tokens, lengths = pad([[2, 3, 4], [2, 5], [2, 6, 7, 8], [2, 9]])
    images = torch.randn(4, 6, generator=generator)
    return PairBatch(images, tokens, lengths, torch.tensor([0, 3, 3, 1]), torch.arange(4))


class Loader:
    def __len__(self) -> int:
        return 3

    def epoch(self, epoch: int, *, skip: int = 0) -> Any:
        return (batch(10 * epoch + step) for step in range(skip, 3))


def copied(networks: nn.ModuleDict) -> dict[str, dict[str, Tensor]]:
    return {
        name: {key: value.clone() for key, value in network.state_dict().items()}
        for name, network in networks.items()
    }


def moved(networks: nn.ModuleDict, before: Mapping[str, Mapping[str, Tensor]]) -> set[str]:
    return {
        name
        for name, network in networks.items()
        if any(not torch.equal(value, before[name][k]) for k, value in network.state_dict().items())
    }


# ---- numbers


PAPER = {  # 5.1 and Algorithm 1; what is not printed there: the decisions of A4 and A5
    **{"dim": 512, "word_dim": 512, "lstm_units": 512, "dropout": 0.3, "min_word_count": 3},
    **{f"{term}_weight": 1.0 for term in ("classification", "imbalance", "triplet", "kl")},
    **{"entropy_weight": 1.0, "adversary": "unified", "kl_target": "row", "temperature": 4.0},
    **{"margin": 0.5, "intra_positives": "include_self", "weight_decay": 4e-5},
    "reversal": "in_its_own_turn",
    **{"backbone_learning_rate": 2e-5, "learning_rate": 2e-4, "decay": 0.94, "decay_epochs": 2},
    **{"discriminator_every": 5, "batch_size": 64, "epochs": 30},
}


def test_defaults_are_the_papers() -> None:
    assert asdict(ITMeetsALConfig()) == PAPER
    assert paper() == ITMeetsALConfig()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dim": 0}, r"dim must be a whole number of at least 8, got 0"),
        ({"dim": 4}, r"dim must be a whole number of at least 8, got 4"),
        (
            {"epochs": 2.5},
            r"epochs must be a whole number of at least 1, got 2\.5",
        ),
        ({"word_dim": 0}, r"word_dim must be a whole number of at least 1, got 0"),
        (
            {"lstm_units": -1},
            r"lstm_units must be a whole number of at least 1, got -1",
        ),
        (
            {"min_word_count": 0},
            r"min_word_count must be a whole number of at least 1",
        ),
        (
            {"decay_epochs": 0},
            r"decay_epochs must be a whole number of at least 1",
        ),
        (
            {"batch_size": 0},
            r"batch_size must be a whole number of at least 2, got 0",
        ),
        (
            {"discriminator_every": True},
            r"discriminator_every must be a whole number",
        ),
        (
            {"batch_size": 1},
            r"batch_size must be a whole number of at least 2, got 1",
        ),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1\.0"),
        ({"dropout": -0.1}, r"dropout must lie in \[0, 1\), got -0\.1"),
        ({"decay": 1.01}, r"decay must lie in \(0, 1\], got 1\.01"),
        (
            {"weight_decay": -1e-5},
            r"weight_decay must be a number of at least 0, got -1e",
        ),
        ({"decay": 0.0}, r"decay must lie in \(0, 1\], got 0\.0"),
        ({"margin": -0.1}, r"margin must be a number of at least 0, got -0\.1"),
        (
            {"kl_weight": -1.0},
            r"kl_weight must be a number of at least 0, got -1\.0",
        ),
        ({"temperature": 0.0}, r"temperature must be a positive number, got 0\.0"),
        (
            {"learning_rate": float("nan")},
            r"learning_rate must be a positive number, got",
        ),
        (
            {"backbone_learning_rate": 0.0},
            r"backbone_learning_rate must be a positive",
        ),
        (
            {"adversary": "both"},
            r"adversary must be 'unified' or 'separate' or 'none', go",
        ),
        (
            {"kl_target": "rows"},
            r"kl_target must be 'row' or 'softmax', got 'rows'",
        ),
        (
            {"intra_positives": "self"},
            r"intra_positives must be 'include_self' or 'excl",
        ),
        (
            {"adversary": "separate", "entropy_weight": 0.0},
            r"adversary 'separate' with entropy_weight 0 .* use adversary='none'",
        ),
        (
            {"adversary": "separate", "reversal": "never"},
            r"reversal must be 'in_its_own_turn' or 'every_step', got 'never'",
        ),
        (
            {"reversal": "every_step"},
            r"reversal 'every_step' is for adversary 'separate' alone",
        ),
        (
            {"entropy_weight": 0.0},
            r"adversary 'unified' with entropy_weight 0 would train",
        ),
    ],
)
def test_impossible_numbers_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^ITMeetsALConfig: {message}"):
        replace(paper(), **wrong)


def test_a_config_without_terms_is_refused() -> None:
    nothing = {"classification_weight": 0.0, "imbalance_weight": 0.0, "triplet_weight": 0.0}
    with pytest.raises(ValueError, match=r"every term has weight 0"):
        replace(baseline3(), kl_weight=0.0, **nothing)


@pytest.mark.parametrize(
    ("preset", "terms"),
    [
        ("baseline1", "classification triplet"),
        ("baseline2", "classification imbalance triplet"),
        ("baseline3", "classification imbalance triplet kl"),
        ("paper", "classification imbalance triplet kl entropy"),
        ("literal", "classification imbalance triplet kl entropy"),
        ("separate", "classification imbalance triplet kl entropy"),
        ("every step", "classification imbalance triplet kl entropy reversed_modality"),
    ],
)
def test_presets_are_the_rows_of_table_4_and_the_two_figures(preset: str, terms: str) -> None:
    model = method(CONFIGS[preset])
    assert [*model.generator_terms(model.encode(batch()), batch())] == terms.split()
    turns = [turn.name for turn in model.turns(0)]
    second = "reversal" if preset == "separate" else "discriminator"
    assert turns == ["generator", second][: 1 if preset.startswith("base") else 2]
    assert (CONFIGS[preset].kl_target == "softmax") == (preset == "literal")
    heads = {"discriminator", "uncertainty_predictor", "modality_classifier"} & {*model.networks}
    two = {"uncertainty_predictor", "modality_classifier"}
    assert heads == (
        two
        if preset in ("separate", "every step")
        else {"discriminator"}
        if len(turns) > 1
        else set()
    )


@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"temperature": 1.5, "margin": 0.9, "kl_target": "softmax"},
        {"intra_positives": "exclude_self", "margin": 1.5},
        {f"{name}_weight": weight for name, weight in WEIGHTS.items()},
    ],
    ids=["paper", "options", "positives", "weights"],
)
def test_terms_are_the_losses_with_the_configs_numbers(numbers: dict[str, Any]) -> None:
    config = replace(CONFIGS["every step"], **numbers)
    model = method(config)
    z, labels = model.encode(batch()), batch().labels
    heads = "uncertainty_predictor", "modality_classifier"
    uncertain, modality = ([model.networks[head](part) for part in z] for head in heads)
    logits = losses.projected_class_logits(*z, model.networks["classifier"].weight)
    margin, positives = config.margin, config.intra_positives
    expected = {
        "classification": losses.instance_classification_loss(*logits, labels),
        "imbalance": losses.imbalance_kl_loss(*logits, temperature=config.temperature),
        "triplet": losses.bidirectional_triplet_loss(
            *z, labels, margin=margin, intra_positives=positives
        ),
        "kl": losses.projection_kl_loss(*z, labels, kl_target=config.kl_target),
        "entropy": losses.modality_entropy_loss(*uncertain),
        "reversed_modality": losses.modality_classification_loss(*modality),
    }
    found = model.generator_terms(z, batch())
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        weight = getattr(config, f"{name.replace('reversed_modality', 'entropy')}_weight")
        torch.testing.assert_close(found[name], weight * loss)


@pytest.mark.parametrize("name", ["classification", "imbalance", "triplet", "kl"])
def test_a_term_of_weight_0_is_left_out_alone(name: str) -> None:
    model = method(replace(paper(), **{f"{name}_weight": 0.0}))
    assert model.generator_terms(model.encode(batch()), batch()).keys() == WEIGHTS.keys() - {name}


# ---- who moves by what: rows of the map are terms, columns networks

ENCODERS = {"image_backbone", "image_projection", "text_encoder", "text_projection"}
WHO_MOVES = {
    ("paper", "classification"): ENCODERS | {"classifier"},
    ("paper", "imbalance"): ENCODERS | {"classifier"},
    ("paper", "triplet"): ENCODERS,
    ("paper", "kl"): ENCODERS,
    ("paper", "entropy"): ENCODERS,
    ("paper", "modality"): {"discriminator"},
    ("separate", "classification"): ENCODERS | {"classifier"},
    ("separate", "kl"): ENCODERS,
    ("separate", "entropy"): ENCODERS | {"uncertainty_predictor"},
    ("separate", "modality"): ENCODERS | {"modality_classifier"},
    ("every step", "entropy"): ENCODERS | {"uncertainty_predictor"},
    ("every step", "reversed_modality"): ENCODERS,
    ("every step", "modality"): {"modality_classifier"},
}


@pytest.mark.parametrize(("preset", "term"), WHO_MOVES)
def test_gradient_map(preset: str, term: str) -> None:
    model = method(CONFIGS[preset])
    z = model.encode(batch())
    turn = next(turn for turn in model.turns(0) if term in turn.terms(z, batch()))
    parameters = [p for group in turn.optimizer.param_groups for p in group["params"]]
    turn.terms(z, batch())[term].backward(inputs=parameters)
    for name, network in model.networks.items():
        gradients = [p.grad for p in network.parameters()]
        if name in WHO_MOVES[preset, term]:
            assert any(g is not None and g.abs().sum() > 0 for g in gradients), name
        else:
            assert all(gradient is None for gradient in gradients), name


@pytest.mark.parametrize("preset", PRESETS)
def test_the_map_of_every_preset_is_the_one_above(preset: str) -> None:
    model = method(CONFIGS[preset])
    found = gradient_map(model, batch())
    z = model.encode(batch())
    assert [*found] == [term for turn in model.turns(0) for term in turn.terms(z, batch())]
    for term, norms in found.items():
        expected = WHO_MOVES.get((preset, term)) or WHO_MOVES["paper", term]
        assert norms.keys() == {*model.networks}
        assert {name for name, norm in norms.items() if norm > 0} == expected, term
        assert all(norms[name] == 0 for name in norms.keys() - expected), term


@pytest.mark.parametrize(("preset", "term"), WHO_MOVES)
def test_the_maps_numbers_are_the_norms_of_what_backward_leaves(preset: str, term: str) -> None:
    model = method(CONFIGS[preset])
    model.networks.eval()  # one dropout for both
    found = gradient_map(model, batch())[term]
    z = model.encode(batch())
    (turn,) = (turn for turn in model.turns(0) if term in turn.terms(z, batch()))
    turn.terms(z, batch())[term].backward()
    held = {id(p) for group in turn.optimizer.param_groups for p in group["params"]}
    for name, network in model.networks.items():
        entries = [
            entry
            for p in network.parameters()
            if id(p) in held and p.grad is not None
            for entry in p.grad.flatten().tolist()
        ]
        assert found[name] == pytest.approx(math.hypot(*entries), rel=1e-5), name


def test_the_map_changes_neither_parameters_nor_gradients_nor_optimizers() -> None:
    model = method(CONFIGS["every step"])
    for _ in zip(fit(model, Loader(), epochs=2), range(6), strict=False):
        pass  # both optimizers have moments, all parameters gradients

    def everything() -> tuple[Any, ...]:
        gradients = [p.grad for p in model.networks.parameters()]
        assert all(gradient is not None for gradient in gradients)
        states = [optimizer.state_dict() for optimizer in model.optimizers.values()]
        assert all(state["state"] for state in states)
        modes = [module.training for module in model.networks.modules()]
        return model.networks.state_dict(), gradients, states, modes

    before = deepcopy(everything())
    gradient_map(model, batch())
    torch.testing.assert_close(everything(), before, rtol=0, atol=0)


def test_the_map_of_a_frozen_backbone_is_0_and_of_the_rest_is_not() -> None:
    model = method(backbone=nn.Linear(6, 7).requires_grad_(False))
    found = gradient_map(model, batch())
    assert {norms["image_backbone"] for norms in found.values()} == {0.0}
    for term in ("classification", "triplet", "kl", "entropy"):
        assert all(found[term][name] > 0 for name in ENCODERS - {"image_backbone"})


def test_each_generator_step_takes_a_batch_of_its_own() -> None:
    """Algorithm 1 prints k steps on one mini-batch: five passes over the pairs an epoch."""
    encoded: list[Tensor] = []

    class Watched(ITMeetsAL):
        def encode(self, batch: PairBatch) -> SharedFeatures:
            encoded.append(batch.images)
            return super().encode(batch)

    plain = method()
    assert plain.config.discriminator_every == 5
    list(fit(Watched(plain.config, plain.towers), Loader(), epochs=2))
    given = [batch(10 * epoch + step).images for epoch in range(2) for step in range(3)]
    torch.testing.assert_close(encoded, given, rtol=0, atol=0)


def test_a_generator_turn_leaves_the_discriminator_without_gradient() -> None:
    model = method()
    before = copied(model.networks)
    next(fit(model, Loader(), epochs=1))
    assert moved(model.networks, before) == ENCODERS | {"classifier"}
    assert all(p.grad is None for p in model.networks["discriminator"].parameters())


def test_the_discriminator_moves_at_each_fifth_step_counted_across_epochs() -> None:
    model = method()
    before, steps = copied(model.networks), []
    for record in fit(model, Loader(), epochs=4):
        if "values" not in vars(record):
            continue
        now = moved(model.networks, before)
        assert now >= ENCODERS
        steps.append("discriminator" in now)
        before = copied(model.networks)
    assert [number for number, judged in enumerate(steps, start=1) if judged] == [5, 10]


@pytest.mark.parametrize(
    ("preset", "moves"),
    [
        ("paper", {"discriminator"}),
        ("every step", {"modality_classifier"}),
        ("separate", ENCODERS | {"modality_classifier"}),
    ],
)
def test_a_turn_at_the_kth_step_moves_its_own_and_nothing_else(
    preset: str, moves: set[str]
) -> None:
    after = {}
    for every in (1, 2):  # the first step with the discriminator's turn, and without
        model = method(replace(CONFIGS[preset], discriminator_every=every))
        next(fit(model, Loader(), epochs=1))
        after[every] = copied(model.networks)
    assert moved(model.networks, after[1]) == moves


def test_reversal_moves_both_in_one_pass() -> None:
    """Figure 7: theta_c goes down L_d's plain gradient and the encoders up, from where they are."""
    model = method(replace(separate(), discriminator_every=1, dropout=0.0))
    generator, reversal = model.turns(0)
    assert (reversal.name, reversal.anew, reversal.optimizer) == (
        "reversal",
        True,
        generator.optimizer,
    )
    z, classifier = model.encode(batch()), model.networks["modality_classifier"]
    judged = classifier(z.image), classifier(z.text)
    loss = losses.modality_classification_loss(*judged)  # L_d without a reversal layer
    plain = torch.autograd.grad(loss, reversal.parameters, allow_unused=True)
    reversal.optimizer.zero_grad()
    (term,) = reversal.terms(model.encode(batch()), batch()).values()
    term.backward(inputs=reversal.parameters)
    torch.testing.assert_close(term, loss)
    judge, met = {id(p) for p in classifier.parameters()}, set()
    for parameter, gradient in zip(reversal.parameters, plain, strict=True):
        if gradient is None:  # theta_P and the predictor are not reached, so Adam leaves them alone
            assert parameter.grad is None
            continue
        side = 1 if id(parameter) in judge else -1
        torch.testing.assert_close(parameter.grad, side * gradient)
        met.add(side)
    assert met == {1, -1}


def test_reversal_reads_the_encoders_as_the_generators_turn_left_them() -> None:
    model = method(replace(separate(), discriminator_every=1, dropout=0.0))
    encoded = []
    encode = model.encode
    model.encode = lambda batch: encoded.append(encode(batch)) or encoded[-1]  # type: ignore[func-returns-value]
    next(fit(model, Loader(), epochs=1))
    first, anew = encoded
    assert not torch.equal(first.image, anew.image)


def test_the_discriminators_turn_takes_the_detached_features_of_the_step() -> None:
    model = method()
    z = model.encode(batch())
    discriminator = model.networks["discriminator"]
    loss = discriminator_terms(discriminator, z, batch())["modality"]
    loss.backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    assert all(p.grad is None for name in ENCODERS for p in model.networks[name].parameters())


def test_theta_p_does_not_notice_entropy_kl_and_triplets() -> None:
    def gradient(config: ITMeetsALConfig) -> Tensor:
        model = method(config)
        model.networks.eval()
        sum(
            model.generator_terms(model.encode(batch()), batch()).values(), torch.zeros(())
        ).backward()
        return next(model.networks["classifier"].parameters()).grad

    few = replace(baseline3(), triplet_weight=0.0, kl_weight=0.0)
    torch.testing.assert_close(gradient(paper()), gradient(few))


def test_figure_7_reverses_the_gradient_of_the_encoders_only() -> None:
    model = method(CONFIGS["every step"])
    model.networks.eval()
    z = SharedFeatures(*(part.detach().requires_grad_() for part in model.encode(batch())))
    classifier = model.networks["modality_classifier"]
    weights = [*classifier.parameters()]
    reversed_ = model.generator_terms(z, batch())["reversed_modality"]
    plain = discriminator_terms(classifier, z, batch())["modality"]
    torch.testing.assert_close(reversed_, plain)
    climbed = torch.autograd.grad(reversed_, [*z, *weights])
    attached = SharedFeatures(*z)
    loss = nn.functional.cross_entropy(classifier(attached.image), torch.zeros(4).long())
    loss = loss + nn.functional.cross_entropy(classifier(attached.text), torch.ones(4).long())
    descended = torch.autograd.grad(loss, [*z, *weights])
    for up, down in zip(climbed[:2], descended[:2], strict=True):
        torch.testing.assert_close(up, -down)
    for up, down in zip(climbed[2:], descended[2:], strict=True):
        torch.testing.assert_close(up, down)


# ---- optimizers


def test_groups_rates_and_decay_are_algorithm_1s() -> None:
    model = method(CONFIGS["every step"])
    decayed, plain, backbone = model.optimizers["generator"].param_groups
    assert [g["weight_decay"] for g in (decayed, plain, backbone)] == [4e-5, 0.0, 4e-5]
    assert [g["lr"] for g in (decayed, plain, backbone)] == [2e-4, 2e-4, 2e-5]
    assert {(g["betas"], g["eps"]) for g in (decayed, plain, backbone)} == {((0.9, 0.999), 1e-8)}
    projections = [*model.networks["image_projection"].parameters()]
    projections += model.networks["text_projection"].parameters()
    assert {id(p) for p in decayed["params"]} == {id(p) for p in projections}
    assert {id(p) for p in backbone["params"]} == {
        id(p) for p in model.networks["image_backbone"].parameters()
    }
    (judge,) = model.optimizers["discriminator"].param_groups
    assert (judge["lr"], judge["weight_decay"]) == (2e-4, 0)


def test_sizes_and_dropout_are_the_configs() -> None:
    networks = method(replace(paper(), dropout=0.6)).networks
    assert networks["text_encoder"].embedding.weight.shape == (12, 4)
    assert networks["text_encoder"].lstm.hidden_size == 3
    assert networks["text_encoder"].dropout.p == 0.6
    assert networks["image_projection"].weight.shape == (8, 7)
    assert networks["text_projection"].weight.shape == (8, 6)
    assert networks["classifier"].weight.shape == (8, CLASSES)
    assert networks["discriminator"][0].weight.shape == (4, 8)


def test_rates_and_decay_are_the_configs() -> None:
    rates = {"learning_rate": 3e-3, "backbone_learning_rate": 7e-3, "weight_decay": 0.1}
    model = method(replace(paper(), **rates, decay=0.5, decay_epochs=3))
    model.begin_epoch(7)
    groups = [g for o in model.optimizers.values() for g in o.param_groups]
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0, 0.1, 0.0]
    assert [g["lr"] for g in groups] == pytest.approx([3e-3 / 4, 3e-3 / 4, 7e-3 / 4, 3e-3 / 4])


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_has_exactly_one_optimizer(preset: str) -> None:
    model = method(PRESETS[preset]())
    held = [
        id(p)
        for optimizer in model.optimizers.values()
        for group in optimizer.param_groups
        for p in group["params"]
    ]
    assert sorted(held) == sorted(id(p) for p in model.networks.parameters())


def test_frozen_parameters_have_none() -> None:
    backbone = nn.Linear(6, 7).requires_grad_(False)
    assert len(method(backbone=backbone).optimizers["generator"].param_groups) == 2
    half = nn.Sequential(nn.Linear(6, 6).requires_grad_(False), nn.Linear(6, 7))
    trained = method(backbone=half).optimizers["generator"].param_groups[2]["params"]
    assert {id(p) for p in trained} == {id(p) for p in half[1].parameters()}


def test_rates_fall_by_a_staircase_in_every_group() -> None:
    model = method()
    for epoch in (0, 1, 2, 3, 7, 4):  # any epoch directly: a resumed run begins where it was
        model.begin_epoch(epoch)
        factor = 0.94 ** (epoch // 2)
        groups = [g for o in model.optimizers.values() for g in o.param_groups]
        expected = [2e-4 * factor, 2e-4 * factor, 2e-5 * factor, 2e-4 * factor]
        assert [g["lr"] for g in groups] == pytest.approx(expected)


def test_turns_are_two_and_say_how_often() -> None:
    generator, discriminator = method().turns(0)
    assert isinstance(generator, Turn)
    assert (generator.every, discriminator.every) == (1, 5)


# ---- meters and alarms


def test_meters_by_hand() -> None:
    model = method()
    certain(model.networks["discriminator"], [0.0, 0.0])
    image = torch.zeros(3, 8)
    image[:, 0] = torch.tensor([3.0, 4.0, 5.0])  # all alike
    text = 2 * torch.eye(8)[:3]  # all apart
    meters = model.meters(SharedFeatures(image, text), batch())
    assert meters["image_norm"] == 4
    assert meters["text_norm"] == 2
    assert meters["mean_cosine"].item() == pytest.approx(0.5)
    assert meters["discriminator_accuracy"] == 0.5
    assert meters["modality_entropy"].item() == pytest.approx(math.log(2))
    assert method(baseline3()).meters(SharedFeatures(image, text), batch()).keys() == {
        "image_norm",
        "text_norm",
        "mean_cosine",
    }


def certain(head: nn.Module, logits: list[float]) -> None:
    """Let a head give these logits for whatever it sees."""
    with torch.no_grad():
        head[-1].weight.zero_()
        head[-1].bias.copy_(torch.tensor(logits))


def test_mean_cosine_is_1_for_equal_rows_and_0_for_one_row() -> None:
    equal = SharedFeatures(torch.ones(4, 8), torch.ones(4, 8))
    model = method(baseline3())
    assert model.meters(equal, batch())["mean_cosine"].item() == pytest.approx(1.0)
    one = SharedFeatures(torch.ones(1, 8), torch.ones(1, 8))
    assert model.meters(one, batch())["mean_cosine"].item() == pytest.approx(0.0, abs=1e-6)


def test_figure_7_meters_the_predictors_entropy_and_the_classifiers_accuracy() -> None:
    model = method(separate())
    certain(model.networks["uncertainty_predictor"], [math.log(3), 0.0])
    classifier = nn.Linear(8, 2)  # image where the first component is negative
    with torch.no_grad():
        classifier.weight.zero_()[1, 0] = 1.0
        classifier.bias.zero_()
    model.adversary = model.adversary._replace(classifier=classifier)
    image, text = -torch.ones(4, 8), torch.ones(4, 8)
    image[0] *= -1  # one of the four pictures is taken for a text
    meters = model.meters(SharedFeatures(image, text), batch())
    expected = math.log(4) - 0.75 * math.log(3)
    assert meters["modality_entropy"].item() == pytest.approx(expected)
    assert meters["discriminator_accuracy"].item() == pytest.approx(7 / 8)


HEALTHY = {
    "triplet": 1.2,
    "mean_cosine": 0.3,
    "discriminator_accuracy": 0.7,
    "modality_entropy": 0.6,
}


@pytest.mark.parametrize(
    ("sick", "alarm"),
    [
        ({}, None),
        ({"triplet": 2.001}, "the triplet loss sits at four margins (2.001)"),
        (
            {"mean_cosine": 0.97},
            "the features collapse: two different ones have a mean cosine of 0",
        ),
        ({"discriminator_accuracy": 0.995}, "the discriminator always wins"),
        ({"modality_entropy": 0.6931}, "the discriminator is at chance"),
    ],
)
def test_alarms_come_when_they_should(sick: dict[str, float], alarm: str | None) -> None:
    said = method().alarms(HEALTHY | sick)
    assert len(said) == (alarm is not None)
    assert alarm is None or said[0].startswith(alarm)
    assert method(baseline3()).alarms({"kl": 3.0}) == ()


def test_the_triplet_alarm_knows_margin_and_weight() -> None:
    model = method(replace(paper(), margin=0.2, triplet_weight=3.0))
    (said,) = model.alarms(HEALTHY | {"triplet": 2.4})  # 4 x 0.2 x 3
    assert said.startswith("the triplet loss sits at four margins (2.400)")
    assert model.alarms(HEALTHY | {"triplet": 2.0}) == ()


def test_several_alarms_come_together_but_never_both_of_the_discriminator() -> None:
    sick = {"triplet": 2.0, "mean_cosine": 0.99, "discriminator_accuracy": 1.0}
    said = method().alarms(sick | {"modality_entropy": math.log(2)})
    assert [alarm.split()[1] for alarm in said] == ["triplet", "features", "discriminator"]
    assert said[2].startswith("the discriminator always wins")


def test_figure_7s_predictor_that_has_collapsed_is_said() -> None:
    (said,) = method(separate()).alarms(HEALTHY | {"modality_entropy": math.log(2)})
    assert said.startswith("the uncertainty predictor answers one half to everything")
