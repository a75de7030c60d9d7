"""Masks and annotator counts recovered from simulated maps, whose truth is known (paper §4.1)."""

import functools
import io

import numpy as np
import pytest
from benchmarks.simulated_richhf import encode_map, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from paper import labels
from PIL import Image

from blemish.labels.annotators import (
    FLATNESS,
    SCORE_TOLERANCE,
    Evidence,
    Verdict,
    annotators_of_scores,
    binarize,
    count_levels,
    decide,
    decode_map,
    local_range,
    weigh,
)

POLICY = labels(ambiguous={"all_zero": "keep", "saturated": "drop", "unclear": "drop"}, unreadable_allowed=0.0)
QUALITIES = [50, 60, 75, 85, 95, None]  # None is PNG
SAMPLES = 150


@functools.cache
def simulated():
    rng = np.random.default_rng(0)
    return [simulate(rng, 1 + i % 3) for i in range(SAMPLES)]


@functools.cache
def inferred(quality):
    """The annotator count that the map of each sample shows, without its scores."""
    return [weigh(decode_map(encode_map(s.map, quality)), {}, POLICY).from_map for s in simulated()]


@pytest.mark.parametrize("quality", QUALITIES)
def test_precision_and_recall_of_the_annotator_count(quality):
    """At every quality from JPEG 50 to PNG: whoever is said to be three are three, and none of them is missed.

    Recall is over the samples on which the annotators disagree somewhere: the others show no plateau between 0
    and 255, so that nothing can be told from the map (here 10 to 40 % of them).
    """
    for n in (2, 3):
        said = [s for s, m in zip(simulated(), inferred(quality), strict=True) if m == n]
        shown = [s for s in simulated() if s.annotators == n and not np.isin(s.map, (0, 255)).all()]
        right = [s for s in said if s.annotators == n]
        assert len(shown) > 0.6 * SAMPLES / 3
        assert len(right) / len(said) == 1, f"precision of {n} at {quality}"
        assert len(right) / len(shown) >= 0.98, f"recall of {n} at {quality}"


@pytest.mark.parametrize(("quality", "iou"), [(quality, 0.995) for quality in QUALITIES[:-1]] + [(None, 1)])
def test_the_masks_are_those_of_two_of_three(quality, iou):
    both, either = 0, 0
    for sample in simulated():
        if sample.annotators == 3:
            mask = binarize(decode_map(encode_map(sample.map, quality)), POLICY)
            both += (mask & sample.mask()).sum()
            either += (mask | sample.mask()).sum()
    assert both / either >= iou


def test_a_pixel_is_positive_above_127_and_a_half():
    values = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(binarize(values, POLICY), values > 127.5)


@given(st.integers(1, 3), st.data())
def test_scores_tell_their_raters(raters, data):
    """Their number is found whenever one of the means is not an integer, and nothing is concluded otherwise."""
    ratings = data.draw(st.lists(st.lists(st.integers(1, 5), min_size=raters, max_size=raters), min_size=4, max_size=4))
    scores = {str(i): (float(np.float32(np.mean(r))) - 1) / 4 for i, r in enumerate(ratings)}
    sums = [sum(r) for r in ratings]
    found = annotators_of_scores(scores, most=3)
    if all(s % raters == 0 for s in sums):
        assert found is None
    else:
        assert found == raters


def test_scores_that_no_number_explains_show_nothing():
    assert annotators_of_scores({}, 3) is None
    assert annotators_of_scores({"overall_score": 0.1}, 3) is None  # a mean of 1.4 takes five raters
    assert annotators_of_scores({"overall_score": 1 / 8, "artifact_score": 1 / 12}, 3) is None


def test_scores_of_more_raters_than_asked_for_show_nothing():
    assert annotators_of_scores({"overall_score": 1 / 16}, 4) == 4  # a mean of 1.25
    assert annotators_of_scores({"overall_score": 1 / 16}, 3) is None


@pytest.mark.parametrize(("share", "raters"), [(1, 2), (1.01, None)])
def test_scores_may_be_rounded_by_the_tolerance(share, raters):
    """Two raters' mean of 1.5, and one of 1 that twice four times its score places so far from an integer."""
    scores = {"overall_score": 1 / 8, "artifact_score": share * SCORE_TOLERANCE / 8}
    assert annotators_of_scores(scores, 3) == raters


