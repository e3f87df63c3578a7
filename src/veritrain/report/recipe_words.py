"""What the report says of making a run again and of its pictures, in English and Chinese."""

from __future__ import annotations

RECIPE_WORDS: dict[str, tuple[str, str]] = {
    "from_parent": (
        "Where the run folder lies, beside it; DATA is what the run was trained on, wherever that is now:",
        "在运行目录所在的上级目录中执行；DATA 为训练该运行所用的数据，无论其现在位于何处：",
    ),
    "data_called": ("DATA is called", "DATA 的名称"),
    "data_format": ("format", "格式"),
    "split_hash": ("SHA-256 of the split", "划分的 SHA-256"),
    "content_hash": ("SHA-256 of the contents in data.json", "data.json 中内容的 SHA-256"),
    "hash_means": (
        "The page of the new run says the same hashes where the data are the same.",
        "若数据相同，新运行的页面会给出相同的哈希值。",
    ),
    "also_needed": ("The recipe also reads", "训练配方还读取"),
    "budget_again": (
        "The run had a time budget (max_seconds): training ends at another step, and the numbers are not the same "
        "again.",
        "该运行有时间预算（max_seconds）：训练会在不同的步数结束，数字不会完全相同。",
    ),
    "auto_again": (
        "The run was trained with precision auto, which is bfloat16 where the processor computes in it: on another "
        "processor the numbers are not the same again.",
        "该运行使用 precision auto（处理器支持时为 bfloat16）：在其他处理器上数字不会完全相同。",
    ),
    "no_count": (
        "A dash under Positives: the score compares classes and has no positives of its own.",
        "“正样本数”下的短横：该得分比较多个类别，没有自己的正样本。",
    ),
    "gallery_judged": (
        "Errors are frames on the wrong side of the threshold chosen on validation: at most three, one a scenario.",
        "错误指落在验证集所选阈值错误一侧的帧：最多三帧，每个场景一帧。",
    ),
    "gallery_anomaly": (
        "Camera: the image itself where the pixel score is 0, through dark violet and orange to bright yellow where "
        "it is 1; the green outline is the labelled anomaly. From above: the same colours for returns.",
        "相机图：像素得分为 0 处为原图，经深紫、橙色到得分为 1 处的亮黄色；"
        "绿色轮廓为标注的异常。俯视图：回波使用相同的颜色。",
    ),
    "gallery_joint": (
        "Errors are counted at the threshold chosen on validation; at most three are shown, one a patient. Coloured "
        "boxes are predicted, with class and score; thin white boxes are labelled.",
        "错误按验证集所选阈值计算；最多显示三个，每位患者一个。彩色框为预测，附类别与得分；细白框为标注。",
    ),
}
