"""What the report says of captions and of the images that they find, in English and Chinese."""

from __future__ import annotations

RETRIEVAL_WORDS: dict[str, tuple[str, str]] = {
    "caption_vocabulary": ("What the training captions named", "训练说明文字中提到的类别"),
    "captions": ("Captions", "说明文字数"),
    "different_captions": ("Different captions", "不同的说明文字数"),
    "scenes": ("Scenes", "场景数"),
    "class_name": ("Class", "类别"),
    "vocabulary_note": (
        "Open-vocabulary: a class with a count above 0 is not new to these towers, nor to a detector that is built on "
        "them.",
        "开放词汇：计数大于 0 的类别对这两个塔并不陌生，对建立在其上的检测器也是如此。",
    ),
    "sentences found": ("Sentences that find their image first", "首位即找到对应图像的句子"),
    "sentences missed": ("Sentences whose image comes last", "对应图像排名最靠后的句子"),
    "random sentences": ("Random sentences", "随机句子"),
}
