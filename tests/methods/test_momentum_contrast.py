import torch
from every_loss import SIZES, networks, views

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.methods import MomentumContrast


def batch(seed=1, n=5):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def build(loss="moco", n_views=2, **options):
    torch.manual_seed(0)
    return MomentumContrast(*networks(), loss, views, n_views, queue=12, **options)


def test_a_query_meets_its_key_and_the_keys_of_earlier_batches():
    method = build(decay=0.9)
    with torch.no_grad():
        for weight in method.encoder.parameters():
            weight += 0.1
    first, second = views(batch().x, None, 2).unbind(1)
    key, before = method.copy(second), method.queue.rows.clone()
    loss = method.step(batch(), torch.Generator()).loss
    torch.testing.assert_close(loss, losses.moco(method.project(method(first)), key, before))
    loss.backward()
    assert torch.equal(method.queue.rows, before)

    slow, fast = (next(network.parameters()).clone() for network in (method.copy, method.encoder))
    method.after_step()
    torch.testing.assert_close(method.queue.rows[:5], torch.nn.functional.normalize(key, dim=1))
    assert torch.equal(method.queue.labels[:5], batch().labels)
    assert torch.equal(method.queue.rows[5:], before[5:])
    torch.testing.assert_close(next(method.copy.parameters()), 0.9 * slow + 0.1 * fast)


def test_keys_of_one_batch_are_the_negatives_of_the_next():
    method = build("info_nce")
    method.step(batch(1), torch.Generator())
    method.after_step()
    keys = method.queue.rows.clone()
    first, second = views(batch(2).x, None, 2).unbind(1)
    expected = losses.info_nce(method.project(method(first)), method.copy(second), keys)
    torch.testing.assert_close(method.step(batch(2), torch.Generator()).loss, expected)


def test_paco_gets_classifier_teacher_and_labelled_queue():
    method = build("paco", classes=SIZES)
    method.step(batch(1), torch.Generator())
    method.after_step()
    first, second = views(batch(2).x, None, 2).unbind(1)
    h = method(first)
    expected = losses.paco(
        method.project(h),
        batch().labels,
        method.classifier(h),
        method.copy(second),
        method.queue.rows,
        method.queue.labels,
        SIZES,
    )
    torch.testing.assert_close(method.step(batch(2), torch.Generator()).loss, expected)


def test_several_queries_of_a_sample_share_its_key():
    method = build("cacr_momentum", n_views=4)
    parts = views(batch().x, None, 4)
    z = method.project(method(parts[:, :3].flatten(0, 1))).unflatten(0, (5, 3))
    expected = losses.cacr_momentum(z, method.copy(parts[:, 3]))
    torch.testing.assert_close(method.step(batch(), torch.Generator()).loss, expected)
    assert method.queue is None


def test_the_copy_and_the_queue_are_state_and_learn_nothing():
    method = build()
    assert {"queue.rows", "queue.labels", "queue.pointer", "copy.copy.0.layers.0.weight"} <= method.state_dict().keys()
    method.step(batch(), torch.Generator()).loss.backward()
    assert not any(weight.requires_grad for weight in method.copy.parameters())
    assert all(weight.grad is not None for weight in method.encoder.parameters())
