"""Oxford 102 Flowers (Nilsback and Zisserman 2008): 8,189 photographs of 102 kinds of flowers, the official split.

The release has 1,020 images for training, as many for validation, which are not used, and 6,149 for testing.
"""

from functools import cache
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.reading import checked_labels, read_mat
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

_HOST = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
_CHECKSUMS = {
    "102flowers.tgz": "md5:52808999861908f626f3c1f4e79d11fa",
    "imagelabels.mat": "md5:e0620be6f572b9609742df49c70aed4d",
    "setid.mat": "md5:a5357ecc9cb78c4bef273ce3793fc85c",
}

RELEASE = Release(
    name="flowers102",
    title="Oxford 102 Flowers",
    folder="flowers-102",
    classes=102,
    train=1_020,
    test=6_149,
    size=344_878_013,
    archives=tuple(Archive(file, (_HOST + file,), md5, into="flowers-102") for file, md5 in _CHECKSUMS.items()),
)

PROMPTS = ("a photo of a {}, a type of flower.",)

# As the tables of ready checkpoints have them, in the order of the release's labels, 1 to 102.
CLASS_NAMES = (
    "pink primrose", "hard-leaved pocket orchid", "canterbury bells", "sweet pea", "english marigold",
    "tiger lily", "moon orchid", "bird of paradise", "monkshood", "globe thistle", "snapdragon", "colt's foot",
    "king protea", "spear thistle", "yellow iris", "globe-flower", "purple coneflower", "peruvian lily",
    "balloon flower", "giant white arum lily", "fire lily", "pincushion flower", "fritillary", "red ginger",
    "grape hyacinth", "corn poppy", "prince of wales feathers", "stemless gentian", "artichoke",
    "sweet william", "carnation", "garden phlox", "love in the mist", "mexican aster", "alpine sea holly",
    "ruby-lipped cattleya", "cape flower", "great masterwort", "siam tulip", "lenten rose", "barbeton daisy",
    "daffodil", "sword lily", "poinsettia", "bolero deep blue", "wallflower", "marigold", "buttercup",
    "oxeye daisy", "common dandelion", "petunia", "wild pansy", "primula", "sunflower", "pelargonium",
    "bishop of llandaff", "gaura", "geranium", "orange dahlia", "pink-yellow dahlia?", "cautleya spicata",
    "japanese anemone", "black-eyed susan", "silverbush", "californian poppy", "osteospermum", "spring crocus",
    "bearded iris", "windflower", "tree poppy", "gazania", "azalea", "water lily", "rose", "thorn apple",
    "morning glory", "passion flower", "lotus", "toad lily", "anthurium", "frangipani", "clematis", "hibiscus",
    "columbine", "desert-rose", "tree mallow", "magnolia", "cyclamen", "watercress", "canna lily",
    "hippeastrum", "bee balm", "ball moss", "foxglove", "bougainvillea", "camellia", "mallow",
    "mexican petunia", "bromelia", "blanket flower", "trumpet creeper", "blackberry lily",
)  # fmt: skip


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/flowers-102/{imagelabels.mat,setid.mat,jpg/image_<number>.jpg}`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    listing = "flowers-102/imagelabels.mat"
    labels = checked_labels(RELEASE, root, listing, read_mat(RELEASE, root, listing).get("labels", []), first=1)
    train, test = (_read_split(root, part, labels) for part in ("trnid", "tstid"))
    return ImageDataset("flowers102", CLASS_NAMES, PROMPTS, train, test)


def _read_split(root: Path, part: str, labels: np.ndarray) -> Images:
    """The images whose numbers, from 1, a part of the split lists; `labels` has those of all images."""
    listing = "flowers-102/setid.mat"
    numbers = np.atleast_1d(read_mat(RELEASE, root, listing).get(part, [])).astype(np.int64)
    if not len(numbers) or numbers.min() < 1 or numbers.max() > len(labels):
        raise RELEASE.error(root, f"{Path(root) / listing} is damaged: {part} has to list images 1 to {len(labels)}")
    folder = RELEASE.find(root, "flowers-102/jpg")
    return Images(RELEASE.images(root, folder, [f"image_{number:05d}.jpg" for number in numbers]), labels[numbers - 1])
