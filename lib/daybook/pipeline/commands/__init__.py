"""Subcommands of `daybook`, one module an area."""
