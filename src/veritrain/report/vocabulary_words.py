"""What the report says of vocabularies, of classes with boxes and of the words they are asked for in."""

from __future__ import annotations

VOCABULARY_WORDS: dict[str, tuple[str, str]] = {
    "open_vocabulary": ("Classes named in words", "以文字命名的类别"),
    "vocabulary": ("Vocabulary", "词表"),
    "by_vocabulary": ("Other vocabularies", "其他词表"),
    "vocabulary_means": (
        "novel: the novel classes alone, on images that have some; base: the learned ones alone, on every image. The "
        "scores above ask for all classes on every image.",
        "novel：仅询问新类别，且只在含有新类别的图像上；base：仅询问已学类别，在所有图像上。上方的得分在所有图像上询问全部类别。",
    ),
    "text_controls": ("Other words in place of the class names", "用其他词代替类别名称"),
    "text_controls_note": (
        "Where the fall may be nothing, the score is that of boxes around whatever is an object, not of classes that "
        "their names find.",
        "如果下降可能为零，则该得分只说明框住了某个物体，而不是名称找到了类别。",
    ),
    "control": ("Control", "对照"),
    "fall": ("Fall", "下降"),
    "by_class": ("Classes", "各类别"),
    "class_star": ("A star marks a novel class.", "星号表示新类别。"),
    "objects": ("Objects", "物体数"),
    "detections": ("Detections", "检测数"),
    "absent_classes": (
        "Classes without an object on these images: every detection is a false alarm",
        "这些图像中没有物体的类别：每个检测都是误报",
    ),
    "detection_confusion": ("Confusion of the called boxes", "判定框的混淆矩阵"),
    "least_overlap": ("least overlap", "最小重叠"),
    "oracle": ("Labels handed in as predictions score", "将标签作为预测提交时的得分"),
    "class_curves": ("Precision against recall, class by class", "各类别的精确率-召回率曲线"),
    "surest false alarms": ("Surest false alarms", "最确信的误报"),
    "novel classes": ("Novel classes", "新类别"),
    "random images": ("Random images", "随机图像"),
}
