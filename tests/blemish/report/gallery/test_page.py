"""The gallery as a person uses it: in a real browser, by pointer and by keyboard."""

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from blemish.data.images import run_lengths
from blemish.report import figures
from blemish.report.gallery import content, page

PATIENCE = 5
"""Seconds that 2,000 images may take to appear, and again to be filtered; on two busy cores both take under one."""


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """Writes content as a page."""

    def written(found):
        path = tmp_path_factory.mktemp("gallery") / "gallery.html"
        page.write(path, found, 0.5)
        return path

    return written


@pytest.fixture
def opened(browser, gallery, files, predict):
    browser.get(gallery(content.collect(*files, 100, 0, predict, 0.5)).as_uri())
    yield browser
    assert browser.get_log("browser") == []  # no error, nothing that the page's own policy forbids


@pytest.fixture(scope="module")
def opened_once(browser, gallery):
    """A page whose functions can be called."""
    browser.get(gallery({"measures": [], "sets": [], "clean": [], "images": []}).as_uri())
    return browser


def one(browser, selector):
    return browser.find_element("css selector", selector)


def texts(browser, selector):
    return [element.text for element in browser.find_elements("css selector", selector)]


def cards(browser):
    """[recipe, set, backbone, image, IoU] of each card."""
    found = browser.find_elements("css selector", ".card")
    return [card.get_attribute("aria-label").split(", ") for card in found]


def choose(browser, name, text):
    Select(one(browser, f"#{name}")).select_by_visible_text(text)


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def facts(browser):
    return dict(zip(texts(browser, "#facts dt"), texts(browser, "#facts dd"), strict=True))


def focused(browser):
    return browser.switch_to.active_element


# What is shown


def test_it_asks_the_network_for_nothing(opened):
    loaded = opened.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    policy = one(opened, "meta[http-equiv]").get_attribute("content")
    assert policy.startswith("default-src 'none'")


def test_every_image_is_decoded(opened):
    assert texts(opened, "#count") == ["27 of 27 images"]
    decoded = "return [...document.images].every((image) => image.complete && image.naturalWidth === 16)"
    one(opened, ".card").click()
    assert opened.execute_script(decoded)


def test_hostile_text_is_shown_as_it_is(opened, hostile):
    shown = set()
    one(opened, ".card").click()
    for _ in range(9):
        shown.add(one(opened, "#prompt").get_attribute("textContent"))
        press(opened, Keys.ARROW_RIGHT)
    assert shown == set(hostile)
    assert opened.title == "Gallery of corrupted images"
    assert len(opened.find_elements("css selector", "script")) == 2


def test_a_mask_is_outlined_where_it_is(opened):
    """Image 3 has its square at x and y from 3 to 7."""
    number = next(i for i, card in enumerate(cards(opened)) if card[3] == "image-3")
    box = opened.execute_script(
        "const box = document.querySelectorAll('.card')[arguments[0]].querySelector('.edge.mask').getBBox();"
        "return [box.x, box.y, box.width, box.height]",
        number,
    )
    assert box == [3, 3, 4, 4]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7)))
@settings(max_examples=50, deadline=None)
def test_lines_and_areas_are_those_of_the_mask(opened_once, mask):
    h, w = mask.shape
    drawn = opened_once.execute_script("return trace(...arguments)", run_lengths(mask), [w, h])
    area = np.zeros_like(mask)
    for x0, y, x1 in re.findall(r"M(\d+) (\d+)H(\d+)v1H\d+z", drawn["area"]):
        area[int(y), int(x0) : int(x1)] = True
    assert (area == mask).all()
    flat = re.findall(r"M(\d+) (\d+)H(\d+)", drawn["edge"])
    lines = [(x, int(y), x + 1, int(y)) for x0, y, x1 in flat for x in range(int(x0), int(x1))]
    lines += [(int(x), int(y), int(x), int(y) + 1) for x, y in re.findall(r"M(\d+) (\d+)v1", drawn["edge"])]
    expected = (figures.outline(mask) * (w, h)).round().astype(int).reshape(-1, 4)
    assert sorted(lines) == sorted(map(tuple, expected.tolist()))


# Filters and order


