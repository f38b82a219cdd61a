"""What is known of each source: how its files are laid out, listed and found."""
