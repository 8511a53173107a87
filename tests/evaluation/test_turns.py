"""Turns: everybody's turn once a round, the first rounds for nothing."""

from collections import Counter
from functools import partial

import pytest

from waveflow.evaluation.bench.turns import in_turns, speeds


@pytest.mark.parametrize("warm_up", [0, 1, 3])
def test_all_take_their_turns(warm_up):
    order, calls = [], Counter()

    def work(name):
        order.append(name)
        calls[name] += 1
        return name, calls[name]

    found = in_turns([partial(work, name) for name in "abc"], 4, warm_up=warm_up)
    assert found == [[(name, warm_up + 1 + turn) for turn in range(4)] for name in "abc"]
    rounds = ["".join(order[i : i + 3]) for i in range(0, len(order), 3)]
    assert all(sorted(one) == list("abc") for one in rounds)
    assert len(set(rounds)) > 1


def test_nobody_has_no_turn():
    assert in_turns([], 2) == []


def test_speeds_have_quartiles_and_a_share():
    found = speeds(6.0, [1.0, 2.0, 3.0], gmac_per_s=2.0, peak=24e9)
    assert found["speed"] == 3.0
    assert found["speed_low"] == 2.5
    assert found["speed_high"] == 4.5
    assert found["share_of_peak"] == pytest.approx(2 * 2.0 * 3.0 / 24)
