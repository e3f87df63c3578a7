"""CLIP and RemoteCLIP through open_clip, from a local file; nothing is ever downloaded here."""

from __future__ import annotations

import open_clip
from open_clip.modified_resnet import ModifiedResNet

from veritrain.models.clip_image import ClipResNet, ClipViT
from veritrain.models.clip_text import ClipText
from veritrain.models.clip_weights import KeyReport, load_clip_file
from veritrain.models.options import ClipOptions, named_clip
from veritrain.models.temperature import Temperature
from veritrain.models.tower import ImageTower
from veritrain.models.tower_pair import TowerPair


class Clip(TowerPair):
    """CLIP's image tower, text tower and temperature, with random numbers in them.

    Args:
        options: which network; its ``weights`` are not read here (:func:`load_clip`).
    """

    def __init__(self, options: ClipOptions) -> None:
        # The network itself is built, not open_clip.create_model: that one may go to the network.
        net = open_clip.CLIP(**open_clip.get_model_config(options.name), quick_gelu=options.activation == "quick_gelu")
        about = f"CLIP {options.name}, {options.activation}"
        resnet = isinstance(net.visual, ModifiedResNet)
        image: ImageTower = (ClipResNet if resnet else ClipViT)(net.visual, about)
        super().__init__(image, ClipText(net, about), Temperature())
        self.options = options


def load_clip(options: ClipOptions) -> tuple[Clip, KeyReport | None]:
    """A CLIP with the weights of its file, and what was taken of the file; None without a file: random numbers.

    Raises:
        ConfigError: no such file.
        CheckpointError: it cannot be read, is of another network, or holds no weights (``models.clip_weights``).
    """
    network = Clip(options)
    if not options.weights:
        return network, None
    return network, load_clip_file(network, options)


def _named(name: str) -> Clip:
    return Clip(named_clip()[name])


def clip_rn50() -> Clip:
    """CLIP with a ResNet-50 and an attention pool; RemoteCLIP-RN50 fits (102,007,137 parameters)."""
    return _named("clip-rn50")


def clip_vit_b_32() -> Clip:
    """CLIP with a vision transformer of 32-pixel patches; RemoteCLIP-ViT-B-32 fits (151,277,313 parameters)."""
    return _named("clip-vit-b-32")


def clip_vit_l_14() -> Clip:
    """CLIP with a large vision transformer of 14-pixel patches; RemoteCLIP-ViT-L-14 fits (427,616,513 parameters)."""
    return _named("clip-vit-l-14")
