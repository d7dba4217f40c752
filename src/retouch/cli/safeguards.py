"""Who else screens and judges, from the options of a command."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from retouch.errors import BadInput
from retouch.request import SafetyPolicy

if TYPE_CHECKING:
    from retouch.safety.azure.settings import ContentSafetySettings


@dataclass(frozen=True, slots=True)
class Safeguards:
    """What stands beside the package's own checks: plain values, which may be sent to another process.

    Attributes:
        screen_input: the checkers look at what comes in, too.
        service: how Azure AI Content Safety is reached, or None; it sees what comes in and what goes out.
    """

    screen_input: bool = False
    service: "ContentSafetySettings | None" = None

    @classmethod
    def of(cls, *, screen_input: bool, content_safety: bool, safety: SafetyPolicy | None) -> Self:
        """Read the options, and the environment where they ask for it.

        Raises:
            BadInput: the policy switches them off, or the environment does not say how the service is reached.
        """
        if safety == "off" and (screen_input or content_safety):
            option = "--content-safety" if content_safety else "--screen-input"
            raise BadInput(f"{option} has no effect with --safety off", hint="leave one of them out")
        if not content_safety:
            return cls(screen_input=screen_input)
        from retouch.safety.azure.settings import ContentSafetySettings

        return cls(screen_input=True, service=ContentSafetySettings.from_environment())

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `Inpainter` that they come to.

        Raises:
            MissingExtra: the service's SDK is not installed.
        """
        if self.service is None:
            return {"screen_input": self.screen_input}
        from retouch.safety.azure.content_safety import guards

        return guards(self.service)


def safeguards(*, screen_input: bool, content_safety: bool, safety: SafetyPolicy | None) -> dict[str, Any]:
    """Return the arguments of `Inpainter` that the options ask for.

    Raises:
        BadInput, MissingExtra: as above.
    """
    return Safeguards.of(screen_input=screen_input, content_safety=content_safety, safety=safety).arguments()
