"""Calls to a service that may be slow, full or gone: few attempts, one deadline, a circuit breaker before them."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, TypeVar

from retouch.safety.breaker import CircuitBreaker

T = TypeVar("T")
FaultKind = Literal["passing", "lasting", "ours"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a service is waited for.

    Attributes:
        connect_s, read_s: of one attempt.
        total_s: of all attempts and the delays between them.
        retries: attempts after the first, where the fault may pass.
        backoff_s: delay before the first retry, doubled for each further one; a random half of it is left out.
        places: calls under way at a time.
    """

    connect_s: float = 2.0
    read_s: float = 5.0
    total_s: float = 15.0
    retries: int = 2
    backoff_s: float = 0.25
    places: int = 16


class ServiceFault(Exception):
    """An attempt gave no answer.

    Attributes:
        kind: `passing`, another attempt may succeed; `lasting`, none will; `ours`, the service is well and refuses
            what it was sent, which must not close it for others.
        retry_after_s: how long the service asks to be left alone.
    """

    def __init__(self, message: str, kind: FaultKind, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


class PatientCaller:
    """Puts questions to one service; usable from any thread."""

    def __init__(
        self,
        patience: Patience,
        breaker: CircuitBreaker,
        *,
        clock: Callable[[], float] = time.monotonic,
        delay: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """
        Args:
            draw: a number in [0, 1), so that many callers do not come again at the same moment.
        """
        self._patience = patience
        self._breaker = breaker
        self._clock = clock
        self._delay = delay
        self._draw = draw
        self._places = threading.BoundedSemaphore(patience.places)

    def ask(self, question: Callable[[], T]) -> T:
        """Return the answer to a question, which raises `ServiceFault` where it gets none.

        Raises:
            CircuitOpen: the service is left alone for now.
            ServiceFault: of the last attempt.
        """
        self._breaker.enter()
        try:
            answer = self._attempt(question)
        except ServiceFault as fault:
            if fault.kind == "ours":
                self._breaker.succeeded()
            else:
                self._breaker.failed(fault.retry_after_s or 0.0)
            raise
        except BaseException:
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return answer

    def _attempt(self, question: Callable[[], T]) -> T:
        deadline = self._clock() + self._patience.total_s
        attempt = 0
        while True:
            try:
                return self._within(deadline - self._clock(), question)
            except ServiceFault as fault:
                pause_s = self._pause_s(attempt, fault)
                is_last = attempt >= self._patience.retries or self._clock() + pause_s >= deadline
                if fault.kind != "passing" or is_last:
                    raise
            self._delay(pause_s)
            attempt += 1

    def _pause_s(self, attempt: int, fault: ServiceFault) -> float:
        backoff_s = self._patience.backoff_s * 2.0**attempt * (0.5 + 0.5 * self._draw())
        return max(backoff_s, fault.retry_after_s or 0.0)

    def _within(self, seconds: float, question: Callable[[], T]) -> T:
        """Put a question in a thread of its own, for sockets have no timeout against names or drips.

        A thread that is given up ends when its socket lets it; until then it keeps its place.
        """
        seconds = max(0.0, seconds)
        if not self._places.acquire(timeout=seconds):
            raise ServiceFault("too many calls are under way", "passing")
        future: Future[T] = Future()

        def work() -> None:
            try:
                future.set_result(question())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)
            finally:
                self._places.release()

        try:
            threading.Thread(target=work, name="retouch-service", daemon=True).start()
        except BaseException:
            self._places.release()
            raise
        try:
            return future.result(timeout=seconds)
        except TimeoutError:
            raise ServiceFault("no answer in time", "passing") from None
