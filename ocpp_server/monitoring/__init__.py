"""What monitoring asks of the server: metrics, and whether it can do its work."""
