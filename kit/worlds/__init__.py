"""Worlds: data that the kit makes itself, with dials to turn and known answers."""
