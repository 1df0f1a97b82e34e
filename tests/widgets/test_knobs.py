from itertools import groupby

import pytest
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.widgets import LossComparePanel, SpherePanel, TrainingPanel
from cl_explore.widgets.controls import controls, counter, dial, families, loss_menu, stepper
from cl_explore.widgets.knobs import of


def test_a_knob_is_taken_from_the_catalogue_with_its_help_and_another_range() -> None:
    knob = of(losses.varcon, "temperature", low=0.1)
    assert (knob.low, knob.high, knob.log) == (0.1, 2.0, True)
    made = dial(knob, 0.5, "temperature τ₁", step=0.1)
    assert made.tooltip == knob.help
    assert (made.description, made.step, made.value) == ("temperature τ₁", 0.1, 0.5)


def test_a_control_outside_its_range_is_refused_and_a_loss_widens_its_own() -> None:
    with pytest.raises(ValueError, match=r"temperature must be between 0.1 and 2.0, got 0.05"):
        dial(of(losses.varcon, "temperature", low=0.1), 0.05)
    with pytest.raises(ValueError, match="a must be between 0 and 9, got 10"):
        counter(Knob("a", 0, 9), 10)

    @losses.loss(title="own", paper="", family="", formula="", knobs=[Knob("t", 0.1, 1.0, log=True)], min_views=2)
    def own(z: Tensor, *, t: float = 5.0) -> dict[str, Tensor]:
        return losses.nt_xent.parts(z, temperature=t)

    assert controls(own)["t"].value == pytest.approx(5.0)


@pytest.mark.parametrize("loss", losses.catalogue.values(), ids=lambda loss: loss.name)
def test_controls_stand_where_they_are_told_to_or_refuse(loss: losses.Loss) -> None:
    for name, made in controls(loss).items():
        assert made.value == loss.defaults[name]
    for knob in (knob for knob in loss.knobs if isinstance(knob, Knob)):
        for value in (knob.low, knob.high, knob.low + 0.123456 * (knob.high - knob.low)):
            made = dial(knob, value)
            assert made.value == value
            made.value = knob.low
            made.value = value
            assert made.value == value
        for value in (knob.low - 1, 1.01 * knob.high + 1, float("nan")):
            with pytest.raises(ValueError, match=f"{knob.name} must be between"):
                dial(knob, value)
            with pytest.raises(ValueError, match="must be between"):
                made.value = value
        assert knob.low <= made.value <= knob.high


def test_a_counter_is_whole_and_a_stepper_stands_at_a_stop() -> None:
    made = counter(Knob("a", 0, 9), 9)
    with pytest.raises(ValueError, match=r"a must be a whole number, got 2\.5"):
        counter(Knob("a", 0, 9), 2.5)
    with pytest.raises(ValueError, match="a must be between 0 and 9, got 10"):
        made.value = 10
    assert made.value == 9
    steps = stepper("epsilon", [0.0, 0.015, 0.03], 0.015, "ε")
    assert (steps.value, steps.label, steps.description) == (0.015, "0.015", "ε")
    with pytest.raises(ValueError, match=r"epsilon must be one of 0, 0\.015, 0\.03, got 0\.02"):
        stepper("epsilon", [0.0, 0.015, 0.03], 0.02)


def test_a_menu_of_losses_keeps_families_together() -> None:
    @losses.loss(title="own", paper="", family="margin", formula="", knobs=[], min_views=2)
    def own(z: Tensor) -> dict[str, Tensor]:
        return losses.nt_xent.parts(z, temperature=0.5)

    menu = loss_menu(2, losses.dcl, own)
    assert menu.value is losses.dcl
    assert set(menu.options.values()) == {own, *(loss for loss in losses.catalogue.values() if loss.fits(2))}
    runs = [family for family, _ in groupby(families(menu).values())]
    assert len(runs) == len(set(runs)) > 10
    assert families(menu)["own"] == "margin"
    with pytest.raises(ValueError, match="loss dcl cannot be computed from 3 views and their labels alone"):
        loss_menu(3, losses.nt_xent, losses.dcl)


@pytest.mark.parametrize("panel", [SpherePanel, TrainingPanel, LossComparePanel])
def test_every_panel_with_a_menu_of_losses_tells_the_page_their_families(panel: type) -> None:
    shown = panel()
    menus = shown.losses if panel is LossComparePanel else [shown.loss]
    assert all(shown.canvas.families == families(menu) for menu in menus)
    shown.close()
