"""The issuer of a PostgreSQL login in two roles (strategy alternate), such as `app_a` and `app_b` of one owner.

The value is the URL by which a consumer logs in, so that role and password arrive together; the handle is the role.
The idle role gets a new password and LOGIN; the replaced one gets NOLOGIN, no password, and its sessions are ended.
Only plain roles that the options name are ever touched: one that may do more than an application does is refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from clawsecrets.issuers.fill import no_base, sketch
from clawsecrets.model.database import Database, database_at, database_fault, login_of
from clawsecrets.model.provider import Provider
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Issuer, Listed, Reply, Request, Slots

if TYPE_CHECKING:
    from clawsecrets.clients.postgres import Session, Trouble

BYTES = 32
_NOT_NOW = ("08", "53", "57", "55", "40")
"""Classes of SQLSTATE that say: not now."""
_ROLE = """
    SELECT rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls OR rolname = current_user,
           pg_has_role(current_user, 'pg_signal_backend', 'MEMBER') OR pg_has_role(current_user, oid, 'MEMBER')
      FROM pg_roles WHERE rolname = :role"""
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename = :role"
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = :role"


class PostgresIssuer:
    """Two roles of one server. `base_url` of the host's configuration says where it is."""

    def __init__(self, provider: Provider, timeout: float | None = None) -> None:
        self.provider, self._timeout = provider, timeout

    def can(self, operation: str) -> bool:
        """A role has no label, so nothing is listed; a lost password is replaced, not read back."""
        return operation in ("create", "test", "revoke")

    def create(self, request: Request) -> Reply:
        """A new password for the role that is not in use. Ends its former one."""
        from clawsecrets.clients.postgres import Trouble, literal, quoted, verifier

        idle = self.idle(request)
        if idle.outcome is not Outcome.OK:
            return idle
        password = secrets.token_urlsafe(BYTES)
        statement = (f"ALTER ROLE {quoted(idle.handle)} LOGIN PASSWORD {literal(verifier(password))} "
                     "VALID UNTIL 'infinity'")
        try:
            with self._admin(request) as admin:
                try:
                    admin.rows(statement)
                except Trouble as trouble:
                    return _failed(trouble, Outcome.UNKNOWN)
        except Trouble as trouble:
            return _failed(trouble, Outcome.LATER)
        value = self._address(request).url_for(idle.handle, password)
        return Reply(Outcome.OK, f"role {idle.handle} has a new password", value=SecretValue(value), handle=idle.handle)

    def recover(self, request: Request) -> Reply:
        """Nobody can read a password back."""
        return Reply(Outcome.REFUSED, "the role gets another password instead")

    def recreate(self, request: Request) -> Reply:
        """The same as create."""
        return self.create(request)

    def test(self, value: SecretValue, request: Request) -> Reply:
        """Log in with it. Untestable where the server asks for no password."""
        from clawsecrets.clients.postgres import Trouble, session

        if not request.options.get("base_url"):
            return Reply(Outcome.OK, no_base(self.provider), untestable=True)
        fault = self._fault(request)
        role, password = login_of(_text(value))
        if fault or not role:
            return Reply(Outcome.LATER, f"cannot be tested: {fault or 'it is no postgresql:// URL'}", person=True)
        ca, timeout = request.options.get("ca_bundle", ""), self._timeout
        try:
            with session(self._server(request), role, password, ca, **({"timeout": timeout} if timeout else {})) as own:
                asked, rows = own.asked, own.rows("SELECT current_user")
        except Trouble as trouble:
            if trouble.wrong_password or trouble.no_login:
                return Reply(Outcome.REFUSED, f"login as {role}: {trouble.words}")
            pg_hba = trouble.code == "28000"
            return Reply(Outcome.LATER, f"login as {role}: {trouble.words}", person=pg_hba)
        if not asked:
            return Reply(Outcome.OK, f"the server lets {role} in without a password (pg_hba.conf)", untestable=True)
        return Reply(Outcome.OK, f"logged in as {role}", handle=role, identity=str(rows[0][0]))

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        """No login, no password, no session for the role, unless it has another password than `value` by now."""
        from clawsecrets.clients.postgres import Trouble, quoted

        role = handle or (login_of(_text(value))[0] if value is not None else "")
        if role not in self._roles(request):
            return Reply(Outcome.REFUSED, f"role {role!r} is none of the two: nothing is changed")
        if value is not None:
            seen = self.test(value, request)
            if seen.outcome is Outcome.REFUSED:
                return Reply(Outcome.OK, "the server refuses it already")
        trouble = self._fault(request) or self._no_admin(request)
        if trouble:
            return Reply(Outcome.LATER, trouble, person=True)
        try:
            with self._admin(request) as admin:
                plain = self._plain(admin, role)
                if plain.outcome is not Outcome.OK:
                    return plain
                admin.rows(f"ALTER ROLE {quoted(role)} NOLOGIN PASSWORD NULL")
                admin.rows(_END_SESSIONS, role=role)
        except Trouble as error:
            return _failed(error, Outcome.UNKNOWN)
        return Reply(Outcome.OK, f"role {role} can no longer log in")

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        """Roles carry no labels."""
        return Reply(Outcome.REFUSED, "the two roles are fixed, without labels"), ()

    def locate(self, request: Request) -> Reply:
        """The role that the value in use logs in as."""
        role = login_of(_text(request.old))[0] if request.old is not None else ""
        if request.old is None or role not in self._roles(request):
            return Reply(Outcome.REFUSED, "the stored value is no postgresql:// URL of one of the roles "
                         f"{' and '.join(self._roles(request))}: which one is in use is not known")
        seen = self.test(request.old, request)
        return Reply(Outcome.OK, seen.detail, handle=role) if seen.outcome is Outcome.OK else seen

    def idle(self, request: Request) -> Reply:
        """The other role, if it is a plain one and nobody is logged in as it."""
        from clawsecrets.clients.postgres import Trouble

        trouble = self._fault(request) or self._no_admin(request)
        roles = self._roles(request)
        if trouble or request.old_handle not in roles:
            return Reply(Outcome.REFUSED, trouble or f"role {request.old_handle!r} is none of {' and '.join(roles)}")
        role = next(name for name in roles if name != request.old_handle)
        try:
            with self._admin(request) as admin:
                plain = self._plain(admin, role)
                count = int(admin.rows(_SESSIONS, role=role)[0][0])
        except Trouble as error:
            return _failed(error, Outcome.LATER)
        if plain.outcome is Outcome.OK and count:
            return Reply(Outcome.REFUSED, f"{count} session(s) are logged in as {role}: it is not idle")
        return plain

    def explain(self, request: Request) -> Sequence[str]:
        """What a person would do."""
        return [sketch(step, dict(request.options)) for step in self.provider.manual.steps]

    def describe(self, operation: str, request: Request) -> str:
        """The statement, without any value. Which role is in use is not known before the first rotation."""
        roles = self._roles(request)
        idle, used = "(the one that is not in use)", "(the one that was in use)"
        if all(roles) and request.old_handle in roles:
            idle, used = roles[request.old_handle == roles[0]], request.old_handle
        words = {"create": f"ALTER ROLE {idle} LOGIN PASSWORD (new)", "test": "log in",
                 "revoke": f"ALTER ROLE {used} NOLOGIN PASSWORD NULL; end its sessions"}
        return f"{words.get(operation, operation)} at {request.options.get('base_url') or '(base_url is not set)'}"

    def with_handle(self, reply: Reply, request: Request) -> Reply:
        """The reply of a person's creation with the role that its value logs in as."""
        return reply

    # --- inside ---------------------------------------------------------------------------------------------------

    def _roles(self, request: Request) -> tuple[str, str]:
        option = self.provider.option_text
        return option("role_a", request.options) or "", option("role_b", request.options) or ""

    def _fault(self, request: Request) -> str:
        """Why nothing can be asked at all, for people; empty when it can."""
        url, roles = request.options.get("base_url", ""), self._roles(request)
        if not url:
            return no_base(self.provider)
        if fault := database_fault(url):
            return f"base_url {fault}"
        address = request.options.get("address", "")
        if address and (fault := database_fault(address, query=True)):
            return f"option 'address' {fault}"
        if not all(roles) or roles[0] == roles[1] or any("\0" in role for role in roles):
            return "options 'role_a' and 'role_b' must name two roles"
        return ""

    def _no_admin(self, request: Request) -> str:
        return "" if request.admin is not None else f"the admin credential {self.provider.admin!r} is not in the store"

    def _server(self, request: Request) -> Database:
        return database_at(request.options["base_url"])

    def _address(self, request: Request) -> Database:
        return database_at(request.options.get("address") or request.options["base_url"])

    def _admin(self, request: Request) -> AbstractContextManager[Session]:
        from clawsecrets.clients.postgres import TIMEOUT, session

        role = self.provider.option_text("admin_role", request.options) or ""
        return session(self._server(request), role, _text(request.admin), request.options.get("ca_bundle", ""),
                       self._timeout or TIMEOUT)

    def _plain(self, admin: Session, role: str) -> Reply:
        """OK with the role as handle when it may be changed: who may write a record must not get at others by it."""
        found = admin.rows(_ROLE, role=role)
        if not found:
            return Reply(Outcome.REFUSED, f"there is no role {role}")
        if found[0][0]:
            return Reply(Outcome.REFUSED, f"role {role} is no plain login: it may do what only an administrator may")
        if not found[0][1]:
            return Reply(Outcome.REFUSED, "the admin role may not end sessions: GRANT pg_signal_backend to it")
        return Reply(Outcome.OK, handle=role)


def _failed(trouble: Trouble, unanswered: Outcome) -> Reply:
    """An answer of the server says that nothing happened; without one, `unanswered`."""
    if not trouble.code:
        return Reply(unanswered, trouble.words)
    later = trouble.code.startswith(_NOT_NOW)
    return Reply(Outcome.LATER if later else Outcome.REFUSED, f"{trouble.words} ({trouble.code})")


def _text(value: SecretValue | None) -> str:
    if value is None:
        return ""
    try:
        return value.reveal_text()
    except ValueError:
        return ""


def _conforms(issuer: PostgresIssuer) -> tuple[Issuer, Slots]:
    return issuer, issuer
