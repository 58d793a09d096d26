"""DomainNet (Peng, Bai, Xia, Huang, Saenko, Wang 2019): 586,575 images of 345 classes in six domains.

The cleaned version, with its official split. Its lists for painting lack two classes: of t-shirt there are no
training images, of syringe no test images.
"""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.imagenet_prompts import imagenet_prompts
from cl_bench.datasets.releases.list_files import two_columns
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

DOMAINS = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")

_HOST = "http://csr.bu.edu/ftp/visda/2019/multi-source"
_MD5 = {
    "groundtruth/clipart.zip": "cd0d8f2d77a4e181449b78ed62bccf1e",
    "infograph.zip": "720380b86f9e6ab4805bb38b6bd135f8",
    "groundtruth/painting.zip": "1ae32cdb4f98fe7ab5eb0a351768abfd",
    "quickdraw.zip": "bdc1b6f09f277da1a263389efe0c7a66",
    "real.zip": "dcc47055e8935767784b7162e7c7cca6",
    "sketch.zip": "658d8009644040ff7ce30bb2e820850f",
    "domainnet/txt/clipart_train.txt": "b4349693a7f9c05c53955725c47ed6cb",
    "domainnet/txt/clipart_test.txt": "f5ddbcfd657a3acf9d0f7da10db22565",
    "domainnet/txt/infograph_train.txt": "379b50054f4ac2018dca4f89421b92d9",
    "domainnet/txt/infograph_test.txt": "779626b50869edffe8ea6941c3755c71",
    "domainnet/txt/painting_train.txt": "7db0e7ca73ad9982f6e1f7f3ef372c0a",
    "domainnet/txt/painting_test.txt": "232b35dc53f26d414686ae579e38d9b5",
    "domainnet/txt/quickdraw_train.txt": "b732ced3939ac8efdd8c0a889dca56cc",
    "domainnet/txt/quickdraw_test.txt": "c1a828fdfe216fb109f1c0083a252c6f",
    "domainnet/txt/real_train.txt": "8ebf02c2075fadd564705f0dc7cd6291",
    "domainnet/txt/real_test.txt": "6098816791c3ebed543c71ffa11b9054",
    "domainnet/txt/sketch_train.txt": "1233bd18aa9a8a200bf4cecf1c34ef3e",
    "domainnet/txt/sketch_test.txt": "d8a222e4672cfd585298aa14d02ea441",
}
RELEASE = Release(
    name="domainnet",
    title="DomainNet",
    folder="domainnet",
    classes=345,
    train=409_832,
    test=176_743,
    size=17_500_000_000,
    archives=tuple(
        Archive(path.rpartition("/")[2], (f"{_HOST}/{path}",), f"md5:{md5}", into="domainnet")
        for path, md5 in _MD5.items()
    ),
    per_domain={
        "clipart": (33_525, 14_604),
        "infograph": (36_023, 15_582),
        "painting": (50_416, 21_850),
        "quickdraw": (120_750, 51_750),
        "real": (120_906, 52_041),
        "sketch": (48_212, 20_916),
    },
)


@cache
def load(root: Path) -> ImageDataset:
    """Reads the images `root/domainnet/<domain>/<class>/…` that `root/domainnet/<domain>_{train,test}.txt` list.

    A class's id is its position in the sorted names of the class folders of all lists, not the number in the lists,
    which are sorted regardless of case.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    listed = {split: [_listed(root, domain, split) for domain in DOMAINS] for split in ("train", "test")}
    classes = sorted({file.split("/")[1] for by_domain in listed.values() for files in by_domain for file in files})
    folder = RELEASE.find(root, "domainnet")
    RELEASE.check_classes(root, folder, classes)
    train, test = (_images(root, folder, classes, by_domain) for by_domain in listed.values())
    names = tuple(name.replace("_", " ") for name in classes)
    return ImageDataset("domainnet", names, imagenet_prompts(), train, test, DOMAINS)


def _listed(root: Path, domain: str, split: str) -> list[str]:
    path, error = RELEASE.find(root, f"domainnet/{domain}_{split}.txt"), partial(RELEASE.error, root)
    RELEASE.find(root, f"domainnet/{domain}")
    files = [file for file, _ in two_columns(path, error)]
    for file in files:
        if not file.startswith(f"{domain}/") or file.count("/") != 2:
            raise error(f"{path} is damaged: {file} is not {domain}/<class>/<image>")
    return files


def _images(root: Path, folder: Path, classes: Sequence[str], by_domain: Sequence[list[str]]) -> Images:
    number = {name: i for i, name in enumerate(classes)}
    files = [file for files in by_domain for file in files]
    labels = np.array([number[file.split("/")[1]] for file in files], dtype=np.int64)
    domains = np.repeat(np.arange(len(by_domain)), [len(files) for files in by_domain])
    return Images(RELEASE.images(root, folder, files), labels, domains)
