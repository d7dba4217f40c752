"""When a run stops before its end."""

import os
import signal
import threading

import pytest

from retouch.train.stopping import SIGNALS, Stop


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_lets_the_step_end_and_the_second_does_not(number: signal.Signals) -> None:
    with Stop() as stop:
        assert not stop()
        send(number)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            send(number)


def test_where_nothing_is_lost_the_first_signal_ends_it() -> None:
    with Stop() as stop:
        with pytest.raises(KeyboardInterrupt), stop.at_once():
            send(signal.SIGINT)
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), stop.at_once():
            pytest.fail("what was asked before is not begun")


def test_signals_do_afterwards_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyboardInterrupt), Stop() as stop, stop.at_once():
        send(signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_off_the_main_thread_steps_alone_count() -> None:
    found: list[bool] = []

    def run() -> None:
        with Stop(max_steps=2) as stop:
            found.extend((stop(), stop()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False, True]
