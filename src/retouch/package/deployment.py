"""A deployment of Azure ML, read for this machine: what has a meaning here, and what has none.

Keys that Azure's own classes refuse are errors here, too: one that is misspelt would be left out in silence.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml

from retouch.errors import BadInput

LABELS = frozenset({"$schema", "name", "endpoint_name", "description", "tags", "properties", "type"})
"""What names a deployment, and does nothing."""


@dataclass(frozen=True, slots=True)
class Deployment(ABC):
    """What a file asks for.

    Attributes:
        folder: of the file, from which its paths are told.
        content: its keys.
    """

    KIND: ClassVar[str]
    OPTIONS: ClassVar[Mapping[str, str]]
    """The key that each of `settings` comes from."""
    WHY: ClassVar[Mapping[str, str]]
    """Keys that change nothing on this machine, and why."""

    folder: Path
    content: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            BadInput: it is no deployment of this kind, or has a key that none has.
        """
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise BadInput(f"{path} cannot be read as YAML", hint=f"{cls.KIND} of Azure ML") from error
        if not isinstance(document, dict):
            raise BadInput(f"{path.name} is not an object of keys", hint=f"{cls.KIND} of Azure ML")
        deployment = cls(path.parent, document)
        deployment.check(path.name)
        return deployment

    @abstractmethod
    def check(self, name: str) -> None:
        """Refuse keys that this kind does not have; `name` is the file's.

        Raises:
            BadInput: there is one.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the settings that it asks for, by the options of the command that does what it says."""

    @property
    def model(self) -> str | None:
        """The checkpoint that lies at a local path, in a package too; None where a registry has it."""
        model = self.content.get("model")
        path = model.get("path") if isinstance(model, dict) else model
        if not isinstance(path, str) or path.startswith("azureml:"):
            return None
        packed = self.folder / path / "artifacts" / "checkpoint"
        return str(packed if packed.is_dir() else self.folder / path)

    @property
    def variables(self) -> Mapping[str, str]:
        """What the deployment puts into the environment."""
        given = section(self.content, "environment_variables")
        return {str(name): str(value) for name, value in given.items()}

    def without_meaning(self) -> Iterator[str]:
        """Yield a line for each key that changes nothing on this machine."""
        if self.content.get("model") is not None and self.model is None:
            yield "model: no registry is asked; --model names the checkpoint"
        for name in self.content:
            if name in self.WHY:
                yield f"{name} has no meaning here: {self.WHY[name]}".removesuffix(": ")

    def known(self, given: Mapping[str, Any], names: frozenset[str], where: str) -> None:
        """Refuse keys beside those of `names`.

        Raises:
            BadInput: there is one.
        """
        for name in given:
            if name not in names:
                hint = f"Azure's own classes refuse it; known: {', '.join(sorted(names))}"
                raise BadInput(f"{where}: {str(name)[:60]!r} is no key of {self.KIND}", hint=hint)


def section(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object below a key; one that is not there is empty.

    Raises:
        BadInput: something else is there.
    """
    found = given.get(name)
    if found is not None and not isinstance(found, dict):
        raise BadInput(f"{name} is no object", hint="NAME: value")
    return found or {}


def number(given: Mapping[str, Any], name: str, least: int = 1) -> int | None:
    """Return the number below a key, or None.

    Raises:
        BadInput: it is none, or less than `least`.
    """
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise BadInput(f"{name} is {value!r}", hint=f"a whole number from {least} on")
    return value
