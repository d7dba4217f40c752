"""What the denoiser is told about the hole: its cells, and what they hold at the start."""

import torch
import torch.nn.functional as F

from retouch.imaging.choices import LatentMask
from retouch.imaging.mask import latent_mask


def latent_cells(mask: torch.Tensor, mode: LatentMask, factor: int) -> torch.Tensor:
    """Mark the latent cells that are repainted.

    Args:
        mask: (1, H, W), 0 = keep, 1 = repaint; H and W divide by `factor`.
        mode: `cover` marks a cell that holds any marked pixel, `nearest` one whose first pixel is marked (the
            mask that the weights were trained with).
        factor: image pixels per latent cell, along one side.
    Returns:
        (1, H / factor, W / factor), dtype and device of `mask`.
    Raises:
        MaskSizeError: a side does not divide by `factor`.
    """
    cells = latent_mask(mask[0].cpu().numpy() > 0.5, mode, factor)
    return torch.from_numpy(cells)[None].to(mask)


def masked_image(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return images with the hole at 0, which is mid-grey in [-1, 1]: what the weights were trained on.

    Args:
        image: (..., 3, H, W).
        mask: (..., 1, H, W), 1 = the hole.
    """
    return image * (mask < 0.5)


def spread_colors(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Spread the colours around a hole into it, smoothly.

    Each level of a pyramid averages the known pixels of 2 x 2; what is still unknown takes the level above
    (push-pull: Gortler et al. 1996, "The Lumigraph", section 3.4.3, with a box filter).

    Args:
        image: (3, H, W).
        mask: (1, H, W), 1 = the hole.
    Returns:
        (3, H, W), equal to `image` outside the hole; 0 where no pixel is known at all.
    """
    known = (mask < 0.5).to(image.dtype)
    return torch.where(known > 0, image, _pull(image * known, known))


def _pull(premultiplied: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    height, width = weight.shape[-2:]
    colour = premultiplied / weight.clamp_min(1e-6)
    if height == 1 and width == 1:
        return colour
    pad = (0, width % 2, 0, height % 2)
    pooled, pooled_weight = (F.avg_pool2d(F.pad(part, pad), 2) for part in (premultiplied, weight))
    above = _pull(pooled, pooled_weight)
    smooth = F.interpolate(above[None], size=(height + pad[3], width + pad[1]), mode="bilinear")[0]
    return torch.where(weight > 0, colour, smooth[:, :height, :width])
