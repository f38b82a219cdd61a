"""The stages, one file each; a sub-folder is a family of commands."""
