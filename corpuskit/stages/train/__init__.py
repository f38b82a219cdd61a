"""Train a tokenizer or a model."""
