"""The exceptions of storage. Each message says what was expected, what came, where, and what a person can do.

Exceptions:

* :exc:`StorageError`
    * :exc:`LedgerError`: the ledger cannot be used
        * :exc:`LedgerInUseError`: another server runs on this data folder
        * :exc:`LedgerVersionError`: written by a newer version, or no ledger at all
        * :exc:`LedgerDamagedError`: the file is damaged; a copy was kept
        * :exc:`LedgerWriteError`: a commit failed, nothing of it is in the ledger
    * :exc:`ImportFileError`: a file that was to be imported, or edited by hand, cannot be read
"""


class StorageError(Exception):
    """Something on disk cannot be read or written."""


class LedgerError(StorageError):
    """The ledger cannot be used."""


class LedgerInUseError(LedgerError):
    """Another server runs on this data folder."""


class LedgerVersionError(LedgerError):
    """The file was written by a newer version of evquota, or is no ledger."""


class LedgerDamagedError(LedgerError):
    """The file is damaged; a copy was kept and the message tells how to go on."""


class LedgerWriteError(LedgerError):
    """A commit failed and was rolled back. The process should end: what is in memory is ahead of the disk."""


class ImportFileError(StorageError):
    """A file cannot be read; the message names file, line and column."""
