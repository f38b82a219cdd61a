"""Tokenizers and packing of token sequences."""
