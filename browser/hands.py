"""Hands that work a panel: they find its sliders, menus, boxes and buttons, and see what each changed.

They know no panel: whatever stands in `root`, an element of the page, is worked.
"""

import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, expect

PATIENCE = 8.0  # seconds within which a control must have changed the panel
LONG = 120.0  # seconds within which what a panel makes in the background must be there
GAP = 120  # milliseconds without a change after which a panel is at rest
LOOK = """(root) => {
  let pixels = 0;
  for (const canvas of root.querySelectorAll("canvas")) {
    if (!canvas.width || !canvas.height) continue;
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (const value of new Uint32Array(data.buffer)) pixels = Math.imul(pixels ^ value, 16777619);
  }
  const texts = [...root.querySelectorAll(".clx")].map((panel) => panel.innerText);
  const labels = [...root.querySelectorAll(".clx canvas")].map((canvas) => canvas.getAttribute("aria-label"));
  return { pixels, texts, labels };
}"""
# A kernel may have more to say about what was done last, or a thread of it: panels tell when they wait for one.
BUSY = """(root) => /still to come|being (made|computed)/.test(root.innerText)
  || window.jupyterapp?.shell.currentWidget.sessionContext.session.kernel.status === "busy" """
STEPS = 5  # presses of an arrow key: one step of a fine slider may change less than a pixel
HANDLE = ".noUi-handle, input[type=range]"


def look(root: Locator) -> dict[str, Any]:
    """What the panel shows: a hash of its pixels, its texts and its pictures' labels."""
    return root.evaluate(LOOK)


