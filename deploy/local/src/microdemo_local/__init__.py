"""Starts the parts on one machine."""
