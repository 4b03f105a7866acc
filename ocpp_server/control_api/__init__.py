"""The one door into the running server for the command line, scripts and the dashboard: HTTP on this machine only."""
