"""Whole folders through the same engine that the viewer uses."""
