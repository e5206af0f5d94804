"""A container registry (OCI distribution API v2): manifests and blobs of one repository. It only reads.

https, and http on loopback only. Credentials: what `docker login` left under `auths` in its config.json; a credential
helper is a program, and none is run unless the caller names it. Bearer tokens as the registry's challenge asks for
them. Redirects (registries keep blobs elsewhere) are followed to https, a few times, and our Authorization header goes
to nobody but the registry. Nothing here raises or shows a URL: those of redirects carry signatures.
Whoever reads a blob must compare its digest.
"""

from __future__ import annotations

import base64
import http.cookiejar
import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import requests
import urllib3

from clawsecrets import __version__
from clawsecrets.clients import http as exchange
from clawsecrets.clients.http import Answered, Call, Limits
from clawsecrets.errors import ClawError, Incomplete, NotFound, UsageError
from clawsecrets.model.provider import is_loopback

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
LARGEST = 32 << 20
"""Bytes of a manifest."""
_REDIRECTS = 5
_LIMITS = Limits(connect=10.0, read=60.0, total=120.0, body=LARGEST)
_SLOWEST, _PATIENCE = 20_000, 600.0
"""Bytes a second on the whole, after so many seconds: a server that is slower holds us up."""
_REFERENCE = re.compile(r"(?P<host>[A-Za-z0-9.\-]+(?::\d{1,5})?|\[[0-9a-fA-F:]+\](?::\d{1,5})?)/"
                        r"(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
                        r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[0-9a-f]{32,128}))?\Z")
_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
_HELPER = re.compile(r"[A-Za-z0-9._-]+\Z")
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


@dataclass(frozen=True)
class Reference:
    """An image in a registry."""

    host: str
    repository: str
    reference: str
    """Tag or digest."""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """`host[:port]/repository[:tag][@digest]`. UsageError."""
        found = _REFERENCE.match(text)
        if found is None:
            raise UsageError("this is no image of a registry", "write registry://HOST/REPOSITORY:TAG")
        return cls(found["host"], found["repository"], found["digest"] or found["tag"] or "latest")


