"""What a config asks for: the detectors of its tables, and the regions, inversions and corruptions that they need."""

import subprocess
import sys

import pytest

from blemish import experiments
from blemish.config.load import ROOT, load
from blemish.errors import UserError
from blemish.experiments import CorruptedPool, Detector, group

CONFIG = load()
TABLES, RECIPES = CONFIG["tables"], CONFIG["recipes"]
BACKBONES = sorted(CONFIG["backbones"])

SMALL = {
    "columns": [
        {"label": ["G", name], "backbone": backbone, "train_set": "hps"}
        for name, backbone in (("Swin-T", "swin-t"), ("ConvNeXt", "convnext-t"))
    ],
    "rows": [
        {"label": ["HPS", "pseudo|x"], "supervision": "pseudo"},
        {"label": ["HPS", "human"], "supervision": "human", "train_set": "richhf-human"},
    ],
}


def test_the_paper_has_48_cells_and_30_detectors():
    assert sum(len(list(experiments.walk(table))) for table in TABLES.values()) == 48
    found = experiments.detectors(TABLES)
    assert len(found) == len(set(found)) == 30
    assert found == sorted(found)


def test_the_paper_has_15_experiments_on_two_backbones():
    found = experiments.detectors(TABLES)
    for backbone in BACKBONES:
        assert len([detector for detector in found if detector.backbone == backbone]) == 15


def test_shared_cells_are_one_detector():
    by_row = {
        name: group(*zip(*((experiments.label(row)[-1], cell) for row, _, cell in experiments.walk(t)), strict=True))
        for name, t in TABLES.items()
    }
    # §4.3 and §5.3: Table 1 is ten inversion steps; Table 2's Gaussian is Table 4's intermediate latent
    assert by_row["table1"]["Pseudo labels + Corr."][0].supervision == "proposed-40"
    assert set(by_row["table2"]["Gaussian"]) == set(by_row["table4"]["Intermediate latent"])
    assert set(by_row["table2"]["Baseline"]) == set(by_row["table1"]["Human labels"])
    assert {cell.train_set for cell in by_row["table3"]["RichHF-{images}"]} == {"richhf-human"}


def test_row_overlays_column():
    assert [detector for *_, detector in experiments.walk(SMALL)][2:] == [
        Detector("richhf-human", "human", "swin-t"),
        Detector("richhf-human", "human", "convnext-t"),
    ]


@pytest.mark.parametrize("field", Detector._fields)
def test_a_cell_that_misses_a_field_is_named(field):
    def without(entry):
        return {key: value for key, value in entry.items() if key != field}

    broken = {**SMALL, "rows": [without(SMALL["rows"][0])], "columns": [without(SMALL["columns"][1])]}
    with pytest.raises(UserError, match=rf"HPS / pseudo\|x.*G / ConvNeXt.*lacks {field}"):
        list(experiments.walk(broken))


def test_what_is_corrupted_is_what_detectors_and_pictures_show():
    found = experiments.corrupted_pools(CONFIG)
    assert found == sorted(set(found))
    trained = {c for c in found if tuple(c) in experiments.detectors(TABLES)}
    assert {d for d in experiments.detectors(TABLES) if d.supervision in RECIPES} == trained
    others = set(found) - trained
    # Only the strength table and the figures show a recipe without a detector, on the first backbone's regions.
    assert others == {CorruptedPool("hps", "downscale-30", BACKBONES[0])}
    assert {recipe for pool, recipe, _ in found if pool == "hps"} == set(RECIPES)


def test_a_recipe_that_figures_show_is_made_of_every_pool():
    config = CONFIG | {"figures": CONFIG["figures"] | {"recipe": "blur-30"}}
    more = set(experiments.corrupted_pools(config)) - set(experiments.corrupted_pools(CONFIG))
    assert more == {CorruptedPool("richhf", "blur-30", BACKBONES[0])}
    assert set(experiments.shown(config, ["blur-30"], config["pools"])) <= set(experiments.corrupted_pools(config))


def test_regions_are_selected_where_they_are_corrupted_or_are_labels():
    assert experiments.regions(CONFIG) == sorted((pool, name) for pool in CONFIG["pools"] for name in BACKBONES)
    one = {"tables": {"mine": SMALL}, "recipes": {"proposed-40": RECIPES["proposed-40"]}}
    config = CONFIG | one | {"pools": {"hps": {"shards": 1}}}
    assert experiments.regions(config) == [("hps", "convnext-t"), ("hps", "swin-t")]
    assert experiments.corrupted_pools(config) == [CorruptedPool("hps", "proposed-40", BACKBONES[0])]


def test_every_region_has_a_selector_of_the_first_seed():
    seeds = {"detectors": CONFIG["detectors"] | {"seeds": [7, 3]}}
    table = {"columns": [{"label": "a", "train_set": "hps", "backbone": "swin-t"}]}
    table["rows"] = [{"label": "b", "supervision": "pseudo"}]
    found = experiments.trainings(CONFIG | seeds | {"tables": {"mine": table}})
    pseudo = [(Detector("hps", "pseudo", "swin-t"), seed) for seed in (3, 7)]
    # The first backbone's regions are shown, whatever the tables say.
    assert found == [
        *pseudo,
        *((Detector("richhf-human", "human", name), 7) for name in sorted({"swin-t", BACKBONES[0]})),
    ]


def test_each_pool_is_inverted_as_far_as_its_own_recipes_ask():
    deep = {"tables": {}, "recipes": {"x-43": {"step": 43}, "proposed-40": {"step": 40}}}
    assert experiments.inversions(CONFIG | deep) == [
        *(("richhf", n) for n in (0, 5, 10)),
        *(("hps", n) for n in (0, 5, 7, 10)),
    ]


def test_values_are_grouped_in_the_order_in_which_they_come():
    assert group("bab", [1, 2, 3]) == {"b": [1, 3], "a": [2]}
    assert list(group("bab", [1, 2, 3])) == ["b", "a"]
    with pytest.raises(ValueError):
        group("ab", [1])


def test_the_snakefiles_import_is_light():
    heavy = ("torch", "pandas", "numpy", "pydantic")
    code = f"import sys, blemish.experiments; sys.exit(any(module in sys.modules for module in {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT / "workflow")}, check=False)
    assert done.returncode == 0
