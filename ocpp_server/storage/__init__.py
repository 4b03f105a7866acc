"""Everything on disk: the ledger, the published files, and the administrator's CSV files."""
