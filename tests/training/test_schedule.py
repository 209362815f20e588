import pytest
from hypothesis import given
from hypothesis import strategies as st

from targetprop.training.schedule import Pass, Schedule


def test_passes_in_order():
    passes = list(Schedule(epochs=2, pretraining=2, between=1).passes(trains_feedback=True))
    assert passes == [
        Pass(0, 1, joint=False, ends_epoch=False),
        Pass(0, 2, joint=False, ends_epoch=True),
        Pass(1, 0, joint=True, ends_epoch=False),
        Pass(1, 1, joint=False, ends_epoch=True),
        Pass(2, 0, joint=True, ends_epoch=True),
    ]


def test_fixed_feedback_has_joint_passes_alone():
    passes = list(Schedule(epochs=3, pretraining=4, between=2).passes(trains_feedback=False))
    assert passes == [Pass(epoch, 0, joint=True, ends_epoch=True) for epoch in (1, 2, 3)]


schedules = st.builds(Schedule, st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))


@given(schedules)
def test_counts(schedule):
    passes = schedule.passes(trains_feedback=True)
    assert passes.joint == schedule.epochs
    joint = [at for at in passes if at.joint]
    assert [at.epoch for at in joint] == list(range(1, schedule.epochs + 1))
    assert sum(not at.joint for at in passes) == schedule.pretraining + schedule.between * (schedule.epochs - 1)
    assert passes[-1].joint


@given(schedules)
def test_each_pass_has_its_own_number_and_each_epoch_one_end(schedule):
    passes = schedule.passes(trains_feedback=True)
    assert len({(at.epoch, at.index) for at in passes}) == len(passes)
    last_of_epoch = {at.epoch: at for at in passes}
    assert [at for at in passes if at.ends_epoch] == list(last_of_epoch.values())


@given(schedules, st.integers(1, 3))
def test_a_longer_schedule_goes_on_where_the_shorter_ends(schedule, more):
    longer = Schedule(schedule.epochs + more, schedule.pretraining, schedule.between).passes(trains_feedback=True)
    shorter = schedule.passes(trains_feedback=True)
    first, second = ([(at.epoch, at.index, at.joint) for at in passes] for passes in (longer, shorter))
    assert first[: len(second)] == second


@pytest.mark.parametrize("numbers", [(0, 0, 0), (-1, 0, 0), (1, -1, 0), (1, 0, -1)])
def test_impossible_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match=r"needs (epochs above 0, not -?\d|(pretraining|between) 0 or above, not -1)"):
        Schedule(*numbers)


@given(schedules)
def test_one_pass_of_each_kind_from_any_pass_on(schedule):
    passes = schedule.passes(trains_feedback=True)
    for first in range(len(passes)):
        assert {at.joint for at in passes.kinds(first)} == {at.joint for at in passes[first:]}
        assert len(passes.kinds(first)) == len({at.joint for at in passes[first:]})


def test_a_schedule_of_two_billion_epochs_is_computed_where_it_is_read():
    passes = Schedule(2**31 - 1, pretraining=1, between=1).passes(trains_feedback=True)
    assert len(passes) == 1 + 2 * (2**31 - 1) - 1
    assert passes[-1] == Pass(2**31 - 1, 0, joint=True, ends_epoch=True)
    assert passes[2 * 10**9 + 2] == Pass(10**9 + 1, 1, joint=False, ends_epoch=True)
