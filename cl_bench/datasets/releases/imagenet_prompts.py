"""The 80 prompts of CLIP's authors for ImageNet (Radford et al. 2021), which publications use for other data sets."""


def imagenet_prompts() -> tuple[str, ...]:
    """The templates that open_clip ships, with '{}' for the class name."""
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES  # imported here, since it loads all of PyTorch

    return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
