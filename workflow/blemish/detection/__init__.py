"""Artifact detectors: mmseg's UPerNet on Swin-T and ConvNeXt-T, trained by mmengine (§4.2, §4.4)."""
