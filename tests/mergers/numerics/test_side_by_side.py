"""Work on parameters, spread over threads."""

import os
import threading
import time

import pytest
import torch

from cl_bench.mergers.numerics.one_thread import one_thread
from cl_bench.mergers.numerics.side_by_side import side_by_side


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param  # whatever was done
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_items(threads):
    assert list(side_by_side(lambda item: item * item, range(20))) == [item * item for item in range(20)]
    assert list(side_by_side(str, [])) == []


def test_as_many_threads_work_as_torch_has_and_in_each_torch_has_one(threads):
    meeting = threading.Barrier(threads, timeout=60)

    def work(_):
        meeting.wait()  # breaks unless that many are here at the same time
        return threading.get_ident(), torch.get_num_threads()

    seen = list(side_by_side(work, range(threads)))
    assert len({thread for thread, _ in seen}) == threads and {own for _, own in seen} == {1}


def test_work_within_one_thread_is_spread_but_not_work_within_an_item(threads):
    meeting = threading.Barrier(threads, timeout=60)

    def inner(_):
        return threading.get_ident()

    def outer(_):
        meeting.wait()
        return threading.get_ident(), set(side_by_side(inner, range(20)))

    with one_thread():
        seen = dict(side_by_side(outer, range(threads)))
    assert len(seen) == threads and all(inner == {thread} for thread, inner in seen.items())


def test_the_first_error_by_order_is_raised_and_what_has_not_begun_is_left_out(threads):
    begun = []

    def work(item):
        begun.append(item)
        if item in (1, 2):
            raise ValueError(f"item {item}")
        time.sleep(1e-3)

    with pytest.raises(ValueError, match="item 1"):
        list(side_by_side(work, range(1000)))
    assert len(begun) < 1000


def test_nothing_is_still_at_work_when_it_ends(threads):
    at_work, begun = [], threading.Event()

    def work(item):
        if item == 0:
            begun.wait(60 if threads > 1 else 0)
            raise ValueError("item 0")
        at_work.append(item)
        begun.set()
        time.sleep(0.1)
        at_work.remove(item)

    with pytest.raises(ValueError, match="item 0"):
        list(side_by_side(work, range(threads)))
    assert not at_work


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(threads):
    list(side_by_side(str, range(20)))
    child = os.fork()
    if child == 0:
        torch.set_num_threads(threads)
        done = threading.Thread(target=lambda: os._exit(list(side_by_side(abs, range(20))) != list(range(20))))
        done.start()
        done.join(60)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
