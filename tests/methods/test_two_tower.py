import pytest
import torch
from every_loss import networks

from cl_explore import evaluate, losses, train
from cl_explore.data import Batch, Dataset
from cl_explore.methods import TwoTower

WIDTH = {"image": 6, "text": 6, "sound": 6}


def one_view(x, generator, n_views):
    return x[:, None]


def bag(x, generator, n_views):
    return torch.stack([x, x.roll(1, 1), x.sin()], dim=1)


def data(*names, n=5):
    generator = torch.Generator().manual_seed(1)
    x = {name: torch.randn(n, WIDTH[name], generator=generator) for name in names}
    return Batch(x, torch.tensor([0, 1, 0, 2, 1])[:n], torch.arange(n))


def build(loss, *names, **augments):
    torch.manual_seed(0)
    encoders, heads = ({name: networks()[part] for name in names} for part in (0, 1))
    return TwoTower(encoders, heads, loss, {name: augments.get(name, one_view) for name in names})


def embeddings(method, batch):
    return [method.tower(name).project(method.tower(name)(batch.x)) for name in method.encoder]


def test_the_first_modality_is_the_query_and_the_second_the_key():
    method, batch = build("siglip", "image", "text"), data("image", "text")
    image, text = embeddings(method, batch)
    step = method.step(batch, torch.Generator())
    torch.testing.assert_close(step.loss, losses.siglip(image, text))
    step.loss.backward()
    assert all(weight.grad is not None for weight in method.parameters())
    assert step.metrics.keys() == {"pull", "push"}


def test_two_modalities_are_two_views_of_a_sample():
    method, batch = build("multimodal_supcon", "image", "text"), data("image", "text")
    z = torch.stack(embeddings(method, batch), dim=1)
    torch.testing.assert_close(method.embed_views(batch, torch.Generator()).z, z)
    torch.testing.assert_close(method.step(batch, torch.Generator()).loss, losses.multimodal_supcon(z, batch.labels))


def test_several_views_of_the_second_modality_are_candidates():
    method, batch = build("mil_nce", "image", "text", text=bag), data("image", "text")
    image, _ = embeddings(method, batch)
    captions = bag(batch.x["text"], None, 1).flatten(0, 1)
    candidates = method.head["text"](method.encoder["text"](captions)).unflatten(0, (5, 3))
    torch.testing.assert_close(method.step(batch, torch.Generator()).loss, losses.mil_nce(image, candidates))


def test_passages_are_the_keys_of_the_batch_graded_by_sample_and_class():
    method, batch = build("listwise_kl", "image", "text"), data("image", "text")
    image, text = embeddings(method, batch)
    relevance = torch.tensor([[2, 0, 1, 0, 0], [0, 2, 0, 0, 1], [1, 0, 2, 0, 0], [0, 0, 0, 2, 0], [0, 1, 0, 0, 2]])
    expected = losses.listwise_kl(image, text.expand(5, 5, 4), relevance)
    torch.testing.assert_close(method.step(batch, torch.Generator()).loss, expected)


def test_three_modalities_are_compared_in_pairs():
    names = ("image", "text", "sound")
    method, batch = build("clip", *names), data(*names)
    image, text, sound = embeddings(method, batch)
    expected = (losses.clip(image, text) + losses.clip(image, sound) + losses.clip(text, sound)) / 3
    torch.testing.assert_close(method.step(batch, torch.Generator()).loss, expected)


def test_each_tower_is_probed_like_a_method():
    batch = data("image", "text")
    dataset = Dataset("pairs", batch.x, batch.labels, batch.index, ("a", "b", "c"))
    method = build("clip", "image", "text")
    image, text = embeddings(method, batch)
    torch.testing.assert_close(evaluate.embed(method, dataset).z, image)
    torch.testing.assert_close(evaluate.embed(method.tower("text"), dataset).z, text)


def test_every_tower_is_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda forward, mode: compiled.append(forward.__self__) or forward)
    batch = data("image", "text")
    dataset = Dataset("pairs", batch.x, batch.labels, batch.index, ("a", "b", "c"))
    method = build("clip", "image", "text")
    train.Loop(method, dataset, epochs=1, batch_size=5, device="cpu", compile=True)
    assert {*compiled} == {*method.encoder.values(), *method.head.values()}


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="must name the same modalities, at least 2, got image; image; image"):
        build("clip", "image")
    with pytest.raises(ValueError, match="x must have image, text, got image, sound"):
        build("clip", "image", "text").step(data("image", "sound"), torch.Generator())
    with pytest.raises(ValueError, match="x must have image, text, got one tensor"):
        build("clip", "image", "text").step(data("image")._replace(x=torch.zeros(5, 6)), torch.Generator())
    with pytest.raises(ValueError, match="MoCo queues its keys, which carry no gradient"):
        build(losses.MoCo(8, 4), "image", "text")
