"""One process agrees with itself; that several do is tested with the loop."""

from retouch.train.agreement import Agreement


def test_one_process_decides_alone() -> None:
    agreement = Agreement()
    assert agreement.settle(stop=False, elapsed_s=1.5) == (False, 1.5)
    assert agreement.settle(stop=True, elapsed_s=2.0) == (True, 2.0)
