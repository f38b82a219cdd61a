"""Readers of the formats that raw text comes in."""
