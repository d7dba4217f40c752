"""Callers see and end their own work, and no other's."""

from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from retouch.engine.ticket import Progress
from retouch.errors import RetouchError
from retouch.serve.dialects.a1111_underway import Underway, state_of
from retouch.serve.keys import ANONYMOUS, Caller
from retouch.serve.work import Work


@dataclass(eq=False)
class Stub:
    """Work that only remembers how it ended."""

    progress: Progress | None = None
    ended: list[RetouchError | None] = field(default_factory=list)

    def cancel(self, reason: RetouchError | None = None) -> None:
        self.ended.append(reason)


def called_by(caller: Caller = ANONYMOUS, host: str = "127.0.0.1") -> Request:
    """Return a request as a route sees it."""
    return Request({"type": "http", "headers": [], "client": (host, 1), "state": {"caller": caller}})


def work(stub: Stub) -> Work:
    return cast("Work", stub)


def test_a_key_ends_its_own_work_alone() -> None:
    book, mine, other = Underway(), Stub(), Stub()
    with book.entry(called_by(Caller("a")), work(mine)), book.entry(called_by(Caller("b")), work(other)):
        book.interrupt(called_by(Caller("a"), host="10.0.0.9"))
        assert (len(mine.ended), other.ended) == (1, [])
        assert str(mine.ended[0]) == "the work was interrupted"


def test_without_keys_an_address_is_a_user() -> None:
    book, mine, other = Underway(), Stub(), Stub()
    with book.entry(called_by(host="10.0.0.1"), work(mine)), book.entry(called_by(host="10.0.0.2"), work(other)):
        book.interrupt(called_by(host="10.0.0.3"))
        assert mine.ended == other.ended == []
        book.interrupt(called_by(host="10.0.0.2"))
        assert (mine.ended, len(other.ended)) == ([], 1)


def test_an_address_is_never_taken_for_a_key() -> None:
    book, mine = Underway(), Stub()
    with book.entry(called_by(Caller("10.0.0.1")), work(mine)):
        assert book.of(called_by(host="10.0.0.1")) == ()


def test_all_works_of_a_caller_end_and_none_is_remembered() -> None:
    book, works = Underway(), [Stub(), Stub()]
    with book.entry(called_by(), work(works[0])), book.entry(called_by(), work(works[1])):
        book.interrupt(called_by())
    assert all(len(one.ended) == 2 for one in works)  # by the caller, and once more where it is left
    assert book.of(called_by()) == ()
    assert book._entries == {}


def test_the_oldest_work_is_the_one_that_is_told_of() -> None:
    book, first, second = Underway(), Stub(Progress(3, 12)), Stub(Progress(9, 10))
    with book.entry(called_by(), work(first)), book.entry(called_by(), work(second)):
        told = state_of(book.of(called_by()))
    assert told["progress"] == 0.25
    assert told["eta_relative"] > 0
    state = told["state"]
    assert (state["job_count"], state["sampling_step"], state["sampling_steps"]) == (2, 3, 12)


def test_work_that_has_not_begun_is_not_taken_for_none() -> None:
    book = Underway()
    with book.entry(called_by(), work(Stub())):
        told = state_of(book.of(called_by()))
    assert 0 < told["progress"] < 0.1
    assert told["state"]["job_count"] == 1
    idle = state_of(())
    assert (idle["progress"], idle["eta_relative"], idle["state"]["job_count"]) == (0, 0, 0)
