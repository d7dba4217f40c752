"""Where a model's faster layers are used."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """Where the faster layers are used. The defaults are for AVX2 processors.

    Attributes:
        owns_residuals: nobody else looks at what a residual block is given, so that the block may add to it in
            place. True of a VAE's; a UNet keeps many for its skip connections.
        threads: most threads that a call may have.
        winograd_channels: fewest channels of a 3x3 convolution, in and out, for Winograd's filtering.
        winograd_cells: fewest cells of an image (H * W) for it; below, too much of its tiles is padding.
        winograd_call_cells: fewest cells of a call (N * H * W) for it; below, transforming weights takes longer
            than all else.
        gather_cells: most cells for which a 3x3 convolution is gathered into one matrix product; oneDNN reorders
            the weights at every call otherwise, which takes as long as the product.
        gather_channels: fewest channels, in and out, for that.
        residual_floats: fewest numbers of one image in a residual block (4 MiB) for which its norms become part of
            its convolutions.
        linear_products: fewest multiplications of a linear layer that oneDNN takes over.
        feed_forward_floats: fewest numbers between a feed-forward's two matrices (16 MiB) for which its rows are
            taken in parts, so that they stay in the cache; whole, they cost as much as the products.
        feed_forward_rows: rows of such a part.
        norm_cells: fewest cells of an image whose group norm PyTorch takes in parts, one a thread.
    """

    owns_residuals: bool
    threads: int = 1
    winograd_channels: int = 128
    winograd_cells: int = 256
    winograd_call_cells: int = 512
    gather_cells: int = 256
    gather_channels: int = 512
    residual_floats: int = 2**20
    linear_products: int = 2**21
    feed_forward_floats: int = 2**22
    feed_forward_rows: int = 256
    norm_cells: int = 1024

    def filters(self, count: int, cells: int) -> bool:
        """Whether Winograd's filtering is used for `count` images of so many cells."""
        return cells >= self.winograd_cells and count * cells >= self.winograd_call_cells

    def shares_norms(self, count: int, cells: int) -> bool:
        """Whether PyTorch's group norm of `count` images of so many cells adds up parts as threads have them.

        Where every thread has whole images, the parts are images, whatever the number of threads.
        """
        return cells >= self.norm_cells and count % self.threads != 0