def test_filters_leave_what_matches_all_of_them(opened):
    choose(opened, "recipe", "blur-30")
    assert texts(opened, "#count") == ["18 of 27 images"]
    choose(opened, "backbone", "swin-t")
    assert texts(opened, "#count") == ["9 of 27 images"]
    choose(opened, "pool", "hps")
    assert {tuple(card[:3]) for card in cards(opened)} == {("blur-30", "hps", "swin-t")}
    one(opened, "#iou-from").send_keys("20")
    assert {card[4] for card in cards(opened)} == {"IoU 50.0 %"} and len(cards(opened)) == 7
    one(opened, "#iou-to").send_keys("30")
    assert cards(opened) == [] and one(opened, "#nothing").is_displayed()
    one(opened, "#iou-from").send_keys(Keys.BACKSPACE, Keys.BACKSPACE)
    assert {card[4] for card in cards(opened)} == {"IoU 0.0 %"}
    choose(opened, "backbone", "all")  # what has no prediction lies in no range
    assert {card[4] for card in cards(opened)} == {"IoU 0.0 %"}
    one(opened, "[type=reset]").click()
    assert texts(opened, "#count") == ["27 of 27 images"] and not one(opened, "#nothing").is_displayed()


def test_strength_is_filtered_by_the_chosen_measure(opened):
    choose(opened, "strength", "Latent distance")
    one(opened, "#strength-to").send_keys("0.25")
    assert {card[3] for card in cards(opened)} == {"image-1", "image-2"}
    choose(opened, "strength", "PSNR inside in dB")  # the same limit now means decibels
    assert cards(opened) == []
    one(opened, "#strength-to").clear()
    one(opened, "#strength-from").send_keys("100")
    assert {card[3] for card in cards(opened)} == {"image-9"}  # nothing changed: infinitely many


def test_order_is_by_any_column_with_missing_values_last(opened):
    choose(opened, "sort", "IoU in %")
    assert [card[4] for card in cards(opened)] == ["IoU 0.0 %"] * 4 + ["IoU 50.0 %"] * 14 + ["no prediction"] * 9
    choose(opened, "order", "highest first")
    assert [card[4] for card in cards(opened)] == ["IoU 50.0 %"] * 14 + ["IoU 0.0 %"] * 4 + ["no prediction"] * 9
    choose(opened, "sort", "PSNR inside in dB")
    assert texts(opened, ".subcaption span:last-child")[:4] == ["∞ dB", "∞ dB", "∞ dB", "20.0 dB"]
    choose(opened, "sort", "backbone")
    assert [card[2] for card in cards(opened)] == ["swin-t"] * 18 + ["other"] * 9


# One image


