"""Certificates for one test, made on the spot: a server's, those of charge points, and a foreign authority's."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "127.0.0.1"


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate with its chain, and its private key (PEM)."""

    certificate: Path
    key: Path


class Certificates:
    """An authority that signs for the server and for charge points, one that nobody trusts, and files in a folder.

    Certificates are of elliptic curves unless `rsa` is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA(organization_name="evquota tests")
        self.foreign_authority = trustme.CA(organization_name="somebody else")
        self.ca_file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca_file))
        self._count = 0

    def server(self, *, rsa: bool = False, ca: trustme.CA | None = None, days: float = 365) -> CertificateFiles:
        """A certificate for 127.0.0.1 and localhost in files of its own; it ends in so many days."""
        leaf = (ca or self.authority).issue_cert(HOST, "localhost", key_type=_key_type(rsa=rsa), **_validity(days))
        return self._write("server", leaf)

    def client(self, common_name: str, *, ca: trustme.CA | None = None, days: float = 365) -> CertificateFiles:
        """A certificate of a charge point: its id or its serial number is the common name (profile 3)."""
        return self._write("client", (ca or self.authority).issue_cert(common_name=common_name, **_validity(days)))

    def self_signed(self, common_name: str, *, is_weak: bool = False) -> CertificateFiles:
        """A certificate that nobody else signed, and that is for clients alone (clientAuth). Weak: RSA of 1024 bits."""
        key = rsa.generate_private_key(65537, 1024) if is_weak else ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365))
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = builder.add_extension(purpose, critical=True).sign(key, hashes.SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._write_files("self-signed", certificate.public_bytes(Encoding.PEM), pem)

    def client_context(
        self, certificate: CertificateFiles | None = None, *, version: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        """What a charge point dials with: it trusts our authority, and shows a certificate if it has one.

        `version` is the one TLS version that it speaks.
        """
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def _write(self, name: str, leaf: trustme.LeafCert) -> CertificateFiles:
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return self._write_files(name, chain, leaf.private_key_pem.bytes())

    def _write_files(self, name: str, certificate: bytes, key: bytes) -> CertificateFiles:
        self._count += 1
        stem = f"{name}{self._count}"
        files = CertificateFiles(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        files.certificate.write_bytes(certificate)
        files.key.write_bytes(key)
        files.key.chmod(0o600)
        return files


def _key_type(*, rsa: bool) -> trustme.KeyType:
    return trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA


def _validity(days: float) -> dict[str, datetime]:
    """From a month before to so many days after now; an end that has passed is an expired certificate."""
    now = datetime.now(UTC)
    return {"not_before": now - timedelta(days=30), "not_after": now + timedelta(days=days)}
