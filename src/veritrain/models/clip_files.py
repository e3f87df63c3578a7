"""Published weight files of CLIP towers: where they are, and what is known of them. Torch-free.

A field that nobody of us has verified is None, which means unknown: it is asked for at the source, and never guessed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

REMOTECLIP = "https://huggingface.co/chendelong/RemoteCLIP"


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A weight file on somebody's server.

    Attributes:
        name: after ``veritrain fetch``.
        network: the CLIP that it is of (``ClipOptions.name``).
        page: where a person reads about it. url: of the file itself.
        file: its name.
        size_mb: about, as its publishers say; None unknown.
        licence: as its publishers say; None unknown.
        sha256: of its bytes; None unknown.
        about: what else is known.
    """

    name: str
    network: str
    page: str
    url: str
    file: str
    size_mb: int | None = None
    licence: str | None = None
    sha256: str | None = None
    about: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


ABOUT_REMOTECLIP = (
    "RemoteCLIP (arXiv 2306.11029): CLIP trained on from OpenAI's weights on remote-sensing captions. Its training "
    "data are said to include DIOR and DOTA, as captions made from boxes: DIOR's novel classes are open-vocabulary for "
    "it, never unseen."
)


def _remoteclip(network: str, size_mb: int) -> PublishedFile:
    file = f"RemoteCLIP-{network}.pt"
    return PublishedFile(
        name=f"remoteclip-{network.lower()}",
        network=network,
        page=REMOTECLIP,
        url=f"{REMOTECLIP}/resolve/main/{file}",
        file=file,
        size_mb=size_mb,
        about=ABOUT_REMOTECLIP,
    )


PUBLISHED = {
    one.name: one for one in (_remoteclip("RN50", 400), _remoteclip("ViT-B-32", 600), _remoteclip("ViT-L-14", 1700))
}
"""Name after ``veritrain fetch`` -> the file."""
