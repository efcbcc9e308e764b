"""Scenes: pictures of one to three things, and sentences said of them."""

from kit.worlds.scenes.captions import describe
from kit.worlds.scenes.corpus import Gallery, scenes
from kit.worlds.scenes.pictures import draw
from kit.worlds.scenes.pretraining import small_cnn_from_scenes
from kit.worlds.scenes.world import Scene, Thing, relations

__all__ = [
    "Gallery",
    "Scene",
    "Thing",
    "describe",
    "draw",
    "relations",
    "scenes",
    "small_cnn_from_scenes",
]
