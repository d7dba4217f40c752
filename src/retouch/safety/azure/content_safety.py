"""Azure AI Content Safety as a screen of texts and as a checker of pictures."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

from retouch.prompts import said
from retouch.request import InpaintRequest
from retouch.safety.azure.answers import UnreadableAnswer, hits_blocklist, severities_of, threshold_on
from retouch.safety.azure.client import Client
from retouch.safety.azure.settings import CATEGORIES, ContentSafetySettings, Levels
from retouch.safety.azure.uploads import uploads_of
from retouch.safety.breaker import CircuitBreaker, State
from retouch.safety.patience import Patience, PatientCaller, ServiceFault
from retouch.safety.policy import Score
from retouch.safety.screen import ScreenFinding, ScreenResult
from retouch.safety.views import Exhibit

T = TypeVar("T")

MAX_TEXT_CHARS = 10_000
_IMAGE_LEVELS: Levels = 4
_OVERLAP_CHARS = 500
"""Of the parts of a longer text, so that no phrase is cut in two."""


@dataclass(frozen=True, slots=True)
class ContentSafetyStats:
    """What has been asked so far, for metrics.

    Attributes:
        text_calls, image_calls: attempts that were sent, which is what is paid for.
        refusals: texts and pictures that were refused.
        failures: texts and pictures that could not be judged, those while the breaker was open included.
        breaker: whether the service is asked now.
    """

    text_calls: int
    image_calls: int
    refusals: int
    failures: int
    breaker: State


class AzureContentSafety:
    """A `RequestScreen` and an `ImageChecker`: give it to `Inpainter` as both; usable from any thread.

    The prompt and the negative prompt are read as they are, and where words have weights as they are meant; of a
    picture every look is sent whole, as a copy that fits the service's limits. A severity at or above the
    category's threshold is refused. What the service does not answer as documented, in time, it has not judged.
    """

    name = "azure_content_safety"
    is_local = False

    def __init__(
        self,
        settings: ContentSafetySettings,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        delay: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to nothing yet.

        Raises:
            MissingExtra: the SDK is not installed.
        """
        patience = patience or Patience()
        self._settings = settings
        self._text_thresholds = _thresholds(settings, settings.text_levels)
        self._image_thresholds = _thresholds(settings, _IMAGE_LEVELS)
        self._client = Client(settings, patience)
        self._breaker = CircuitBreaker(clock=clock)
        self._caller = PatientCaller(patience, self._breaker, clock=clock, delay=delay)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    @property
    def version(self) -> str:
        return f"azure-ai-contentsafety {version('azure-ai-contentsafety')}"

    def screen(self, request: InpaintRequest) -> ScreenResult:
        """Read the prompt, then the negative prompt; the first that is refused ends it.

        Raises:
            ServiceFault, CircuitOpen: the service gave no verdict.
        """
        for subject in ("prompt", "negative_prompt"):
            text = getattr(request, subject)
            # Weights can cut a word apart, or let an excuse stand that is hardly seen.
            wordings = (text,) if request.prompt_syntax == "plain" else (text, *said(text, seam=""))
            if categories := self._refused_in(wordings):
                findings = tuple(ScreenFinding(category, ()) for category in categories)
                return ScreenResult("block", findings, self.version, subject.replace("_", " "))
        return ScreenResult("pass", version=self.version)

    def check(self, exhibit: Exhibit) -> list[Score]:
        """Return a score for each category and look.

        Raises:
            ServiceFault, CircuitOpen: the service gave no verdict.
        """
        scores: list[Score] = []
        for look in exhibit.looks():
            for name, file in uploads_of(look):
                scores += self._scores(name, self._ask("image", partial(self._look, file)))
        if any(score.bucket == "high" for score in scores):
            self._note("refusals")
        return scores

    def stats(self) -> ContentSafetyStats:
        """Return what has been asked so far."""
        with self._lock:
            counts = {name: self._counts[name] for name in ("text_calls", "image_calls", "refusals", "failures")}
        return ContentSafetyStats(**counts, breaker=self._breaker.state)

    def _refused_in(self, wordings: Iterable[str]) -> tuple[str, ...]:
        """Return our names of the categories for which one wording of a text is refused."""
        for part in dict.fromkeys(part for wording in wordings for part in _parts(wording)):
            if categories := self._ask("text", partial(self._read, part)):
                self._note("refusals")
                return categories
        return ()

    def _read(self, text: str) -> tuple[str, ...]:
        answer = self._client.text(text)
        if hits_blocklist(answer):
            return ("blocklist",)
        severities = severities_of(answer, self._settings.text_levels)
        return tuple(
            CATEGORIES[name] for name, severity in severities.items() if severity >= self._text_thresholds[name]
        )

    def _look(self, file: bytes) -> dict[str, int]:
        return severities_of(self._client.image(file), _IMAGE_LEVELS)

    def _scores(self, view: str, severities: dict[str, int]) -> Iterator[Score]:
        for name, severity in severities.items():
            threshold = self._image_thresholds[name]
            yield Score(CATEGORIES[name], view, severity, threshold, near=max(1, threshold - 2))

    def _ask(self, kind: str, question: Callable[[], T]) -> T:
        def counted() -> T:
            self._note(f"{kind}_calls")
            try:
                return question()
            except UnreadableAnswer as error:
                raise ServiceFault(f"UnreadableAnswer: {error}", "lasting") from error

        try:
            return self._caller.ask(counted)
        except Exception:
            self._note("failures")
            raise

    def _note(self, count: str) -> None:
        with self._lock:
            self._counts[count] += 1


def _thresholds(settings: ContentSafetySettings, levels: Levels) -> dict[str, int]:
    return {name: threshold_on(levels, threshold) for name, threshold in settings.thresholds.items()}


def _parts(text: str) -> Iterator[str]:
    """Yield the overlapping parts of a text that the service takes; none of a blank one, which says nothing."""
    if text := text.strip():
        for start in range(0, max(1, len(text) - _OVERLAP_CHARS), MAX_TEXT_CHARS - _OVERLAP_CHARS):
            yield text[start : start + MAX_TEXT_CHARS]


def guards(settings: ContentSafetySettings) -> dict[str, Any]:
    """Return the arguments of `Inpainter` that put the service before and behind the model.

    Raises:
        MissingExtra: the service's SDK is not installed.
    """
    service = AzureContentSafety(settings)
    return {"screens": (service,), "more_checkers": (service,), "screen_input": True}
