"""TLS is verified: a certificate of one's own needs its bundle named, and a wrong one means that nothing was sent."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clawsecrets.clients.http import Answered, Call, Lost, send


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    running = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{running.server_address[1]}", folder / "cert.pem"
    running.shutdown()
    running.server_close()


def test_the_bundle_makes_it_trusted(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, bundle = server
    answer = send(Call("GET", url + "/"), ca_bundle=str(bundle))
    assert isinstance(answer, Answered)
    assert answer.body == b"{}"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert isinstance(send(Call("GET", url + "/")), Answered)


def test_without_it_nothing_is_sent(server: tuple[str, Path], tmp_path: Path) -> None:
    assert send(Call("GET", server[0] + "/")) == Lost(False, "the server's certificate is not trusted")
    lost = send(Call("GET", server[0] + "/"), ca_bundle=str(tmp_path / "none.pem"))
    assert lost == Lost(False, "the CA bundle that is configured does not exist")
