"""The doors in their order, from the socket inwards; what a request meets before its handler."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from retouch.errors import BadInput
from retouch.serve.answer_headers import AnswerHeaders
from retouch.serve.body import DEFAULT_BODY_LIMITS, Admit, Body, BodyLimits
from retouch.serve.guards import ANY_HOST, LOOPBACK_HOSTS, Guards
from retouch.serve.keys import KeyCheck, Keyring
from retouch.serve.logs import OnAnswer, RequestLog
from retouch.serve.refusals import LINGER_S, Refusals, Render, plain_answer
from retouch.serve.request_ids import RequestIds


@dataclass(frozen=True, slots=True)
class Doors:
    """How a server is closed to what it does not serve.

    Attributes:
        hosts: names and addresses that it answers to; `*` is any.
        keyring: who may call; an empty one is everyone.
        cors_origins: other origins whose pages may call, with a key.
        pages: paths that links on other sites may open.
        is_open: routed paths that need no key where they are looked at, without a body.
        admit: refuses work before its body is read.
        limits: of bodies.
        render: how what is refused here is said.
        on_answer: is told of every answer.
        linger_s: how long the rest of a refused body is thrown away.
    """

    hosts: Collection[str] = LOOPBACK_HOSTS
    keyring: Keyring = field(default_factory=Keyring)
    cors_origins: Collection[str] = ()
    pages: Collection[str] = ("/", "/docs")
    is_open: Callable[[str], bool] | None = None
    admit: Admit | None = None
    limits: BodyLimits = DEFAULT_BODY_LIMITS
    render: Render = plain_answer
    on_answer: OnAnswer | None = None
    linger_s: float = LINGER_S

    def __post_init__(self) -> None:
        if not self.keyring and self.cors_origins:
            raise BadInput("other origins may only call with a key", hint="set keys, or allow no origin")
        if not self.keyring and ANY_HOST in self.hosts:
            raise BadInput("any host name may only be used with keys", hint="set keys, or name the hosts")


def behind_doors(app: ASGIApp, doors: Doors) -> ASGIApp:
    """Return `app` behind every door.

    Refusals stand outside of all that refuses, and inside of what every answer must carry. Whoever has no business
    here is refused before keys are looked at, and nobody without a key makes the server read a body.
    """
    for_body = Body(app, admit=doors.admit, limits=doors.limits)
    for_keys = KeyCheck(for_body, keyring=doors.keyring, is_open=doors.is_open)
    guarded = Guards(for_keys, hosts=doors.hosts, cors_origins=doors.cors_origins, pages=doors.pages)
    refusing = Refusals(guarded, render=doors.render, linger_s=doors.linger_s)
    with_headers = AnswerHeaders(refusing, cors_origins=guarded.cors_origins)
    return RequestIds(RequestLog(with_headers, on_answer=doors.on_answer))
