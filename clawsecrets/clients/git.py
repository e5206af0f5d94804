"""The only place that runs git. The repository it runs on is not trusted: nothing in it may make git run a program,
reach the network, or show another history than the one that is there.

What a repository could do, and what holds it off:
- name a partial-clone remote `ext::COMMAND`, which git asks for a missing object: GIT_NO_LAZY_FETCH (git 2.44 and
  later); before it GIT_ALLOW_PROTOCOL=none and `protocol.allow=never`, which reach git's children too
- core.fsmonitor, hooks, a pager, sshCommand, gpg programs: `-c` on the command line, which wins over every file
- external diff and textconv, filters of .gitattributes: --no-ext-diff --no-textconv; no command is run that filters
- a FIFO or a device in place of a file, which git would wait for: `git_waits` looks first
- replace refs, grafts, a commit-graph or multi-pack-index that lies: GIT_NO_REPLACE_OBJECTS, GIT_GRAFT_FILE, `-c`
The operator's and the system's git config are not read, and git sees nothing else of the environment.

Ownership is judged by the caller (sources/git/layout.py), so `safe.directory` names the folder. Errors are `GitFailed`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from clawsecrets.clients.git_waits import special
from clawsecrets.errors import Incomplete, UsageError

_SETTINGS = {
    "core.fsmonitor": "false", "core.hooksPath": "/dev/null", "core.pager": "cat", "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null", "core.sshCommand": "false", "core.gitProxy": "false", "core.askPass": "false",
    "core.editor": "false", "core.alternateRefsCommand": "false", "core.useReplaceRefs": "false",
    "core.commitGraph": "false", "core.multiPackIndex": "false", "core.untrackedCache": "false",
    "core.warnAmbiguousRefs": "false", "core.quotePath": "false", "core.precomposeUnicode": "false",
    "protocol.allow": "never", "protocol.ext.allow": "never", "protocol.file.allow": "never",
    "log.showSignature": "false", "log.mailmap": "false", "log.follow": "false", "log.showRoot": "true",
    "log.diffMerges": "separate", "gpg.program": "false", "gpg.ssh.program": "false", "gpg.x509.program": "false",
    "diff.external": "", "diff.renames": "false", "diff.orderFile": "/dev/null", "diff.ignoreSubmodules": "none",
    "diff.relative": "false", "submodule.recurse": "false", "fetch.recurseSubmodules": "false", "gc.auto": "0",
    "maintenance.auto": "false", "credential.helper": "", "i18n.logOutputEncoding": "UTF-8", "color.ui": "false",
    "uploadpack.packObjectsHook": "", "notes.displayRef": "",
    # by itself it maps all of a pack, and keeps 96 MiB more
    "core.packedGitWindowSize": "1m", "core.packedGitLimit": "16m", "core.deltaBaseCacheLimit": "16m",
}
_ENVIRONMENT = {
    "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_PROTOCOL_FROM_USER": "0", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/dev/null", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "false", "SSH_ASKPASS": "false", "GIT_SSH_COMMAND": "false", "GIT_PAGER": "cat", "PAGER": "cat",
    "GIT_EDITOR": "false", "GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C", "HOME": "/dev/null",
}
_KEPT = ("PATH", "TMPDIR")
"""Of our own environment."""
_FOR_CLONES = (*_KEPT, "HOME", "USER", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "HTTPS_PROXY", "https_proxy", "ALL_PROXY",
               "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
_BLOCK = 1 << 20
_WORDS = 200


class GitFailed(Incomplete):
    """Git could not do it, or is not there."""


class GitWaits(GitFailed):
    """It was not run: it would wait for something in the repository that is no file."""


def environment() -> Mapping[str, str]:
    """What git gets to see. In a pre-receive hook that is also where the pushed objects wait (git-receive-pack(1),
    "Quarantine environment")."""
    own = {name: os.environ[name] for name in _KEPT if name in os.environ}
    waiting = os.environ.get("GIT_QUARANTINE_PATH")
    return own | _ENVIRONMENT | ({"GIT_ALTERNATE_OBJECT_DIRECTORIES": waiting} if waiting else {})


def command(gitdir: Path, arguments: Sequence[str], top: Path | None = None) -> list[str]:
    """The whole command line of a git that obeys nothing in the repository."""
    words = ["git", "--no-pager", "--no-replace-objects", f"--git-dir={gitdir}"]
    for name, value in (*_SETTINGS.items(), ("safe.directory", str(top or gitdir)), ("safe.directory", str(gitdir))):
        words += ["-c", f"{name}={value}"]
    return [*words, *arguments]


class Git:
    """Git on one repository."""

    def __init__(self, gitdir: Path, top: Path | None = None, index: str = "") -> None:
        """`top`: the root of the working tree, for the question who owns it. `index`: the index file, if it is another
        than the repository's."""
        self._gitdir, self._top, self._looked = gitdir, top, False
        self._environment = {**environment(), **({"GIT_INDEX_FILE": index} if index else {})}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command whose output is read and whose input is written. GitFailed."""
        if not self._looked and (found := special(self._gitdir)):
            raise GitWaits(f"{found} is no file, and git would wait for it", "take it away, and see `git fsck`")
        self._looked = True
        try:
            return subprocess.Popen(
                command(self._gitdir, arguments, self._top), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=self._environment, cwd="/", close_fds=True,
            )
        except OSError as error:
            raise GitFailed(f"git cannot be run: {error.strerror}", "install git, or put it on PATH") from error

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """Its whole output. GitFailed when it does not end with 0."""
        process = self.start(*arguments)
        out, words = process.communicate(given)
        ended(process.returncode, words, arguments[0])
        return out

    def inside(self, tree: Path, *arguments: str) -> bytes:
        """The output of a command that looks at the working tree `tree`, whatever the repository's config calls its
        working tree. GitFailed."""
        process = self.start("-C", str(tree), f"--work-tree={tree}", *arguments)
        out, words = process.communicate()
        ended(process.returncode, words, arguments[0])
        return out

    def blocks(self, *arguments: str, given: bytes = b"") -> Iterator[bytes]:
        """Its output block by block, for more than fits into memory; `given` is written at once and must be small, or
        read by git before it writes. GitFailed at the end when it does not end with 0."""
        with self.start(*arguments) as process:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            try:
                process.stdin.write(given)
                process.stdin.close()
            except BrokenPipeError:
                pass
            while block := process.stdout.read(_BLOCK):
                yield block
            words = process.stderr.read()
        ended(process.returncode, words, arguments[0])


def ended(code: int, words: bytes, what: str) -> None:
    """GitFailed unless the exit code is 0."""
    if code:
        said = words.decode("utf-8", "replace").strip().splitlines()
        said = [line for line in said if line.startswith(("fatal:", "error:"))] or said  # not its advice
        line = "".join(char if char.isprintable() else "?" for char in (said[0] if said else ""))[:_WORDS]
        raise GitFailed(f"git {what} failed (exit {code}): {line}", "see `git fsck`")


def is_url(text: str) -> bool:
    """Whether it names a repository elsewhere: a URL, or `user@host:path`."""
    head = text.split("/", 1)[0]
    return "://" in text or ("@" in head and ":" in head)


def clone(url: str, into: Path, file: bool = False) -> None:
    """Fetch all refs of `url` into the bare repository `into`, with the operator's own git config and ssh agent, and
    no code of what is fetched. `file`: `file://` is allowed too. UsageError for a URL that must not be used, GitFailed
    when it cannot be fetched."""
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower() if found else "ssh"
    user, at, _ = rest.split("/", 1)[0].rpartition("@")
    if (at and ":" in user) or (at and scheme == "https" and user):
        raise UsageError("the URL has credentials in it", "take them out; git's credential helpers give them to git")
    if scheme not in ("https", "ssh") and not (file and scheme == "file"):
        raise UsageError(f"{scheme}: repositories are fetched by https or ssh only")
    if url.startswith("-") or "::" in url or not is_url(url):
        raise UsageError("that is no URL of a repository", "https://host/path, ssh://host/path or user@host:path")
    kept = {name: os.environ[name] for name in _FOR_CLONES if name in os.environ}
    fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:ssh" + (":file" if file else ""), "LC_ALL": "C",
             "GIT_ASKPASS": "false", "SSH_ASKPASS": "false"}
    words = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c",
             "http.followRedirects=initial", "-c", "fetch.fsckObjects=false", "clone", "--mirror", "--quiet",
             "--no-local", "--template=", "--no-recurse-submodules", "--", url, str(into)]
    try:
        done = subprocess.run(words, env=kept | fixed, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise GitFailed(f"git cannot be run: {error.strerror}", "install git, or put it on PATH") from error
    ended(done.returncode, done.stderr.replace(os.fsencode(url), b"the URL"), "clone")  # it may hold credentials
