"""Part of Daybook."""
