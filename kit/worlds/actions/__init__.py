"""Sounding actions: small videos of things that move, and the sounds that follow from it."""

from kit.worlds.actions.corpus import ActionClip, make_clip, sounding_actions
from kit.worlds.actions.world import ACTIONS

__all__ = ["ACTIONS", "ActionClip", "make_clip", "sounding_actions"]
