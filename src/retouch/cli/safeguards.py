"""Who else screens and judges, from the options of a command."""

from typing import Any

from retouch.errors import BadInput
from retouch.request import SafetyPolicy


def safeguards(*, screen_input: bool, content_safety: bool, safety: SafetyPolicy | None) -> dict[str, Any]:
    """Return the arguments of `Inpainter` that the options ask for.

    Raises:
        BadInput: the policy switches them off, or the environment does not say how the service is reached.
        MissingExtra: the service's SDK is not installed.
    """
    if safety == "off" and (screen_input or content_safety):
        option = "--content-safety" if content_safety else "--screen-input"
        raise BadInput(f"{option} has no effect with --safety off", hint="leave one of them out")
    if not content_safety:
        return {"screen_input": screen_input}
    from retouch.safety.azure.content_safety import guards

    return guards()
