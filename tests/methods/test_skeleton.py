import pytest
import torch
from every_loss import SIZES, networks, views

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.methods import JointEmbedding, MomentumContrast, Predictive, Skeleton, TwoTower


def batch(n=9, **factors):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.arange(n) % 3, torch.arange(n), factors)


def build(loss, n_views=2, skeleton=JointEmbedding, **options):
    torch.manual_seed(0)
    return skeleton(*networks(), loss, views, n_views, **options)


def embedded(method, given):
    return method.embed_views(given, torch.Generator())


def test_embed_views_gives_views_in_order_with_what_is_known_of_each_sample():
    method, given = build("nt_xent", n_views=3), batch(hue=torch.rand(9))
    seen = embedded(method, given)
    rows = method.project(method(given.x + 2 * given.x.roll(2, 1).sin()))  # the third view of each
    torch.testing.assert_close(seen.z[:, 2], rows)
    assert seen.z.shape == (9, 3, 4)
    assert seen.h.shape == (9, 3, 8)
    assert torch.equal(seen.factors["hue"], given.factors["hue"])
    assert torch.equal(seen.labels, given.labels)


def test_targets_are_a_factor_or_the_labels():
    hue = torch.rand(9)
    for targets, numbers in (("hue", hue), (None, batch().labels.float())):
        method = build("rnc", targets=targets)
        given = batch(hue=hue)
        expected = losses.rnc(embedded(method, given).z, numbers)
        torch.testing.assert_close(method.step(given, torch.Generator()).loss, expected)
    with pytest.raises(ValueError, match="rnc needs the data set's factor 'age'; its factors: hue"):
        build("rnc", targets="age").step(given, torch.Generator())


def test_prototypes_are_learned():
    method = build("arcface", classes=3)
    assert method.prototypes.shape == (3, 4)
    step = method.step(batch(), torch.Generator())
    torch.testing.assert_close(
        step.loss, losses.arcface(embedded(method, batch()).z, batch().labels, method.prototypes)
    )
    step.loss.backward()
    assert method.prototypes.grad.abs().min() > 0


def test_logits_are_of_h_and_counts_are_the_sizes_of_the_classes():
    method = build("logit_adjusted", n_views=1, classes=SIZES)
    logits = method.classifier(method(batch().x))
    expected = losses.logit_adjusted(logits, batch().labels, SIZES)
    torch.testing.assert_close(method.step(batch(), torch.Generator()).loss, expected)
    assert "counts" in method.state_dict()


def test_logits_of_several_views_are_averaged():
    method = build("logit_adjusted", classes=SIZES)
    logits = method.classifier(method(views(batch().x, None, 2).flatten(0, 1))).unflatten(0, (9, 2)).mean(1)
    expected = losses.logit_adjusted(logits, batch().labels, SIZES)
    torch.testing.assert_close(method.step(batch(), torch.Generator()).loss, expected)


def test_the_second_half_of_the_features_is_the_salient_code():
    method = build("sepclr")
    z = embedded(method, batch()).z
    expected = losses.sepclr(z[..., :2], z[..., 2:], batch().labels)
    torch.testing.assert_close(method.step(batch(), torch.Generator()).loss, expected)


def test_an_optional_argument_is_given_if_the_data_have_a_factor_of_its_name():
    rehearsal = torch.arange(9) % 2
    method = build("ntpt", skeleton=Predictive, decay=1.0)
    z = embedded(method, batch()).z
    for factors, given in (({}, None), ({"rehearsal": rehearsal}, rehearsal)):
        expected = losses.ntpt(z, batch().labels, z, given)
        torch.testing.assert_close(method.step(batch(**factors), torch.Generator()).loss, expected)


class Bilinear(JointEmbedding):
    """A subclass that serves one argument more."""

    serves = JointEmbedding.serves | {"critic"}

    def __init__(self, *parts):
        super().__init__(*parts)
        self.critic = torch.nn.Parameter(torch.eye(4).flip(0))

    def provide(self, need, embedded):
        return self.critic if need == "critic" else super().provide(need, embedded)


