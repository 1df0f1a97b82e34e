import pytest
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Knob
from cl_explore.widgets.controls import controls
from cl_explore.widgets.knobs import counter, dial, of


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
