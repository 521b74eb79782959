"""Errors, time, settings, seeds, files, logging, parallel map and the published store: imported by every part."""