@dataclass(frozen=True)
class Login:
    """Who we are to a registry."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """An identity token (OAuth 2 refresh token), instead of a password."""


def login(host: str, environ: Mapping[str, str], helper: str = "") -> Login | None:
    """What `docker login` left for a registry; None = nobody. `helper`: name of a credential helper that the operator
    wants to be run. UsageError when that does not work."""
    if helper:
        return _helped(host, helper)
    folder = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".docker")
    try:
        with open(os.path.join(folder, "config.json"), "rb") as file:
            auths = json.loads(file.read(LARGEST))["auths"]
        entry = next(auths[key] for key in (host, f"https://{host}", f"https://{host}/v2/", f"https://{host}/v1/")
                     if key in auths)
        user, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
        found = Login(entry.get("username") or user, entry.get("password") or password.rstrip("\0"),
                      entry.get("identitytoken", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, StopIteration):
        return None
    return found if found.token or found.password else None


def _helped(host: str, helper: str) -> Login:
    if not _HELPER.match(helper):
        raise UsageError("a credential helper is named by its last word", "docker-credential-NAME")
    try:
        done = subprocess.run([f"docker-credential-{helper}", "get"], input=host.encode(), capture_output=True,
                              timeout=60, check=True)
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        raise UsageError(f"docker-credential-{helper} gave no credentials for {host}", "try it by hand") from None
    return Login(token=secret) if user == "<token>" else Login(user, secret)


class Body:
    """A blob, read once. OSError when it breaks or comes too slowly."""

    def __init__(self, session: requests.Session, answer: requests.Response) -> None:
        self._session, self._answer = session, answer
        self._began, self._given = time.monotonic(), 0

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        try:
            data: bytes = self._answer.raw.read(size, decode_content=False)
        except _BROKEN:
            raise OSError("the registry's answer broke off") from None
        self._given += len(data)
        waited = time.monotonic() - self._began - _PATIENCE
        if waited > 0 and self._given < waited * _SLOWEST:
            raise OSError("the registry is too slow")
        return data

    def close(self) -> None:
        """Hang up."""
        self._answer.close()
        self._session.close()


@dataclass
class Repository:
    """One repository of a registry."""

    reference: Reference
    login: Login | None = None
    _authorization: str = field(default="", repr=False)

    def manifest(self, reference: str) -> bytes:
        """A manifest or index by its tag or digest. NotFound, Incomplete."""
        answer = self._asked(f"manifests/{quote(reference, safe=':')}", ", ".join(MANIFESTS))
        return answer.body

    def blob(self, digest: str) -> Body:
        """A blob. OSError."""
        url, headers = self._url(f"blobs/{quote(digest, safe=':')}"), {"Authorization": self._authorization}
        session = requests.Session()
        session.trust_env = False  # .netrc
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        try:
            for _ in range(_REDIRECTS):
                answer = self._get(session, url, headers)
                status = answer.status_code
                if status in (301, 302, 303, 307, 308):
                    target = urljoin(url, answer.headers.get("location", ""))
                    answer.close()
                    url, headers = self._next(url, target, headers)
                    continue
                if status == 401 and urlsplit(url).netloc == self.reference.host:
                    challenge = answer.headers.get("www-authenticate", "")
                    answer.close()
                    self._authorize(challenge)
                    if headers["Authorization"] == self._authorization:
                        break
                    headers = {"Authorization": self._authorization}
                    continue
                if status == 200:
                    return Body(session, answer)
                answer.close()
                raise OSError(f"the registry answered with status {status}")
        except ClawError as error:
            session.close()
            raise OSError(error.message) from None
        except _BROKEN as error:
            session.close()
            raise OSError(str(error) if type(error) is OSError else "the registry cannot be reached") from None
        session.close()
        raise OSError("the registry sends us in circles")

    def _get(self, session: requests.Session, url: str, headers: Mapping[str, str]) -> requests.Response:
        host = urlsplit(url).hostname or ""
        proxies = {} if is_loopback(host) else requests.utils.get_environ_proxies(url)
        verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        sent = {name: value for name, value in headers.items() if value}
        return session.get(url, headers={"User-Agent": f"clawsecrets/{__version__}", "Accept-Encoding": "identity",
                                         **sent},
                           timeout=(_LIMITS.connect, _LIMITS.read), allow_redirects=False, stream=True,
                           proxies=proxies, verify=verify)

    def _next(self, url: str, target: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Where a redirect leads, and what is sent there."""
        here, there = urlsplit(url), urlsplit(target)
        plain = there.scheme == "http" and is_loopback(there.hostname or "") and is_loopback(here.hostname or "")
        if there.scheme != "https" and not plain:
            raise OSError("the registry sends us to an address without TLS")
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        return target, dict(headers) if same else {"Authorization": ""}

    # --- manifests and tokens: short exchanges -----------------------------------------------------------------------

    def _asked(self, path: str, accept: str) -> Answered:
        answer = self._sent(path, accept)
        if answer.status == 401:
            self._authorize(answer.headers.get("www-authenticate", ""))
            answer = self._sent(path, accept)
        if answer.status == 404:
            raise NotFound(f"{self.reference.host} has no such image", "check its name and tag")
        if answer.status in (401, 403):
            raise Incomplete(f"{self.reference.host} does not let us read it",
                             f"docker login {self.reference.host}, or name a credential helper")
        if answer.status != 200:
            raise Incomplete(f"{self.reference.host} answered with status {answer.status}", "try again")
        return answer

    def _sent(self, path: str, accept: str) -> Answered:
        headers = {"Accept": accept}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return self._send(Call("GET", self._url(path), headers))

    def _send(self, call: Call) -> Answered:
        answer = exchange.send(call, _LIMITS)
        if isinstance(answer, Answered):
            return answer
        raise Incomplete(f"{self.reference.host}: {answer.why}", "check the registry's name, and try again")

    def _url(self, path: str) -> str:
        scheme = "http" if is_loopback(urlsplit("//" + self.reference.host).hostname or "") else "https"
        return f"{scheme}://{self.reference.host}/v2/{self.reference.repository}/{path}"

    def _authorize(self, challenge: str) -> None:
        """Get what the challenge asks for (RFC 6750 bearer, or RFC 7617 basic)."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self.login is not None and self.login.password:
            self._authorization = "Basic " + _basic(self.login)
            return
        if scheme.lower() != "bearer":
            raise Incomplete(f"{self.reference.host} asks for a login", f"docker login {self.reference.host}")
        fields = dict(_PARAMETER.findall(rest))
        realm = urlsplit(fields.get("realm", ""))
        if realm.scheme != "https" and not (realm.scheme == "http" and is_loopback(realm.hostname or "")):
            raise Incomplete(f"{self.reference.host} names no https address for tokens", "it is not to be trusted")
        answer = self._send(self._token_call(fields["realm"], fields.get("service", "")))
        try:
            value: Any = json.loads(answer.body)
            token = value.get("token") or value.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if answer.status != 200 or not isinstance(token, str) or not token.isprintable():
            raise Incomplete(f"{self.reference.host} gave us no token", f"docker login {self.reference.host}")
        self._authorization = f"Bearer {token}"

    def _token_call(self, realm: str, service: str) -> Call:
        scope = f"repository:{self.reference.repository}:pull"
        if self.login is not None and self.login.token:
            form = {"grant_type": "refresh_token", "service": service, "scope": scope, "client_id": "clawsecrets",
                    "refresh_token": self.login.token}
            return Call("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"},
                        urlencode(form).encode())
        headers = {"Authorization": "Basic " + _basic(self.login)} if self.login is not None else {}
        separator = "&" if "?" in realm else "?"
        return Call("GET", realm + separator + urlencode({"service": service, "scope": scope}), headers)


def _basic(login: Login) -> str:
    return base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
