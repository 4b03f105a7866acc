"""TLS for charge points (security profiles 2 and 3): what is offered, and how renewed files are taken up.

A context is never altered once it is in use: `load_cert_chain` counts at once for new handshakes, also when it has
put a certificate beside a key of another, and an authority that was loaded cannot be taken out again. So every reload
builds a new context, and each new connection is made with the newest.
"""

import asyncio
import hashlib
import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 10.0
"""Real seconds between two looks at the files."""
_SUITES: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; those of 1.3 are all good. They hold the two TLS_ECDHE_ECDSA suites that A00.FR.317 asks for."""
_COMPAT_SUITES: Final = "AES128-GCM-SHA256:AES256-GCM-SHA384"
"""The two TLS_RSA suites of A00.FR.317: without forward secrecy, so only where a charge point knows nothing better."""
_SECURITY_LEVEL: Final = "@SECLEVEL=2"
"""RSA of 2048 bits and curves of 224 at least, whatever the distribution's default."""
_MOST_REASONS: Final = 64
_MOST_FLIGHTS: Final = 4
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python has no name for: what has expired is looked at all the same."""


class TlsError(Exception):
    """The files cannot be used; the message says which and why, and how to mend it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}: {mend}")
        self.what = what
        self.mend = mend


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Certificate with its chain, its private key, and the authorities of charge points' certificates (all PEM)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @classmethod
    def of(cls, certificate: Path | None, key: Path | None, client_ca: Path | None) -> Self | None:
        """Those that the settings name, if they name any."""
        return None if certificate is None or key is None else cls(certificate, key, client_ca)

    @property
    def _all(self) -> tuple[Path, ...]:
        return (self.certificate, self.key) if self.client_ca is None else (self.certificate, self.key, self.client_ca)

    def digest(self) -> bytes:
        """What the files hold now, through whatever links lead there (certbot). Raises TlsError."""
        digests = (hashlib.sha256(_read(path)).digest() for path in self._all)
        return b"".join(digests)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Load all files. Raises TlsError."""
        _load_pair(context, self.certificate, self.key)
        if self.client_ca is not None:
            _load_authorities(context, self.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL  # profiles 2 and 3 share the port; a bad certificate still fails


class ServerTls:
    """The TLS of a listener, which follows its files."""

    def __init__(self, files: TlsFiles, *, is_compatible: bool = False) -> None:
        """Raises TlsError. `is_compatible`: the two TLS_RSA suites as well."""
        self._files = files
        self._is_compatible = is_compatible
        self._digest = files.digest()
        self._trouble = ""
        self.context = NewestContext(ssl.PROTOCOL_TLS_SERVER)
        """For a listener: a new connection through it gets what the files held last."""
        self.context.newest = self._load()
        self.context.refusals = set()

    async def run(self) -> None:
        """Follow the files until cancelled. Connections that run keep what they began with."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Take up files that changed. A pair that does not match may be half renewed: the old one stays in force."""
        try:
            digest = self._files.digest()
            if digest == self._digest:
                self._trouble = ""
                return
            self.context.newest = self._load()
        except TlsError as error:
            if str(error) != self._trouble:
                log.warning("[CONNECT] kept the TLS certificate that was in force reason=%r", str(error))
            self._trouble = str(error)
            return
        self._digest, self._trouble = digest, ""
        self.context.refusals.clear()
        log.info("[CONNECT] took up renewed TLS files certificate=%s", self._files.certificate)

    def _load(self) -> ssl.SSLContext:
        context = new_context(is_compatible=self._is_compatible)
        context.sslobject_class = _LoggedObject
        self._files.load_into(context)
        return context


class NewestContext(ssl.SSLContext):
    """A context that only stands for the newest one. asyncio and uvloop make each connection by its `wrap_bio`."""

    newest: ssl.SSLContext
    refusals: set[str]
    early: bytes = b""

    def having_read(self, early: bytes) -> "NewestContext":
        """The same for one connection, of which these bytes were read before TLS could begin (uvloop)."""
        if not early:
            return self
        context = NewestContext(ssl.PROTOCOL_TLS_SERVER)
        context.newest, context.refusals, context.early = self.newest, self.refusals, early
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        incoming.write(self.early)
        ssl_object = self.newest.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(ssl_object, _LoggedObject):
            ssl_object.refusals = self.refusals
        return ssl_object


class _LoggedObject(ssl.SSLObject):
    """Says once for each reason why handshakes fail: nobody else would, and the charge point cannot."""

    refusals: set[str]

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
                self._log(error)
            raise

    def _log(self, error: ssl.SSLError) -> None:
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error.reason)
        if reason not in self.refusals and len(self.refusals) < _MOST_REASONS:
            self.refusals.add(reason)
            log.warning("[CONNECT] refused TLS handshake reason=%r", reason)


def new_context(*, is_compatible: bool = False) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with authenticated encryption, no compression and no renegotiation; no certificate yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    suites = (_SUITES, _COMPAT_SUITES, _SECURITY_LEVEL) if is_compatible else (_SUITES, _SECURITY_LEVEL)
    context.set_ciphers(":".join(suites))
    return context


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What a server's certificate says: from when to when it holds (UTC), and for which names and addresses."""

    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]


def examine(files: TlsFiles) -> ServerCertificate:
    """What the server's certificate says, found by a handshake in memory. Raises TlsError if the files cannot be used.

    A certificate for another purpose than a server's fails as it would with a charge point.
    """
    server = new_context()
    files.load_into(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(files.certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    try:
        said = _shake_hands(client, server)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason
        what = f"certificate {files.certificate} is not for a server ({reason})"
        raise TlsError(what, "get one that may be used by TLS servers (serverAuth)") from error
    seconds = [ssl.cert_time_to_seconds(str(said[name])) for name in ("notBefore", "notAfter")]
    not_before, not_after = (datetime.fromtimestamp(second, UTC) for second in seconds)
    names: Any = said.get("subjectAltName", ())
    return ServerCertificate(not_before, not_after, tuple(str(name) for _, name in names))


def _shake_hands(client_context: ssl.SSLContext, server_context: ssl.SSLContext) -> dict[str, Any]:
    """What the client learns of the server's certificate."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server) * _MOST_FLIGHTS:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return dict(client.getpeercert() or {})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        mend = "correct the path in .env" if isinstance(error, FileNotFoundError) else "let this user read it"
        raise TlsError(f"{path} cannot be read ({error.strerror})", mend) from error


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    for path, label in ((certificate, "CERTIFICATE"), (key, "PRIVATE KEY")):
        if f"{label}-----".encode() not in _read(path):
            raise TlsError(f"{path} holds no {label.lower()} in PEM", f"name the file that has a line BEGIN {label}")

    def refuse() -> str:
        raise TlsError(f"private key {key} is encrypted", "store it without a password, in a file of mode 0640")

    try:
        context.load_cert_chain(certificate, key, refuse)
    except OSError as error:  # ssl.SSLError among them
        what = f"certificate {certificate} and private key {key} {_why(error)}"
        raise TlsError(what, "name a certificate, its chain below it, and the key that it was made for") from error


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
        return "do not belong together"
    if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return "are too weak (RSA of 2048 bits or a curve of 224 at least, and SHA-256)"
    return f"cannot be loaded ({reason})"


def _load_authorities(context: ssl.SSLContext, client_ca: Path) -> None:
    _read(client_ca)
    try:
        context.load_verify_locations(client_ca)
    except OSError as error:
        what = f"{client_ca} holds no certificate of an authority in PEM ({getattr(error, 'reason', error)})"
        raise TlsError(what, "name the file of who signs your charge points' certificates") from error
