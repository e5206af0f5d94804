"""The refresh tokens of the simulated provider (strategy refresh): which it knows, and what using one does."""

from __future__ import annotations

import itertools

from clawsecrets.model.secret import SecretValue
from tests.sim.checks import NAME, Broken, Checked


class Tokens(Checked):
    """A world's refresh tokens: `tokens` says of each that was ever given out whether it is unspent."""

    counter: itertools.count[int]

    def mint(self, label: str) -> bytes:
        """A new value (see World)."""
        raise NotImplementedError

    def authorize(self) -> bytes:
        """A person authorizes: a new refresh token. What a lost answer held ends by itself, sooner or later."""
        token = f"r{next(self.counter)}".encode()
        self.tokens[token] = True
        self.forget_lost()
        return token

    def exchange(self, token: bytes) -> tuple[bytes, bytes] | None:
        """Use a refresh token: the next value and the next refresh token; None = it is not accepted."""
        if self.tokens.get(token) is False and self.deadly:
            raise Broken(f"a spent refresh token was used again; {self.trace}")
        if token not in self.tokens:
            return None
        self.forget_lost()
        self.tokens[token] = False
        if "deadly" in self.traits:
            self.live.clear()
        following = f"r{next(self.counter)}".encode()
        self.tokens[following] = True
        return self.mint(""), following

    def forget_lost(self) -> None:
        """Values that nobody has, because the answers that held them were lost, end by themselves."""
        if NAME not in self.store.names():
            return
        record = self.store.load(NAME)
        stored = {self.store.value(NAME, v.number).reveal() for v in record.versions if not v.erased_at}
        self.live = {handle: item for handle, item in self.live.items() if item[0] in stored}

    def handle_of(self, value: SecretValue | None) -> str:
        """The world's own name for a live value; empty when it is dead."""
        return next((h for h, (v, _) in self.live.items() if value is not None and v == value.reveal()), "")