def wait_for(happened: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until it happened; AssertionError, saying what did not, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"within {seconds:.0f} s {what}"
        time.sleep(0.03)


def settle(root: Locator) -> dict[str, Any]:
    """Wait until the panel stands still and nothing is on its way to it; what it shows then."""
    seen = [look(root)]

    def still() -> bool:
        root.page.wait_for_timeout(GAP)
        seen.append(look(root))
        return seen[-1] == seen[-2] and not root.evaluate(BUSY)

    wait_for(still, "the panel did not come to rest", LONG)
    return seen[-1]


def moves(root: Locator) -> bool:
    """Whether the panel changes by itself."""
    before = look(root)
    root.page.wait_for_timeout(2 * GAP)
    return look(root) != before


def label(control: Locator) -> str:
    """The text that stands before a control or on it."""
    return control.evaluate(
        """(control) => (control.type === "checkbox" ? control.closest("label").innerText
          : control.closest(".widget-inline-hbox, label")?.querySelector(".widget-label")?.innerText
          ?? control.closest("label")?.firstChild?.textContent ?? control.innerText ?? "").trim()
          || control.title || control.getAttribute("aria-label") || control.className"""
    )


def sliders(root: Locator) -> list[Locator]:
    """The handles that can be dragged."""
    return [handle for handle in root.locator(HANDLE).all() if handle.is_visible() and span(handle) > 1]


def span(handle: Locator) -> float:
    """How many different places a slider has, at least: 1 if it cannot move."""
    return handle.evaluate(
        """(handle) => handle.closest("[disabled]") ? 1 : handle.matches("input")
          ? 1 + Number(handle.max) - Number(handle.min)
          : handle.getAttribute("aria-valuemin") === handle.getAttribute("aria-valuemax") ? 1 : 2"""
    )


def standing(handle: Locator) -> str:
    """Where a slider stands."""
    return handle.evaluate("(handle) => handle.value ?? handle.getAttribute('aria-valuetext')")


def share(handle: Locator) -> float:
    """Where a slider stands, from 0 at its left end to 1."""
    return handle.evaluate(
        """(handle) => {
          const [low, high, now] = handle.matches("input") ? [handle.min, handle.max, handle.value]
            : ["valuemin", "valuemax", "valuenow"].map((name) => handle.getAttribute(`aria-${name}`));
          return (now - low) / (high - low);
        }"""
    )


def drag(handle: Locator, to: float) -> None:
    """Drag a slider by the mouse to a share of its length."""
    track = handle.locator(
        "xpath=ancestor-or-self::*[self::input or contains(@class, 'noUi-target')][1]"
    ).bounding_box()
    knob = handle.bounding_box()
    assert track
    assert knob
    wide = 0 if "noUi" in (handle.get_attribute("class") or "") else 8  # half the knob of a native slider
    x = knob["x"] + knob["width"] / 2 if not wide else track["x"] + wide + (track["width"] - 2 * wide) * share(handle)
    y = knob["y"] + knob["height"] / 2
    mouse = handle.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(track["x"] + wide + to * (track["width"] - 2 * wide), y + 3, steps=8)
    mouse.up()


def slide(root: Locator, handle: Locator, *, shows: bool = True) -> None:
    """Drag a slider, press its keys, and bring it back; if it `shows`, the panel must follow drag and keys."""
    name = label(handle)
    handle.scroll_into_view_if_needed()
    start, place = share(handle), standing(handle)

    def followed(before: dict[str, Any], stood: str, how: str) -> None:
        wait_for(lambda: standing(handle) != stood, f"the slider {name!r} did not follow {how}")
        if shows:
            wait_for(lambda: look(root) != before, f"nothing changed when {how} moved the slider {name!r}")

    before = settle(root)
    drag(handle, 0.25 if start > 0.5 else 0.75)
    followed(before, place, "the mouse")
    before, place = settle(root), standing(handle)
    handle.focus()
    key = "ArrowLeft" if share(handle) > 0.5 else "ArrowRight"
    for _ in range(STEPS):
        handle.press(key)
    followed(before, place, "a key")
    drag(handle, start)
    settle(root)


def choose(root: Locator, menu: Locator, *, shows: bool = True) -> None:
    """Choose the last option of a menu, one in the middle, and by a key its neighbour; then the first choice again."""
    name = label(menu)
    menu.scroll_into_view_if_needed()
    start, count = menu.evaluate("(menu) => menu.selectedIndex"), menu.locator("option").count()

    def followed(before: dict[str, Any], how: str) -> None:
        if shows:
            wait_for(lambda: look(root) != before, f"nothing changed when the menu {name!r} was set to {how}")

    for option in dict.fromkeys([count - 1, count // 2, start]):
        if option != menu.evaluate("(menu) => menu.selectedIndex"):
            before = settle(root)
            menu.select_option(index=option)
            followed(before, menu.locator("option").nth(option).inner_text())
    before = settle(root)
    menu.press("ArrowDown" if start < count - 1 else "ArrowUp")
    followed(before, "its neighbour by a key")
    menu.select_option(index=start)
    settle(root)


def tick(root: Locator, box: Locator, *, shows: bool = True) -> None:
    """Tick a box and untick it, or the other way round."""
    box.scroll_into_view_if_needed()
    for _ in range(2):
        before = settle(root)
        box.click()
        if shows:
            wait_for(lambda before=before: look(root) != before, f"nothing changed when {label(box)!r} was ticked")
    settle(root)


def pressed(button: Locator) -> bool:
    """Whether a button stays down: the chosen one of a row does nothing when it is pressed again."""
    return "mod-active" in (button.get_attribute("class") or "")


def stopping(button: Locator) -> bool:
    """Whether a button says that it stops what moves."""
    return any(word in label(button).lower() for word in ("pause", "stop"))


def press(root: Locator, button: Locator) -> None:
    """Press a button: it must change the panel or itself; one that stops things must leave the panel at rest."""
    name, stops = label(button), stopping(button)
    button.scroll_into_view_if_needed()
    before, face = look(root), button.evaluate("(button) => button.outerHTML")
    button.click()
    if stops:
        settle(root)
    else:
        wait_for(
            lambda: look(root) != before or button.evaluate("(button) => button.outerHTML") != face,
            f"nothing changed when the button {name!r} was pressed",
        )
        wait_for(lambda: not root.evaluate(BUSY), f"the button {name!r} was not done with", LONG)


def press_all(root: Locator) -> None:
    """Press every button once, in their order: one that is greyed out, or pressed already, when others have been."""
    buttons = [button for button in root.locator("button").all() if button.is_visible()]
    while buttons:
        ready = [button for button in buttons if button.is_enabled() and not pressed(button)]
        if not ready:
            break
        press(root, ready[0])
        buttons.remove(ready[0])
    never = [label(button) for button in buttons if not button.is_enabled()]
    assert not never, f"never to be pressed: {never}"
    if root.locator("button").count() and moves(root):
        stops = [button for button in root.locator("button").all() if stopping(button) and button.is_enabled()]
        if stops:
            press(root, stops[0])
        wait_for(lambda: not moves(root), "it moves, and no button stops it")  # or it comes to its end


def touch(root: Locator, canvas: Locator) -> None:
    """Point at a picture, drag on it, click it; if it takes keys, an arrow key must change it."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    mouse = canvas.page.mouse
    for x, y in [(0.2, 0.3), (0.4, 0.7), (0.3, 0.5), (0.7, 0.4)]:
        mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
    mouse.down()
    mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.2 * box["height"], steps=5)
    mouse.up()
    mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 0.5 * box["height"])
    mouse.move(2, 2)
    before = settle(root)
    if canvas.get_attribute("tabindex") == "0":
        canvas.focus()
        canvas.press("ArrowRight")
        wait_for(lambda: look(root) != before, "nothing changed when an arrow key was pressed on the picture")


def check_names(root: Locator) -> None:
    """AssertionError unless every control that is seen has a name, and every slider says the value behind it."""
    for control in root.locator(f"{HANDLE}, select, input, button, canvas[tabindex]").all():
        if control.is_visible():
            expect(control).to_have_accessible_name(re.compile(r"\S"), timeout=2000)
    for control in root.locator(".widget-slider").all():
        said = control.locator(".widget-readout").text_content() or ""
        expect(control.locator(".noUi-handle")).to_have_attribute("aria-valuetext", said, timeout=2000)


LATER = {  # controls that act when something else is done next, and change no picture before it
    "LossComparePanel": frozenset({"turn shared knobs together"}),
    "SpherePanel": frozenset({"step size"}),
    "TrainingPanel": frozenset({"learning rate", "temperature", "view strength"}),
}


def work(root: Locator, later: frozenset[str] = frozenset(), *, first: bool = False) -> dict[str, int]:
    """Work everything in the panel, or only its `first` slider; how many sliders, menus, boxes and buttons there are.

    A control labelled as one of `later` shows only in the next step: it has to move, but not to change the picture.
    """
    root.scroll_into_view_if_needed()
    wait_for(lambda: look(root)["pixels"] != 0, "the panel drew nothing", LONG)
    found = {"sliders": sliders(root)}
    found["menus"] = [menu for menu in root.locator("select").all() if menu.locator("option").count() > 1]
    found["boxes"] = root.locator("input[type=checkbox]").all()
    counts = {name: len(controls) for name, controls in found.items()}
    counts["buttons"] = root.locator("button").count()
    for handle in found["sliders"][: 1 if first else None]:
        slide(root, handle, shows=label(handle) not in later)
    if first:
        return counts
    for menu in found["menus"]:
        choose(root, menu, shows=label(menu) not in later)
    for box in found["boxes"]:
        tick(root, box, shows=label(box) not in later)
    press_all(root)
    for canvas in root.locator(".clx canvas").all():
        touch(root, canvas)
    return counts
