"""The words by which callers choose how masks and regions are read."""

from typing import Literal

Polarity = Literal["white", "black", "transparent", "opaque"]
"""Which pixels of a mask picture are repainted."""

RegionMode = Literal["auto", "whole", "masked"]
"""What the model sees: the whole picture, a crop around the mask, or whichever fits."""

LatentMask = Literal["cover", "nearest"]
"""How a pixel mask becomes one of latent cells: any pixel of the cell, or its first."""

SeamMode = Literal["off", "harmonic", "rendered"]
"""What is spread inward from the mask's border: nothing, the step from kept pixels to the fill beside them, or
what the model made of the kept pixels themselves."""

Continuation = Literal["fill", "patchmatch"]
"""What a hole can be given out of its surroundings alone: their colours, or their textures and lines."""

FileFormat = Literal["PNG", "JPEG", "WEBP", "AVIF", "TIFF"]
"""The formats that can be written; BMP can be read, too."""
