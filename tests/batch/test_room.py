"""Memory that several threads share stays within its bound."""

import threading

from retouch.batch.room import Room


def test_who_finds_no_room_waits_until_somebody_leaves() -> None:
    room, entered = Room(10), threading.Event()
    room.enter(8)

    def come() -> None:
        room.enter(5)
        entered.set()

    thread = threading.Thread(target=come)
    thread.start()
    assert not entered.wait(0.05)
    room.leave(8)
    assert entered.wait(5)
    thread.join()


def test_what_is_larger_than_all_goes_alone() -> None:
    room = Room(10)
    room.enter(50)
    room.leave(50)
    room.enter(1)
    room.grow(100)
    room.leave(101)
    room.enter(10)