def test_a_subclass_serves_what_its_skeleton_does_not():
    method = build("cpc", skeleton=Bilinear)
    z = embedded(method, batch()).z
    step = method.step(batch(), torch.Generator())
    torch.testing.assert_close(step.loss, losses.cpc(z[:, 0], z[:, 1], method.critic))
    step.loss.backward()
    assert method.critic.grad.abs().sum() > 0


class OftenWithout(JointEmbedding):
    serves = JointEmbedding.serves | {"negatives"}

    def provide(self, need, embedded):
        if need == "negatives":
            return embedded.z.new_ones(3, 4) if self.negatives else None
        return super().provide(need, embedded)


def test_an_optional_argument_may_be_given_at_times_only():
    method = build("info_nce", skeleton=OftenWithout)
    z = embedded(method, batch()).z
    for method.negatives, given in ((True, torch.ones(3, 4)), (False, None)):
        expected = losses.info_nce(z[:, 0], z[:, 1], given)
        torch.testing.assert_close(method.step(batch(), torch.Generator()).loss, expected)


def test_a_module_with_state_keeps_its_knobs_and_state_in_the_method():
    method = build(losses.ISogCLR(9, rho=0.4))
    assert method.knobs["rho"] == 0.4
    method.knobs["rho"] = 0.1
    assert method.loss.knobs["rho"] == 0.1
    method.step(batch(), torch.Generator())
    assert method.state_dict()["loss.log_mean"].isfinite().all()
    with pytest.raises(TypeError, match="SogCLR was made with its knobs: give rho there"):
        build(losses.SogCLR(9), rho=0.2)


class Reader(torch.nn.Module):
    def forward(self, z, weights):
        raise AssertionError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build("moco"), "JointEmbedding cannot give moco its queue: use MomentumContrast$"),
        (lambda: build("nspt"), "JointEmbedding cannot give nspt its teacher: use MomentumContrast or Predictive$"),
        (lambda: build("listwise_kl"), "cannot give listwise_kl its passages and relevance: use TwoTower$"),
        (lambda: build(Reader()), "JointEmbedding cannot give Reader its weights: subclass it"),
        (lambda: build("cosface"), "cosface needs prototypes: give classes, how many there are"),
        (lambda: build("paco", 1, classes=3), None),
        (lambda: build("logit_adjusted", classes=3), "logit_adjusted needs counts: give classes, the size of each"),
        (lambda: build("paco", 2, classes=3), "paco needs n_views of at least 1 and at most 1, got 2"),
        (
            lambda: build("nt_xent", skeleton=MomentumContrast),
            "MomentumContrast is for losses that take key, negatives, queue, queue_labels, teacher, not nt_xent: "
            "use JointEmbedding or TwoTower",
        ),
        (
            lambda: build("simple", 2, skeleton=MomentumContrast),
            "simple needs n_views of at least 3 and at most 3, got 2",
        ),
        (
            lambda: build("byol", skeleton=Predictive, decay=0.9),
            "predictor must be given for byol",
        ),
        (
            lambda: build("nspt", skeleton=Predictive, decay=0.9, predictor=torch.nn.Identity()),
            "predictor must not be given for nspt",
        ),
        (lambda: build("arcface", 2, classes=0), "classes must be at least 1, got 0"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused_with_the_reason(make, message):
    if message is None:
        make()
        return
    with pytest.raises(ValueError, match=message):
        make()


def test_the_width_of_a_network_without_one_is_asked_for():
    with pytest.raises(ValueError, match="Identity must have an attribute out_features"):
        JointEmbedding(torch.nn.Identity(), torch.nn.Identity(), "arcface", views, classes=3)
    assert JointEmbedding(networks()[0], torch.nn.Identity(), "arcface", views, classes=3).prototypes.shape == (3, 8)


def test_there_are_four():
    own = [one for one in Skeleton.__subclasses__() if one.__module__.startswith("cl_explore.methods.")]
    assert own == [JointEmbedding, MomentumContrast, Predictive, TwoTower]
