"""The container image is what docs/operations.md says of it; it is built by the release's CI and not here."""

import ast
import re
import shutil
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.deploy.dockerfiles import ROOT, listed, stages_of

from retouch.serve.replicas import proxy
from retouch.serve.settings import ServeSettings

BUILD, FINAL = stages_of(ROOT / "Dockerfile")
LOCKS = ROOT / "deploy" / "image"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """The packages of a lock, with their versions; every line of it is one of them or a hash."""
    text = (LOCKS / name).read_text()
    assert not _PIN.sub("", text).strip()
    return {canonicalize_name(package): version for package, version, _ in _PIN.findall(text)}


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(one.split("==")[0]): one.split("==")[1] for one in lines if "==" in one}


def test_it_runs_as_nobody_in_particular() -> None:
    assert FINAL.all("USER") == ["10001:10001"]
    words = [word for word, _ in FINAL.instructions]
    assert words.index("USER") > max(place for place, word in enumerate(words) if word in ("RUN", "COPY"))


def test_it_writes_nowhere_but_to_jobs_and_tmp() -> None:
    environment = FINAL.environment()
    assert listed(FINAL.all("VOLUME")[0]) == ["/jobs"]
    assert environment["RETOUCH_JOBS_FOLDER"] == "/jobs"
    assert environment["HOME"] == "/tmp"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert any("compileall" in one for one in BUILD.all("RUN"))  # what would else be compiled at each start


def test_it_serves_and_is_told_to_end_by_sigterm() -> None:
    assert (listed(FINAL.all("ENTRYPOINT")[0]), listed(FINAL.all("CMD")[0])) == (["retouch"], ["serve"])
    assert FINAL.all("STOPSIGNAL") == ["SIGTERM"]


def test_its_variables_are_settings() -> None:
    told = [name for name in FINAL.environment() if name.startswith("RETOUCH_")]
    assert told
    assert all(name.removeprefix("RETOUCH_").lower() in ServeSettings.model_fields for name in told)


def test_it_refuses_to_listen_to_everybody_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    from retouch.errors import BadInput
    from retouch.serve.start import check

    for name, value in FINAL.environment().items():
        if name.startswith("RETOUCH_"):
            monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match="anybody"):
        check(ServeSettings.of())


def test_its_health_is_that_of_the_server() -> None:
    check = FINAL.all("HEALTHCHECK")[0]
    command = listed(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    ast.parse(command[2])
    assert "/health/live" in command[2]
    assert "--start-period=" in check


def test_rays_proxies_speak_in_our_words_in_it() -> None:
    assert FINAL.environment()[proxy.CALLBACK] == f"{proxy.__name__}:{proxy.middlewares.__name__}"


def test_all_but_pytorch_is_installed_by_hash() -> None:
    installs = [one for one in BUILD.all("RUN") if "pip install" in one and "wheels/" not in one]
    by_hash = [one for one in installs if "--require-hashes" in one]
    assert [one for one in installs if one not in by_hash] == [installs[0]]
    assert "-r torch.lock" in installs[0]
    assert "${DEVICE}" in installs[0]
    assert all("--only-binary :all:" in one for one in by_hash)


def test_the_locks_are_what_is_tested() -> None:
    tested = constraints()
    locked = pins("requirements.lock")
    assert {name: version for name, version in locked.items() if tested.get(name, version) != version} == {}
    assert (LOCKS / "torch.lock").read_text().splitlines()[-1] == f"torch=={tested['torch']}"
    assert pins("build.lock")["hatchling"] == tested["hatchling"]


def test_the_lock_has_all_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(one for extra in ("azure", "ray", "telemetry") for one in extras[extra])]
    missing = {canonicalize_name(Requirement(one).name) for one in asked} - pins("requirements.lock").keys()
    assert missing == {"torch"}


def test_no_lock_names_an_index() -> None:
    for lock in LOCKS.glob("*.lock"):
        assert "://" not in lock.read_text()


def test_only_what_it_is_built_of_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in ignored
    let_in = {one.removeprefix("!") for one in ignored if one.startswith("!")}
    assert let_in == {"src", "pyproject.toml", "README.md", "LICENSE", "NOTICE", "deploy/image/*.lock"}


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint") or shutil.which(str(ROOT / ".tools" / "bin" / "hadolint"))
    if hadolint is None:
        pytest.skip("`make lint-image` brings hadolint")
    config = LOCKS / "hadolint.yaml"
    done = subprocess.run(
        [hadolint, "--config", str(config), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