def test_the_slider_uncovers_the_clean_image(opened):
    one(opened, ".card").click()
    stage, slider, clean = one(opened, "#stage"), one(opened, "#slider"), one(opened, "#clean")
    assert slider.get_attribute("value") == "50"
    start = stage.size["width"] // 2
    drag = ActionChains(opened).move_to_element_with_offset(stage, 0, 0).click_and_hold()
    drag.move_by_offset(start // 2, 0).release().perform()
    assert slider.get_attribute("value") == "75"
    assert clean.value_of_css_property("clip-path") == "inset(0px 25% 0px 0px)"
    ActionChains(opened).move_to_element_with_offset(stage, -start // 2, 0).perform()
    assert slider.get_attribute("value") == "75"  # no button is down
    slider.send_keys(Keys.HOME)
    assert clean.value_of_css_property("clip-path") == "inset(0px 100% 0px 0px)"
    assert slider.get_attribute("aria-valuetext") == "0 % clean"


def test_what_is_told_of_an_image_is_its_own(opened):
    choose(opened, "sort", "PSNR inside in dB")
    card = next(card for card in opened.find_elements("css selector", ".card") if "image-3" in card.accessible_name)
    label = card.accessible_name
    card.click()
    assert label == "blur-30, hps, swin-t, image-3, IoU 50.0 %"
    assert one(opened, "#heading").text == "blur-30 · hps · swin-t"
    told = facts(opened)
    assert (told["IoU"], told["PSNR inside"], told["Changed"]) == ("50.0 %", "13.0 dB", "25.0 %")
    assert (told["Latent distance"], told["Image"], told["Source"]) == ("0.30", "image-3", "hps:3")


def test_a_set_without_a_detector_says_so(opened):
    choose(opened, "backbone", "other")
    press(opened, "p")
    assert opened.find_elements("css selector", ".edge.found") == []
    one(opened, ".card").click()
    assert one(opened, "#remark").text == "No detector of this run was trained on this set."
    assert facts(opened)["IoU"] == "–"


# The keyboard


def test_everything_goes_by_keyboard(opened):
    press(opened, Keys.ARROW_RIGHT)
    first, second = opened.find_elements("css selector", ".card")[:2]
    assert focused(opened) == first
    assert first.value_of_css_property("outline-style") == "solid"
    press(opened, Keys.ARROW_RIGHT)
    assert focused(opened) == second
    press(opened, Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ENTER)
    assert one(opened, "#position").text == "1 of 27" and focused(opened) == one(opened, "#stage")
    press(opened, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert one(opened, "#position").text == "2 of 27"
    press(opened, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_DOWN)
    assert one(opened, "#slider").get_attribute("value") == "55"
    press(opened, "c")
    assert one(opened, "#slider").get_attribute("value") == "0"
    one(opened, "#slider").send_keys(Keys.ARROW_RIGHT)  # on the slider itself the arrows are its own
    assert (one(opened, "#slider").get_attribute("value"), one(opened, "#position").text) == ("1", "2 of 27")
    press(opened, Keys.ESCAPE)
    assert not one(opened, "#detail").is_displayed()
    assert focused(opened).get_attribute("data-position") == "1"


def test_overlays_are_toggled_by_key_and_by_button_everywhere(opened):
    def state():
        pressed = [
            button.get_attribute("aria-pressed") for button in opened.find_elements("css selector", "[data-layer]")
        ]
        return [len(opened.find_elements("css selector", f".edge.{layer}")) for layer in ("mask", "found")], pressed

    assert state() == ([27, 0], ["true", "false"] * 2)
    press(opened, "p")
    assert state() == ([27, 18], ["true", "true"] * 2)
    press(opened, "m")
    assert state() == ([0, 18], ["false", "true"] * 2)
    one(opened, ".card").click()
    one(opened, "#detail [data-layer=mask]").click()
    assert state() == ([28, 19], ["true", "true"] * 2)
    press(opened, Keys.ESCAPE)
    one(opened, "#iou-from").send_keys("m")  # typed into a field it is not a command
    assert state()[1] == ["true", "true"] * 2


def test_all_that_can_be_used_has_a_name(opened):
    def nameless(within):
        usable = ", ".join(f"{within} {kind}" for kind in ("button", "input", "select", "[tabindex]"))
        found = opened.find_elements("css selector", usable)
        assert len(found) > 5
        return [element.get_attribute("outerHTML") for element in found if not element.accessible_name]

    assert nameless("#controls") == [] and nameless(".bar ~ main") == []
    one(opened, ".card").click()
    assert nameless("#detail") == []


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(opened, width):
    metrics = {"width": width, "height": 850, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    one(opened, ".card").click()
    try:
        for element in ("html", "#detail"):
            beyond = "const box = document.querySelector(arguments[0]); return box.scrollWidth - box.clientWidth"
            assert opened.execute_script(beyond, element) == 0
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# Many images


def test_two_thousand_images_appear_and_are_filtered_at_once(browser, gallery, files, predict):
    found = content.collect(*files, 100, 0, predict, 0.5)
    found["images"] = (found["images"] * 75)[:2000]
    path = gallery(found)
    start = time.monotonic()
    browser.get(path.as_uri())
    assert texts(browser, "#count") == ["2000 of 2000 images"] and len(cards(browser)) == 60
    appeared = time.monotonic()
    choose(browser, "recipe", "proposed-40")
    choose(browser, "sort", "Latent distance")
    assert texts(browser, "#page") == ["1 of 12"] and cards(browser)[0][3] == "image-1"
    filtered = time.monotonic()
    one(browser, "#forward").click()
    assert texts(browser, "#page") == ["2 of 12"]
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)  # from the first card of a page to the page before
    assert texts(browser, "#page") == ["1 of 12"]
    assert focused(browser).get_attribute("data-position") == "59"
    assert max(appeared - start, filtered - appeared) < PATIENCE
