"""Crossmodal Kit."""