@settings(max_examples=30)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_the_local_range_is_that_of_the_neighbourhood(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    for y in range(height):
        for x in range(width):
            near = pixels[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            assert local_range(pixels)[y, x] == int(near.max()) - int(near.min())


def flat(*values):
    """A map of broad stripes."""
    return np.repeat(np.array([values], np.uint8), 24 * len(values), axis=0).repeat(24, axis=1)


@pytest.mark.parametrize(
    ("pixels", "annotators", "doubt"),
    [
        (flat(0, 85), 3, None),
        (flat(0, 170, 255), 3, None),
        (flat(0, 76, 179), 3, None),
        (flat(0, 127), 2, None),
        (flat(0, 128, 255), 2, None),
        (flat(0, 0), None, "all_zero"),
        (flat(0, 9), None, "all_zero"),
        (flat(0, 255), None, "saturated"),
        (flat(0, 246), None, "saturated"),
        (flat(0, 40), None, "unclear"),
        (flat(0, 60, 255), None, "unclear"),
    ],
)
def test_plateaus_show_the_annotators(pixels, annotators, doubt):
    found = weigh(pixels, {}, POLICY)
    assert (found.from_map, found.doubt) == (annotators, doubt)
    assert sum(found.levels.values()) <= pixels.size


def shown(pixels, policy=POLICY):
    found = weigh(pixels, {}, policy)
    return found.from_map or found.doubt


NEAR = POLICY.tolerance


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (flat(0, 85 - NEAR), 3),
        (flat(0, 85 - NEAR - 1), "unclear"),
        (flat(0, 170 + NEAR), 3),
        (flat(0, 170 + NEAR + 1), "unclear"),
        (flat(0, NEAR), "all_zero"),
        (flat(0, NEAR + 1), "unclear"),
        (flat(0, 255 - NEAR), "saturated"),
        (flat(0, 255 - NEAR - 1), "unclear"),
    ],
)
def test_a_plateau_may_lie_from_its_level_by_the_tolerance(pixels, expected):
    assert shown(pixels) == expected


@pytest.mark.parametrize(("height", "expected"), [(FLATNESS, 3), (FLATNESS + 1, "unclear")])
def test_a_plateau_may_be_as_uneven_as_the_flatness_says(height, expected):
    chequered = np.indices((24, 24)).sum(0) % 2
    assert shown((83 + height * chequered).astype(np.uint8)) == expected


def spotted(side, *spots):
    """A black map with spots (value, columns) three rows high; one of n columns has n - 2 pixels away from its edge."""
    pixels = np.zeros((side, side), np.uint8)
    for i, (value, columns) in enumerate(spots):
        pixels[4 + 8 * i : 7 + 8 * i, 4 : 4 + columns] = value
    return pixels


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (spotted(24, (85, 3)), 3),  # a pixel is enough of a small map
        (spotted(24, (85, 2)), "unclear"),
        (spotted(128, (85, 3)), "unclear"),  # and two are of 16,384
        (spotted(128, (85, 4)), 3),
        (spotted(256, (127, 9)), "unclear"),  # and eight of 65,536
        (spotted(256, (127, 10)), 2),
        (spotted(128, (255, 3)), "unclear"),
        (spotted(128, (255, 4)), "saturated"),
        (spotted(128, (255, 4), (40, 3)), "saturated"),
        (spotted(128, (255, 4), (40, 4)), "unclear"),
    ],
)
def test_a_plateau_is_a_8192th_of_the_map(pixels, expected):
    assert shown(pixels) == expected


def test_the_levels_are_the_fractions_of_as_many_as_three_annotators():
    found = weigh(flat(0, 85, 170, 40), {}, POLICY)
    assert list(found.levels) == [0, 85, 127.5, 170, 255, None]
    stripe = 24 * 96  # its pixels, less a column on either side of an edge between two
    assert list(found.levels.values()) == [stripe - 96, stripe - 192, 0, stripe - 192, 0, stripe - 96]
    assert isinstance(found.from_map, int)  # as the table of samples counts them


def test_a_single_annotators_map_has_two_levels():
    """Then no level tells a number: what is between them is unclear, even a half."""
    alone = POLICY.model_copy(update={"annotators": 1, "votes": 1})
    assert list(weigh(flat(0, 255), {}, alone).levels) == [0, 255, None]
    assert (shown(flat(0, 255), alone), shown(flat(0, 127), alone)) == ("saturated", "unclear")


@pytest.mark.parametrize(("score", "raters"), [(1 / 8, 2), (1 / 12, 3), (1 / 4, None)])
def test_the_evidence_of_the_scores_stands_beside_the_maps(score, raters):
    found = weigh(flat(0, 85), {"overall_score": score}, POLICY)
    assert (found.from_map, found.from_scores) == (3, raters)


