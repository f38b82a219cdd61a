"""Turn raw text of the web into shards that a language model trains on, and prove that they are good."""

__version__ = "0.1.0"
