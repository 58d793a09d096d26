"""What a run says is kept."""

from cl_bench.experiment.kept import Kept


def test_tasks_and_the_steps_of_the_next_one():
    kept = Kept(of=5)
    assert kept.words() == "0 of 5 tasks"
    kept.task(1)
    kept.step, kept.steps = 35, 120
    assert kept.words() == "2 of 5 tasks, and 35 of 120 steps of task 3"
    kept.task(2)
    assert kept.words() == "3 of 5 tasks"