def test_a_blurred_edge_is_no_plateau():
    ramp = np.linspace(0, 255, 26).round().astype(np.uint8)
    assert weigh(np.repeat(ramp[None], 40, axis=0).repeat(2, axis=1), {}, POLICY).from_map is None


def evidence(from_map=None, from_scores=None, doubt=None):
    return Evidence({}, from_map, from_scores, doubt)


@pytest.mark.parametrize(
    ("found", "scores", "verdict"),
    [
        (evidence(3), "use", Verdict(True, "enough_annotators", 3, "plateaus")),
        (evidence(3, 2), "use", Verdict(True, "enough_annotators", 3, "plateaus")),
        (evidence(2, 3), "use", Verdict(False, "too_few_annotators", 2, "plateaus")),
        (evidence(None, 3, "saturated"), "use", Verdict(True, "enough_annotators", 3, "scores")),
        (evidence(None, 3, "saturated"), "ignore", Verdict(False, "saturated", None, "none")),
        (evidence(None, 2, "all_zero"), "use", Verdict(False, "too_few_annotators", 2, "scores")),
        (evidence(None, 2, "all_zero"), "ignore", Verdict(True, "all_zero", None, "none")),
        (evidence(None, None, "all_zero"), "use", Verdict(True, "all_zero", None, "none")),
        (evidence(None, None, "saturated"), "use", Verdict(False, "saturated", None, "none")),
        (evidence(None, None, "unclear"), "use", Verdict(False, "unclear", None, "none")),
    ],
)
def test_the_policy_decides_what_the_paper_leaves_open(found, scores, verdict):
    assert decide(found, POLICY.model_copy(update={"scores": scores})) == verdict


def test_all_pixels_are_counted_or_those_of_a_part():
    pixels = np.array([[0, 7, 7], [255, 7, 0]], np.uint8)
    for where in (None, np.array([[True, True, False], [True, False, False]])):
        counted = pixels if where is None else pixels[where]
        assert count_levels(pixels, where).tolist() == [(counted == value).sum() for value in range(256)]


@pytest.mark.parametrize(("choice", "kept"), [("keep", True), ("drop", False)])
def test_an_unclear_map_has_its_policy(choice, kept):
    policy = labels(ambiguous={"all_zero": "drop", "saturated": "drop", "unclear": choice})
    assert decide(evidence(None, None, "unclear"), policy).kept is kept
    assert not decide(evidence(None, None, "saturated"), policy).kept


@pytest.mark.parametrize("quality", [50, 95, None])
def test_more_annotators_are_noticed_and_fewer_never_taken_for_them(quality):
    rng = np.random.default_rng(2)
    for i in range(50):
        sample = simulate(rng, 1 + i % 5)
        pixels = decode_map(encode_map(sample.map, quality))
        shown = not np.isin(np.round(sample.votes.mean(axis=0), 3), (0, 0.5, 1)).all()
        assert weigh(pixels, {}, POLICY).more == (sample.annotators > 3 and shown)
        if sample.annotators <= 3:
            assert not weigh(pixels, sample.scores, POLICY).more


def test_ratings_of_fourths_show_more_annotators():
    assert weigh(flat(0, 0), {"overall_score": 1 / 16}, POLICY).more
    assert not weigh(flat(0, 0), {"overall_score": 1 / 12}, POLICY).more


@pytest.mark.parametrize(
    ("container", "mode"),
    [("PNG", "1"), ("PNG", "L"), ("PNG", "P"), ("PNG", "RGB"), ("JPEG", "L"), ("JPEG", "RGB"), ("WEBP", "RGB")],
)
def test_maps_are_decoded_whatever_their_container(container, mode):
    truth = np.zeros((16, 16), np.uint8)
    truth[4:12, 4:12] = 255
    stream = io.BytesIO()
    Image.fromarray(truth).convert(mode).save(stream, container, quality=100)
    assert (abs(decode_map(stream.getvalue()).astype(int) - truth) <= 3).all()


def test_other_bytes_are_refused():
    with pytest.raises(ValueError, match="begins with 0a 0b"):
        decode_map(b"\x0a\x0bnothing")
    with pytest.raises(ValueError, match="not an image"):
        decode_map(encode_map(np.zeros((64, 64), np.uint8), None)[:40])
    stream = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(stream, "PNG")
    with pytest.raises(ValueError, match="not 8-bit gray"):
        decode_map(stream.getvalue())
