"""Who vouches for us in tests: signed tokens, and a Kubernetes that reviews them. Not a test file."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """Signs tokens (ES256)."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, lasts: float = 600.0, **claims: Any) -> str:
        """A token with these claims that ends in `lasts` seconds."""
        now = int(time.time())
        claims = {"iat": now - 60, "nbf": now - 60, "exp": now + int(lasts), **claims}
        text = ".".join(_plain(json.dumps(part).encode()) for part in ({"alg": "ES256", "typ": "JWT"}, claims))
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_plain(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def pod(self, namespace: str, account: str) -> str:
        """The token of a pod's service account."""
        return self.sign(iss="https://kubernetes.default.svc", sub=f"system:serviceaccount:{namespace}:{account}",
                         aud=["vault"], **{"kubernetes.io": {"namespace": namespace, "serviceaccount": {
                             "name": account, "uid": "7f1b"}}})


class Kubernetes:
    """Answers TokenReview: `accepts` are the tokens that it knows, with (namespace, account)."""

    def __init__(self) -> None:
        self.accepts: dict[str, tuple[str, str]] = {}
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                known = fake.accepts.get(asked["spec"]["token"])
                user = {"username": "system:serviceaccount:{}:{}".format(*known), "uid": "7f1b"} if known else {}
                body = json.dumps({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
                                   "status": {"authenticated": known is not None, "user": user,
                                              "audiences": asked["spec"].get("audiences")}}).encode()
                self.send_response(201 if self.path.endswith("/tokenreviews") else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
