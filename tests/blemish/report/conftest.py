"""What tests of figures, of examples and of the strength table share: measures of invented images."""

import pandas as pd
import pytest


@pytest.fixture
def strength():
    """Makes the strength of images as `read_strength` gives it, with other columns where they are named."""

    def made(ids, **columns) -> pd.DataFrame:
        frame = pd.DataFrame({"id": ids, "mask_fraction": 0.1, "latent_distance": 0.5, "changed": 0.5, "part": 0})
        measures = {"psnr_inside": 20.0, "psnr_outside": 40.0, "ssim_inside": 0.5, "ssim_outside": 0.9}
        measures |= {"left_out": 0.0, "label_iou": 0.75, "outside": 0.25}
        return frame.assign(**measures).assign(**columns)

    return made
