"""Images: those of ``nngraph.utils``, and ``smart_resize``."""

from __future__ import annotations

from nngraph.utils.images import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]
