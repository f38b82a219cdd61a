"""Shingles, MinHash signatures, bands and clusters."""
