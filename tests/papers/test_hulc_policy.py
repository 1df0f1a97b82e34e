"""HULC's policy: the tabletop that it acts on, what it learns by, how it decodes and acts."""

import pytest
import torch
from torch import Tensor

from cl_explore.methods.plain import take_epoch
from cl_explore.papers.hulc import method, study, world


def test_the_hand_moves_what_it_holds() -> None:
    tasks = torch.arange(16)
    did, state = world.actions(tasks), torch.zeros(16, 8)
    torch.testing.assert_close(world.moved(state, did[:, 0]), world.DRIFT * world.motion(tasks))
    assert world.moved(state, did[:, -1]).count_nonzero() == 0
    open_hand = torch.cat([did[:, 0, :4], -torch.ones(16, 1)], dim=1)
    assert world.moved(state, open_hand).count_nonzero() == 0


def test_what_was_done_in_play_does_the_task_and_another_task_does_not() -> None:
    table, generator = world.tabletop(0), torch.Generator().manual_seed(0)
    tasks = torch.arange(16)

    def replay(tasks: Tensor, shown: Tensor) -> Tensor:
        did = iter(world.actions(shown).unbind(1))
        return table.roll_out(tasks, lambda frame: next(did), generator)

    assert replay(tasks, tasks).all()
    for other in (tasks // 4 * 4 + (tasks + 1) % 4, (tasks + 4) % 16):
        assert not replay(tasks, other).any()
    assert not table.roll_out(tasks, lambda frame: torch.zeros(16, 5), generator).any()


def test_play_shows_what_the_actions_do_and_says_only_what_was_told() -> None:
    table = world.tabletop(0)
    play = table.play(200, 50, torch.Generator().manual_seed(0))
    assert play.factors["told"].tolist() == [1] * 50 + [0] * 150
    assert (play.x["instruction"].abs().sum(1) > 0).tolist() == [True] * 50 + [False] * 150
    did = play.x["actions"].unflatten(1, (6, 5))
    torch.testing.assert_close(did, world.actions(play.labels), atol=0.6, rtol=0)
    assert (did[..., :4] - world.actions(play.labels)[..., :4]).std().item() == pytest.approx(0.1, rel=0.05)
    seen = play.x["video"].unflatten(1, (6, 24)).clamp(-0.95, 0.95).atanh() @ torch.linalg.pinv(table.lens)
    # the lens loses nothing, so that places can be read, though not exactly, from frames with noise
    assert ((seen[:, -1] - seen[:, 0]) * world.motion(play.labels)).sum(1).median().item() == pytest.approx(
        1.75, abs=0.3
    )


@pytest.fixture
def policy() -> method.Policy:
    torch.manual_seed(0)
    return study.policy(*study.of_frames(None), None, study.one_view, weight=0.5)


def test_half_of_every_batch_was_told(policy: method.Policy) -> None:
    play = world.tabletop(0).play(100, 10, torch.Generator().manual_seed(0))
    rows = policy.draw_order(play, 16, torch.Generator().manual_seed(1)).view(-1, 16)
    assert len(rows) == 6
    assert (play.factors["told"][rows].sum(1) == 8).all()
    assert rows[rows >= 10].unique().numel() == 48
    assert rows[rows < 10].unique().numel() == 10


def test_a_policy_decodes_step_by_step_as_at_once(policy: method.Policy) -> None:
    plan, goal, seen = torch.randn(3, 64), torch.randn(3, 32), torch.randn(3, 6, 32)
    mixture, grip, _ = policy.decode(plan, seen, goal)
    state = None
    for step in range(6):
        now, hold, state = policy.decode(plan, seen[:, step : step + 1], goal, state)
        torch.testing.assert_close(hold[:, 0], grip[:, step])
        torch.testing.assert_close(torch.stack(now)[:, :, 0], torch.stack(mixture)[:, :, step])


def test_each_loss_of_a_policy_reaches_what_it_should(policy: method.Policy) -> None:
    batch = world.tabletop(0).play(16, 8, torch.Generator().manual_seed(0)).batch(torch.arange(16))

    def reached(**weights: float) -> set[str]:
        for name, weight in {"weight": 0.0, "beta": 0.0, **weights}.items():
            setattr(policy, name, weight)
        policy.zero_grad()
        policy.step(batch, torch.Generator()).loss.backward()
        return {
            name for name, part in policy.named_children()
            if any(each.grad is not None and each.grad.count_nonzero() for each in part.parameters())
        }  # fmt: skip

    imitation = {"encoder", "seen_goal", "said_goal", "recognise", "posterior", "decoder", "action"}
    assert reached() == imitation
    assert reached(beta=0.01) == imitation | {"prior"}
    assert reached(weight=3.0) == imitation | {"head", "said_head"}
    untold = policy.step(batch._replace(factors={"told": torch.zeros(16).long()}), torch.Generator())
    assert untold.metrics["clip"] == 0


def test_a_policy_learns_and_acts_the_same_twice() -> None:
    table, losses, done = world.tabletop(0), [], []
    play = table.play(64, 32, torch.Generator().manual_seed(0))
    for _ in range(2):
        torch.manual_seed(0)
        model = study.policy(*study.of_frames(None), None, study.one_view, weight=0.5)
        optimizer, generator = torch.optim.Adam(model.parameters(), 4e-3), torch.Generator().manual_seed(1)
        whole = play.batch(torch.arange(64))
        losses.append([model.step(whole, generator).loss.item()])
        for _ in range(5):
            take_epoch(model, play, 32, optimizer, generator)
        losses[-1].append(model.step(whole, generator).loss.item())
        act = model.told(table.say(play.labels, torch.Generator().manual_seed(2)), generator)
        done.append(torch.stack([act(frame) for frame in play.x["video"].unflatten(1, (6, 24)).unbind(1)]))
    assert losses[0] == losses[1]
    assert losses[0][1] < losses[0][0]
    assert torch.equal(*done)
    assert done[0].shape == (6, 64, 5)
    assert set(done[0][..., 4].unique().tolist()) <= {-1.0, 1.0}


def test_an_error_names_the_argument() -> None:
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        study.policy(*study.of_frames(None), None, study.one_view, alpha=2.0)
