"""How detectors are judged: the section `evaluation`."""

from __future__ import annotations

from blemish.settings import Count, Settings, Share


class Evaluation(Settings):
    """How detectors are judged.

    ASSUME: the paper's "mIoU" goes down to 0.22 in Table 2, so it is not a mean over two classes; it is read as the IoU
    of the artifact class over all pixels of the test set (§4.4).
    """

    threshold: Share
    """A pixel is an artifact from this P(artifact) on.

    ASSUME: arg max of two classes; the paper names no threshold."""
    batch_size: Count
    """Images per call."""
