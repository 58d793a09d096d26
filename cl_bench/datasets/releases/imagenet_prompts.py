"""The 80 prompts of CLIP's authors for ImageNet (Radford et al. 2021), which the publications use for others too."""


def imagenet_prompts() -> tuple[str, ...]:
    """The templates that open_clip ships, with '{}' for the class name."""
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES  # here, because it loads all of PyTorch

    return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
