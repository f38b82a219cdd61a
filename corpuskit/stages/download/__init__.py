"""Get raw archives."""
