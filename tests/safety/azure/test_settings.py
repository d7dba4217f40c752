"""The variables of Azure's deployments: what they mean, and that half of them is an error."""

import pytest
from pydantic import ValidationError

from retouch.errors import BadInput
from retouch.safety.azure.settings import CATEGORIES, ContentSafetySettings

ENDPOINT, KEY = "https://safe.cognitiveservices.azure.com/", "0123456789abcdef"


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UAI_CLIENT_ID", raising=False)


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> ContentSafetySettings:
    for name, value in ({"CONTENT_SAFETY_ENDPOINT": ENDPOINT, "CONTENT_SAFETY_KEY": KEY} | variables).items():
        monkeypatch.setenv(name, value)
    return ContentSafetySettings.from_environment()


def test_the_variables_of_the_cards_safe_deployments_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        CONTENT_SAFETY_THRESHOLD="4",
        UAI_CLIENT_ID="identity",
        CONTENT_SAFETY_ACCOUNT_NAME="aacs",
        SUBSCRIPTION_ID="s",
        RESOURCE_GROUP_NAME="g",
    )
    assert settings.endpoint == ENDPOINT.rstrip("/")
    assert settings.key is not None
    assert (settings.key.get_secret_value(), settings.client_id) == (KEY, "identity")
    assert settings.thresholds == dict.fromkeys(CATEGORIES, 4)


def test_what_is_not_set_has_the_samples_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert settings.thresholds == dict.fromkeys(CATEGORIES, 2)
    assert (settings.text_levels, settings.blocklists) == (4, ())


def test_categories_levels_and_blocklists_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        CONTENT_SAFETY_THRESHOLD="4",
        CONTENT_SAFETY_THRESHOLD_SELF_HARM="1",
        CONTENT_SAFETY_TEXT_LEVELS="8",
        CONTENT_SAFETY_BLOCKLISTS=" brands , names-2",
    )
    assert settings.thresholds == {"Hate": 4, "SelfHarm": 1, "Sexual": 4, "Violence": 4}
    assert (settings.text_levels, settings.blocklists) == (8, ("brands", "names-2"))


def test_an_identity_stands_in_for_a_key_and_an_empty_variable_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, CONTENT_SAFETY_KEY="", UAI_CLIENT_ID="identity")
    assert (settings.key, settings.client_id) == (None, "identity")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"CONTENT_SAFETY_KEY": ""}, "CONTENT_SAFETY_KEY, or UAI_CLIENT_ID"),
        ({"CONTENT_SAFETY_ENDPOINT": ""}, "CONTENT_SAFETY_ENDPOINT: is not set"),
        ({"CONTENT_SAFETY_ENDPOINT": "safe.cognitiveservices.azure.com"}, "CONTENT_SAFETY_ENDPOINT"),
        ({"CONTENT_SAFETY_ENDPOINT": "http://safe.cognitiveservices.azure.com"}, "in clear"),
        ({"CONTENT_SAFETY_ENDPOINT": "http://127.0.0.1.example.com"}, "in clear"),
        ({"CONTENT_SAFETY_ENDPOINT": "http://0.0.0.0:80"}, "in clear"),
        ({"CONTENT_SAFETY_ENDPOINT": "http://127.0.0.1@example.com"}, "CONTENT_SAFETY_ENDPOINT"),
        ({"CONTENT_SAFETY_ENDPOINT": "https://user:secret@example.com"}, "CONTENT_SAFETY_ENDPOINT"),
        ({"CONTENT_SAFETY_ENDPOINT": "file:///etc/passwd"}, "CONTENT_SAFETY_ENDPOINT"),
        ({"CONTENT_SAFETY_ENDPOINT": "https://[::1"}, "CONTENT_SAFETY_ENDPOINT"),
        ({"CONTENT_SAFETY_ENDPOINT": ENDPOINT + "?a=b"}, "CONTENT_SAFETY_ENDPOINT"),
        ({"CONTENT_SAFETY_THRESHOLD": "0"}, "CONTENT_SAFETY_THRESHOLD"),
        ({"CONTENT_SAFETY_THRESHOLD": "8"}, "CONTENT_SAFETY_THRESHOLD"),
        ({"CONTENT_SAFETY_THRESHOLD": "low"}, "CONTENT_SAFETY_THRESHOLD"),
        ({"CONTENT_SAFETY_THRESHOLD_HATE": "2.5"}, "CONTENT_SAFETY_THRESHOLD_HATE"),
        ({"CONTENT_SAFETY_TEXT_LEVELS": "6"}, "CONTENT_SAFETY_TEXT_LEVELS"),
        ({"CONTENT_SAFETY_BLOCKLISTS": "a b"}, "CONTENT_SAFETY_BLOCKLISTS"),
        ({"CONTENT_SAFETY_TRESHOLD": "2"}, "CONTENT_SAFETY_TRESHOLD names no setting"),
        ({"CONTENT_SAFETY_KEY": "two words"}, "CONTENT_SAFETY_KEY"),
    ],
)
def test_half_a_configuration_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        read(monkeypatch, **variables)
    assert "two words" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_wrong_setting_in_python_is_not_repeated_either() -> None:
    with pytest.raises(ValidationError) as caught:
        ContentSafetySettings(endpoint="https://user:secret@example.com", key="k")
    assert "secret" not in str(caught.value)


def test_nothing_set_at_all_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTENT_SAFETY_ENDPOINT", raising=False)
    with pytest.raises(BadInput, match="CONTENT_SAFETY_ENDPOINT"):
        ContentSafetySettings.from_environment()


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "127.8.8.8"])
def test_a_container_on_this_machine_may_be_asked_without_tls(host: str) -> None:
    settings = ContentSafetySettings(endpoint=f"http://{host}", key="k")
    assert settings.is_in_clear


def test_a_key_read_from_a_file_with_its_line_end_is_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, CONTENT_SAFETY_KEY=f"{KEY}\n")
    assert settings.key is not None
    assert settings.key.get_secret_value() == KEY


def test_the_key_is_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert KEY not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
