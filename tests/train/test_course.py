"""The course of a training: batches, replicas, checkpoints in memory, accuracies."""

from __future__ import annotations

import numpy as np

from tests.cases.courses import DATA, settings
from tests.cases.masks import scheme
from uepgpu.train import Member
from uepgpu.train.course import Course, members_per_stack
from uepgpu.train.networks import CIFAR10, DIGITS, MNIST


def test_digits_are_learned():
    """Exact training, and EW with a long deadline, which decodes classes 1 and 2 of nearly every product."""
    members = [Member(None, r) for r in range(2)] + [Member(scheme("ew", 4.0, paradigm="rxc"), r) for r in range(2)]
    curves = Course(DATA, DIGITS, members, settings()).run()
    assert curves.steps.tolist() == [*range(0, 460, 50), 460]
    assert curves.test.shape == (11, 4)
    assert np.all(curves.test[0] < 0.3)
    assert np.all(curves.final[:2] > 0.9)
    assert np.all(curves.final[2:] > 0.75)
    assert np.all(curves.train[-1] > 0.75)
    assert np.array_equal(curves.test[-1], curves.final)  # all test samples were evaluated every time
    assert not np.array_equal(curves.test[:, 0], curves.test[:, 1])  # replicas have their own weights and order


def test_members_of_one_replica_share_data_and_weights():
    curves = Course(DATA, DIGITS, [Member(None, 3), Member(scheme("uncoded", 1e9), 3)], settings(epochs=2)).run()
    np.testing.assert_allclose(curves.test[:, 0], curves.test[:, 1], atol=0.01)


def test_resuming_gives_the_same_numbers():
    members = [Member(scheme("ew", 1.0, paradigm="cxr"), r) for r in range(3)]
    states = []
    whole = Course(DATA, DIGITS, members, settings(epochs=4)).run(states.append)
    assert len(states) == 1  # after 50 steps of 92
    again = Course(DATA, DIGITS, members, settings(epochs=4))
    again.restore(states[0])
    curves = again.run()
    for name in ("steps", "train", "test", "final"):
        assert np.array_equal(getattr(curves, name), getattr(whole, name), equal_nan=True)


def test_every_sample_is_seen_once_an_epoch():
    course = Course(DATA, DIGITS, [Member(None, 0), Member(None, 1)], settings())
    for member in range(2):
        pixels = np.concatenate([course._batch(step)[0][member].numpy() for step in range(23)])
        assert pixels.shape == DATA.train_x.shape  # the last batch is smaller
        assert np.array_equal(np.sort(pixels.sum(1)), np.sort(DATA.train_x.sum(1)))
    assert not np.array_equal(course._batch(0)[0][0], course._batch(23)[0][0])


def test_batches_in_the_order_of_the_file():
    """The same in every epoch and for every replica."""
    course = Course(DATA, DIGITS, [Member(None, 0), Member(None, 1)], settings(data_order="file"))
    for step, first in ((0, 0), (22, 22 * 64), (23, 0)):
        x, y = course._batch(step)
        for member in range(2):
            assert np.array_equal(x[member], DATA.train_x[first : first + 64])
            assert np.array_equal(y[member], DATA.train_y[first : first + 64])


def test_final_training_accuracy_is_the_mean_of_the_last_hundred_batches():
    """Steps 60 to 159 of 7 epochs of 23 steps are not whole epochs, and a checkpoint lies among them."""
    members = [Member(None, 0), Member(scheme("ew", 2.0), 1)]
    states, seen = [], []
    course = Course(DATA, DIGITS, members, settings(epochs=7))
    train = course.stack.train

    def watched(x, y):
        right = train(x, y)
        seen.append(right.numpy() / y.shape[1])
        return right

    course.stack.train = watched
    curves = course.run(states.append)
    assert len(seen) == 161
    np.testing.assert_allclose(curves.final_train, np.mean(seen[-100:], axis=0), rtol=0, atol=1e-12)
    again = Course(DATA, DIGITS, members, settings(epochs=7))
    again.restore(states[-1])
    assert np.array_equal(again.run().final_train, curves.final_train)


def test_stacks_fit_in_the_cache():
    assert 8 <= members_per_stack(MNIST, 64, "cpu") <= 32
    assert members_per_stack(CIFAR10, 64, "cpu") == 1
    assert members_per_stack(MNIST, 10**6, "cpu") == 1
