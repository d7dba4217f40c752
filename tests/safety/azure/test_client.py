"""The SDK under our rules: who it logs in as, what a failure means, what it must not do."""

import ipaddress
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.safety.azure.service import KEY, ContentSafetyService, running

from retouch.errors import MissingExtra
from retouch.safety.azure.client import Client, retry_after_s
from retouch.safety.azure.settings import ContentSafetySettings
from retouch.safety.patience import Patience, ServiceFault

PATIENCE = Patience(read_s=2.0)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that the process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@pytest.fixture
def machine(service: ContentSafetyService, monkeypatch: pytest.MonkeyPatch) -> ContentSafetyService:
    """A machine of Azure ML, whose identities get tokens from `service`."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MSI_ENDPOINT", f"{service.endpoint}/msi/token")
    monkeypatch.setenv("MSI_SECRET", "msi-secret")
    return service


def test_a_managed_identity_needs_no_key(tls: ssl.SSLContext, machine: ContentSafetyService) -> None:
    with running(tls) as secure:
        secure.tokens = machine.tokens
        settings = ContentSafetySettings(endpoint=secure.endpoint, client_id="identity-1")
        client = Client(settings, PATIENCE)
        assert client.text("a cat") == client.text("a cat")
        assert [call.headers["Authorization"] for call in secure.calls] == ["Bearer token-0"] * 2


def test_an_identity_that_is_unknown_judges_nothing(tls: ssl.SSLContext, machine: ContentSafetyService) -> None:
    with running(tls) as secure:
        settings = ContentSafetySettings(endpoint=secure.endpoint, client_id="identity-2")
        with pytest.raises(ServiceFault) as caught:
            Client(settings, PATIENCE).text("a cat")
        assert (caught.value.kind, secure.calls) == ("lasting", [])


def test_a_token_is_never_sent_in_clear(machine: ContentSafetyService) -> None:
    settings = ContentSafetySettings(endpoint=machine.endpoint, client_id="identity-1")
    with pytest.raises(ServiceFault):
        Client(settings, PATIENCE).text("a cat")
    assert machine.calls == []


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with running(tls) as secure:
        with pytest.raises(ServiceFault):
            Client(ContentSafetySettings(endpoint=secure.endpoint, key=KEY), PATIENCE).text("a cat")
        assert secure.calls == []


def test_a_proxy_gets_no_key_in_clear(service: ContentSafetyService, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.endpoint)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        Client(ContentSafetySettings(endpoint=service.endpoint, key=KEY), PATIENCE).text("a cat")
        assert (len(service.calls), proxy.calls) == (1, [])


@pytest.mark.parametrize("module", ["azure.ai.contentsafety", "azure.identity"])
def test_a_missing_package_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    login = {"key": KEY} if module.endswith("contentsafety") else {"client_id": "identity-1"}
    with pytest.raises(MissingExtra) as caught:
        Client(ContentSafetySettings(endpoint="https://a.cognitiveservices.azure.com", **login), PATIENCE)
    assert "retouch[azure]" in caught.value.hint


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Wed, 01 Jan 2025 00:00:10 GMT"}, 10.0),
        ({"retry-after": "Tue, 31 Dec 2024 00:00:00 GMT"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "9" * 5000}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_form_that_it_has(
    headers: dict[str, str], seconds: float | None
) -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    assert retry_after_s(headers, now=lambda: now) == seconds
