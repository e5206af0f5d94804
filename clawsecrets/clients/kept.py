"""Kept connections for a library that speaks through `requests`: what it may do, and what an exception of it means.

The rules of `clients/http.py` (nothing is retried, TLS is verified, no cookies, no `.netrc`, muted loggers) for many
exchanges with one server.
"""

from __future__ import annotations

import http.client
import json as plain_json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from clawsecrets.clients.http import Lost, NoCookies, causes, reason
from clawsecrets.model.provider import is_loopback

BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
"""All that an exchange may raise."""

_NEVER_SENT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError,
               urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.ProxyError, ConnectionRefusedError,
               requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole: of a `requests.Response`, what a library asks for."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the server says that it was done."""
        return self.status_code < 400


class Session:
    """A `requests.Session` as far as such a library uses one: the same connections, rules and errors. What `requests`
    works out for each request anew (address, proxy, cookies, redirects: most of the time that a small one takes) is
    worked out once for each server. For use by several threads."""

    def __init__(self, through: requests.Session) -> None:
        self._through = through
        self._pools: dict[str, urllib3.HTTPConnectionPool | None] = {}
        self._usual = {name: str(text) for name, text in through.headers.items()}
        self.verify, self.cert, self.proxies = through.verify, through.cert, through.proxies

    def request(self, method: str, url: str, *, headers: Mapping[str, str], json: object = None,
                params: Mapping[str, str] | None = None, timeout: tuple[float, float] = (4.0, 15.0),
                **settled: Any) -> Answer | requests.Response:
        """Send once. `settled`: TLS, proxies and redirects, which are the session's own. Raises BROKEN."""
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        origin = f"{scheme}://{host}"
        if origin not in self._pools:
            self._pools[origin] = self._pool(origin)
        pool = self._pools[origin]
        if pool is None:
            return self._through.request(method, url, headers=dict(headers), json=json, params=params, timeout=timeout,
                                         **settled)
        sent, body = {**self._usual, **headers}, None
        if json is not None:
            sent["Content-Type"], body = "application/json", plain_json.dumps(json, allow_nan=False).encode()
        target = f"{slash}{path}{f'?{urlencode(params)}' if params else ''}"
        response = pool.urlopen(method.upper(), target, body, sent, retries=_ONCE, redirect=False,
                                assert_same_host=False, timeout=urllib3.Timeout(*timeout))
        return Answer(response.status, response.headers, response.data)

    def close(self) -> None:
        """Drop the kept connections."""
        self._through.close()

    def _pool(self, origin: str) -> urllib3.HTTPConnectionPool | None:
        """The connections to a server, as `requests` would make them; None: they go through a proxy."""
        if requests.utils.select_proxy(origin, self.proxies):
            return None
        adapter = self._through.get_adapter(origin)
        assert isinstance(adapter, HTTPAdapter)
        prepared = requests.Request("GET", origin).prepare()
        pool: Any = adapter.get_connection_with_tls_context(prepared, self.verify, cert=self.cert)
        adapter.cert_verify(pool, origin, self.verify, self.cert)  # type: ignore[no-untyped-call]
        return pool  # type: ignore[no-any-return]


_ONCE = urllib3.Retry(0, read=False)


def session(url: str, pool: int, ca_file: str = "", client_cert: tuple[str, str] | None = None) -> Session:
    """A session with up to `pool` kept connections to a server. `ca_file`: a PEM file to verify against instead of the
    usual authorities; `client_cert`: the PEM files of a certificate and its key."""
    made = requests.Session()
    made.trust_env = False  # .netrc; what we do want from the environment follows
    made.cookies.set_policy(NoCookies())
    for scheme in ("http://", "https://"):
        made.mount(scheme, HTTPAdapter(pool_connections=8, pool_maxsize=pool, max_retries=0))
    made.proxies = {} if is_loopback(urlsplit(url).hostname or "") else dict(requests.utils.get_environ_proxies(url))
    made.verify = ca_file or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    made.cert = client_cert
    return Session(made)


def lost(error: BaseException) -> Lost:
    """What one of BROKEN says: whether the server may have acted on the request (in doubt, yes), and why."""
    chain = causes(error)
    sent = not any(isinstance(found, _NEVER_SENT) for found in chain)
    return Lost(sent, reason(error) or ("the connection broke" if sent else "no connection"))
