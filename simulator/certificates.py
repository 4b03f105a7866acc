"""The root certificates that are installed in a simulated charge point (security white paper M03 to M05).

It looks at no certificate closely: its hashes are those of the text.
"""

import hashlib
from typing import TypeAlias

MOST_CERTIFICATES = 10
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

HashData: TypeAlias = dict[str, str]
"""CertificateHashData, with the names of the `ocpp` package."""


def is_certificate(text: str) -> bool:
    """Whether this looks like PEM."""
    return text.strip().startswith(_BEGIN) and text.strip().endswith(_END)


class Certificates:
    """Installed root certificates, by what they are used for."""

    def __init__(self) -> None:
        self._installed: list[tuple[str, HashData]] = []

    def install(self, use: str, certificate: str) -> str:
        """The status of InstallCertificate.conf; the same one twice is the same one."""
        if not is_certificate(certificate):
            return "Rejected"
        entry = (use, _hash_data(certificate))
        if entry not in self._installed:
            if len(self._installed) >= MOST_CERTIFICATES:
                return "Failed"
            self._installed.append(entry)
        return "Accepted"

    def of(self, use: str) -> list[HashData]:
        """What GetInstalledCertificateIds.conf lists."""
        return [data for one, data in self._installed if one == use]

    def delete(self, data: HashData) -> str:
        """The status of DeleteCertificate.conf."""
        kept = [entry for entry in self._installed if entry[1] != data]
        is_found = len(kept) < len(self._installed)
        self._installed = kept
        return "Accepted" if is_found else "NotFound"


def _hash_data(certificate: str) -> HashData:
    digest = hashlib.sha256("".join(certificate.split()).encode()).hexdigest()
    return {
        "hash_algorithm": "SHA256",
        "issuer_name_hash": digest,
        "issuer_key_hash": digest[::-1],
        "serial_number": digest[:16],
    }
