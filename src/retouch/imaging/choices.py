"""The words by which callers choose how masks and regions are read."""

from typing import Literal

Polarity = Literal["white", "black", "transparent", "opaque"]
"""Which pixels of a mask picture are repainted."""

RegionMode = Literal["auto", "whole", "masked"]
"""What the model sees: the whole picture, a crop around the mask, or whichever fits."""

LatentMask = Literal["cover", "nearest"]
"""How a pixel mask becomes one of latent cells: any pixel of the cell, or its first."""

FileFormat = Literal["PNG", "JPEG", "WEBP", "AVIF", "TIFF"]
"""The formats that can be written; BMP can be read, too."""
